// openai-node against a gateway: `node openai.mjs BASE_URL KIND`.

import OpenAI from 'openai';

import { CITY, play, weather } from './scenes.mjs';

const [baseURL, kind] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'any', maxRetries: 0 });
const model = `stub-${kind}/text`;
const asking = (content, more = {}) => ({ model, messages: [{ role: 'user', content }], ...more });
const text = (completion) => completion.choices[0].message.content;

const getWeather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Tell the weather of a city.',
    parameters: CITY,
    parse: JSON.parse,
    function: weather,
  },
};
const { parse: _parse, function: _function, ...described } = getWeather.function;
const tools = [{ type: 'function', function: described }];

async function streamed(content, told) {
  for await (const chunk of await client.chat.completions.create(asking(content, { stream: true }))) {
    told.push(chunk.choices[0]?.delta?.content ?? '');
  }
  return told.join('');
}

await play({
  plain: async () => {
    const answer = await client.chat.completions.create(asking('script:hello'));
    return [text(answer), answer.choices[0].finish_reason, answer.usage.completion_tokens];
  },
  streamed: (told) => streamed('script:hello', told),
  unicode: (told) => streamed('script:unicode', told),
  helper: async () => {
    const stream = client.chat.completions.stream(
      asking('script:hello', { stream_options: { include_usage: true } }),
    );
    const pieces = [];
    stream.on('content', (piece) => pieces.push(piece));
    const final = await stream.finalChatCompletion();
    return [pieces.join(''), text(final), final.choices[0].finish_reason, final.usage.completion_tokens];
  },
  helper_calls: async () => {
    const stream = client.chat.completions.stream(asking('script:parallel-tools', { tools }));
    const final = await stream.finalChatCompletion();
    return final.choices[0].message.tool_calls.map((call) => [call.type, call.function.name, call.function.arguments]);
  },
  empty_call: async () => {
    const stream = client.chat.completions.stream(asking('script:empty-call', { tools }));
    const final = await stream.finalChatCompletion();
    return JSON.parse(final.choices[0].message.tool_calls[0].function.arguments || '{}');
  },
  run_tools: async () => {
    const runner = client.chat.completions.runTools(asking('script:parallel-tools', { tools: [getWeather] }));
    return await runner.finalContent();
  },
  run_tools_streamed: async () => {
    const runner = client.chat.completions.runTools(
      asking('script:parallel-tools', { tools: [getWeather], stream: true }),
    );
    return await runner.finalContent();
  },
  schema: async () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: CITY } };
    return JSON.parse(text(await client.chat.completions.parse(asking('Where?', { response_format }))));
  },
  models: async () => {
    const names = [];
    for await (const found of client.models.list()) names.push(found.id);
    return [names.includes(model), (await client.models.retrieve(model)).id];
  },
  rate_limited: async () => text(await client.chat.completions.create(asking('fault:http-429'))),
  overflown: async (told) => streamed('fault:context-overflow', told),
  unknown_model: async () =>
    text(await client.chat.completions.create({ ...asking('Hi.'), model: 'stub-chat/nothing' })),
  failed_in_mid_stream: (told) => streamed('fault:error-event-mid', told),
  cut: (told) => streamed('fault:clean-cut', told),
  helper_cut: async () => {
    const stream = client.chat.completions.stream(asking('fault:reset-mid-body'));
    return text(await stream.finalChatCompletion());
  },
  aborted: async (told) => {
    const abort = new AbortController();
    const said = asking('fault:silence-mid-stream', { stream: true });
    for await (const chunk of await client.chat.completions.create(said, { signal: abort.signal })) {
      told.push(chunk.choices[0]?.delta?.content ?? '');
      if (told.join('')) abort.abort();
    }
    return told.join('');
  },
  aborted_before_the_first_byte: async () => {
    const abort = new AbortController();
    const answer = client.chat.completions.create(asking('fault:silence-before-headers'), { signal: abort.signal });
    setTimeout(() => abort.abort(), 100);
    return text(await answer);
  },
});

// @anthropic-ai/sdk against a gateway: `node anthropic.mjs ORIGIN KIND`.

import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';

import { CITY, play, weather } from './scenes.mjs';

const [baseURL, kind] = process.argv.slice(2);
const client = new Anthropic({ baseURL, apiKey: 'any', maxRetries: 0 });
const model = `stub-${kind}/text`;
const asking = (content, more = {}) => ({ model, max_tokens: 1000, messages: [{ role: 'user', content }], ...more });
const text = (message) => message.content.map((block) => block.text ?? '').join('');

const description = 'Tell the weather of a city.';
const tools = [{ name: 'get_weather', description, input_schema: CITY }];
const getWeather = betaTool({ name: 'get_weather', description, inputSchema: CITY, run: weather });

async function streamed(content, told) {
  for await (const event of await client.messages.create(asking(content, { stream: true }))) {
    if (event.type === 'content_block_delta') told.push(event.delta.text ?? '');
  }
  return told.join('');
}

await play({
  plain: async () => {
    const message = await client.messages.create(asking('script:hello'));
    return [text(message), message.stop_reason, message.usage.output_tokens];
  },
  streamed: (told) => streamed('script:hello', told),
  unicode: (told) => streamed('script:unicode', told),
  helper: async () => {
    const stream = client.messages.stream(asking('script:hello'));
    const pieces = [];
    stream.on('text', (piece) => pieces.push(piece));
    const final = await stream.finalMessage();
    return [pieces.join(''), text(final), final.stop_reason, final.usage.output_tokens];
  },
  helper_calls: async () => {
    const final = await client.messages.stream(asking('script:parallel-tools', { tools })).finalMessage();
    return final.content.map((block) => [block.type, block.name, JSON.stringify(block.input)]);
  },
  empty_call: async () => {
    const final = await client.messages.stream(asking('script:empty-call', { tools })).finalMessage();
    return final.content[0].input;
  },
  run_tools: async () => {
    const runner = client.beta.messages.toolRunner(asking('script:parallel-tools', { tools: [getWeather] }));
    return text(await runner.runUntilDone());
  },
  run_tools_streamed: async () => {
    const runner = client.beta.messages.toolRunner(
      asking('script:parallel-tools', { tools: [getWeather], stream: true }),
    );
    let last;
    for await (const stream of runner) last = await stream.finalMessage();
    return text(last);
  },
  schema: async () => {
    const output_config = { format: { type: 'json_schema', schema: CITY } };
    return JSON.parse(text(await client.messages.create(asking('Where?', { output_config }))));
  },
  models: async () => {
    const names = [];
    for await (const found of client.models.list({ limit: 5 })) names.push(found.id);
    return [names.includes(model), (await client.models.retrieve(model)).id];
  },
  counted: async () => (await client.messages.countTokens({ model, messages: asking('How many?').messages })).input_tokens > 0,
  rate_limited: async () => text(await client.messages.create(asking('fault:http-429'))),
  overflown: async (told) => streamed('fault:context-overflow', told),
  unknown_model: async () => text(await client.messages.create({ ...asking('Hi.'), model: 'stub-chat/nothing' })),
  failed_in_mid_stream: (told) => streamed('fault:error-event-mid', told),
  cut: (told) => streamed('fault:clean-cut', told),
  helper_cut: async () => text(await client.messages.stream(asking('fault:reset-mid-body')).finalMessage()),
  aborted: async (told) => {
    const stream = client.messages.stream(asking('fault:silence-mid-stream'));
    stream.on('text', (piece) => {
      told.push(piece);
      stream.abort();
    });
    return text(await stream.finalMessage());
  },
  aborted_before_the_first_byte: async () => {
    const abort = new AbortController();
    const answer = client.messages.create(asking('fault:silence-before-headers'), { signal: abort.signal });
    setTimeout(() => abort.abort(), 100);
    return text(await answer);
  },
});

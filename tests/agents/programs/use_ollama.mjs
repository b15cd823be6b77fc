// ollama-js: chat, its streaming, a tool, a schema.

import { Ollama } from 'ollama';

import { CITY, HELLO, KEY, ORIGIN, PLACE, play, same, weather } from './scenes.mjs';

const client = new Ollama({ host: ORIGIN, headers: { authorization: `Bearer ${KEY}` } });
const tools = [
  { type: 'function', function: { name: 'get_weather', description: 'Tell the weather.', parameters: CITY } },
];

await play((model) => ({
  ollama: {
    text: async () => {
      const answer = await client.chat({ model, messages: [{ role: 'user', content: HELLO }] });
      same(answer.message.content, `You said: ${HELLO}`);
    },
    stream: async () => {
      let text = '';
      const pieces = await client.chat({ model, messages: [{ role: 'user', content: HELLO }], stream: true });
      for await (const piece of pieces) text += piece.message.content;
      same(text, `You said: ${HELLO}`);
    },
    tools: async () => {
      const messages = [{ role: 'user', content: 'script:tool-loop' }];
      const { message } = await client.chat({ model, messages, tools });
      messages.push(message);
      for (const call of message.tool_calls) {
        messages.push({ role: 'tool', tool_name: call.function.name, content: weather(call.function.arguments) });
      }
      const last = await client.chat({ model, messages, tools });
      same(last.message.content, 'The tools said: sunny in Paris');
    },
    structured: async () => {
      const answer = await client.chat({ model, messages: [{ role: 'user', content: 'Where?' }], format: PLACE });
      same(JSON.parse(answer.message.content), { city: 'Paris', days: 7 });
    },
  },
}));

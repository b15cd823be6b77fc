// The Vercel AI SDK over five of its providers: text, streaming, its tool loop, a typed answer.

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

import { HELLO, KEY, ORIGIN, play, same, V1, weather } from './scenes.mjs';

const Place = z.object({ city: z.string(), days: z.number().int() });
const tools = {
  get_weather: tool({
    description: 'Tell the weather of a city.',
    inputSchema: z.object({ city: z.string() }),
    execute: async (input) => weather(input),
  }),
};

function scenes(model) {
  const settings = { model, maxRetries: 0 };
  return {
    text: async () => {
      const { text } = await generateText({ ...settings, prompt: HELLO });
      same(text, `You said: ${HELLO}`);
    },
    stream: async () => {
      const failures = [];
      const run = streamText({ ...settings, prompt: HELLO, onError: ({ error }) => failures.push(error) });
      let text = '';
      for await (const piece of run.textStream) text += piece;
      if (failures.length) throw failures[0];
      same(text, `You said: ${HELLO}`);
      same((await run.usage).outputTokens > 0, true);
    },
    tools: async () => {
      const run = await generateText({ ...settings, tools, stopWhen: stepCountIs(4), prompt: 'script:parallel-tools' });
      same(run.text, 'The tools said: sunny in Paris; sunny in München');
    },
    'tools streamed': async () => {
      const failures = [];
      const run = streamText({
        ...settings, tools, stopWhen: stepCountIs(4), prompt: 'script:parallel-tools',
        onError: ({ error }) => failures.push(error),
      });
      let text = '';
      for await (const piece of run.textStream) text += piece;
      if (failures.length) throw failures[0];
      same(text, 'The tools said: sunny in Paris; sunny in München');
    },
    structured: async () => {
      const run = await generateText({ ...settings, output: Output.object({ schema: Place }), prompt: 'Where?' });
      same(run.output, { city: 'Paris', days: 7 });
    },
  };
}

const openai = createOpenAI({ baseURL: V1, apiKey: KEY });
const anthropic = createAnthropic({ baseURL: V1, apiKey: KEY });
const compatible = createOpenAICompatible({
  name: 'gateway', baseURL: V1, apiKey: KEY, includeUsage: true, supportsStructuredOutputs: true,
});
const google = createGoogleGenerativeAI({ baseURL: `${ORIGIN}/v1beta`, apiKey: KEY });

await play((model) => ({
  'openai, responses': scenes(openai.responses(model)),
  'openai, chat': scenes(openai.chat(model)),
  anthropic: scenes(anthropic(model)),
  'openai-compatible': scenes(compatible(model)),
  google: scenes(google(model)),
}));

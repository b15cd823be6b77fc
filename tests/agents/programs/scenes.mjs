// The JavaScript half of scenes.py: plays scenes with one model after the other, one line of JSON per scene.

import assert from 'node:assert/strict';

export const ORIGIN = process.env.GATEWAY_ORIGIN;
export const V1 = `${ORIGIN}/v1`;
export const KEY = process.env.GATEWAY_KEY;

/** What the scripted model repeats after `You said: `. */
export const HELLO = 'Hello, 世界!';
export const CITY = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};
/** The scripted model fills it with `Paris` and `7`. */
export const PLACE = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city', 'days'],
  additionalProperties: false,
};

export const same = assert.deepEqual;
export const weather = ({ city }) => `sunny in ${city}`;

/** Play each scene of each of `faces(model)` with each model of `$MODELS`. */
export async function play(faces) {
  for (const model of process.env.MODELS.split(' ')) {
    for (const [face, scenes] of Object.entries(faces(model))) {
      for (const [scene, act] of Object.entries(scenes)) {
        console.log(JSON.stringify({ face, model, scene, error: await outcome(act) }));
      }
    }
  }
}

async function outcome(act) {
  try {
    await act();
    return null;
  } catch (error) {
    return `${error?.name}: ${error?.message} ${error?.responseBody ?? ''}`;
  }
}

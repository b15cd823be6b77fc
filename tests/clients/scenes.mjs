// Runs scenes one after the other and prints what each came to, as one JSON object on the standard output.

export const CITY = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};

export const weather = ({ city }) => `sunny in ${city}`;

/** What a caught error is to a program that must act upon it. */
function shown(error) {
  return {
    class: error?.constructor?.name,
    status: error?.status ?? null,
    code: error?.code ?? null,
    type: error?.type ?? error?.error?.error?.type ?? null,
    message: String(error?.message ?? error),
    request_id: error?.requestID ?? error?.request_id ?? null,
  };
}

/** What `scene` returns, and the error it ends in; `told` is what had come by then. */
export async function caught(scene) {
  const told = [];
  try {
    return { told: await scene(told), error: null };
  } catch (error) {
    return { told: told.join(''), error: shown(error) };
  }
}

export async function play(scenes) {
  const outcomes = {};
  for (const [name, scene] of Object.entries(scenes)) {
    outcomes[name] = await caught(scene);
  }
  console.log(JSON.stringify(outcomes));
}

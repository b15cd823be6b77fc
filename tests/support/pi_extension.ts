// Leads pi's own refresh code to a scripted authorization server, and asks for a credential on command.
const real = "https://platform.claude.com/v1/oauth/token";
const scripted = process.env.SCRIPTED_TOKEN_URL as string;
const fetchDirectly = globalThis.fetch;
globalThis.fetch = ((input: any, init: any) =>
  fetchDirectly(String(input) === real ? scripted : input, init)) as typeof fetch;

export default function (pi: any) {
  pi.registerCommand("credential", {
    description: "Resolve Anthropic's credential, refreshing it if it is due",
    handler: async (args: string, ctx: any) => {
      const model = ctx.modelRegistry.getAll().find((entry: any) => entry.provider === "anthropic");
      let answer: any;
      try {
        answer = await ctx.modelRegistry.getApiKeyAndHeaders(model);
      } catch (error) {
        answer = { ok: false, error: String(error) };
      }
      ctx.ui.notify(JSON.stringify({ trial: args, ...answer }), "info");
    },
  });
}

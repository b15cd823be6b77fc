// Makes pi's own model registry send given requests, one after the other, exactly as its agent would.
import { readFileSync } from "node:fs";

export default function (pi: any) {
  pi.registerCommand("send", {
    description: "Send the requests of a JSON file",
    handler: async (path: string, ctx: any) => {
      const errors: Record<string, string> = {};
      for (const job of JSON.parse(readFileSync(path, "utf8"))) {
        try {
          const model = ctx.modelRegistry.find(job.provider, job.model);
          if (!model) throw new Error("pi has no such model");
          const stream = await ctx.modelRegistry.streamSimple(model, job.context, job.options);
          for await (const event of stream) {
            if (event.type === "error") errors[job.name] = String(event.error.errorMessage);
          }
        } catch (error) {
          errors[job.name] = String(error);
        }
      }
      ctx.ui.notify(JSON.stringify(errors), "info");
    },
  });
}

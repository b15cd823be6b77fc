// Writes compat.json: what pi's own detection says of every model of its catalogue and of made-up addresses.
//
//   node make_compat_golden.mjs UNPACKED-PI-AI-PACKAGE > compat.json
//
// The functions are not exported, so their source text is cut out of the package and evaluated.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(process.argv[2], "dist");
function cut(file, ...names) {
  const source = readFileSync(join(root, "api", file), "utf8");
  const bodies = names.map((name) => source.match(new RegExp(`^function ${name}\\([^]*?\\n}$`, "m"))[0]);
  return new Function(`${bodies.join("\n")}\nreturn ${names.at(-1)};`)();
}
const byKind = {
  "openai-completions": cut("openai-completions.js", "detectCompat", "getCompat"),
  "openai-responses": cut("openai-responses.js", "detectSessionAffinityFormat", "getCompat"),
  "anthropic-messages": cut("anthropic-messages.js", "getAnthropicCompat"),
};

const models = [];
for (const file of readdirSync(join(root, "providers", "data")).filter((name) => /^[^.].*\.json$/.test(name))) {
  for (const entries of Object.values(JSON.parse(readFileSync(join(root, "providers", "data", file), "utf8")))) {
    models.push(...Object.values(entries).filter((model) => model.type === "chat" && byKind[model.api]));
  }
}
const addresses = [
  "https://api.z.ai/v4", "https://open.bigmodel.cn/x", "https://api.together.xyz/v1", "https://api.together.ai/v1",
  "https://api.moonshot.cn/v1", "https://openrouter.ai/api/v1", "https://api.cloudflare.com/client/v4",
  "https://gateway.ai.cloudflare.com/v1", "https://integrate.api.nvidia.com/v1", "https://api.ant-ling.com/v1",
  "https://api.cerebras.ai/v1", "https://API.DeepSeek.com", "https://api.x.ai/v1", "https://llm.chutes.ai/v1",
  "https://opencode.ai/zen/v1", "https://api.anthropic.com", "https://API.Z.AI/v4", "http://127.0.0.1:1/v1", "",
  "https://openrouter.ai/api.deepseek.com/api.z.ai", "https://api.together.ai/api.ant-ling.com/openrouter.ai",
];
const ids = ["m", "anthropic/claude", "openai/gpt"];
const providers = [...new Set(models.map((model) => model.provider)), "acme"];
for (const api of Object.keys(byKind)) {
  for (const provider of providers) {
    for (const id of ids) models.push({ provider, api, id, baseUrl: "http://127.0.0.1:1/v1" });
  }
  for (const baseUrl of addresses) {
    for (const provider of ["acme", "anthropic", "openrouter", "deepseek"]) {
      for (const id of ids) models.push({ provider, api, id, baseUrl });
    }
  }
}

// One row for each distinct question; the answers, which repeat a lot, are listed once.
const answers = [];
const rows = new Map();
for (const { provider, api, id, baseUrl } of models) {
  const answer = JSON.stringify(byKind[api]({ provider, api, id, baseUrl }));
  if (!answers.includes(answer)) answers.push(answer);
  rows.set(JSON.stringify([provider, baseUrl, api, id]), answers.indexOf(answer));
}
const lines = [...rows].map(([question, answer]) => `${question.slice(0, -1)},${answer}]`);
process.stdout.write(`{"answers":[\n${answers.join(",\n")}\n],\n"rows":[\n${lines.join(",\n")}\n]}\n`);

// Writes reference.json: which models pi's `enabledModels` patterns select.
//
//   npm install minimatch@11.0.3 && node make_reference_golden.mjs UNPACKED-PI-CODING-AGENT-PACKAGE > reference.json
//
// pi's resolver is evaluated from its source with its few imports replaced; only minimatch is the real one.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { minimatch } from "minimatch";

let source = readFileSync(join(process.argv[2], "dist/core/model-resolver.js"), "utf8");
source = source.replace(/^import .*?;$/gms, "").replace(/^export /gm, "");
const levels = ["off", "minimal", "low", "medium", "high", "xhigh", "max"];
const resolve = new Function("minimatch", "isValidThinkingLevel", "modelsAreEqual", "DEFAULT_THINKING_LEVEL",
  `${source}\nreturn resolveModelScopeFromModels;`)(
  minimatch, (level) => levels.includes(level), (a, b) => a.id === b.id && a.provider === b.provider, "medium");

const model = (provider, id, name = id) => ({ provider, id, name });
const models = [
  model("anthropic", "claude-opus-5-5", "Claude Opus 5.5"), model("anthropic", "claude-opus-4-5-20251101", "Claude Opus 4.5"),
  model("anthropic", "claude-sonnet-5", "Claude Sonnet 5"), model("anthropic", "claude-3-5-haiku-latest", "Haiku"),
  model("openai", "gpt-6.1-sol"), model("openai", "gpt-5"), model("azure", "gpt-5"), model("azure", "gpt-6.1-sol"),
  model("openrouter", "anthropic/claude-opus-5.5"), model("openrouter", "openrouter/free"), model("openrouter", "zai/glm-5:free"),
  model("vercel-ai-gateway", "zai/glm-5"), model("zai", "glm-5"), model("zai", "GLM-5-Air"), model("acme", "eu/m1"),
  model("acme/eu", "m1"), model("acme/eu", "model[1m]", "One Million"), model("local", "qwen3:8b"), model("local", "foo:high"),
  model("local", "a_b"), model("local", "a-b"), model("local", "a.b"), model("local", "aB"), model("other", "qwen3:8b"),
];

let seed = 7;
const random = (below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
const pick = (list) => list[random(list.length)];
const names = models.flatMap((entry) => [entry.id, `${entry.provider}/${entry.id}`, entry.name]);
const wild = ["*", "?", "**", "[a-z]", "[!x]", "{a,b}", "*"];
const fixed = ["*", "**", "*/*", "openrouter/*", "openrouter/**", "*sonnet*", "*claude*:high", "{openai,azure}/*", "!openai/*", "#*",
  "[", "model[1m]", "acme/eu/model[1m]:low", "acme/eu/m1", "m1", "opus", "claude", "", " ", ":high", "gpt-5", "gpt-5:max",
  "qwen3:8b", "qwen3:8b:off", "qwen3:9b", "foo:high", "foo:high:low", "opus:x:high", "opus:high:x", "zai/glm-5", "ZAI/GLM-5", "a",
  "gpt-?", "gpt-?:high", "nothing like it", "anthropic/", "/", " opus ", "b", "openrouter/free", "openrouter/glm", "[[:digit:]]*"];
function pattern() {
  const name = pick(names);
  const kind = random(5);
  let text = name;
  if (kind === 0) text = name.slice(random(name.length), name.length);
  if (kind === 1) text = name.slice(0, 1 + random(name.length));
  if (kind >= 2 && kind < 4) {
    const at = random(name.length);
    text = name.slice(0, at) + pick(wild) + name.slice(at + 1 + random(5));
  }
  if (kind === 4) text = name.toUpperCase();
  return random(4) ? text : text + pick([":high", ":max", ":bogus", ":low:high", ":x:high", ":"]);
}
const cases = [...fixed.map((text) => [text]), ...Array.from({ length: 400 }, () => Array.from({ length: 1 + random(2) }, pattern))];
const rows = cases.map((patterns) => {
  const { scopedModels, diagnostics } = resolve(patterns, models);
  return { patterns, selected: scopedModels.map((entry) => [models.indexOf(entry.model), entry.thinkingLevel ?? null]), notes: diagnostics.length };
});
process.stdout.write(`{"models":${JSON.stringify(models)},\n"cases":[\n${rows.map((row) => JSON.stringify(row)).join(",\n")}\n]}\n`);

// pi-ai behind the smallest server that makes a gateway of it: OpenAI chat completions in, pi-ai in the middle,
// OpenAI chat completions out. node server.mjs PORT UPSTREAM_BASE_URL; the caller's key is in GATEWAY_KEY.
//
// It checks the key, reads the model and the messages, lets pi-ai ask the upstream (pi-ai always streams) and writes
// what pi-ai reports: text deltas as chunks, or the final message as one answer. No tools, images, logs or limits.

import { createHash, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

import { normalizeContext } from "@earendil-works/pi-ai";
import { stream } from "@earendil-works/pi-ai/api/openai-completions";

const [port, baseUrl] = process.argv.slice(2);
const digest = (text) => createHash("sha256").update(text).digest();
const wantedKey = digest(`Bearer ${process.env.GATEWAY_KEY}`);

const models = new Map([["bench", {
  id: "bench", name: "bench", api: "openai-completions", provider: "bench", baseUrl, reasoning: false, input: ["text"],
  cost: { input: 1, output: 1, cacheRead: 0, cacheWrite: 0 }, contextWindow: 200_000, maxTokens: 8_192,
}]]);

const noUsage = {
  input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0,
  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 },
};

/** Turn the caller's messages into pi-ai's context. */
function contextOf(messages, model) {
  const system = [];
  const turns = [];
  for (const { role, content } of messages) {
    if (role === "system") system.push(content);
    else if (role === "user") turns.push({ role, content, timestamp: Date.now() });
    else if (role === "assistant") {
      turns.push({
        role, content: [{ type: "text", text: content }], api: model.api, provider: model.provider, model: model.id,
        usage: noUsage, stopReason: "stop", timestamp: Date.now(),
      });
    } else throw new TypeError(`role ${role} is not known here`);
  }
  return normalizeContext({ systemPrompt: system.join("\n"), messages: turns });
}

const usageOf = ({ input, output, totalTokens }) => ({
  prompt_tokens: input, completion_tokens: output, total_tokens: totalTokens,
});

function fail(response, status, message) {
  const body = JSON.stringify({ error: { message } });
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

async function readBody(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString("utf8"));
}

async function answerWhole(events, base, response) {
  const message = await events.result();
  if (message.stopReason === "error") return fail(response, 502, message.errorMessage);
  const content = message.content.filter((part) => part.type === "text").map((part) => part.text).join("");
  const body = JSON.stringify({
    ...base, object: "chat.completion", usage: usageOf(message.usage),
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
  });
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

async function answerStream(events, base, response) {
  const write = (delta, finish, more) => {
    const chunk = {
      ...base, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finish }], ...more,
    };
    return response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  for await (const event of events) {
    if (event.type === "start") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      write({ role: "assistant", content: "" }, null);
    } else if (event.type === "text_delta") {
      if (!write({ content: event.delta }, null)) await new Promise((resume) => response.once("drain", resume));
    } else if (event.type === "done") {
      write({}, "stop", { usage: usageOf(event.message.usage) });
      response.end("data: [DONE]\n\n");
    } else if (event.type === "error") {
      if (!response.headersSent) return fail(response, 502, event.error.errorMessage);
      response.end(`data: ${JSON.stringify({ error: { message: event.error.errorMessage } })}\n\n`);
    }
  }
}

createServer(async (request, response) => {
  const key = digest(request.headers.authorization ?? "");
  if (!timingSafeEqual(key, wantedKey)) return fail(response, 401, "wrong key");
  if (request.method !== "POST" || request.url !== "/v1/chat/completions") return fail(response, 404, "no such path");
  try {
    const body = await readBody(request);
    const model = models.get(body.model);
    if (model === undefined) return fail(response, 404, "no such model");
    const gone = new AbortController();
    response.on("close", () => response.writableFinished || gone.abort());
    const events = stream(model, contextOf(body.messages, model), { apiKey: "upstream-key", signal: gone.signal });
    const base = { id: "chatcmpl-pi-ai", created: Math.floor(Date.now() / 1000), model: body.model };
    await (body.stream ? answerStream : answerWhole)(events, base, response);
  } catch (error) {
    if (!response.headersSent) fail(response, 400, String(error));
  }
}).listen(Number(port), "127.0.0.1");

// Runs the login code of the real pi, its requests led to scripted authorization servers.
// `node pi_logins.mjs <folder of pi's bundle chunks> <JSON: {"<provider>/<way>": "<origin>"}>`; prints the entries as JSON.

import { pathToFileURL } from "node:url";
import path from "node:path";

const [chunks, asked] = process.argv.slice(2);
const EXPORTS = {
	anthropic: ["anthropic.js", "anthropicOAuth"],
	openai: ["openai-chatgpt.js", "openaiChatGPTOAuth"],
	"openai-codex": ["openai-codex.js", "openaiCodexOAuth"],
	"github-copilot": ["github-copilot.js", "githubCopilotOAuth"],
	xai: ["xai.js", "xaiOAuth"],
	"kimi-coding": ["kimi-coding.js", "kimiCodingOAuth"],
	meta: ["meta.js", "metaOAuth"],
	openrouter: ["openrouter.js", "openRouterOAuth"],
	radius: ["radius.js", "createRadiusOAuth"],
};
const DEVICE_ID = "6A4C7D52-9A73-4D51-A1C5-0D9A3C0B1F11";
const TAKEN = /is in use|EADDRINUSE/;
const PATIENCE_MS = 40_000;
const realFetch = globalThis.fetch;

function leadTo(origin) {
	globalThis.fetch = async (url, init) => {
		const request = new Request(url, init);
		const headers = { ...Object.fromEntries(request.headers), "x-real-url": request.url, "x-real-method": request.method };
		const body = request.method === "GET" ? "" : await request.text();
		return realFetch(`${origin}/ask`, { method: "POST", headers, body });
	};
}

async function oauthOf(provider) {
	const [file, name] = EXPORTS[provider];
	const found = (await import(pathToFileURL(path.join(chunks, file)).href))[name];
	return provider === "radius" ? found({ name: "Radius", gateway: "https://radius.pi.dev" }) : found;
}

async function logIn(provider, way, origin) {
	let page;
	const shown = new Promise((resolve) => {
		page = resolve;
	});
	const interaction = {
		signal: new AbortController().signal,
		notify: (event) => event.type === "auth_url" && page(event.url),
		prompt: async (prompt) => {
			if (prompt.type === "select") {
				return prompt.options.find((option) => /device|copy/.test(option.id) === (way === "device")).id;
			}
			if (prompt.type !== "manual_code") return "";
			const answer = await realFetch(`${origin}/authorize${new URL(await shown).search}`, { redirect: "manual" });
			return answer.headers.get("location");
		},
	};
	if (provider === "radius" && way === "browser") {
		// pi has no prompt for it: the browser must come back.
		shown.then(async (url) => realFetch(`${origin}/authorize${new URL(url).search}`));
	}
	const until = Date.now() + PATIENCE_MS;
	for (;;) {
		try {
			return await (await oauthOf(provider)).login(interaction, { getDeviceId: () => DEVICE_ID });
		} catch (error) {
			if (!TAKEN.test(String(error.message)) || Date.now() > until) throw error;
			await new Promise((resolve) => setTimeout(resolve, 200));
		}
	}
}

const entries = {};
for (const [name, origin] of Object.entries(JSON.parse(asked))) {
	const [provider, way] = name.split("/");
	leadTo(origin);
	entries[name] = await logIn(provider, way, origin);
}
process.stdout.write(JSON.stringify(entries));

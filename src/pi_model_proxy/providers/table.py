"""Every provider that pi ships with, one row each, in pi's order.

Source: pi-ai 1.5.2, `dist/providers/<id>.js` (names, variables, logins), `dist/api/*.js` (identities) and
`dist/providers/cloudflare-auth.js`; pi-coding-agent 1.5.2 for the note on Anthropic's billing. Base URLs are not
here: every model of the catalogue carries its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.hub import Identity
from pi_model_proxy.providers.row import Address, AuthStyle, Lists, Login, Means, Provider

__all__ = ["ANTHROPIC_LOGIN", "PROVIDERS", "provider_row"]

CLAUDE_CODE_VERSION: Final = "2.1.322"
"""pi-ai 1.5.2 `dist/api/anthropic-messages.js` `claudeCodeVersion`."""

ANTHROPIC_LOGIN: Final = Login(
    name="Anthropic (Claude Pro/Max)",
    note=(
        "Anthropic means this login for its own applications, and bills use through other tools as extra usage, per "
        "token, not against the limits of your Claude plan; manage it at https://claude.ai/settings/usage."
    ),
    source="https://code.claude.com/docs/en/legal-and-compliance",
    as_of="2026-11-22",
    kind="anthropic-messages",
    auth=AuthStyle.BEARER,
    headers={
        "accept": "application/json",
        "anthropic-beta": "claude-code-20250219,oauth-2025-04-20",
        "anthropic-dangerous-direct-browser-access": "true",
        "user-agent": f"claude-cli/{CLAUDE_CODE_VERSION}",
        "x-app": "cli",
    },
    identity=Identity(
        system_text="You are Claude Code, Anthropic's official CLI for Claude.",
        tool_names=(
            "Read", "Write", "Edit", "Bash", "Grep", "Glob", "AskUserQuestion", "EnterPlanMode", "ExitPlanMode",
            "KillShell", "NotebookEdit", "Skill", "Task", "TaskOutput", "TodoWrite", "WebFetch", "WebSearch",
        ),
    ),
    mark="sk-ant-oat",
)  # fmt: skip

CHATGPT_LOGIN: Final = Login(
    name="OpenAI (ChatGPT subscription)",
    note="OpenAI offers this login to other tools, and counts what they use against your ChatGPT plan's usage limits.",
    source="https://developers.openai.com/siwc/ui-ux-guidelines",
    as_of="2026-11-22",
    kind="openai-responses",
    identity=Identity(
        omitted_fields=frozenset(
            {
                "max_output_tokens",
                "temperature",
                "prompt_cache_retention",
                "prompt_cache_options",
                "configuration_update",
            }
        )
    ),
    key_prefix="sk-",
    base_url="https://api.openai.com/v1",
)

CODEX_LOGIN: Final = Login(
    name="OpenAI (ChatGPT Plus/Pro)",
    note=(
        "OpenAI made this login for Codex, counts its use against your ChatGPT plan's Codex limits, and says nothing of "
        "other tools that use it."
    ),
    source="pi-ai 1.5.2, dist/auth/oauth/openai-codex.js",
    as_of="2026-11-22",
    kind="openai-codex-responses",
    headers={"openai-beta": "responses=experimental", "originator": "pi"},
    identity=Identity(omitted_fields=frozenset({"max_output_tokens"})),
)

COPILOT_LOGIN: Final = Login(
    name="GitHub Copilot",
    note="GitHub counts each request through this login against your Copilot plan's allowance; its terms apply to it.",
    source="https://docs.github.com/en/copilot/concepts/billing/copilot-requests",
    as_of="2026-11-22",
    token_names_host=True,
)

_ROWS: Final = (
    Provider(
        id="amazon-bedrock",
        name="Amazon Bedrock",
        key_variables=("AWS_BEARER_TOKEN_BEDROCK",),
        ambient=(
            ("AWS_PROFILE",),
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
            ("AWS_WEB_IDENTITY_TOKEN_FILE",),
        ),
        scoped_variables=("AWS_PROFILE",),
        means=Means.SIGV4,
    ),
    Provider(id="ant-ling", name="Ant Ling", key_variables=("ANT_LING_API_KEY",)),
    Provider(
        id="anthropic",
        name="Anthropic",
        key_variables=("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_OAUTH_TOKEN", "ANTHROPIC_API_KEY"),
        bearer_variables=frozenset({"ANTHROPIC_AUTH_TOKEN"}),
        ambient=(
            ("ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID", "ANTHROPIC_IDENTITY_TOKEN_FILE"),
        ),
        means=Means.FEDERATION,
        login=ANTHROPIC_LOGIN,
    ),
    Provider(id="azure", name="Azure", key_variables=("AZURE_OPENAI_API_KEY",), address=Address.AZURE),
    Provider(id="baseten", name="Baseten", key_variables=("BASETEN_API_KEY",)),
    Provider(id="cerebras", name="Cerebras", key_variables=("CEREBRAS_API_KEY",)),
    Provider(
        id="cloudflare-ai-gateway",
        name="Cloudflare AI Gateway",
        key_variables=("CLOUDFLARE_API_KEY",),
        required_variables=("CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_GATEWAY_ID"),
        auth={"*": AuthStyle.CF_AIG},
        removed_headers=("authorization", "x-api-key"),
    ),
    Provider(
        id="cloudflare-workers-ai",
        name="Cloudflare Workers AI",
        key_variables=("CLOUDFLARE_API_KEY",),
        required_variables=("CLOUDFLARE_ACCOUNT_ID",),
    ),
    Provider(id="deepseek", name="DeepSeek", key_variables=("DEEPSEEK_API_KEY",)),
    Provider(id="fireworks", name="Fireworks", key_variables=("FIREWORKS_API_KEY",)),
    Provider(
        id="github-copilot",
        name="GitHub Copilot",
        key_variables=("COPILOT_GITHUB_TOKEN",),
        auth={"anthropic-messages": AuthStyle.BEARER},
        login=COPILOT_LOGIN,
        wants_initiator=True,
    ),
    Provider(id="google", name="Google", key_variables=("GEMINI_API_KEY",)),
    Provider(
        id="google-vertex",
        name="Google Vertex AI",
        key_variables=("GOOGLE_CLOUD_API_KEY",),
        ambient=(
            ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
            ("GCLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
        ),
        ambient_file=(
            "GOOGLE_APPLICATION_CREDENTIALS",
            "~/.config/gcloud/application_default_credentials.json",
        ),
        scoped_variables=("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
        means=Means.GOOGLE,
        no_key=r"gcp-vertex-credentials|<[^>]+>",
    ),
    Provider(id="groq", name="Groq", key_variables=("GROQ_API_KEY",)),
    Provider(id="huggingface", name="Hugging Face", key_variables=("HF_TOKEN",)),
    Provider(
        id="kimi-coding",
        name="Kimi For Coding",
        key_variables=("KIMI_API_KEY",),
        login=Login(
            name="Kimi Code (subscription)",
            note=(
                "Moonshot means the Kimi Code plan for coding tools, other makers' too, for your own work: no reselling, "
                "no disguise; use counts against the plan."
            ),
            source="https://www.kimi.com/code/docs/en/kimi-code/community-guidelines.html",
            as_of="2026-11-22",
        ),
    ),
    Provider(
        id="meta",
        name="Meta",
        key_variables=("META_API_KEY",),
        login=Login(
            name="Meta (Muse subscription)",
            note="Meta counts use through this login against your Muse plan, and says nothing of other tools.",
            source="pi-ai 1.5.2, dist/auth/oauth/meta.js",
            as_of="2026-11-22",
        ),
    ),
    Provider(id="minimax", name="MiniMax", key_variables=("MINIMAX_API_KEY",)),
    Provider(id="minimax-cn", name="MiniMax CN", key_variables=("MINIMAX_CN_API_KEY",)),
    Provider(id="mistral", name="Mistral", key_variables=("MISTRAL_API_KEY",)),
    Provider(id="moonshotai", name="Moonshot AI", key_variables=("MOONSHOT_API_KEY",)),
    Provider(id="moonshotai-cn", name="Moonshot AI CN", key_variables=("MOONSHOT_API_KEY",)),
    Provider(id="nvidia", name="NVIDIA", key_variables=("NVIDIA_API_KEY",)),
    Provider(id="openai", name="OpenAI", key_variables=("OPENAI_API_KEY",), login=CHATGPT_LOGIN),
    Provider(id="openai-codex", name="OpenAI Codex", login=CODEX_LOGIN, takes_keys=False),
    Provider(
        id="opencode",
        name="OpenCode Zen",
        key_variables=("OPENCODE_API_KEY",),
        session_header="x-opencode-session",
    ),
    Provider(
        id="opencode-go",
        name="OpenCode Go",
        key_variables=("OPENCODE_API_KEY",),
        session_header="x-opencode-session",
    ),
    Provider(
        id="openrouter",
        name="OpenRouter",
        key_variables=("OPENROUTER_API_KEY",),
        lists=Lists.OPENROUTER,
        login=Login(name="OpenRouter OAuth", is_subscription=False),
    ),
    Provider(id="qwen-token-plan", name="Qwen Token Plan", key_variables=("QWEN_TOKEN_PLAN_API_KEY",)),
    Provider(
        id="qwen-token-plan-cn", name="Qwen Token Plan CN", key_variables=("QWEN_TOKEN_PLAN_CN_API_KEY",)
    ),
    Provider(
        id="qwen-token-plan-individual",
        name="Qwen Token Plan Individual",
        key_variables=("QWEN_TOKEN_PLAN_API_KEY",),
    ),
    Provider(
        id="qwen-token-plan-individual-cn",
        name="Qwen Token Plan Individual CN",
        key_variables=("QWEN_TOKEN_PLAN_CN_API_KEY",),
    ),
    Provider(
        id="radius",
        name="Radius",
        key_variables=("RADIUS_API_KEY",),
        lists=Lists.RADIUS,
        login=Login(name="Radius", is_subscription=False),
    ),
    Provider(id="together", name="Together", key_variables=("TOGETHER_API_KEY",)),
    Provider(id="typesafe", name="TypeSafe", key_variables=("TYPESAFE_API_KEY",)),
    Provider(id="vercel-ai-gateway", name="Vercel AI Gateway", key_variables=("AI_GATEWAY_API_KEY",)),
    Provider(
        id="xai",
        name="xAI",
        key_variables=("XAI_API_KEY",),
        login=Login(
            name="xAI (Grok/X subscription)",
            note="xAI counts use through this login against your SuperGrok or X plan, and says nothing of other tools.",
            source="pi-ai 1.5.2, dist/auth/oauth/xai.js",
            as_of="2026-11-22",
        ),
    ),
    Provider(id="xiaomi", name="Xiaomi", key_variables=("XIAOMI_API_KEY",)),
    Provider(
        id="xiaomi-token-plan-ams",
        name="Xiaomi Token Plan AMS",
        key_variables=("XIAOMI_TOKEN_PLAN_AMS_API_KEY",),
    ),
    Provider(
        id="xiaomi-token-plan-cn",
        name="Xiaomi Token Plan CN",
        key_variables=("XIAOMI_TOKEN_PLAN_CN_API_KEY",),
    ),
    Provider(
        id="xiaomi-token-plan-sgp",
        name="Xiaomi Token Plan SGP",
        key_variables=("XIAOMI_TOKEN_PLAN_SGP_API_KEY",),
    ),
    Provider(id="zai", name="Z.AI", key_variables=("ZAI_API_KEY",)),
    Provider(id="zai-coding-cn", name="Z.AI Coding CN", key_variables=("ZAI_CODING_CN_API_KEY",)),
)

PROVIDERS: Final[Mapping[str, Provider]] = {row.id: row for row in _ROWS}
"""The rows by provider id."""


def provider_row(provider: str) -> Provider:
    """Return the row of `provider`; one from models.json or an extension gets a row without peculiarities."""
    return PROVIDERS.get(provider) or Provider(id=provider, name=provider, lists=Lists.NONE)

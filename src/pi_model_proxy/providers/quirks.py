"""What a provider's own API leaves out or does its own way, told from its id or its address.

pi's compat flags (`pi.md` §6.2) in pi's spelling. A flag that a model sets explicitly wins over what is detected
here, which is why callers write `{**detected_compat(...), **model.compat}`.

Source: pi-ai 1.5.2 `dist/api/openai-completions.js` `detectCompat`, `dist/api/openai-responses.js` `getCompat`,
`dist/api/anthropic-messages.js` `getAnthropicCompat`. Compared with the output of those functions for every model
of the catalogue and for made-up addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

__all__ = ["COMPAT_DEFAULTS", "detected_compat"]

Flags = Mapping[str, Any]

CHAT_DEFAULTS: Final[Flags] = {
    "supportsStore": True,
    "supportsDeveloperRole": True,
    "supportsReasoningEffort": True,
    "supportsUsageInStreaming": True,
    "supportsFinishReason": True,
    "maxTokensField": "max_completion_tokens",
    "requiresToolResultName": False,
    "requiresAssistantAfterToolResult": False,
    "requiresNonNullAssistantContent": False,
    "requiresToolsWithToolHistory": False,
    "requiresThinkingAsText": False,
    "requiresReasoningContentOnAssistantMessages": False,
    "thinkingFormat": "openai",
    "openRouterRouting": {},
    "vercelGatewayRouting": {},
    "chatTemplateKwargs": {},
    "chatTemplateArgs": {},
    "zaiToolStream": False,
    "supportsThinkingTokenBudget": False,
    "supportsStrictMode": False,
    "supportsOpenAIGrammarTools": False,
    "supportsMidConvoSystemMessages": False,
    "supportsMidConvoToolAdditions": False,
    "sendSessionAffinityHeaders": False,
    "sessionAffinityFormat": "openai",
    "supportsLongCacheRetention": True,
}

RESPONSES_DEFAULTS: Final[Flags] = {
    "supportsDeveloperRole": True,
    "supportsMidConvoSystemMessages": False,
    "sessionAffinityFormat": "openai",
    "promptCacheKeyMode": "auto",
    "supportsLongCacheRetention": True,
    "supportsStrictMode": False,
    "supportsOpenAIGrammarTools": False,
    "supportsAdditionalTools": False,
    "supportsToolSearch": False,
    "supportsExplicitPromptCacheMode": False,
    "supportsMaxOutputTokens": True,
    "supportsMidConvoEffort": False,
}

MESSAGES_DEFAULTS: Final[Flags] = {
    "supportsEagerToolInputStreaming": True,
    "supportsLongCacheRetention": True,
    "sendSessionAffinityHeaders": False,
    "supportsCacheControlOnTools": True,
    "supportsTemperature": True,
    "forceAdaptiveThinking": False,
    "allowEmptySignature": False,
    "supportsStrictTools": False,
    "supportsMidConvoEffort": False,
    "supportsMidConvoSystemMessages": False,
    "supportsMidConvoToolChanges": False,
    "supportsMessageThreads": False,
}

COMPAT_DEFAULTS: Final[Mapping[str, Flags]] = {
    "openai-completions": CHAT_DEFAULTS,
    "openai-responses": RESPONSES_DEFAULTS,
    "azure-openai-responses": {**RESPONSES_DEFAULTS, "supportsStrictMode": True},
    "openai-codex-responses": {**RESPONSES_DEFAULTS, "supportsStrictMode": True},
    "anthropic-messages": MESSAGES_DEFAULTS,
    "bedrock-converse-stream": {"supportsStrictMode": False},
    "mistral-conversations": {"supportsMidConvoSystemMessages": False},
}
"""pi's defaults by API kind."""


class Trait(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the APIs at some addresses."""

    providers: frozenset[str] = frozenset()
    """Provider ids that are meant wherever they are reached."""
    addresses: tuple[str, ...] = ()
    """Parts of a base URL, compared in lower case only where `any_case` says so."""
    any_case: bool = False
    id_prefixes: tuple[str, ...] = ()
    """When given, only models whose id begins with one of these are meant."""
    all_of: bool = False
    """True: the provider and the address must both match."""
    flags: Flags

    def means(self, provider: str, base_url: str, model_id: str) -> bool:
        """Whether a model is meant."""
        if self.id_prefixes and not model_id.startswith(self.id_prefixes):
            return False
        address = base_url.lower() if self.any_case else base_url
        matches = (provider in self.providers, any(part in address for part in self.addresses))
        return all(matches) if self.all_of else any(matches)


# What pi calls non-standard: neither `store` nor the developer role.
PLAIN: Final[Flags] = {"supportsStore": False, "supportsDeveloperRole": False}
SHORT_CACHE: Final[Flags] = {"supportsLongCacheRetention": False}
NO_EFFORT: Final[Flags] = {"supportsReasoningEffort": False}
MAX_TOKENS: Final[Flags] = {"maxTokensField": "max_tokens"}

OPENROUTER: Final = frozenset({"openrouter"})
OPENROUTER_ADDRESS: Final = ("openrouter.ai",)

CHAT_TRAITS: Final = (
    Trait(providers=frozenset({"cerebras"}), addresses=("cerebras.ai",), flags=PLAIN),
    Trait(providers=frozenset({"opencode"}), addresses=("opencode.ai",), flags=PLAIN),
    Trait(addresses=("chutes.ai",), flags={**PLAIN, **MAX_TOKENS}),
    Trait(providers=frozenset({"xai"}), addresses=("api.x.ai",), flags={**PLAIN, **NO_EFFORT}),
    Trait(
        providers=frozenset({"moonshotai", "moonshotai-cn"}),
        addresses=("api.moonshot.",),
        flags={**PLAIN, **NO_EFFORT, **MAX_TOKENS},
    ),
    Trait(
        providers=frozenset({"cloudflare-workers-ai"}),
        addresses=("api.cloudflare.com",),
        flags={**PLAIN, **SHORT_CACHE},
    ),
    Trait(
        providers=frozenset({"cloudflare-ai-gateway"}),
        addresses=("gateway.ai.cloudflare.com",),
        flags={**PLAIN, **NO_EFFORT, **MAX_TOKENS, **SHORT_CACHE},
    ),
    Trait(
        providers=frozenset({"nvidia"}),
        addresses=("integrate.api.nvidia.com",),
        flags={**PLAIN, **NO_EFFORT, **MAX_TOKENS, **SHORT_CACHE},
    ),
    # From here on the order matters: of several thinking formats the last one counts.
    Trait(
        providers=OPENROUTER,
        addresses=OPENROUTER_ADDRESS,
        flags={
            "supportsDeveloperRole": False,
            "thinkingFormat": "openrouter",
            "sendSessionAffinityHeaders": True,
            "sessionAffinityFormat": "openrouter",
        },
    ),
    Trait(
        providers=frozenset({"ant-ling"}),
        addresses=("api.ant-ling.com",),
        flags={**PLAIN, **NO_EFFORT, **MAX_TOKENS, **SHORT_CACHE, "thinkingFormat": "ant-ling"},
    ),
    Trait(
        providers=frozenset({"together"}),
        addresses=("api.together.ai", "api.together.xyz"),
        flags={**PLAIN, **NO_EFFORT, **MAX_TOKENS, **SHORT_CACHE, "thinkingFormat": "together"},
    ),
    Trait(
        providers=frozenset({"zai", "zai-coding-cn"}),
        addresses=("api.z.ai", "open.bigmodel.cn"),
        flags={**PLAIN, **NO_EFFORT, **MAX_TOKENS, "thinkingFormat": "zai"},
    ),
    Trait(
        providers=frozenset({"deepseek"}),
        addresses=("deepseek.com",),
        any_case=True,
        flags={
            **PLAIN,
            **MAX_TOKENS,
            "requiresReasoningContentOnAssistantMessages": True,
            "thinkingFormat": "deepseek",
        },
    ),
    Trait(
        providers=OPENROUTER,
        addresses=OPENROUTER_ADDRESS,
        id_prefixes=("anthropic/", "openai/"),
        flags={"supportsDeveloperRole": True},
    ),
    Trait(providers=OPENROUTER, id_prefixes=("anthropic/",), flags={"cacheControlFormat": "anthropic"}),
)

OPENROUTER_SESSIONS: Final = Trait(
    providers=OPENROUTER, addresses=OPENROUTER_ADDRESS, flags={"sessionAffinityFormat": "openrouter"}
)

TRAITS: Final[Mapping[str, tuple[Trait, ...]]] = {
    "openai-completions": CHAT_TRAITS,
    "openai-responses": (OPENROUTER_SESSIONS,),
    "anthropic-messages": (
        Trait(
            providers=OPENROUTER,
            addresses=OPENROUTER_ADDRESS,
            flags={"sendSessionAffinityHeaders": True, "sessionAffinityFormat": "openrouter"},
        ),
        Trait(
            providers=frozenset({"anthropic"}),
            addresses=("api.anthropic.com",),
            all_of=True,
            flags={"supportsMessageThreads": True},
        ),
    ),
}
"""By API kind, weakest first."""


def detected_compat(provider: str, base_url: str, kind: str, model_id: str) -> dict[str, Any]:
    """Return every compat flag of `kind`, set as pi would set it for a model that sets none itself.

    Unknown kinds have no flags. The nested values are shared: replace them, never write into them.
    """
    flags = dict(COMPAT_DEFAULTS.get(kind, {}))
    for trait in TRAITS.get(kind, ()):
        if trait.means(provider, base_url, model_id):
            flags.update(trait.flags)
    return flags

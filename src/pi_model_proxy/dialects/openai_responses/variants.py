"""pi's kinds that speak the Responses format, and how each departs from OpenAI's own endpoint.

Sources: pi 1.5.2 `dist/api/azure-openai-responses.js`, `azure-openai-config.js` and
`openai-codex-responses.js` (`buildRequestBody`, `buildSSEHeaders`); dialects.md §1.1 (CX, AZ).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.openai_responses.quirks import Quirks
from pi_model_proxy.hub import Target

__all__ = ["AZURE", "CODEX", "OPENAI", "Variant", "session_headers", "variant_of"]


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One kind; the defaults are OpenAI's own endpoint."""

    kind: str
    path: str = "/responses"
    api_version: str = ""
    """The API version that the address names unless the account asks for another; empty: it names none."""
    default_instructions: str = ""
    """Leading instructions are a field of their own, which must not be empty; empty: they are items."""
    constants: Mapping[str, Any] = {}
    """Fields that are sent when the request says nothing of them."""
    default_verbosity: str | None = None
    omitted_fields: frozenset[str] = frozenset()
    """Fields that the backend refuses."""
    strict_says_false: bool = True
    """Whether a tool that is not strict says so; else it leaves that open (`null`)."""
    tool_aliases: tuple[tuple[str, str], ...] = ()
    """How hosted tools' types begin that have another name by now, and that name."""
    takes_sampling_params: bool = True
    """Whether a model's `samplingParams` are merged into the body."""
    session_headers: tuple[str, ...] | None = ()
    """Headers that say which conversation a request belongs to; None: the model's flags tell (`sessionAffinityFormat`)."""
    tells_tokens_late: bool = False
    """Whether encrypted reasoning may come with the terminal event only."""

    def path_for(self, target: Target) -> str:
        """Return the path, with the account's API version if there is one."""
        version = target.identity.api_version or self.api_version
        return f"{self.path}?api-version={version}" if version else self.path


OPENAI: Final = Variant(kind="openai-responses", session_headers=None)
AZURE: Final = Variant(
    kind="azure-openai-responses",
    api_version="v1",
    tells_tokens_late=True,  # earendil-works/pi#6409
)
CODEX: Final = Variant(
    kind="openai-codex-responses",
    path="/codex/responses",
    default_instructions="You are a helpful assistant.",
    constants={"tool_choice": "auto", "parallel_tool_calls": True, "include": ["reasoning.encrypted_content"]},
    default_verbosity="low",
    omitted_fields=frozenset({
        "context_management", "max_output_tokens", "previous_response_id", "prompt_cache_options",
        "prompt_cache_retention", "safety_identifier", "stream_options", "temperature", "top_p", "user",
    }),
    strict_says_false=False,
    tool_aliases=(("web_search_preview", "web_search"),),
    takes_sampling_params=False,
    session_headers=("session-id", "x-client-request-id"),
)  # fmt: skip
_SESSION_HEADERS: Final = {
    "openai": ("session-id", "x-client-request-id"),
    "openai-nosession": ("x-client-request-id",),
    "openrouter": ("x-session-id",),
}
"""By pi's `sessionAffinityFormat`."""
_BY_KIND: Final = {variant.kind: variant for variant in (OPENAI, AZURE, CODEX)}


def variant_of(target: Target) -> Variant:
    """Return how the target's kind speaks this format."""
    return _BY_KIND.get(target.kind, OPENAI)


def session_headers(variant: Variant, quirks: Quirks, session: str) -> dict[str, str]:
    """Return the headers by which a provider keeps a conversation at one machine; none without a name for it."""
    if not session:
        return {}
    names = variant.session_headers
    return dict.fromkeys(_SESSION_HEADERS[quirks.session_format] if names is None else names, session)

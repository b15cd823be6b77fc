"""Nothing in silence: what a target cannot say is collected here, or refused in strict mode."""

from __future__ import annotations

from typing import Final, NoReturn

from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.hub import CacheMark, Request, Target, Tool

__all__ = ["STEERING_FIELDS", "Losses"]

STEERING_FIELDS: Final = frozenset({
    "api_base", "api_key", "api_type", "api_version", "aws_access_key_id", "aws_secret_access_key", "aws_session_token",
    "base_url", "custom_llm_provider", "default_headers", "extra_body", "extra_headers", "extra_query", "headers",
    "http_client", "organization", "proxy", "proxies", "vertex_credentials",
})  # fmt: skip
"""Body fields of SDKs and other gateways that would steer our transport: always removed and listed."""


_CONVERSATIONS: Final = {
    "openai_responses": "input",
    "google_gemini": "contents",
    "openai_completions": "prompt",
}
"""Dialect to its member for the conversation; `messages` everywhere else."""
MAX_WHY_CHARS: Final = 300
"""A reason may quote what the caller wrote, of any length."""


class Losses:
    """Collects the JSON paths, in the caller's request, of what a target cannot say."""

    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._paths: dict[str, None] = dict.fromkeys(request.dropped)
        if target.strict and request.dropped:
            self.refuse(request.dropped[0])

    def field(self, hub_field: str) -> None:
        """Drop a scalar field of the hub request, e.g. `sampling.seed`; one with an empty path is nobody's wish."""
        path = self._request.paths.get(hub_field, hub_field)
        if path:
            self.path(path)

    def wish(self) -> None:
        """Drop the wish to think, with all that was said about it."""
        self.field("reasoning")
        if self._names_level_apart():
            self.field("reasoning.level")

    def level(self) -> None:
        """Drop the level of thinking that was asked for; another one is given instead."""
        self.field("reasoning.level" if self._names_level_apart() else "reasoning")

    def _names_level_apart(self) -> bool:
        wish = self._request.reasoning
        return wish is not None and wish.mode == "auto" and wish.level is not None

    def path(self, path: str, *, why: str = "") -> None:
        """Drop what stands at `path` in the caller's request; `why` is a clause for the strict refusal.

        Raises:
            UnsupportedFeature: the caller asked for strictness.
        """
        if not path:
            return  # not of the caller's own saying
        if self._target.strict:
            self.refuse(path, why=why)
        self._paths[path] = None

    def member(self, at: str, hub_member: str, *, why: str = "") -> None:
        """Drop a member of the block at `at`: `image.detail`, `call.opaque` and the like."""
        name = self._request.paths.get(hub_member) or hub_member.rpartition(".")[2]
        self.path(_joined(at, name), why=why)

    def of_tool(self, tool: Tool, member: str, *, why: str = "") -> None:
        """Drop a member of a tool (`strict`, `schema`, `grammar`), named as the caller spelt it."""
        self.path(_joined(tool.at, tool.words.get(member, member)), why=why)

    def mark(self, mark: CacheMark | None, at: str, *, why: str = "the provider takes no such mark") -> None:
        """Drop the cache mark of the element at `at`, if it has one."""
        if mark is not None:
            self.path(mark.at or _joined(at, "cache_control"), why=why)

    def refuse(self, path: str, *, why: str = "") -> NoReturn:
        """Refuse the request because of what stands at `path`.

        Raises:
            UnsupportedFeature: always.
        """
        reason = f" ({why[:MAX_WHY_CHARS]})" if why else ""
        raise UnsupportedFeature(
            f"{path}: {self._target.public_model} cannot be asked for this{reason}; remove the field or choose another model.",
            param=path,
        )

    def refuse_empty(self) -> NoReturn:
        """Refuse a conversation of which nothing is left to send, under the caller's own word for it.

        Raises:
            BadRequest: always.
        """
        path = _CONVERSATIONS.get(self._request.dialect, "messages")
        raise BadRequest(f"{path}: there is nothing to send; add a user message.", param=path)

    @property
    def paths(self) -> tuple[str, ...]:
        """Everything dropped so far, in order, without repeats."""
        return tuple(self._paths)


def _joined(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name

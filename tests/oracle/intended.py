"""Where we differ from pi on purpose: one function a difference, its docstring the reason.

Each takes a case and both requests as JSON values that it may change, and takes its one difference out of them.
What is left must be equal. An entry that finds nothing to take out any more is stale, and fails the test.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from oracle.cases import Case
from oracle.comparing import fields_of
from oracle.conversation import RESPONSES
from oracle.recording import Recorded

__all__ = ["INTENDED", "OF_SDKS", "Pair", "without_intended"]

CHAT: Final = ("openai-completions",)
MESSAGES: Final = ("anthropic-messages",)
OF_SDKS: Final = ("x-stainless-", "x-goog-api-client", "amz-sdk-", "x-amz-user-agent")
"""How headers begin in which SDKs tell about themselves and the machine."""
NOT_ADDED: Final = re.compile(
    r"body\.(store|reasoning\.summary|thinking\.display|text\.verbosity|input\[.*"
    r"|messages\[\d+\]\.content\[\d+\]\.(cache_control\.type|content|text|type)"
    r"|system\[\d+\]\.cache_control\.type|tools\[\d+\]\.(cache_control\.type|eager_input_streaming))"
)
"""What pi says of its own accord and a caller of the same dialect may leave unsaid: wording, cache, summaries."""
PLACEHOLDER: Final = "__pi_deferred_placeholder__"


class Pair(msgspec.Struct):
    """What pi and we send for one case."""

    case: Case
    kind: str
    """pi's API kind."""
    caller: str
    asked: dict[str, Any]
    """What our caller posted."""
    pi: Recorded
    ours: Recorded

    @property
    def is_relayed(self) -> bool:
        """Whether caller and provider speak the same dialect, so that we pass the caller's bytes on."""
        own = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}
        return self.kind in own[self.caller]


def who_asks(pair: Pair) -> None:
    """We are not pi: our own `user-agent`, and no statistics of an SDK that we do not use."""
    ours = pair.ours.headers
    if ours.get("user-agent", "").startswith("pi-model-proxy/"):
        assert pair.pi.headers.pop("user-agent").startswith(("pi/", "aws-sdk-js/"))
        del ours["user-agent"]
    for name in list(pair.pi.headers):
        if name.startswith((*OF_SDKS, "accept-language", "sec-fetch-mode")):
            del pair.pi.headers[name]
    if "anthropic-dangerous-direct-browser-access" not in ours:
        pair.pi.headers.pop("anthropic-dangerous-direct-browser-access", None)


def what_is_accepted(pair: Pair) -> None:
    """Every request asks for a stream, so `accept` says so; pi's SDKs say what they say for any call."""
    accepted = pair.ours.headers.get("accept", "")
    if accepted.endswith(("event-stream", "eventstream")):
        pair.pi.headers["accept"] = accepted


def the_loop_guard(pair: Pair) -> None:
    """An address that the user wrote may lead back to this gateway; a header tells us when it did."""
    pair.ours.headers.pop("x-pi-model-proxy-hop", None)


def compression(pair: Pair) -> None:
    """Codex takes plain JSON too, which pi falls back to; Python has zstd from 3.14 on only."""
    if pair.pi.headers.get("content-encoding") == "zstd":
        del pair.pi.headers["content-encoding"]


def message_threads(pair: Pair) -> None:
    """pi lets Anthropic remember its session's prefix; a gateway's callers send theirs whole, and may branch it."""
    if "thread" in pair.pi.body:
        del pair.pi.body["thread"]
        _remove_beta(pair, "message-threads-2026-08-12")


def changing_tools(pair: Pair) -> None:
    """pi words tools so that it can add some later without losing the cache; a request to us holds the final list."""
    body = pair.pi.body
    items = body.get("input") or [{}]
    if items[0].get("type") == "additional_tools":
        body["tools"] = items.pop(0)["tools"]
    tools = body.get("tools", [])
    kept = [tool for tool in tools if tool.get("name") != PLACEHOLDER]
    if len(kept) < len(tools):
        body["tools"] = kept
        _remove_beta(pair, "inline-tools-2026-09-15")


def changing_effort(pair: Pair) -> None:
    """pi fixes the effort and words the real one as a late message, to change it without losing the cache."""
    body = pair.pi.body
    last = (body.get("input") or body.get("messages") or [{}])[-1]
    if last.get("type") == "configuration_update":
        body["reasoning"]["effort"] = body["input"].pop()["reasoning"]["effort"]
    elif last.get("role") == "system" and "output_config" in last:
        body["output_config"] = body["messages"].pop()["output_config"]
        del body["thinking"]["block_binding"]
        _remove_beta(pair, "mid-conversation-output-config-2026-07-01")
        _remove_beta(pair, "thinking-binding-controls-2026-08-01")


def item_ids(pair: Pair) -> None:
    """pi invents ids for text that never had one; the field is optional, and we invent nothing."""
    for item in pair.pi.body.get("input", []):
        if re.fullmatch(r"msg_pi_\d+", item.get("id", "")):
            del item["id"]


def timestamps(pair: Pair) -> None:
    """No caller's format says when a message was written, so each says the same: 0."""
    for message in pair.pi.body.get("context", {}).get("messages", []):
        message["timestamp"] = 0


def absent_signatures(pair: Pair) -> None:
    """Gemini 3 refuses a call that it cannot find signed; Google's word for a call from elsewhere lets it pass."""
    for content in pair.ours.body.get("contents", []):
        for part in content["parts"]:
            if part.get("thoughtSignature") == "skip_thought_signature_validator":
                del part["thoughtSignature"]


def defaults_spelt_out(pair: Pair) -> None:
    """pi writes `strict: false` in chat tools and `is_error: false`, which mean nothing; we leave them out."""
    theirs, ours = pair.pi.body, pair.ours.body
    for tool, mine in zip(theirs.get("tools", []), ours.get("tools", []), strict=False):
        if tool.get("function", {}).get("strict") is False and "strict" not in mine["function"]:
            del tool["function"]["strict"]
    for message in theirs.get("messages", []):
        for block in message["content"] if isinstance(message.get("content"), list) else []:
            if block.get("is_error") is False:
                del block["is_error"]


def not_strict_said(pair: Pair) -> None:
    """In Responses, absence means "strict where possible", which makes every argument required: we say false."""
    theirs = pair.pi.body.get("tools", [])
    for tool, mine in zip(theirs, pair.ours.body.get("tools", []), strict=False):
        if "strict" not in tool and mine.get("strict") is False and "input" in pair.pi.body:
            del mine["strict"]


def the_end_user(pair: Pair) -> None:
    """A caller that names its user is passed on to OpenAI, hashed where it is long; pi has no such field."""
    if pair.ours.body.get("safety_identifier") == pair.asked.get("metadata", {}).get("user_id"):
        pair.ours.body.pop("safety_identifier", None)


def a_login_elsewhere(pair: Pair) -> None:
    """A ChatGPT login leaves out what its backend refuses at any address; pi at api.openai.com only."""
    if pair.case.name == "openai-login":
        pair.pi.body.pop("max_output_tokens", None)


def relayed_bytes(pair: Pair) -> None:
    """Same dialect, same bytes: what we leave as the caller wrote it is the caller's; what we change is as pi's.

    The format's own beta flags are the caller's too, but for those of a login.
    """
    if not pair.is_relayed:
        return
    asked, ours, theirs = (dict(fields_of(body)) for body in (pair.asked, pair.ours.body, pair.pi.body))
    kept = {name for name in ours if ours[name] == asked.get(name, _NONE)}
    left_out = {name for name in theirs.keys() - ours.keys() - asked.keys() if NOT_ADDED.fullmatch(name)}
    pair.ours.body = {_short(name): value for name, value in ours.items() if name not in kept}
    pair.pi.body = {_short(name): value for name, value in theirs.items() if name not in kept | left_out}
    login = pair.case.auth["type"] == "oauth"
    beginning = pair.pi.headers.get("anthropic-beta", "").split(",")
    if pair.ours.headers.get("anthropic-beta", "") == ",".join(beginning[:2] if login else []):
        pair.ours.headers.pop("anthropic-beta", None)
        pair.pi.headers.pop("anthropic-beta", None)


_NONE: Final = object()

INTENDED: Final[Sequence[Callable[[Pair], None]]] = (
    who_asks, what_is_accepted, the_loop_guard, compression, message_threads, changing_tools, changing_effort,
    item_ids, timestamps, absent_signatures, defaults_spelt_out, not_strict_said, the_end_user, a_login_elsewhere,
    relayed_bytes,
)  # fmt: skip
"""In the order in which they are taken out."""


def without_intended(pair: Pair) -> tuple[Pair, set[str]]:
    """Return both requests without the differences that are intended, and which of these there were."""
    rest, found = copy.deepcopy(pair), set()
    for entry in INTENDED:
        before = copy.deepcopy((rest.pi, rest.ours))
        entry(rest)
        if (rest.pi, rest.ours) != before:
            found.add(entry.__name__)
    return rest, found


def _short(name: str) -> str:
    return name.removeprefix("body.")


def _remove_beta(pair: Pair, flag: str) -> None:
    flags = pair.pi.headers["anthropic-beta"].split(",")
    flags.remove(flag)
    if flags:
        pair.pi.headers["anthropic-beta"] = ",".join(flags)
    else:
        del pair.pi.headers["anthropic-beta"]

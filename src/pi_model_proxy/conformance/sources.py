"""What each check stands on, and what the vendors' documentation says is absent; nothing else makes a cell n/a."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["ABSENCES", "Absence", "absence", "cite"]

_OPENAI: Final = "https://platform.openai.com/docs"
_CLAUDE: Final = "https://platform.claude.com/docs/en"
_GOOGLE: Final = "https://ai.google.dev"
_OLLAMA: Final = "https://docs.ollama.com"

PAGES: Final[dict[str, dict[str, str]]] = {
    "chat": {
        "create": f"{_OPENAI}/api-reference/chat/create",
        "object": f"{_OPENAI}/api-reference/chat/object",
        "stream": f"{_OPENAI}/api-reference/chat-streaming",
        "tools": f"{_OPENAI}/guides/function-calling?api-mode=chat",
        "thinking": "https://api-docs.deepseek.com/guides/reasoning_model",
        "images": f"{_OPENAI}/guides/images-vision?api-mode=chat",
        "output": f"{_OPENAI}/guides/structured-outputs?api-mode=chat",
        "errors": f"{_OPENAI}/guides/error-codes",
        "models": f"{_OPENAI}/api-reference/models/list",
    },
    "messages": {
        "create": f"{_CLAUDE}/api/messages",
        "object": f"{_CLAUDE}/api/messages",
        "stream": f"{_CLAUDE}/build-with-claude/streaming",
        "tools": f"{_CLAUDE}/agents-and-tools/tool-use/overview",
        "thinking": f"{_CLAUDE}/build-with-claude/extended-thinking",
        "images": f"{_CLAUDE}/build-with-claude/vision",
        "output": f"{_CLAUDE}/build-with-claude/structured-outputs",
        "errors": f"{_CLAUDE}/api/errors",
        "models": f"{_CLAUDE}/api/models-list",
        "count": f"{_CLAUDE}/build-with-claude/token-counting",
    },
    "responses": {
        "create": f"{_OPENAI}/api-reference/responses/create",
        "object": f"{_OPENAI}/api-reference/responses/object",
        "stream": f"{_OPENAI}/api-reference/responses-streaming",
        "tools": f"{_OPENAI}/guides/function-calling?api-mode=responses",
        "thinking": f"{_OPENAI}/guides/reasoning",
        "images": f"{_OPENAI}/guides/images-vision?api-mode=responses",
        "output": f"{_OPENAI}/guides/structured-outputs?api-mode=responses",
        "errors": f"{_OPENAI}/guides/error-codes",
        "models": f"{_OPENAI}/api-reference/models/list",
        "count": f"{_OPENAI}/api-reference/responses/input-tokens",
    },
    "gemini": {
        "create": f"{_GOOGLE}/api/generate-content",
        "object": f"{_GOOGLE}/api/generate-content#generatecontentresponse",
        "stream": f"{_GOOGLE}/api/generate-content#method:-models.streamgeneratecontent",
        "tools": f"{_GOOGLE}/gemini-api/docs/function-calling",
        "thinking": f"{_GOOGLE}/gemini-api/docs/thinking",
        "images": f"{_GOOGLE}/gemini-api/docs/image-understanding",
        "output": f"{_GOOGLE}/gemini-api/docs/structured-output",
        "errors": f"{_GOOGLE}/gemini-api/docs/troubleshooting",
        "models": f"{_GOOGLE}/api/models",
        "count": f"{_GOOGLE}/api/tokens",
    },
    "ollama": {
        "create": f"{_OLLAMA}/api/chat",
        "object": f"{_OLLAMA}/api/chat",
        "stream": f"{_OLLAMA}/api/streaming",
        "tools": f"{_OLLAMA}/capabilities/tool-calling",
        "thinking": f"{_OLLAMA}/capabilities/thinking",
        "images": f"{_OLLAMA}/capabilities/vision",
        "output": f"{_OLLAMA}/capabilities/structured-outputs",
        "errors": f"{_OLLAMA}/api/errors",
        "models": f"{_OLLAMA}/api/tags",
    },
}


class Absence(msgspec.Struct, frozen=True, kw_only=True):
    """A feature that a dialect has not got, by its vendor's own documentation."""

    check: str
    dialect: str
    why: str
    page: str


ABSENCES: Final = (
    Absence(
        check="stop-sequence",
        dialect="responses",
        why="the reference's list of body parameters has no stop",
        page=PAGES["responses"]["create"],
    ),
    Absence(
        check="tool-forced",
        dialect="ollama",
        why="the reference's list of body parameters has no tool_choice",
        page=PAGES["ollama"]["create"],
    ),
    Absence(
        check="tool-none",
        dialect="ollama",
        why="the reference's list of body parameters has no tool_choice",
        page=PAGES["ollama"]["create"],
    ),
    Absence(
        check="json",
        dialect="messages",
        why="the one output format is json_schema; there is none for JSON without a schema",
        page=PAGES["messages"]["output"],
    ),
    Absence(
        check="count",
        dialect="chat",
        why="the reference's endpoints of chat completions count nothing beforehand",
        page=PAGES["chat"]["create"],
    ),
    Absence(
        check="count",
        dialect="ollama",
        why="the reference's list of endpoints counts nothing beforehand",
        page=f"{_OLLAMA}/api/introduction",
    ),
)


def absence(check: str, dialect: str) -> Absence | None:
    """Return why a cell is n/a; None when it must be asked."""
    return next((each for each in ABSENCES if each.check == check and each.dialect == dialect), None)


def cite(topic: str, dialect: str, *, stream: bool) -> str:
    """Return the page that a cell stands on."""
    return PAGES[dialect]["stream" if stream and topic == "object" else topic]

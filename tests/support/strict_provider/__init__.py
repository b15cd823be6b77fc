"""A strict, scripted provider of three dialects for tests; shares no code with what it tests.

See README.md in this folder.
"""

from __future__ import annotations

from support.strict_provider.answer import (
    Answer,
    Call,
    Pace,
    Redacted,
    Refusal,
    Style,
    Text,
    Thinking,
    Usage,
)
from support.strict_provider.diary import Arrival, Diary
from support.strict_provider.faults import FAULTS, Fault, Outcome, http_error, other_answer, re_framed
from support.strict_provider.glimpse import Asked, Picture, Result, Tool
from support.strict_provider.ports import CERTIFICATE, hanging_port, refusing_port, self_signed
from support.strict_provider.script import LONG_TEXT, SCRIPTS, UNICODE_TEXT, Script, say
from support.strict_provider.server import Options, StrictProvider, Turn
from support.strict_provider.tokens import Login, TokenDesk, TokenTrouble
from support.strict_provider.traits import MODELS, ChatTraits, MessagesTraits, Model, ResponsesTraits

__all__ = [
    "CERTIFICATE",
    "FAULTS",
    "LONG_TEXT",
    "MODELS",
    "SCRIPTS",
    "UNICODE_TEXT",
    "Answer",
    "Arrival",
    "Asked",
    "Call",
    "ChatTraits",
    "Diary",
    "Fault",
    "Login",
    "MessagesTraits",
    "Model",
    "Options",
    "Outcome",
    "Pace",
    "Picture",
    "Redacted",
    "Refusal",
    "ResponsesTraits",
    "Result",
    "Script",
    "StrictProvider",
    "Style",
    "Text",
    "Thinking",
    "TokenDesk",
    "TokenTrouble",
    "Tool",
    "Turn",
    "Usage",
    "hanging_port",
    "http_error",
    "other_answer",
    "re_framed",
    "refusing_port",
    "say",
    "self_signed",
]

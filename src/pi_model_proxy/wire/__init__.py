"""How bytes are framed: server-sent events, Amazon's event streams, and surgery on JSON text; pure."""

from pi_model_proxy.wire import lenient_json
from pi_model_proxy.wire.eventstream import EventMessage, EventStreamDecoder
from pi_model_proxy.wire.rawjson import (
    ascii_json,
    ascii_text,
    compact_json,
    edit_object,
    escape_separators,
    join_array,
    members_of,
    object_of,
    raw_array,
    raw_object,
)
from pi_model_proxy.wire.shared_headers import SharedHeaders, header_lines
from pi_model_proxy.wire.sse import MAX_FRAME_BYTES, Frame, FrameDecoder, encode_frame

__all__ = [
    "MAX_FRAME_BYTES",
    "EventMessage",
    "EventStreamDecoder",
    "Frame",
    "FrameDecoder",
    "SharedHeaders",
    "ascii_json",
    "ascii_text",
    "compact_json",
    "edit_object",
    "encode_frame",
    "escape_separators",
    "header_lines",
    "join_array",
    "lenient_json",
    "members_of",
    "object_of",
    "raw_array",
    "raw_object",
]

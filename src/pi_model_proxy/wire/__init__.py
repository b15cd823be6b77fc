"""How bytes are framed: server-sent events and surgery on JSON text; pure."""

from pi_model_proxy.wire.rawjson import (
    ascii_json,
    compact_json,
    edit_object,
    escape_separators,
    join_array,
    raw_array,
    raw_object,
)
from pi_model_proxy.wire.sse import MAX_FRAME_BYTES, Frame, FrameDecoder, encode_frame

__all__ = [
    "MAX_FRAME_BYTES",
    "Frame",
    "FrameDecoder",
    "ascii_json",
    "compact_json",
    "edit_object",
    "encode_frame",
    "escape_separators",
    "join_array",
    "raw_array",
    "raw_object",
]

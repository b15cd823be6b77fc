"""The repeats this format needs: what an upstream refuses for reasons that nothing told beforehand.

Signatures turn out to be another model's, or to be demanded by a model whose name does not tell;
servers that copy this format know `parameters` but not `parametersJsonSchema`. Both are mended
once, before any byte of an answer.

Sources: Google's page on thought signatures; earendil-works/pi#1829; router-for-me/CLIProxyAPI#97.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.google_gemini.schemas import openapi_schema
from pi_model_proxy.dialects.google_gemini.signatures import STAND_IN
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.wire import compact_json

__all__ = ["mend"]

_SIGNATURE_TEXTS: Final = ("thought_signature", "thought signature", "thoughtsignature")
_SCHEMA_FIELDS: Final = (
    "parametersjsonschema",
    "parameters_json_schema",
    "responsejsonschema",
    "response_json_schema",
)
_SIGNATURE_KEYS: Final = ("thoughtSignature", "thought_signature")
_CALL_KEYS: Final = ("functionCall", "function_call")
_body_decoder: Final = msgspec.json.Decoder(dict[str, Any])

Json = dict[str, Any]


def mend(body: bytes, error: UpstreamError) -> bytes | None:
    """Return a body that may be accepted where `body` met `error`, or None."""
    if error.kind != "bad_request":
        return None
    said = error.message.lower()
    try:
        request = _body_decoder.decode(body)
        if any(text in said for text in _SIGNATURE_TEXTS):
            changed = _without_signatures(request)
        elif any(text in said for text in _SCHEMA_FIELDS):
            changed = _with_openapi(request)
        else:
            return None
        return compact_json(request) if changed else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        # A caller's own body may be anything; then there is nothing we know to mend.
        return None


def _without_signatures(request: Json) -> bool:
    """Take out every signature and put Google's stand-in on the first call of each step; tell whether that changed it."""
    changed = False
    for content in _objects(request.get("contents")):
        stood_in = False
        for part in _objects(content.get("parts")):
            had = [part.pop(key, None) for key in _SIGNATURE_KEYS]
            is_call = any(key in part for key in _CALL_KEYS)
            if is_call and not stood_in:
                stood_in = True
                part["thoughtSignature"] = STAND_IN
            changed = changed or part.get("thoughtSignature") != (had[0] or had[1])
    return changed


def _with_openapi(request: Json) -> bool:
    changed = False
    for tool in _objects(request.get("tools")):
        for key in ("functionDeclarations", "function_declarations"):
            for declaration in _objects(tool.get(key)):
                changed |= _rename(
                    declaration, ("parametersJsonSchema", "parameters_json_schema"), "parameters"
                )
    for key in ("generationConfig", "generation_config"):
        config = request.get(key)
        if isinstance(config, dict):
            changed |= _rename(config, ("responseJsonSchema", "response_json_schema"), "responseSchema")
    return changed


def _rename(holder: Json, keys: tuple[str, ...], name: str) -> bool:
    schema = next((holder.pop(key) for key in keys if isinstance(holder.get(key), dict)), None)
    if schema is None:
        return False
    holder[name] = openapi_schema(schema)
    return True


def _objects(value: Any) -> list[Json]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []

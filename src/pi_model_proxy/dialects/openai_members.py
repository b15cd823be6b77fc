"""Members of a request that OpenAI's formats write alike, whatever else differs between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pi_model_proxy.dialects.losses import STEERING_FIELDS
from pi_model_proxy.dialects.reading import Fields, says_nothing
from pi_model_proxy.hub import OutputFormat

__all__ = ["further_members", "metadata_of", "schema_format"]


def metadata_of(request: Fields, dropped: list[str]) -> dict[str, str]:
    """Keep what is text; the specification allows nothing else."""
    metadata = request.object("metadata")
    if metadata is None:
        return {}
    dropped += [metadata.path(name) for name, value in metadata.values.items() if not isinstance(value, str)]
    return {name: value for name, value in metadata.values.items() if isinstance(value, str)}


def schema_format(holder: Fields, schema: Fields) -> OutputFormat:
    """Return the form of answer that `schema` prescribes, its name and rules in `holder`."""
    return OutputFormat(
        kind="schema",
        schema=schema.values,
        name=holder.text("name"),
        strict=holder.flag("strict"),
        description=holder.text("description"),
    )


def further_members(
    request: Fields, understood: Collection[str], neutral: Mapping[str, Collection[Any]]
) -> dict[str, Any]:
    """Return the members that the hub has no word for, without those whose value asks for nothing."""
    return {
        name: value
        for name, value in request.values.items()
        if name not in understood
        and name not in STEERING_FIELDS
        and not says_nothing(value)
        and value not in neutral.get(name, ())
    }

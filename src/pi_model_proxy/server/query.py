"""The query of a request's URL. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from pi_model_proxy.errors import BadRequest

__all__ = ["read_query"]

MAX_FIELDS: Final = 50
"""More than any endpoint has; a caller's URL is no place to make the server work."""


def read_query(query: str) -> dict[str, list[str]]:
    """Return the values of each field, in order; fields without a value are left out.

    Raises:
        BadRequest: there are far too many.
    """
    try:
        return parse_qs(query, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BadRequest(f"The URL's query has more than {MAX_FIELDS} fields; leave some out.") from error

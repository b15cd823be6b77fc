"""What the provider gives out and later wants back unchanged: signatures, sealed reasoning, item ids.

A token is base64 of `claims || HMAC`. A caller that invents one, alters the text it covers, or
sends it to another model or account is found out (dialects.md §3.1: "any byte change in the block → 400").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections import OrderedDict
from typing import Any, Final

__all__ = ["Vault", "digest"]

MAX_REMEMBERED: Final = 10_000
"""Response and item ids kept for pairing; the oldest are forgotten first."""

MAC_BYTES: Final = 32


def digest(value: object) -> str:
    """Return a short digest of any JSON value; cache marks do not count, since clients move them."""
    text = json.dumps(_without_marks(value), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _without_marks(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_marks(item) for name, item in value.items() if name != "cache_control"}
    if isinstance(value, list):
        return [_without_marks(item) for item in value]
    return value


class Vault:
    """Seals claims so that nobody else can, and remembers what was issued."""

    def __init__(self, secret: bytes = b"strict-provider") -> None:
        self._secret = secret
        self._issued = 0
        self._companions: OrderedDict[str, str] = OrderedDict()
        self._stored: OrderedDict[str, frozenset[str]] = OrderedDict()

    def seal(self, purpose: str, **claims: str) -> str:
        """Return a token over `claims`; two tokens over the same claims differ, as real ones do."""
        self._issued += 1
        payload = json.dumps({**claims, "purpose": purpose, "n": self._issued}).encode()
        return base64.b64encode(payload + self._mac(payload)).decode()

    def open(self, purpose: str, token: str) -> dict[str, Any] | None:
        """Return the claims of a token of ours, or None for any other string."""
        try:
            sealed = base64.b64decode(token, validate=True)
        except (binascii.Error, ValueError):
            return None
        payload, mac = sealed[:-MAC_BYTES], sealed[-MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            return None
        claims: dict[str, Any] = json.loads(payload)
        return claims if claims.get("purpose") == purpose else None

    def bind(self, item_id: str, reasoning_id: str) -> None:
        """Note that an output item was made right after this reasoning item."""
        self._companions[item_id] = reasoning_id
        while len(self._companions) > MAX_REMEMBERED:
            self._companions.popitem(last=False)

    def companion(self, item_id: str) -> str | None:
        """Return the reasoning item that must stand before `item_id`, if one must."""
        return self._companions.get(item_id)

    def store(self, response_id: str, item_ids: frozenset[str]) -> None:
        """Keep a response, as `store: true` asks."""
        self._stored[response_id] = item_ids
        while len(self._stored) > MAX_REMEMBERED:
            self._stored.popitem(last=False)

    def stored_items(self, response_id: str) -> frozenset[str] | None:
        """Return the item ids of a stored response, or None when there is none of that id."""
        return self._stored.get(response_id)

    def has_item(self, item_id: str) -> bool:
        """Tell whether a stored response holds this item."""
        return any(item_id in items for items in self._stored.values())

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._secret, payload, hashlib.sha256).digest()

"""Nothing in silence: what a target cannot say is collected here, or refused in strict mode."""

from __future__ import annotations

from typing import Final, NoReturn

from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import Request, Target

__all__ = ["STEERING_FIELDS", "Losses"]

STEERING_FIELDS: Final = frozenset({
    "api_base", "api_key", "api_type", "api_version", "aws_access_key_id", "aws_secret_access_key", "aws_session_token",
    "base_url", "custom_llm_provider", "default_headers", "extra_body", "extra_headers", "extra_query", "headers",
    "http_client", "organization", "proxy", "proxies", "vertex_credentials",
})  # fmt: skip
"""Body fields of SDKs and other gateways that would steer our transport: always removed and listed."""


class Losses:
    """Collects the JSON paths, in the caller's request, of what a target cannot say."""

    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._paths: dict[str, None] = dict.fromkeys(request.dropped)
        if target.strict and request.dropped:
            self.refuse(request.dropped[0])

    def field(self, hub_field: str) -> None:
        """Drop a scalar field of the hub request, e.g. `sampling.seed`."""
        self.path(self._request.paths.get(hub_field, hub_field))

    def path(self, path: str, *, why: str = "") -> None:
        """Drop what stands at `path` in the caller's request; `why` is a clause for the strict refusal.

        Raises:
            UnsupportedFeature: the caller asked for strictness.
        """
        if self._target.strict:
            self.refuse(path, why=why)
        self._paths[path] = None

    def refuse(self, path: str, *, why: str = "") -> NoReturn:
        """Refuse the request because of what stands at `path`.

        Raises:
            UnsupportedFeature: always.
        """
        reason = f" ({why})" if why else ""
        raise UnsupportedFeature(
            f"{path}: {self._target.public_model} cannot be asked for this{reason}; remove the field or choose another model.",
            param=path,
        )

    @property
    def paths(self) -> tuple[str, ...]:
        """Everything dropped so far, in order, without repeats."""
        return tuple(self._paths)

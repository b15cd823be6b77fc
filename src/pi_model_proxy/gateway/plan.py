"""What will be asked of whom: the request line up to the moment a connection is needed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pi_model_proxy.dialects.base import ClientHalf, Outgoing, Peek, ServerHalf
from pi_model_proxy.dialects.table import DIALECTS, Dialect
from pi_model_proxy.gateway.caller import Call
from pi_model_proxy.gateway.listing import Entry
from pi_model_proxy.hub import Identity, Request, Target
from pi_model_proxy.providers import detected_compat

__all__ = ["Plan", "build_target"]


class Plan(msgspec.Struct, kw_only=True):
    """One request to one model, decided once and encoded for the account that is leased."""

    call: Call
    peek: Peek
    dialect: Dialect
    """The caller's."""
    entry: Entry
    client: ClientHalf
    target: Target
    request: Request | None = None
    """The decoded request, when the dialects differ."""

    @property
    def server(self) -> ServerHalf:
        """The caller's server half."""
        if self.dialect.server is None:
            raise LookupError(self.dialect.name)
        return self.dialect.server

    @property
    def relays(self) -> bool:
        """Whether both sides speak the same dialect."""
        return self.client.dialect == self.dialect.name and self.dialect.relay is not None

    def encode(self, identity: Identity) -> Outgoing:
        """Return the request as the upstream wants it from this account.

        Raises:
            BadRequest, UnsupportedFeature: name the JSON path.
        """
        self.target = msgspec.structs.replace(self.target, identity=identity)
        if self.dialect.relay is not None and self.relays:
            return self.dialect.relay.encode_request(self.call.body, self.target, self.call.headers)
        if self.request is None:
            self.request = self.server.decode_request(self.call.body)
        return self.client.encode_request(self.request, self.target)


def build_target(
    entry: Entry, *, level: str | None, auto_cache: bool, strict: bool, asked: str | None
) -> Target:
    """Return what a codec must know of the model behind `entry`."""
    model = entry.offer.model
    detected = detected_compat(model.provider, model.base_url, model.api, model.id)
    return Target(
        provider=model.provider,
        model=model.id,
        public_model=asked or model.ref,
        kind=model.api,
        reasoning=model.reasoning,
        thinking_levels=model.thinking_level_map,
        takes_images="image" in model.input,
        max_output=model.max_tokens,
        context_tokens=model.context_window,
        compat={**detected, **model.compat},
        sampling_params=model.sampling_params,
        sampling_params_by_level=model.sampling_params_by_thinking_level,
        level=level,
        auto_cache=auto_cache,
        strict=strict,
        hosted_by_vendor=_HOSTS.get(model.api, "\0") in model.base_url,
    )


_HOSTS: Mapping[str, str] = {
    "anthropic-messages": "//api.anthropic.com",
    "openai-responses": "//api.openai.com",
    "openai-completions": "//api.openai.com",
}


def dialect_of(name: str) -> Dialect:
    """Return the row of the dialect that an endpoint speaks."""
    return DIALECTS[name]

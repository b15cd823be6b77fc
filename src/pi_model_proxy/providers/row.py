"""What can differ between providers: the columns of the table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

import msgspec

from pi_model_proxy.hub import Identity

__all__ = [
    "KIND_ADDRESS",
    "KIND_AUTH",
    "KIND_OWNED_HEADERS",
    "Address",
    "AuthStyle",
    "Lists",
    "Login",
    "Means",
    "Provider",
]


class AuthStyle(Enum):
    """How a key travels."""

    BEARER = "authorization: Bearer"
    X_API_KEY = "x-api-key"
    API_KEY = "api-key"
    X_GOOG_API_KEY = "x-goog-api-key"
    CF_AIG = "cf-aig-authorization: Bearer"


KIND_AUTH: Final[Mapping[str, AuthStyle]] = {
    "anthropic-messages": AuthStyle.X_API_KEY,
    "azure-openai-responses": AuthStyle.API_KEY,
    "google-generative-ai": AuthStyle.X_GOOG_API_KEY,
    "google-vertex": AuthStyle.X_GOOG_API_KEY,
}
"""How each of pi's API kinds sends a key; every kind not listed sends it as Bearer."""


class Means(Enum):
    """How requests are authenticated where credentials of a cloud stand in for a key."""

    SIGV4 = "Amazon's Signature Version 4 of every request"
    GOOGLE = "an access token that Google's library fetches"
    FEDERATION = "an access token that Anthropic gives for a workload's identity token"


class Address(Enum):
    """What an address depends on beside the catalogue."""

    CATALOGUE = "variables that the catalogue's address names"
    AZURE = "the resource"
    BEDROCK = "the region"
    VERTEX = "project and location, or the kind of key"


class Lists(Enum):
    """Where a newer list of a provider's models can be had."""

    NONE = "nowhere"
    PUBLIC = "pi's public catalogue"
    OPENROUTER = "OpenRouter's list for the user's key"
    RADIUS = "the gateway's own list"


KIND_ADDRESS: Final[Mapping[str, Address]] = {
    "azure-openai-responses": Address.AZURE,
    "bedrock-converse-stream": Address.BEDROCK,
    "google-vertex": Address.VERTEX,
}
"""What the address depends on, for kinds whose API says so whoever provides it."""

KIND_OWNED_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "bedrock-converse-stream": ("authorization", "host", "x-amz-"),
}
"""Headers (or how they begin) that no configuration may set: what authenticates requests of the kind is made of them."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's OAuth login, and what it asks of a request."""

    name: str
    """As pi calls it."""
    is_subscription: bool = True
    """Whether it spends a subscription rather than prepaid credit."""
    note: str = ""
    """One sentence for the user about terms and billing; empty when there is nothing to say."""
    source: str = ""
    """Where the provider says so; what pi's package says, where the provider says nothing."""
    as_of: str = ""
    """When that was read, ISO 8601."""
    kind: str = ""
    """The API kind whose requests show the login by more than the token; empty when a token is all there is to it."""
    auth: AuthStyle | None = None
    """How the access token travels in such requests; None: as a key would."""
    headers: Mapping[str, str] = {}
    """Sent with such requests, names in lower case; replaces the gateway's `user-agent` if it has one."""
    identity: Identity = Identity()
    """What the body of such requests must say or leave out."""
    mark: str = ""
    """Part of every access token, by which pi knows one wherever it is configured; empty when there is none."""
    key_prefix: str = ""
    """How this provider's keys begin; pi takes any other secret for an access token. Empty: no such rule."""
    base_url: str = ""
    """The only base URL for which `identity` holds; empty for any."""
    token_names_host: bool = False
    """The access token says which host its requests go to, above every configured address (`copilot_base_url`)."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider, as far as it differs from others."""

    id: str
    name: str
    """As pi displays it."""
    key_variables: tuple[str, ...] = ()
    """Environment variables that may hold the key, in the order in which they are looked at."""
    bearer_variables: frozenset[str] = frozenset()
    """Those of them whose value is a bearer token, sent as `authorization` and nothing else."""
    required_variables: tuple[str, ...] = ()
    """Variables that must be set beside the key, in the credential's `env` or the environment."""
    ambient: tuple[tuple[str, ...], ...] = ()
    """Sets of variables of which a whole one stands in for a key (cloud credentials)."""
    ambient_file: tuple[str, str] = ("", "")
    """A variable that names a file of credentials and the file's usual place, needed by each set of `ambient`."""
    auth: Mapping[str, AuthStyle] = {}
    """How a key travels, by API kind, where it differs from `KIND_AUTH`; `*` stands for every other kind."""
    removed_headers: tuple[str, ...] = ()
    """Headers that must not be sent unless the user configures them; names in lower case."""
    login: Login | None = None
    """None when keys are all there is."""
    takes_keys: bool = True
    """False: only its login works."""
    scoped_variables: tuple[str, ...] = ()
    """Variables of `ambient` that a credential's own `env` may set too; the others count in the environment only."""
    means: Means | None = None
    """How requests are authenticated with what `ambient` names."""
    no_key: str = ""
    """A pattern of stored keys that only say: use what `ambient` names."""
    address: Address | None = None
    """What the address depends on, whatever the API kind; None: the kind says it, see `KIND_ADDRESS`."""
    session_header: str = ""
    """The header, in lower case, that carries the caller's conversation; empty when none does."""
    lists: Lists = Lists.PUBLIC
    """Where a newer list of its models can be had."""
    wants_initiator: bool = False
    """Whether headers say who spoke last and whether there are pictures (GitHub Copilot)."""

    def address_of(self, kind: str) -> Address:
        """Return what the address of requests of `kind` depends on."""
        return self.address or KIND_ADDRESS.get(kind, Address.CATALOGUE)

    def auth_style(self, kind: str) -> AuthStyle:
        """Return how this provider wants a key for requests of `kind`."""
        return self.auth.get(kind) or self.auth.get("*") or KIND_AUTH.get(kind, AuthStyle.BEARER)

"""Where models come from: the seam between the gateway and whoever owns credentials.

pi's files are the first source. A running pi, or another machine's gateway, can be one more
without any change above this line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from pi_model_proxy.catalog import Model
from pi_model_proxy.hub import Identity

__all__ = ["Lease", "ModelSource", "Offer", "Problem", "ProviderReport", "Signer", "Snapshot"]


Signer: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], Mapping[str, str]]
"""`sign(method, url, headers, body)` gives the headers with the signature among them; right for one attempt, and soon no more."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something a user should mend: shown by the banner, `status`, `check` and the log."""

    where: str
    """File with line and column, or a provider id."""
    what: str
    """What is wrong, in one sentence without secrets."""
    fix: str = ""
    """What to do about it."""
    severity: str = "warning"
    """`error` when something that should work does not; else `warning` or `note`."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a source and whether it can be served right now."""

    model: Model
    account: str = ""
    """`api_key`, `oauth` or `none` (a server without authentication)."""
    usable: bool = True
    """True when the provider has a usable credential and it is not switched off."""
    reason: str = ""
    """Why it is not usable; empty when it is."""
    is_discovered: bool = False
    """Nobody asked for it by name: an id without provider that several have is never this one."""


class ProviderReport(msgspec.Struct, frozen=True, kw_only=True):
    """Why a provider is usable or not: for `status`, `models` and `check`; never a secret."""

    provider: str
    name: str = ""
    """Display name; empty means: use the id."""
    account: str = ""
    """`api_key`, `oauth`, `none`, or empty when there is no credential."""
    usable: bool = False
    chosen: str = ""
    """Where the credential comes from, e.g. `auth.json (login)`, `$GROQ_API_KEY`; empty when there is none."""
    reason: str = ""
    """Why it is not usable; empty when it is."""
    passed_over: tuple[str, ...] = ()
    """Each other place that was looked at, and why it did not count."""
    subscription: bool = False
    """True when requests are paid by a person's subscription rather than by a key."""
    note: str = ""
    """What the provider's terms and billing say about this credential; empty when nothing needs saying."""
    expires_ms: float | None = None
    """When a login's access token lapses, in milliseconds since the epoch; None for a key."""
    models: int = 0
    """How many models of this provider are known."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a source offers at one moment; immutable, replaced as a whole."""

    offers: tuple[Offer, ...] = ()
    """Every known model, usable or not, in catalogue order."""
    problems: tuple[Problem, ...] = ()
    providers: tuple[ProviderReport, ...] = ()
    """One report per provider that has models or a credential, in catalogue order."""
    loaded: bool = True
    """False until the source has been read for the first time."""
    revision: int = 0
    """Grows with each change, so that readers can cache what they derive."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Permission to send one request: everything that authenticates it.

    `repr` never shows a secret (see `__repr__`).
    """

    provider: str
    account: str
    """`api_key`, `oauth` or `none`."""
    headers: Mapping[str, str]
    """Every header that authenticates or identifies, final, names in lower case."""
    base_url: str
    """The upstream's base URL with placeholders filled, without a trailing slash."""
    secrets: tuple[str, ...] = ()
    """Every live secret in `headers`, for the redactor."""
    identity: Identity = Identity()
    """What a subscription login must say of itself in the body (`hub.Identity`); empty for a key."""
    may_be_gateway: bool = False
    """True when the base URL is the user's own (not the catalogue's): it may lead back here, so requests are marked."""
    sign: Signer | None = None
    """Signs each attempt once its body is final; None for credentials that are headers."""
    token: str = ""
    """Opaque mark of the credential used, so that a 401 can name the one that went stale."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"Lease(provider={self.provider!r}, account={self.account!r})"


class ModelSource(Protocol):
    """Lists models and authenticates requests to them."""

    name: str

    @property
    def snapshot(self) -> Snapshot:
        """The current offers; cheap, never does I/O."""
        ...

    def held(self, model: Model) -> Lease | None:
        """Return what `lease` would, if that is known without waiting."""
        ...

    async def lease(self, model: Model) -> Lease:
        """Return what authenticates a request to `model`, refreshed if it is about to lapse.

        Raises:
            CredentialError: there is none, or it cannot be refreshed; the message says what to do.
        """
        ...

    async def lease_after_refusal(self, model: Model, refused: Lease) -> Lease | None:
        """Return a different lease after the upstream answered 401 to `refused`, or None.

        Refreshes a login once, runs a `!command` again once; never more than one attempt per refusal.

        Raises:
            CredentialError: the refresh itself failed.
        """
        ...

    def alive(self) -> bool:
        """Whether the source can still be asked (a pi session may have ended)."""
        ...

    def secrets(self) -> Sequence[str]:
        """Every secret the source holds right now, for the redactor."""
        ...

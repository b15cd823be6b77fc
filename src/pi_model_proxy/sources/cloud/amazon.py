"""Amazon's credentials and signatures, by botocore: Signature Version 4 for Bedrock.

Which credential, as in pi-ai 1.5.2 `dist/api/bedrock-converse-stream.js`: the keys of the variables, unless the
credential names a profile of its own; else what Amazon's own chain finds (profiles with roles, SSO and
`credential_process`, a web identity token, the container's and the machine's role).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pi_model_proxy.credentials import Clock
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.providers import Means
from pi_model_proxy.sources.base import Signer
from pi_model_proxy.sources.cloud.extras import require_extra
from pi_model_proxy.sources.cloud.lookup import Lookups, in_thread

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["Amazon", "AwsKeys", "KeysWanted", "signer"]

SERVICE: Final = "bedrock"
STATIC_S: Final = 300.0
"""Keys without an end are looked up again after this time: a file may have changed."""
RENEWING_S: Final = 60.0
"""Keys with an end: how often botocore is asked whether they are due (it renews them 15 minutes ahead)."""


class AwsKeys(msgspec.Struct, frozen=True, kw_only=True):
    """One set of keys; `repr` hides them."""

    access_key: str
    secret_key: str
    token: str = ""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return "AwsKeys()"


class KeysWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Whose keys, and for where."""

    own: Mapping[str, str]
    """The credential's own variables."""
    environment: Mapping[str, str]
    region: str
    fresh: bool = False
    """After a refusal: look everywhere again."""


class Amazon:
    """Finds keys and regions. Lives in one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._keys: Lookups[AwsKeys] = Lookups(clock)
        self._regions: Lookups[str] = Lookups(clock)
        self._chains: dict[tuple[str, str], Any] = {}
        """botocore's credentials by profile and region: they renew themselves."""

    async def keys(self, provider: str, wanted: KeysWanted) -> AwsKeys:
        """Return the keys to sign with.

        Raises:
            CredentialError: there are none, or the library is missing.
        """
        require_extra(provider, Means.SIGV4)
        profile = wanted.own.get("AWS_PROFILE", "")
        written = _written({**wanted.environment, **wanted.own})
        if written is not None and not profile:
            return written
        key = (profile, wanted.region)

        async def ask() -> tuple[AwsKeys, float]:
            if wanted.fresh:
                self._chains.pop(key, None)
            return await in_thread(provider, lambda: self._look(provider, key))

        return await self._keys.get(key, ask, fresh=wanted.fresh)

    async def region(self, provider: str) -> str:
        """Return the region of the environment's profile; empty when it names none.

        Raises:
            CredentialError: there is no such profile, or the library is missing.
        """
        require_extra(provider, Means.SIGV4)

        async def ask() -> tuple[str, float]:
            return await in_thread(provider, lambda: _region(provider)), STATIC_S

        return await self._regions.get("", ask)

    def _look(self, provider: str, key: tuple[str, str]) -> tuple[AwsKeys, float]:
        """Run in a thread, one at a time for a key."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an optional extra
        from botocore.session import Session  # noqa: PLC0415 - an optional extra

        try:
            chain = self._chains.get(key)
            if chain is None:
                profile, region = key
                session = _quiet(Session(profile=profile or None))
                if not session.get_config_variable("region"):
                    # Roles are taken at the region's own endpoint; botocore does not know `AWS_REGION`.
                    session.set_config_variable("region", region)
                chain = session.get_credentials()
            if chain is None:
                raise CredentialError(
                    f"{provider}: Amazon's credential chain found nothing; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK."
                )
            frozen = chain.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise CredentialError(_told(provider, error)) from error
        renews = hasattr(chain, "refresh_needed")
        if renews:
            self._chains[key] = chain
        keys = AwsKeys(access_key=frozen.access_key, secret_key=frozen.secret_key, token=frozen.token or "")
        return keys, RENEWING_S if renews else STATIC_S


def signer(keys: AwsKeys, region: str) -> Signer:
    """Return what signs requests for Bedrock in `region`.

    The path stands in the URL percent-encoded, and Version 4 encodes it once more for its canonical request; `host` is
    signed as the transport writes it.
    """
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - an optional extra
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - an optional extra
    from botocore.credentials import ReadOnlyCredentials  # noqa: PLC0415 - an optional extra

    auth = SigV4Auth(
        ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token or None), SERVICE, region
    )

    def sign(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
        auth.add_auth(request)
        return {name.lower(): value for name, value in request.headers.items()}

    return sign


def _written(variables: Mapping[str, str]) -> AwsKeys | None:
    access, secret = variables.get("AWS_ACCESS_KEY_ID", ""), variables.get("AWS_SECRET_ACCESS_KEY", "")
    if not access or not secret:
        return None
    return AwsKeys(access_key=access, secret_key=secret, token=variables.get("AWS_SESSION_TOKEN", ""))


def _region(provider: str) -> str:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an optional extra
    from botocore.session import Session  # noqa: PLC0415 - an optional extra

    try:
        return str(_quiet(Session()).get_config_variable("region") or "")
    except BotoCoreError as error:
        raise CredentialError(_told(provider, error)) from error


def _quiet(session: Session) -> Session:
    """Return the session; at its finest level its log would hold what it signs."""
    logging.getLogger("botocore").setLevel(logging.WARNING)
    return session


def _told(provider: str, error: Exception) -> str:
    """Return botocore's words on one line; those of a user's own command are left out, they may hold anything."""
    text = " ".join(str(error).split())[:300]
    if type(error).__name__ == "CredentialRetrievalError":
        text = (
            "a command or service named in the profile gave no credentials; try `aws sts get-caller-identity`"
        )
    return f"{provider}: {text.rstrip('.')}."

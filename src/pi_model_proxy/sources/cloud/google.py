"""Google's access tokens, by google-auth: Application Default Credentials for Vertex AI.

Source: pi-ai 1.5.2 `dist/providers/google-vertex.js` (which file), `dist/api/google-vertex.js`; @google/genai 3.1
(the scope).
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from pi_model_proxy.credentials import Clock
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.providers import Means
from pi_model_proxy.sources.cloud.extras import require_extra
from pi_model_proxy.sources.cloud.lookup import Lookups, in_thread

__all__ = ["Google", "GoogleToken"]

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
MARGIN_S: Final = 225.0
"""A token is renewed this long before it lapses (google-auth's `REFRESH_THRESHOLD`)."""
SHORTEST_S: Final = 5.0
"""However soon a token lapses, it is used this long."""
USUAL_S: Final = 300.0
"""How long a token holds that does not say when it lapses."""
REQUEST_S: Final = 15.0


class GoogleToken(msgspec.Struct, frozen=True, kw_only=True):
    """An access token; `repr` hides it."""

    access: str
    quota_project: str = ""
    """Whom Google counts the requests for, where the file names somebody."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return "GoogleToken()"


class Google:
    """Fetches tokens. Lives in one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._tokens: Lookups[GoogleToken] = Lookups(clock)

    async def token(self, provider: str, file: str, *, fresh: bool) -> GoogleToken:
        """Return a token for the credentials in `file`.

        Raises:
            CredentialError: there is none to be had, or the library is missing.
        """
        require_extra(provider, Means.GOOGLE)

        async def ask() -> tuple[GoogleToken, float]:
            return await in_thread(provider, lambda: _fetch(provider, file))

        return await self._tokens.get(file, ask, fresh=fresh)


def _fetch(provider: str, file: str) -> tuple[GoogleToken, float]:
    """Run in a thread: read the file, ask Google."""
    import google.auth  # noqa: PLC0415 - an optional extra
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - an optional extra

    try:
        with warnings.catch_warnings():
            # It warns of files of unknown origin; this one is the user's own.
            warnings.simplefilter("ignore")
            load: Any = google.auth.load_credentials_from_file
            credentials, _ = load(file, scopes=[SCOPE], request=_ask_google)
        credentials.refresh(_ask_google)
    except GoogleAuthError as error:
        raise CredentialError(
            f"{provider}: Google gave no access token for {Path(file).name} ({type(error).__name__}); log in again with "
            "`gcloud auth application-default login`, or correct GOOGLE_APPLICATION_CREDENTIALS."
        ) from error
    holds_s = USUAL_S
    if credentials.expiry is not None:
        left_s = (credentials.expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
        holds_s = max(SHORTEST_S, left_s - MARGIN_S)
    return GoogleToken(
        access=str(credentials.token), quota_project=str(credentials.quota_project_id or "")
    ), holds_s


class _Answer(msgspec.Struct, frozen=True):
    """What google-auth calls a `transport.Response`."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def _ask_google(
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: Any,  # noqa: ANN401 - google-auth's `transport.Request` takes what its transports may know
) -> _Answer:
    """Send a request of google-auth's, over the standard library: it brings no HTTP client of its own.

    Raises:
        google.auth.exceptions.TransportError: no answer came.
    """
    import urllib.error  # noqa: PLC0415 - only who asks Google pays for it
    import urllib.request  # noqa: PLC0415 - as above

    from google.auth.exceptions import TransportError  # noqa: PLC0415 - an optional extra

    data = body.encode() if isinstance(body, str) else body
    request = urllib.request.Request(url, data=data, headers=dict(headers or {}), method=method)  # noqa: S310 - google-auth's own addresses, or the file's
    try:
        with urllib.request.urlopen(  # noqa: S310 - as above
            request, timeout=min(timeout or REQUEST_S, REQUEST_S), context=ssl.create_default_context()
        ) as answer:
            return _Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return _Answer(error.code, dict(error.headers), error.read())
    except (OSError, ValueError) as error:
        failed: Any = TransportError
        raise failed(str(error)) from error

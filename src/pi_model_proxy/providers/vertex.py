"""Where a request for Vertex AI goes.

Source: pi-ai 1.5.2 `dist/api/google-vertex.js` (`createClient`, `createClientWithApiKey`, `resolveCustomBaseUrl`,
`baseUrlIncludesApiVersion`); @google/genai 3.1 `ApiClient` (hosts, and where project and location stand).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from pi_model_proxy.errors import CredentialError

__all__ = ["vertex_base_url"]

API_VERSION: Final = "v1"
GLOBAL_HOST: Final = "aiplatform.googleapis.com"
MULTI_REGIONS: Final = frozenset({"us", "eu"})
_PLACE_MARK: Final = "{location}"
_VERSION: Final = re.compile(r"v\d+(?:beta\d*)?")
_LOCATION: Final = re.compile(r"[a-z0-9-]{1,64}")


def vertex_base_url(provider: str, base_url: str, variables: Mapping[str, str], *, by_key: bool) -> str:
    """Return the base URL, API version and, for access tokens, project and location included.

    Args:
        provider: For messages.
        base_url: The model's; one without `{location}` is the user's own and kept.
        variables: The credential's own `env` over the process environment.
        by_key: True for API keys (express mode), which belong to a project and need no place.

    Raises:
        CredentialError: project or location is missing; says what to set.
    """
    own = base_url.strip().rstrip("/")
    if own and _PLACE_MARK not in own:
        versioned = any(_VERSION.fullmatch(part) for part in urlsplit(own).path.split("/"))
        return own if versioned else f"{own}/{API_VERSION}"
    if by_key:
        return f"https://{GLOBAL_HOST}/{API_VERSION}"
    project = variables.get("GOOGLE_CLOUD_PROJECT", "").strip() or variables.get("GCLOUD_PROJECT", "").strip()
    location = variables.get("GOOGLE_CLOUD_LOCATION", "").strip()
    if not project or not _LOCATION.fullmatch(location):
        raise CredentialError(
            f"{provider}: it needs a project and a location; set GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION (for "
            'example us-central1 or global), in the environment or in "env" of the credential in auth.json.'
        )
    place = f"projects/{quote(project, safe=':')}/locations/{location}"
    return f"https://{_host(location)}/{API_VERSION}/{place}"


def _host(location: str) -> str:
    if location == "global":
        return GLOBAL_HOST
    return (
        f"aiplatform.{location}.rep.googleapis.com"
        if location in MULTI_REGIONS
        else f"{location}-{GLOBAL_HOST}"
    )

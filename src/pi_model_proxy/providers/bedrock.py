"""Where a request for Bedrock goes: region and address, by pi's rules.

Source: pi-ai 1.5.2 `dist/api/bedrock-converse-stream.js` (`stream`, `getStandardBedrockEndpointRegion`,
`shouldUseExplicitBedrockEndpoint`); the suffixes of Amazon's partitions: botocore 1.44 `data/partitions.json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

__all__ = ["BedrockPlace", "bedrock_place", "is_unsigned"]

USUAL_REGION: Final = "us-east-1"
_ARN: Final = re.compile(r"arn:aws(?:-[a-z0-9-]+)?:bedrock:([a-z0-9-]+):")
_STANDARD_HOST: Final = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}")
_SUFFIXES: Final = {
    "cn-": "amazonaws.com.cn",
    "eu-isoe-": "cloud.adc-e.uk",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}
"""How a region's name begins, and its partition's domain where that is not `amazonaws.com`."""


class BedrockPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request goes and for which region it is signed."""

    region: str
    base_url: str


def bedrock_place(
    model_id: str,
    base_url: str,
    *,
    own: Mapping[str, str],
    environment: Mapping[str, str],
    profile_region: str | None = None,
) -> BedrockPlace | None:
    """Return region and address; None when only the profile of `AWS_PROFILE` knows the region.

    The region is that of the model's ARN, else `AWS_REGION` or `AWS_DEFAULT_REGION`, else that of a standard
    address; with a profile in the environment the profile's takes that last place. An address of one's own (a VPC
    endpoint, a proxy) is kept as it is; a standard one follows the region. pi sends a request for an ARN of another
    region than the catalogue's to the catalogue's address all the same, where it is refused; we do not.

    Args:
        model_id: The model's id, perhaps an ARN.
        base_url: The model's address.
        own: The credential's own variables.
        environment: The process environment.
        profile_region: What the profile says, once it has been asked; empty when it says nothing.
    """
    configured = _region(own, environment)
    has_profile = bool(environment.get("AWS_PROFILE", "").strip())
    standard = _standard_region(base_url)
    arn = _ARN.match(model_id)
    may_keep = not configured and not has_profile
    named = (arn and arn[1]) or configured or (standard if may_keep else "")
    if not named and has_profile and profile_region is None:
        return None
    region = named or profile_region or ("" if has_profile else USUAL_REGION)
    if not _REGION.fullmatch(region):
        return None
    if (base_url and not standard) or (may_keep and standard == region):
        return BedrockPlace(region=region, base_url=base_url.rstrip("/"))
    return BedrockPlace(region=region, base_url=_address(region, {**environment, **own}))


def is_unsigned(variables: Mapping[str, str]) -> bool:
    """Whether requests carry no authentication at all, for a proxy that adds its own (`AWS_BEDROCK_SKIP_AUTH`)."""
    return variables.get("AWS_BEDROCK_SKIP_AUTH") == "1"


def _region(own: Mapping[str, str], environment: Mapping[str, str]) -> str:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        value = (own.get(name) or environment.get(name, "")).strip()
        if value:
            return value
    return ""


def _standard_region(base_url: str) -> str:
    try:
        found = _STANDARD_HOST.fullmatch((urlsplit(base_url).hostname or "").lower())
    except ValueError:
        return ""
    return found[1] if found else ""


def _address(region: str, variables: Mapping[str, str]) -> str:
    suffix = next((end for start, end in _SUFFIXES.items() if region.startswith(start)), "amazonaws.com")
    fips = "-fips" if variables.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true" else ""
    return f"https://bedrock-runtime{fips}.{region}.{suffix}"

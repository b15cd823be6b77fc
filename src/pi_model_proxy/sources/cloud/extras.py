"""Which optional libraries there are, found out without importing them."""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Final

import msgspec

from pi_model_proxy.errors import CredentialError
from pi_model_proxy.providers import Means

__all__ = ["missing_extra", "require_extra"]


class _Extra(msgspec.Struct, frozen=True):
    module: str
    name: str


_EXTRAS: Final = {
    Means.SIGV4: _Extra("botocore", "bedrock"),
    Means.GOOGLE: _Extra("google.auth", "vertex"),
}
"""Means that need a library."""


def missing_extra(means: Means) -> str:
    """Return what to install before cloud credentials can be used by these means; empty when nothing is missing."""
    extra = _EXTRAS.get(means)
    if extra is None or _is_there(extra.module):
        return ""
    return f"run: pip install 'pi-model-proxy[{extra.name}]'"


def require_extra(provider: str, means: Means) -> None:
    """Check that the library is there.

    Raises:
        CredentialError: it is not; says what to install.
    """
    missing = missing_extra(means)
    if missing:
        raise CredentialError(f"{provider}: its cloud credentials need an optional library; {missing}")


def _is_there(module: str) -> bool:
    """Look for a module, or a module of a package, without importing either."""
    top, _, inner = module.partition(".")
    spec = find_spec(top)
    if spec is None or not inner:
        return spec is not None
    return PathFinder.find_spec(module, spec.submodule_search_locations) is not None

"""What a provider says about the use of its login through other tools, in one line."""

from __future__ import annotations

from pi_model_proxy.providers import provider_row

__all__ = ["terms_of", "with_source"]


def terms_of(provider: str) -> str:
    """Return the line with source and date; empty when there is nothing to say."""
    login = provider_row(provider).login
    return with_source(login.note, provider) if login is not None else ""


def with_source(note: str, provider: str) -> str:
    """Return a note about the provider's login with where it comes from; as it is when that is not known."""
    login = provider_row(provider).login
    if not note or login is None or note != login.note or not login.source:
        return note
    return f"{note} ({login.source}, {login.as_of})"

"""A gateway before every stub model, the SDKs' clients of it, and the law that nothing sent upstream is refused."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

from integration.materials import serving
from support.gateway_process import GatewayProcess
from support.strict_provider import StrictProvider


@pytest.fixture(scope="session")
def gateway(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with serving(provider, tmp_path_factory.mktemp("clients"), requestTimeoutMs=5000) as running:
        yield running


@pytest.fixture(scope="session")
def chat(gateway: GatewayProcess) -> Iterator[openai.OpenAI]:
    """The OpenAI SDK, which does not try again by itself: a second try would hide the first one's error."""
    with openai.OpenAI(base_url=gateway.base_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def claude(gateway: GatewayProcess) -> Iterator[anthropic.Anthropic]:
    """The Anthropic SDK, likewise."""
    with anthropic.Anthropic(base_url=gateway.origin, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_is_refused_upstream(provider: StrictProvider) -> Iterator[None]:
    """Whatever a client asks, what reaches a provider keeps that provider's rules."""
    yield
    refusals = [(arrival.path, arrival.verdict) for arrival in provider.diary.refusals()]
    assert not refusals, refusals
    assert not provider.queued(), "an answer that the test lined up was never asked for"

"""Newer model lists, for users who want them: from pi's catalogue, OpenRouter and Radius."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.catalog import Model
from pi_model_proxy.credentials import Clock
from pi_model_proxy.errors import UpstreamUnreachable
from pi_model_proxy.sources import CatalogFetcher, PiFiles, PiSide
from pi_model_proxy.sources.fetching import CATALOGUE, Fetched
from support.agent_bench import Bench, offers_of

LATER = "Fri, 01 Jan 2100 00:00:00 GMT"
EARLIER = "Wed, 01 Jan 2020 00:00:00 GMT"
NEW = {
    "id": "brand-new",
    "api": "openai-completions",
    "baseUrl": "https://api.groq.com/openai/v1",
    "name": "New",
}
GROQ = f"{CATALOGUE}/groq?types=chat,image,classifier"


class Net:
    """Answers by URL; whatever is not named cannot be reached."""

    def __init__(self) -> None:
        self.answers: dict[str, Fetched] = {}
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def say(self, url: str, body: object, *, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[url] = Fetched(status=status, headers=named, body=raw)

    async def __call__(self, url: str, headers: Mapping[str, str], limit_s: float) -> Fetched:
        self.asked.append((url, headers))
        if url not in self.answers:
            raise UpstreamUnreachable("no net")
        return self.answers[url]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def tell(bench: Bench, net: Net, story: Callable[[PiFiles, CatalogFetcher], Awaitable[None]]) -> None:
    async def with_source(source: PiFiles) -> None:
        await source.ready()
        pi = PiSide(snapshot=lambda: source.snapshot, lease=source.lease, take=source.take_lists)
        await story(source, CatalogFetcher(net, pi, wanted=lambda: True))

    bench.ask(with_source)


def models(source: PiFiles, provider: str) -> dict[str, Model]:
    return {offer.model.id: offer.model for offer in offers_of(source.snapshot, provider)}


def test_a_newer_list_is_laid_over_the_built_in_one(bench: Bench) -> None:
    bench.environment["GROQ_API_KEY"] = "g"
    net = Net()
    net.say(GROQ, {"models": [NEW, {"id": "no model at all"}]}, last_modified=LATER, etag='"1"')

    async def story(source: PiFiles, fetcher: CatalogFetcher) -> None:
        before = models(source, "groq")
        await fetcher.fetch()
        await source.refresh()
        after = models(source, "groq")
        assert set(after) == {*before, "brand-new"}
        assert after["brand-new"].provider == "groq"
        net.say(GROQ, b"", status=304)
        await fetcher.fetch()
        await source.refresh()
        assert "brand-new" in models(source, "groq"), "unchanged is no reason to forget"

    tell(bench, net, story)
    headers = [headers for url, headers in net.asked if url == GROQ]
    assert headers[0]["user-agent"].startswith("pi-model-proxy/")
    assert "if-none-match" not in headers[0]
    assert headers[1]["if-none-match"] == '"1"'
    assert [url for url, _ in net.asked] == [GROQ, GROQ], (
        "nobody is asked about providers without a credential"
    )
    assert not list(bench.agent_dir.iterdir()), "nothing is written"


@pytest.mark.parametrize(
    "form", [[NEW], {"models": [NEW]}, {"chat:brand-new": NEW}], ids=["list", "named", "map"]
)
@pytest.mark.parametrize(("modified", "counts"), [(LATER, True), (EARLIER, False), ("soon", False)])
def test_only_a_list_newer_than_the_built_in_one_counts(
    bench: Bench, form: Any, modified: str, counts: bool
) -> None:
    bench.environment["GROQ_API_KEY"] = "g"
    net = Net()
    net.say(GROQ, form, last_modified=modified)

    async def story(source: PiFiles, fetcher: CatalogFetcher) -> None:
        await fetcher.fetch()
        await source.refresh()
        assert ("brand-new" in models(source, "groq")) is counts

    tell(bench, net, story)


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b""), (500, b"x"), (200, b"<html>"), (200, b"5"), (200, b"[" * 9000), (302, b"")],
)
def test_a_list_that_cannot_be_had_changes_nothing(bench: Bench, status: int, body: bytes) -> None:
    bench.environment |= {"GROQ_API_KEY": "g", "XAI_API_KEY": "x"}
    net = Net()
    net.say(GROQ, body, status=status, last_modified=LATER)

    async def story(source: PiFiles, fetcher: CatalogFetcher) -> None:
        before = source.snapshot
        await fetcher.fetch()
        await source.refresh()
        assert source.snapshot.offers == before.offers

    tell(bench, net, story)


def test_what_pi_has_stored_since_wins(bench: Bench) -> None:
    bench.environment["GROQ_API_KEY"] = "g"
    stored = {**NEW, "provider": "groq", "name": "Stored"}
    bench.write(
        "models-store", {"groq": {"models": [stored], "checkedAt": 1, "lastModified": 4_200_000_000_000}}
    )
    net = Net()
    net.say(GROQ, [NEW], last_modified=LATER)

    async def story(source: PiFiles, fetcher: CatalogFetcher) -> None:
        await fetcher.fetch()
        await source.refresh()
        assert models(source, "groq")["brand-new"].name == "Stored"

    tell(bench, net, story)


def test_openrouter_lists_what_the_key_may_use_with_its_prices(bench: Bench) -> None:
    bench.environment["OPENROUTER_API_KEY"] = "or"
    net = Net()
    net.say(f"{CATALOGUE}/openrouter?types=chat,image,classifier", b"", status=404)
    pricing = {
        "prompt": "0.000002",
        "completion": 0.00001,
        "input_cache_read": "-1",
        "overrides": [
            {"min_prompt_tokens": 200000, "prompt": "0.000004"},
            {"min_prompt_tokens": 1, "utc_start": "00:00"},
        ],
    }

    async def story(source: PiFiles, fetcher: CatalogFetcher) -> None:
        before = models(source, "openrouter")
        known = next(model_id for model_id, model in before.items() if model.api == "openai-completions")
        entry = {
            "id": known,
            "context_length": 5,
            "top_provider": {"context_length": None, "max_completion_tokens": 7},
            "pricing": pricing,
        }
        net.say("https://openrouter.ai/api/v1/models/user", {"data": [entry, {"id": "not in any catalogue"}]})
        await fetcher.fetch()
        await source.refresh()
        after = models(source, "openrouter")
        assert list(after) == [known]
        mine = after[known]
        assert (mine.context_window, mine.max_tokens) == (5, 7)
        assert (mine.cost.input, mine.cost.output, mine.cost.cache_read) == (2.0, 10.0, 0.0)
        (tier,) = mine.cost.tiers
        assert (tier.input_tokens_above, tier.input, tier.output) == (200000, 4.0, 10.0)

    tell(bench, net, story)
    assert net.asked[-1][1]["authorization"] == "Bearer or"


def test_a_key_that_openrouter_refuses_keeps_the_whole_list(bench: Bench) -> None:
    bench.environment["OPENROUTER_API_KEY"] = "or"
    net = Net()
    net.say(f"{CATALOGUE}/openrouter?types=chat,image,classifier", [], last_modified=EARLIER)
    net.say("https://openrouter.ai/api/v1/models/user", {"error": "no"}, status=401)

    async def story(source: PiFiles, fetcher: CatalogFetcher) -> None:
        before = source.snapshot
        await fetcher.fetch()
        await source.refresh()
        assert source.snapshot.offers == before.offers

    tell(bench, net, story)


def test_a_radius_gateway_lists_its_own_models(bench: Bench) -> None:
    bench.environment["RADIUS_API_KEY"] = "r"
    net = Net()
    record = {
        "id": "only",
        "name": "Only",
        "reasoning": False,
        "input": ["text"],
        "cost": {},
        "contextWindow": 9,
        "maxTokens": 3,
    }
    net.say(
        "https://radius.pi.dev/v1/config",
        {"baseUrl": "https://eu.radius.example/v1", "models": [record]},
    )

    async def story(source: PiFiles, fetcher: CatalogFetcher) -> None:
        await fetcher.fetch()
        await source.refresh()
        ((only, model),) = models(source, "radius").items()
        assert (only, model.api, model.base_url) == ("only", "pi-messages", "https://eu.radius.example/v1")

    tell(bench, net, story)
    assert net.asked[-1][1]["authorization"] == "Bearer r"


def test_nothing_is_fetched_unless_it_is_wanted_and_then_every_four_hours(bench: Bench) -> None:
    bench.environment["GROQ_API_KEY"] = "g"
    net = Net()
    wanted, now_s, looks = False, 1000.0, 0

    def is_wanted() -> bool:
        nonlocal looks
        looks += 1
        return wanted

    async def story(source: PiFiles) -> None:
        nonlocal wanted, now_s, looks
        await source.ready()
        pi = PiSide(snapshot=lambda: source.snapshot, lease=source.lease, take=source.take_lists)
        clock = Clock(monotonic_s=lambda: now_s)
        fetcher = CatalogFetcher(net, pi, wanted=is_wanted, clock=clock, look_s=0.001)
        await fetcher.start()
        await _until(lambda: looks > 3)
        assert net.asked == []
        wanted = True
        await _until(lambda: len(net.asked) == 1)
        looks = 0
        await _until(lambda: looks > 3)
        assert len(net.asked) == 1
        now_s += 4 * 3600
        await _until(lambda: len(net.asked) == 2)
        await fetcher.close()

    bench.ask(story)


async def _until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("url", ["http://api.groq.example/v1", "ftp://x", 5, {"a": 1}])
def test_a_list_leads_no_key_to_an_address_that_is_not_https(bench: Bench, url: object) -> None:
    bench.environment["GROQ_API_KEY"] = "g"
    bench.environment["RADIUS_API_KEY"] = "r"
    net = Net()
    net.say(GROQ, {"models": [NEW, {**NEW, "id": "elsewhere", "baseUrl": url}]}, last_modified=LATER)
    record = {name: value for name, value in NEW.items() if name not in {"api", "baseUrl"}}
    net.say("https://radius.pi.dev/v1/config", {"baseUrl": url, "models": [record]})

    async def story(source: PiFiles, fetcher: CatalogFetcher) -> None:
        await fetcher.fetch()
        await source.refresh()
        assert "brand-new" in models(source, "groq")
        assert "elsewhere" not in models(source, "groq")
        assert "brand-new" not in models(source, "radius")

    tell(bench, net, story)


@pytest.mark.parametrize("date", ["Mon, 01 Jan 2020 00:00:00 +99999999999999", "x", ""])
def test_a_date_that_is_none_ends_no_watching(bench: Bench, date: str) -> None:
    bench.environment["GROQ_API_KEY"] = "g"
    net = Net()
    net.say(GROQ, {"models": [NEW]}, last_modified=date)

    async def story(source: PiFiles, fetcher: CatalogFetcher) -> None:
        await fetcher.fetch()
        await source.refresh()
        assert "brand-new" not in models(source, "groq")

    tell(bench, net, story)

"""openai-node and @anthropic-ai/sdk before every kind of upstream: tests/clients/*.mjs, played once each."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from integration.materials import CITIES, KINDS, Kind
from support.gateway_process import GatewayProcess
from support.strict_provider import UNICODE_TEXT, Arrival, StrictProvider

pytestmark = pytest.mark.clients

ROOT: Final = Path(__file__).resolve().parents[3]
NODE: Final = ROOT / ".cache" / "node" / "node"
SCRIPTS: Final = ROOT / "tests" / "clients"
SDKS: Final = {"openai": "base_url", "anthropic": "origin"}
"""Each script, and what the gateway is called by in its SDK."""
LEFT_WITHIN_S: Final = 1.0
"""The gateway's own promise is 250 ms; the rest is for a busy machine."""

HELLO: Final = "Hello! How can I help you today?"
END: Final = {"openai": "stop", "anthropic": "end_turn"}

every_sdk = pytest.mark.parametrize("sdk", SDKS)
every_kind = pytest.mark.parametrize("kind", KINDS)


@dataclass(frozen=True, slots=True)
class Played:
    """What a script's scenes came to, and what of them reached the provider."""

    outcomes: dict[str, Any]
    arrivals: list[Arrival]

    def told(self, scene: str) -> Any:
        """Return what a scene that went well returned."""
        outcome = self.outcomes[scene]
        assert outcome["error"] is None, outcome["error"]
        return outcome["told"]

    def error(self, scene: str) -> dict[str, Any]:
        """Return the error a scene ended in."""
        error = self.outcomes[scene]["error"]
        assert error is not None, self.outcomes[scene]
        return dict(error)


Play = Callable[[str, Kind], Played]


@pytest.fixture(scope="module")
def play(gateway: GatewayProcess, provider: StrictProvider) -> Play:
    """Play a script before a kind of upstream, once for all tests."""
    played: dict[tuple[str, Kind], Played] = {}

    def once(sdk: str, kind: Kind) -> Played:
        if (sdk, kind) not in played:
            command = [NODE, SCRIPTS / f"{sdk}.mjs", getattr(gateway, SDKS[sdk]), kind]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
            played[sdk, kind] = Played(json.loads(done.stdout), provider.diary.arrivals())
        return played[sdk, kind]

    return once


@every_kind
@every_sdk
def test_an_answer_arrives_plain_streamed_and_by_the_helper(play: Play, sdk: str, kind: Kind) -> None:
    played = play(sdk, kind)
    assert played.told("plain") == [HELLO, END[sdk], 9]
    assert played.told("streamed") == HELLO
    assert played.told("helper") == [HELLO, HELLO, END[sdk], 9]


@every_kind
@every_sdk
def test_every_character_survives(play: Play, sdk: str, kind: Kind) -> None:
    assert play(sdk, kind).told("unicode") == UNICODE_TEXT


@every_kind
@every_sdk
def test_the_helper_puts_parallel_calls_together(play: Play, sdk: str, kind: Kind) -> None:
    calls = play(sdk, kind).told("helper_calls")
    assert [(name, json.loads(arguments)) for _, name, arguments in calls] == [
        ("get_weather", {"city": city}) for city in CITIES
    ]
    assert {type_name for type_name, _, _ in calls} == {"function" if sdk == "openai" else "tool_use"}


@every_kind
@every_sdk
def test_a_call_without_arguments_is_a_call_with_none(play: Play, sdk: str, kind: Kind) -> None:
    assert play(sdk, kind).told("empty_call") == {}


@every_kind
@every_sdk
@pytest.mark.parametrize("scene", ["run_tools", "run_tools_streamed"])
def test_the_sdks_tool_runner_runs_the_loop_by_itself(play: Play, sdk: str, kind: Kind, scene: str) -> None:
    assert play(sdk, kind).told(scene) == "The tools said: sunny in Paris; sunny in München"


@every_kind
@every_sdk
def test_a_structured_answer_follows_its_schema(play: Play, sdk: str, kind: Kind) -> None:
    assert play(sdk, kind).told("schema") == {"city": "Paris"}


@every_kind
@every_sdk
def test_models_are_listed_and_found(play: Play, sdk: str, kind: Kind) -> None:
    assert play(sdk, kind).told("models") == [True, f"stub-{kind}/text"]


@every_kind
def test_tokens_are_counted(play: Play, kind: Kind) -> None:
    assert play("anthropic", kind).told("counted") is True


@every_kind
@every_sdk
@pytest.mark.parametrize(
    ("scene", "raised", "status", "said"),
    [
        ("rate_limited", "RateLimitError", 429, "rate limit"),
        ("overflown", "BadRequestError", 400, "200000"),
        ("unknown_model", "NotFoundError", 404, "stub-chat/"),
    ],
)
def test_an_error_before_the_first_byte_has_its_class(
    play: Play, sdk: str, kind: Kind, scene: str, raised: str, status: int, said: str
) -> None:
    error = play(sdk, kind).error(scene)
    assert (error["class"], error["status"]) == (raised, status)
    assert said.lower() in error["message"].lower()
    assert error["request_id"]


@every_kind
@every_sdk
@pytest.mark.parametrize("scene", ["failed_in_mid_stream", "cut"])
def test_an_error_in_mid_stream_comes_after_the_text_so_far(
    play: Play, sdk: str, kind: Kind, scene: str
) -> None:
    played = play(sdk, kind)
    assert played.error(scene)["class"] == "APIError"
    told = played.outcomes[scene]["told"]
    assert told
    assert HELLO.startswith(told)
    assert told != HELLO


@every_kind
@every_sdk
def test_the_helper_never_takes_a_cut_answer_for_a_whole_one(play: Play, sdk: str, kind: Kind) -> None:
    assert play(sdk, kind).error("helper_cut")["class"] == "APIError"


@every_kind
@every_sdk
@pytest.mark.parametrize(
    "fault", ["silence-mid-stream", "silence-before-headers"], ids=["in mid-stream", "before the first byte"]
)
def test_an_abort_closes_the_upstreams_connection(
    provider: StrictProvider, play: Play, sdk: str, kind: Kind, fault: str
) -> None:
    played = play(sdk, kind)
    (arrival,) = [found for found in played.arrivals if found.told == fault]
    assert provider.diary.wait_until_left(arrival) < LEFT_WITHIN_S
    assert arrival.aborted

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from unit.server.http1.served import LOOPS, Run

LONGEST_STORY_S = 30.0


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine, on either event loop, but not for ever."""
    loop = LOOPS[request.param]

    def in_time(story: Coroutine[Any, Any, Any]) -> Any:
        return loop(asyncio.wait_for(story, LONGEST_STORY_S))

    return in_time

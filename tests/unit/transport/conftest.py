from __future__ import annotations

import pytest

from unit.transport.raw_upstream import LOOPS, Run


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine, on either event loop."""
    return LOOPS[request.param]

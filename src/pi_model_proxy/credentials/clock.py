"""The two clocks, as one value that tests can replace."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

__all__ = ["Clock"]


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """Wall time for what files and tokens say, monotonic time for every duration; both in seconds."""

    now_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic

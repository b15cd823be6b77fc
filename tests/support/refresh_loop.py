"""A process that forks children which refresh one login over and over, to be killed at random.

`python refresh_loop.py`, then one line of `auth.json path` and `token URL` on standard input per
child; it answers with the child's pid, and with `dead` once the child has ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from pi_model_proxy.credentials import OAuthCredential, Refresher, RefreshTimings, parse_auth, read_file

__all__: list[str] = []


async def post(url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> tuple[int, bytes]:
    def ask() -> tuple[int, bytes]:
        request = urllib.request.Request(url, data=body, headers=dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    return await asyncio.to_thread(ask)


async def refresh_for_ever(path: Path, url: str) -> None:
    environment = {"PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL": url}
    refresher = Refresher(path, post=post, environment=environment, timings=RefreshTimings())
    while True:
        login = parse_auth(read_file(path).text or "")["anthropic"]
        assert isinstance(login, OAuthCredential)
        await refresher.refreshed("anthropic", login)


def main() -> None:
    for line in sys.stdin:
        path, url = line.split()
        child = os.fork()
        if child == 0:
            asyncio.run(refresh_for_ever(Path(path), url))
        print(child, flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main()

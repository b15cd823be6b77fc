"""`python -m support.strict_provider --port N`: a provider in the foreground; the diary goes to standard output."""

from __future__ import annotations

import argparse
import asyncio
import json

from support.strict_provider.diary import Arrival, Diary
from support.strict_provider.server import Options, StrictProvider


def print_ended(arrival: Arrival) -> None:
    """Print one line of JSON for an answer that has ended."""
    if arrival.finished_after_s is None and arrival.peer_left_after_s is None:
        return
    verdict = arrival.verdict
    line = {
        "number": arrival.number,
        "method": arrival.method,
        "target": arrival.target,
        "told": arrival.told,
        "status": arrival.status,
        "refused_by": verdict.rule if verdict else None,
        "because": verdict.objection.words if verdict else None,
        "finished_after_s": arrival.finished_after_s,
        "peer_left_after_s": arrival.peer_left_after_s,
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="strict_provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--key", action="append", help="accept only this key (may be repeated)")
    parser.add_argument("--script", default="auto", help="what to say when nobody asks for anything else")
    arguments = parser.parse_args()
    keys = frozenset(arguments.key) if arguments.key else None
    options = Options(port=arguments.port, keys=keys, default_script=arguments.script)
    provider = StrictProvider(options, diary=Diary(print_ended))
    try:
        asyncio.run(provider.serve(announce=_announce))
    except KeyboardInterrupt:
        return


def _announce(provider: StrictProvider) -> None:
    print(json.dumps({"origin": provider.origin, "base_url": provider.base_url}), flush=True)


if __name__ == "__main__":
    main()

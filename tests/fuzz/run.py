"""`make fuzz`: any number of strange requests; what fails is kept in the corpus, which `make test` sends again."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.asking import asked
from fuzz.running import CORPUS, attack, look_back, victim


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20_000, help="how many requests")
    parser.add_argument("--seed", type=int, default=None, help="the first one's number (else by the clock)")
    arguments = parser.parse_args()
    first = arguments.seed if arguments.seed is not None else int(time.time()) * 1_000_000
    print(f"fuzz: {arguments.n} requests from seed {first}")
    with tempfile.TemporaryDirectory() as home, victim(Path(home)) as gateway:
        outcome = attack(gateway, (asked(first + number) for number in range(arguments.n)))
        wrong = look_back(gateway, arguments.n)
    print("fuzz:", ", ".join(f"{count} x {status}" for status, count in sorted(outcome.statuses.items())))
    for request, why in outcome.failures:
        file = CORPUS / f"seed-{request.name.partition(':')[0]}.http"
        if request.is_framed:
            file.write_bytes(request.data)
        print(f"fuzz: FAILED {request.name}: {why[:1000]}")
    for each in wrong:
        print(f"fuzz: FAILED {each}")
    return 1 if outcome.failures or wrong else 0


if __name__ == "__main__":
    sys.exit(main())

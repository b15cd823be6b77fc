"""Small changes to the bytes of requests, where framing hurts."""

from __future__ import annotations

import random


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Change a few bytes, or move, repeat or cut a piece."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at, size = rng.randrange(len(out)), rng.choice((1, 1, 2, 5, 20))
        match rng.randrange(6):
            case 0:
                out[at] = rng.randrange(256)
            case 1:
                del out[at : at + size]
            case 2:
                out[at:at] = out[at : at + size]
            case 3:
                out[at:at] = rng.choice(
                    (b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\0", b":", b"0", b";", b"#")
                )
            case 4:
                to = rng.randrange(len(out))
                out[to : to + size] = out[at : at + size]
            case _:
                out[at : at + size] = rng.choice(
                    (
                        b"chunked",
                        b"Content-Length: 3\r\n",
                        b"Transfer-Encoding: chunked\r\n",
                        b"Host: b\r\n",
                        b"0\r\n\r\n",
                    )
                )
        if not out:
            return b"\r\n"
    return bytes(out)

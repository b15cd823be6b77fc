"""A certificate authority and a loopback certificate, made anew for each run with the `openssl` command."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from peers import MissingSystemError, run

NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout"
EXTENSIONS = "subjectAltName=IP:127.0.0.1,DNS:localhost\nauthorityKeyIdentifier=keyid\n"


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: whom to trust, and what the upstream shows (chain and key)."""

    authority: Path
    server: Path


def make_certificates(folder: Path) -> Certificates:
    """Write the files.

    Raises:
        MissingSystemError: there is no `openssl` command.
    """
    if shutil.which("openssl") is None:
        raise MissingSystemError("TLS is not measured: the openssl command is missing")
    (folder / "extensions").write_text(EXTENSIONS)
    for command in (
        f"req -x509 {NEW_KEY} ca.key -out ca.pem -days 2 -subj /CN=bench-ca -addext keyUsage=critical,keyCertSign",
        f"req {NEW_KEY} server.key -out server.csr -subj /CN=127.0.0.1",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.crt",
    ):
        run("openssl", *command.split(), folder=folder)
    server = folder / "server.pem"
    server.write_text((folder / "server.crt").read_text() + (folder / "server.key").read_text())
    return Certificates(authority=folder / "ca.pem", server=server)

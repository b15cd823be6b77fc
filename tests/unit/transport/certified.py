"""A certificate authority of our own, and servers that it vouches for."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

FAR = "far.example"
EXTENSIONS = f"subjectAltName=DNS:{FAR},DNS:localhost\nauthorityKeyIdentifier=keyid\n"


def certify(folder: Path) -> None:
    """Write ca.pem, and server.pem for far.example and localhost."""
    (folder / "extensions").write_text(EXTENSIONS)
    new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout"
    for command in (
        f"req -x509 {new_key} ca.key -out ca.pem -days 2 -subj /CN=test-ca -addext keyUsage=critical,keyCertSign",
        f"req {new_key} server.key -out server.csr -subj /CN={FAR}",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.crt",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    (folder / "server.pem").write_bytes(
        (folder / "server.crt").read_bytes() + (folder / "server.key").read_bytes()
    )


def serving(certificates: Path, names: list[str | None] | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem")
    context.set_alpn_protocols(["h2", "http/1.1"])
    if names is not None:
        context.sni_callback = lambda sock, name, _: names.append(name)
    return context


def ca(certificates: Path) -> str:
    return str(certificates / "ca.pem")


def secure(url: str, host: str) -> str:
    return f"https://{host}:{url.rpartition(':')[2]}"

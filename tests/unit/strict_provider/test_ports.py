"""Places where no provider answers behave as the kernel's own do."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from typing import Final

import pytest

from support.strict_provider import Options, StrictProvider
from support.strict_provider.ports import CERTIFICATE, hanging_port, refusing_port, self_signed
from unit.strict_provider.asking import ask, body_for

IMPATIENCE_S: Final = 0.2


def listed(provider: StrictProvider, context: ssl.SSLContext) -> str:
    with urllib.request.urlopen(f"{provider.base_url}/models", context=context, timeout=5) as reply:
        return str(json.load(reply)["object"])


def test_a_refusing_port_refuses() -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", refusing_port()), timeout=IMPATIENCE_S)


def test_a_hanging_port_neither_accepts_nor_refuses() -> None:
    with hanging_port() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=IMPATIENCE_S)


def test_tls_is_good_for_those_who_trust_its_certificate_and_for_nobody_else() -> None:
    with StrictProvider.running(Options(tls=self_signed())) as provider:
        assert listed(provider, ssl.create_default_context(cafile=CERTIFICATE)) == "list"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            listed(provider, ssl.create_default_context())


def test_plain_http_on_the_tls_port_gets_no_answer() -> None:
    with StrictProvider.running(Options(tls=self_signed())) as provider, pytest.raises(OSError):
        ask(provider, "chat", body_for("chat"))

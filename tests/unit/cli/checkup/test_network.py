"""Proxies and certificates, told without a password."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from pi_model_proxy.cli.checkup import Finding, network_findings
from pi_model_proxy.config import Settings


def judged(environment: Mapping[str, str], *, ca_file: Path | None = None) -> dict[str, Finding]:
    settings = Settings(log_path=Path("/log"), agent_dir=Path("/agent"), ca_file=ca_file)
    return {finding.where: finding for finding in network_findings(settings, environment)}


def test_without_a_proxy_that_is_said() -> None:
    assert "asked directly" in judged({})[""].what or "certificates" in judged({})[""].what


def test_a_proxy_is_told_without_its_user_s_name_and_password() -> None:
    found = judged({"HTTPS_PROXY": "http://user:secret@proxy.example:3128/x?secret", "NO_PROXY": "localhost"})
    assert found["HTTPS_PROXY"].what == "http://proxy.example:3128, with a user name"
    assert "secret" not in str(found)
    assert found["NO_PROXY"].level == "ok"


def test_the_spelling_that_counts_is_the_one_told() -> None:
    found = judged({"https_proxy": "low:1", "HTTPS_PROXY": "high:2"})
    assert found["https_proxy"].what == "http://low:1"
    assert "HTTPS_PROXY" not in found


def test_without_exceptions_local_servers_would_go_through_the_proxy() -> None:
    assert judged({"ALL_PROXY": "http://proxy:1"})["NO_PROXY"].level == "note"


@pytest.mark.parametrize("value", ["socks5://host:1", "http://", "http://[", "http://host:x"])
def test_a_proxy_that_cannot_be_used_is_an_error(value: str) -> None:
    assert judged({"HTTP_PROXY": value})["HTTP_PROXY"].level == "error"


def test_certificates_that_are_none_are_an_error(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    assert judged({}, ca_file=file)[str(file)].level == "error"


def test_being_offline_is_said() -> None:
    assert "no model list" in judged({"PI_OFFLINE": ""})["PI_OFFLINE"].what


def test_looking_at_the_network_settings_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    judged({"HTTPS_PROXY": "http://proxy.example:3128"})

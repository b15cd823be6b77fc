from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from unit.transport.certified import certify
from unit.transport.raw_upstream import LOOPS, Run


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine, on either event loop."""
    return LOOPS[request.param]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, and server.pem for far.example and localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate authority")
    folder = tmp_path_factory.mktemp("certificates")
    certify(folder)
    return folder

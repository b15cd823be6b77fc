"""Every command that tells about credentials and settings, in a home where everything that may be secret is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pi_model_proxy.cli.main import COMMANDS

SECRETS = {
    name: f"canary-{name}-3141592653589793"
    for name in (
        "openai", "anthropic", "aws-secret", "aws-session", "google", "own", "header", "template", "command", "stored",
        "access", "refresh", "proxy", "baseurl", "llama", "llamaurl", "env",
    )
}  # fmt: skip
TOLD = [
    ["accounts"],
    ["accounts", "--json"],
    ["check"],
    ["check", "--json"],
    ["config"],
    ["config", "--json"],
    ["models"],
    ["models", "--json"],
    ["status"],
    ["doctor"],
    ["doctor", "--json"],
    ["login"],
    ["logout", "nobody"],
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secret-home")
    agent = folder / ".pi" / "agent"
    agent.mkdir(parents=True)
    expires = int((time.time() + 3600) * 1000)
    login = {"type": "oauth", "access": SECRETS["access"], "refresh": SECRETS["refresh"], "expires": expires}
    stored = {"type": "api_key", "key": SECRETS["stored"], "env": {"SOME_TOKEN": SECRETS["env"]}}
    corp = {
        "baseUrl": f"http://user:{SECRETS['baseurl']}@127.0.0.1:9/v1",
        "api": "openai-completions",
        "apiKey": f"!echo {SECRETS['command']}",
        "headers": {"x-corp-token": SECRETS["header"], "x-other": "$TEMPLATE_TOKEN"},
        "models": [{"id": "one"}],
    }
    files = {
        agent / "auth.json": {"anthropic": login, "groq": stored},
        agent / "models.json": {"providers": {"corp": corp}},
        folder / ".pi" / "model-proxy.json": {"apiKey": SECRETS["own"], "port": 9},
    }
    for path, value in files.items():
        path.write_text(json.dumps(value))
        path.chmod(0o600)
    return folder


@pytest.mark.parametrize("words", TOLD, ids=" ".join)
def test_no_command_tells_a_secret(home: Path, words: list[str]) -> None:
    if words[0] not in COMMANDS:
        pytest.skip("there is no such command")
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "OPENAI_API_KEY": SECRETS["openai"],
        "ANTHROPIC_API_KEY": SECRETS["anthropic"],
        "GEMINI_API_KEY": SECRETS["google"],
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRETS["aws-secret"],
        "AWS_SESSION_TOKEN": SECRETS["aws-session"],
        "AWS_REGION": "us-east-1",
        "TEMPLATE_TOKEN": SECRETS["template"],
        "HTTPS_PROXY": f"http://user:{SECRETS['proxy']}@127.0.0.1:9",
        "LLAMA_BASE_URL": f"http://user:{SECRETS['llamaurl']}@127.0.0.1:9",
        "LLAMA_API_KEY": SECRETS["llama"],
        "PI_MODEL_PROXY_DISCOVER_LOCAL": "false",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pi_model_proxy", *words],
        env=environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    told = (done.stdout + done.stderr).decode()
    assert done.returncode in {0, 1}, told
    assert len(told) > 50
    assert "Traceback" not in told
    assert [name for name, secret in SECRETS.items() if secret in told] == []

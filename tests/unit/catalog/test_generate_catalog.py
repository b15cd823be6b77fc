"""`scripts/generate_catalog.py`, over small packages of the published shape."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pi_model_proxy.catalog import builtin

SCRIPT = Path(__file__).parents[3] / "scripts" / "generate_catalog.py"
ALL_JS = """
import { bProvider } from "./b.js";
import { aProvider } from "./a-1.js";
export function builtinProviders() {
    return [
        aProvider(),
        bProvider(),
    ];
}
"""


def record(provider: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "name": name.upper(), "api": "openai-completions", "provider": provider, "baseUrl": "https://x",
        "reasoning": False, "input": ["text"], "cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": 1000, "maxTokens": 10, "type": "chat", "lab": "left out", **more,
    }  # fmt: skip


def filed(*records: dict[str, Any]) -> bytes:
    return json.dumps({"openai-completions": {f"{it['type']}:{it['id']}": it for it in records}}).encode()


def members() -> dict[str, bytes]:
    data = {
        "a-1.json": filed(record("a-1", "m/1"), record("a-1", "picture", type="image")),
        "b.json": filed(record("b", "é", reasoning=True, compat={"supportsStore": False})),
    }
    manifest = {
        "schemaVersion": 6,
        "generatedAt": "2026-01-01T00:00:00.500Z",
        "structureHash": "h",
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in data.items()},
    }
    return {
        "package.json": b'{"name": "@earendil-works/pi-ai", "version": "9.9.9"}',
        "dist/providers/all.js": ALL_JS.encode(),
        "dist/providers/data/.manifest.json": json.dumps(manifest).encode(),
        **{f"dist/providers/data/{name}": content for name, content in data.items()},
    }


AGENT = {
    "package.json": b'{"name": "@earendil-works/pi-coding-agent", "version": "9.9.9"}',
    "schemas/models.schema.json": json.dumps(
        {
            "type": "object",
            "description": "d",
            "properties": {"description": {"type": "string", "default": "x"}},
        }
    ).encode(),
}


def packed(folder: Path, name: str, content: dict[str, bytes]) -> str:
    path = folder / name
    with tarfile.open(path, "w:gz") as archive:
        for member, data in content.items():
            info = tarfile.TarInfo(f"package/{member}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_catalog", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "TARGET", tmp_path / "data")
    return module


def test_the_catalogue_is_written_in_pis_order_and_read_again(script: ModuleType, tmp_path: Path) -> None:
    ai, agent = packed(tmp_path, "ai.tgz", members()), packed(tmp_path, "agent.tgz", AGENT)

    assert script.main(["--tarball", ai, "--agent-tarball", agent]) == 0

    index = builtin.decode_index((tmp_path / "data" / "index.json").read_bytes())
    assert [(row.id, row.models) for row in index.providers] == [("a-1", 1), ("b", 1)]
    assert (index.version, index.generated_at_ms) == ("9.9.9", 1_767_225_600_500)
    assert index.tarball_sha256 == hashlib.sha256(Path(ai).read_bytes()).hexdigest()
    (model,) = builtin.decode_models((tmp_path / "data" / "b.json").read_bytes())
    assert (model.ref, model.reasoning, model.compat) == ("b/é", True, {"supportsStore": False})
    assert "left out" not in (tmp_path / "data" / "a-1.json").read_text()


def test_the_schema_loses_its_prose_but_not_its_rules(script: ModuleType, tmp_path: Path) -> None:
    ai, agent = packed(tmp_path, "ai.tgz", members()), packed(tmp_path, "agent.tgz", AGENT)

    script.main(["--tarball", ai, "--agent-tarball", agent])

    schema = json.loads((tmp_path / "data" / "models.schema.json").read_text())
    assert schema.pop("$comment").startswith("@earendil-works/pi-coding-agent 9.9.9, ")
    assert schema == {"type": "object", "properties": {"description": {"type": "string"}}}


def test_check_tells_stale_files_and_writes_nothing(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ai, agent = packed(tmp_path, "ai.tgz", members()), packed(tmp_path, "agent.tgz", AGENT)
    script.main(["--tarball", ai, "--agent-tarball", agent])
    assert script.main(["--tarball", ai, "--agent-tarball", agent, "--check"]) == 0
    assert script.main(["--tarball", ai, "--check"]) == 0

    (tmp_path / "data" / "b.json").write_text("[]")
    (tmp_path / "data" / "gone.json").write_text("[]")
    capsys.readouterr()

    assert script.main(["--tarball", ai, "--check"]) == 1
    assert capsys.readouterr().out == "stale: b.json, gone.json\n"
    assert script.main(["--tarball", ai]) == 0
    assert not (tmp_path / "data" / "gone.json").exists()
    assert (tmp_path / "data" / "models.schema.json").exists()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("dist/providers/data/b.json", b"{}", "b.json does not match the sha256"),
        ("dist/providers/data/.manifest.json", b'{"schemaVersion": 7}', "schema version 7, not 6"),
        ("dist/providers/all.js", b"nothing", "no builtinProviders"),
        (
            "dist/providers/all.js",
            ALL_JS.replace("bProvider(),", "").encode(),
            "are not those of the data folder",
        ),
        (
            "package.json",
            b'{"name": "left-pad", "version": "1"}',
            "expected @earendil-works/pi-ai, found left-pad",
        ),
    ],
)
def test_a_package_that_is_not_whole_is_refused(
    script: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes,
    complaint: str,
) -> None:
    ai = packed(tmp_path, "ai.tgz", {**members(), name: content})

    assert script.main(["--tarball", ai]) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_packages_of_different_versions_are_refused(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ai = packed(tmp_path, "ai.tgz", members())
    agent = packed(
        tmp_path, "agent.tgz", {**AGENT, "package.json": AGENT["package.json"].replace(b"9.9.9", b"1.0.0")}
    )

    assert script.main(["--tarball", ai, "--agent-tarball", agent]) == 1
    assert "different versions" in capsys.readouterr().err


def test_a_source_must_be_named(script: ModuleType) -> None:
    with pytest.raises(SystemExit):
        script.main([])

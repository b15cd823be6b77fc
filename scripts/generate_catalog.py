#!/usr/bin/env python3
"""Write the built-in catalogue from pi's published npm packages.

    scripts/generate_catalog.py --version 1.5.2                      fetch both packages with `npm pack`
    scripts/generate_catalog.py --tarball PI-AI.tgz                  the models only, from a file
    scripts/generate_catalog.py --tarball PI-AI.tgz --agent-tarball PI-CODING-AGENT.tgz
    scripts/generate_catalog.py ... --check                          compare, write nothing

Output, in `src/pi_model_proxy/catalog/data/`:
  <provider>.json      the provider's chat models in pi's order, one a line
  index.json           package, version and sha256 of the tarball, pi's `generatedAt` and structure hash
  models.schema.json   pi's JSON Schema for models.json, without its prose, from the coding agent's package

pi's data is `package/dist/providers/data/<provider>.json`: `{api: {"<type>:<id>": model}}`, beside a manifest with
the sha256 of each file. Image and classifier models are left out: no endpoint of ours speaks to them.
The order of providers is that of `builtinProviders()` in `package/dist/providers/all.js`.

Needs nothing but the standard library; the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

AI_PACKAGE: Final = "@earendil-works/pi-ai"
AGENT_PACKAGE: Final = "@earendil-works/pi-coding-agent"
DATA_MEMBERS: Final = "package/dist/providers/data/"
MANIFEST: Final = DATA_MEMBERS + ".manifest.json"
SCHEMA_FILE: Final = "models.schema.json"
SCHEMA_VERSION: Final = 6
"""The shape of pi's data that this script has been read against."""
TARGET: Final = Path(__file__).resolve().parent.parent / "src" / "pi_model_proxy" / "catalog" / "data"
MODEL_DEFAULTS: Final[dict[str, Any]] = {"type": "chat", "reasoning": False, "input": ["text"]}
"""Members left out when they say what `Model` assumes anyway."""
UNUSED_MEMBERS: Final = frozenset({"lab", "enabled", "providers", "free"})
"""pi's own book-keeping about Radius models."""


class UnexpectedPackageError(Exception):
    """The package is not what this script was written for."""


class Tarball:
    """A published npm package, read once."""

    def __init__(self, path: Path) -> None:
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        with tarfile.open(path, "r:gz") as archive:
            self._members = {
                member.name: file.read()
                for member in archive
                if member.isfile() and (file := archive.extractfile(member)) is not None
            }

    def read(self, name: str) -> bytes:
        try:
            return self._members[name]
        except KeyError as error:
            raise UnexpectedPackageError(f"the package has no {name}") from error

    def version_of(self, package: str) -> str:
        described = json.loads(self.read("package/package.json"))
        if described["name"] != package:
            raise UnexpectedPackageError(f"expected {package}, found {described['name']}")
        version: str = described["version"]
        return version


def build_files(ai: Tarball, agent: Tarball | None) -> dict[str, bytes]:
    """Return every data file by name; without the coding agent's package all but the JSON Schema."""
    files = catalog_files(ai)
    if agent is None:
        return files
    version = agent.version_of(AGENT_PACKAGE)
    if version != ai.version_of(AI_PACKAGE):
        raise UnexpectedPackageError("the two packages are of different versions")
    schema = without_prose(json.loads(agent.read("package/schemas/models.schema.json")))
    origin = {
        "$comment": f"{AGENT_PACKAGE} {version}, schemas/models.schema.json, tarball sha256 {agent.sha256}"
    }
    return files | {SCHEMA_FILE: indented(origin | schema)}


def catalog_files(ai: Tarball) -> dict[str, bytes]:
    """Return the models of each provider, and the index."""
    manifest = json.loads(ai.read(MANIFEST))
    if manifest["schemaVersion"] != SCHEMA_VERSION:
        raise UnexpectedPackageError(
            f"the data has schema version {manifest['schemaVersion']}, not {SCHEMA_VERSION}"
        )
    files: dict[str, bytes] = {}
    rows: list[dict[str, Any]] = []
    for provider in provider_order(ai, set(manifest["files"])):
        models = chat_models(provider, checked_data(ai, manifest, provider))
        files[f"{provider}.json"] = one_a_line(models)
        digest = hashlib.sha256(files[f"{provider}.json"]).hexdigest()
        rows.append({"id": provider, "models": len(models), "sha256": digest})
    generated_at = dt.datetime.fromisoformat(manifest["generatedAt"])
    index = {
        "package": AI_PACKAGE,
        "version": ai.version_of(AI_PACKAGE),
        "tarballSha256": ai.sha256,
        "schemaVersion": manifest["schemaVersion"],
        "structureHash": manifest["structureHash"],
        "generatedAt": manifest["generatedAt"],
        "generatedAtMs": round(generated_at.timestamp() * 1000),
        "providers": rows,
    }
    files["index.json"] = indented(index)
    return files


def provider_order(ai: Tarball, data_files: set[str]) -> list[str]:
    """Return provider ids in the order pi constructs them."""
    source = ai.read("package/dist/providers/all.js").decode()
    imported = dict(re.findall(r'import \{ (\w+Provider) \} from "\./([\w.-]+)\.js"', source))
    body = re.search(r"function builtinProviders\(\) \{\s*return \[(.*?)\];", source, re.DOTALL)
    if body is None:
        raise UnexpectedPackageError("providers/all.js has no builtinProviders() list")
    order = [imported[name] for name in re.findall(r"(\w+)\(\)", body.group(1))]
    if {f"{provider}.json" for provider in order} != data_files:
        raise UnexpectedPackageError("the providers of providers/all.js are not those of the data folder")
    return order


def checked_data(ai: Tarball, manifest: dict[str, Any], provider: str) -> dict[str, dict[str, Any]]:
    """Return a provider's data once its bytes match the manifest."""
    name = f"{provider}.json"
    raw = ai.read(DATA_MEMBERS + name)
    if hashlib.sha256(raw).hexdigest() != manifest["files"][name]:
        raise UnexpectedPackageError(f"{name} does not match the sha256 of the manifest")
    data: dict[str, dict[str, Any]] = json.loads(raw)
    return data


def chat_models(provider: str, data: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the chat models of one provider, without what `Model` assumes."""
    models = []
    for api, entries in data.items():
        for key, model in entries.items():
            if (model["provider"], model["api"], f"{model['type']}:{model['id']}") != (provider, api, key):
                raise UnexpectedPackageError(f"{provider}: {key} is filed in the wrong place")
            if model["type"] == "chat":
                models.append(compact(model))
    return models


def compact(model: dict[str, Any]) -> dict[str, Any]:
    """Return the model with the identity first and without defaults."""
    identity = {name: model[name] for name in ("provider", "id", "name", "api", "baseUrl")}
    rest = {
        name: value
        for name, value in model.items()
        if name not in identity
        and name not in UNUSED_MEMBERS
        and MODEL_DEFAULTS.get(name) != value
        and value != {}
    }
    return identity | rest


def without_prose(schema: Any) -> Any:  # noqa: ANN401 (any JSON)
    """Return a JSON Schema without titles, descriptions and defaults, which no check reads."""
    if isinstance(schema, list):
        return [without_prose(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    prose = {"description", "default", "title", "$comment"}
    return {
        name: without_prose(value)
        for name, value in schema.items()
        if name not in prose or isinstance(value, dict)  # a property may be called `description`
    }


def one_a_line(models: list[dict[str, Any]]) -> bytes:
    """Return a JSON array with one model a line, for small diffs."""
    lines = ",\n".join(json.dumps(model, ensure_ascii=False, separators=(",", ":")) for model in models)
    return f"[\n{lines}\n]\n".encode() if models else b"[]\n"


def indented(value: Any) -> bytes:  # noqa: ANN401 (any JSON)
    """Return JSON fit for reading and for small diffs."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def fetch(package: str, version: str, folder: Path) -> Tarball:
    """Download a package with npm."""
    command = ["npm", "pack", "--silent", f"{package}@{version}", "--pack-destination", str(folder)]
    packed = subprocess.run(command, check=True, capture_output=True, text=True)
    return Tarball(folder / packed.stdout.strip().splitlines()[-1])


def present_files() -> set[str]:
    """Return the names of the data files that are there."""
    return {path.name for path in TARGET.glob("*.json")}


def differences(files: dict[str, bytes]) -> list[str]:
    """Return the names of data files that are missing, stale or superfluous."""
    present = present_files()
    stale = [
        name
        for name, content in files.items()
        if name not in present or (TARGET / name).read_bytes() != content
    ]
    return sorted(stale + list(superfluous(files)))


def superfluous(files: dict[str, bytes]) -> set[str]:
    """Return the names of data files of providers that are no more."""
    return present_files() - files.keys() - {SCHEMA_FILE}


def write(files: dict[str, bytes]) -> None:
    """Make the data folder hold exactly `files`, and the schema if it is not among them."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in superfluous(files):
        (TARGET / name).unlink()
    for name, content in files.items():
        (TARGET / name).write_bytes(content)


def load(options: argparse.Namespace) -> tuple[Tarball, Tarball | None]:
    """Return both packages, or only the first when only that one was given."""
    if options.tarball:
        return Tarball(options.tarball), Tarball(options.agent_tarball) if options.agent_tarball else None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        return fetch(AI_PACKAGE, options.version, folder), fetch(AGENT_PACKAGE, options.version, folder)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--version", help="pi version to fetch with npm, such as 1.5.2")
    parser.add_argument("--tarball", type=Path, help=f"{AI_PACKAGE} as packed by npm")
    parser.add_argument("--agent-tarball", type=Path, help=f"{AGENT_PACKAGE} as packed by npm")
    parser.add_argument("--check", action="store_true", help="compare with the data files and write nothing")
    options = parser.parse_args(arguments)
    if bool(options.version) == bool(options.tarball):
        parser.error("give either --version or --tarball")
    try:
        files = build_files(*load(options))
    except UnexpectedPackageError as error:
        print(f"generate_catalog: {error}", file=sys.stderr)
        return 1
    total = sum(len(content) for content in files.values())
    count = sum(row["models"] for row in json.loads(files["index.json"])["providers"])
    if options.check:
        stale = differences(files)
        print(f"stale: {', '.join(stale)}" if stale else f"up to date: {count} models")
        return 1 if stale else 0
    write(files)
    print(f"wrote {count} models in {len(files)} files, {total:,} bytes, to {TARGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

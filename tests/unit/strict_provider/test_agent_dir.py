"""The scratch agent dir agrees with the provider it leads to."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, Final

import pytest

from support.agent_dir import STUB_KEY, agent_dir
from support.strict_provider import MODELS
from support.strict_provider.traits import Catalog, ChatTraits, MessagesTraits, ResponsesTraits

ORIGIN: Final = "http://127.0.0.1:1"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_each_dialect_has_its_provider_at_the_base_url_pi_expects(tmp_path: Path) -> None:
    providers = read(agent_dir(tmp_path, ORIGIN).path / "models.json")["providers"]

    assert {name: (found["api"], found["baseUrl"]) for name, found in providers.items()} == {
        "stub-chat": ("openai-completions", f"{ORIGIN}/v1"),
        "stub-responses": ("openai-responses", f"{ORIGIN}/v1"),
        "stub-messages": ("anthropic-messages", ORIGIN),
    }
    assert {found["apiKey"] for found in providers.values()} == {"$STUB_KEY"}


def test_the_environment_leads_to_the_directory_and_holds_the_key(tmp_path: Path) -> None:
    made = agent_dir(tmp_path, ORIGIN)

    assert made.environment["PI_CODING_AGENT_DIR"] == str(made.path)
    assert made.environment["STUB_KEY"] == STUB_KEY
    assert STUB_KEY not in (made.path / "models.json").read_text(encoding="utf-8")


def test_keys_logins_settings_and_other_base_urls_are_as_asked(tmp_path: Path) -> None:
    auth = {"anthropic": {"type": "oauth", "access": "a", "refresh": "r", "expires": 1}}
    made = agent_dir(
        tmp_path,
        ORIGIN,
        key="sk-literal",
        base_urls={"anthropic": ORIGIN},
        auth=auth,
        settings={"enabledModels": []},
    )
    providers = read(made.path / "models.json")["providers"]

    assert providers["stub-chat"]["apiKey"] == "sk-literal"
    assert providers["anthropic"] == {"baseUrl": ORIGIN}
    assert read(made.path / "auth.json") == auth
    assert read(made.path / "settings.json") == {"enabledModels": []}
    assert stat.S_IMODE((made.path / "auth.json").stat().st_mode) == 0o600


def test_without_logins_there_is_no_auth_file(tmp_path: Path) -> None:
    assert [found.name for found in agent_dir(tmp_path, ORIGIN).path.iterdir()] == ["models.json"]


def test_more_models_are_added_to_every_provider(tmp_path: Path) -> None:
    models = agent_dir(tmp_path, ORIGIN, more_models=["unicode"]).models

    assert {"stub-chat/unicode", "stub-responses/unicode", "stub-messages/unicode", "stub-chat/text"} <= set(
        models
    )


def entries(tmp_path: Path, provider: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read(agent_dir(tmp_path, ORIGIN).path / "models.json")["providers"][
        provider
    ]["models"]
    return found


@pytest.mark.parametrize("provider", ["stub-chat", "stub-responses", "stub-messages"])
def test_what_models_json_says_of_a_model_is_what_the_provider_enforces(
    tmp_path: Path, provider: str
) -> None:
    for entry in entries(tmp_path, provider):
        model = Catalog(MODELS).find(entry["id"])
        assert model is not None
        dialects: dict[str, ChatTraits | ResponsesTraits | MessagesTraits] = {
            "stub-chat": model.chat,
            "stub-responses": model.responses,
            "stub-messages": model.messages,
        }
        traits = dialects[provider]
        assert (entry["id"], entry["contextWindow"]) == (entry["id"], traits.context_tokens)
        assert (entry["id"], entry["maxTokens"]) == (entry["id"], traits.max_output)
        assert (entry["id"], "image" in entry["input"]) == (entry["id"], traits.vision)


def test_the_compat_flags_describe_the_servers_traits(tmp_path: Path) -> None:
    for entry in entries(tmp_path, "stub-chat"):
        flags = entry.get("compat", {})
        model = Catalog(MODELS).find(entry["id"])
        assert model is not None
        traits: ChatTraits = model.chat
        name = entry["id"]
        assert (name, flags.get("supportsDeveloperRole", True)) == (name, traits.takes_developer)
        assert (name, flags.get("supportsStore", True)) == (name, "store" not in traits.refused_fields)
        assert (name, flags.get("requiresToolResultName", False)) == (name, traits.needs_tool_name)
        assert (name, flags.get("maxTokensField", "max_completion_tokens") in traits.limit_fields) == (
            name,
            True,
        )
        assert (name, flags.get("requiresAssistantAfterToolResult", False)) == (
            name,
            traits.needs_assistant_after_tool,
        )
        wanted = traits.reasoning_replay == "required"
        assert (name, flags.get("requiresReasoningContentOnAssistantMessages", False)) == (name, wanted)

"""Where keys come from."""

from __future__ import annotations

import pytest

from pi_model_proxy.providers import KeyFound, KeyMissing, find_key, provider_row

CLOUDFLARE = {"CLOUDFLARE_ACCOUNT_ID": "account", "CLOUDFLARE_GATEWAY_ID": "gateway"}
ADC = "~/.config/gcloud/application_default_credentials.json"


def found(
    provider: str,
    *,
    key: str | None = None,
    scoped: dict[str, str] | None = None,
    environment: dict[str, str] | None = None,
    files: tuple[str, ...] = (),
) -> KeyFound | KeyMissing:
    return find_key(
        provider_row(provider),
        key=key,
        scoped=scoped or {},
        environment=environment or {},
        file_exists=lambda path: path in files,
    )


def test_a_key_that_is_given_wins_over_the_environment() -> None:
    assert found("openai", key="given", environment={"OPENAI_API_KEY": "other"}) == KeyFound(secret="given")


@pytest.mark.parametrize("key", [None, ""])
def test_without_one_the_environment_is_asked(key: str | None) -> None:
    expected = KeyFound(secret="k", variable="OPENAI_API_KEY")

    assert found("openai", key=key, environment={"OPENAI_API_KEY": "k"}) == expected


def test_blanks_are_no_key() -> None:
    assert found("openai", environment={"OPENAI_API_KEY": "  "}) == KeyMissing(variables=("OPENAI_API_KEY",))


@pytest.mark.parametrize(
    ("environment", "variable", "as_bearer"),
    [
        ({"ANTHROPIC_API_KEY": "a", "ANTHROPIC_OAUTH_TOKEN": "o", "ANTHROPIC_AUTH_TOKEN": "t"}, "ANTHROPIC_AUTH_TOKEN", True),
        ({"ANTHROPIC_API_KEY": "a", "ANTHROPIC_OAUTH_TOKEN": "o"}, "ANTHROPIC_OAUTH_TOKEN", False),
        ({"ANTHROPIC_API_KEY": "a"}, "ANTHROPIC_API_KEY", False),
    ],
)  # fmt: skip
def test_anthropics_variables_count_in_order(
    environment: dict[str, str], variable: str, as_bearer: bool
) -> None:
    expected = KeyFound(secret=environment[variable], variable=variable, as_bearer=as_bearer)

    assert found("anthropic", environment=environment) == expected


def test_cloudflare_needs_the_account_beside_the_key() -> None:
    partly = found("cloudflare-ai-gateway", key="k", scoped={"CLOUDFLARE_ACCOUNT_ID": "a"})
    wholly = found(
        "cloudflare-ai-gateway", key="k", scoped={"CLOUDFLARE_ACCOUNT_ID": "own"}, environment=CLOUDFLARE
    )

    assert partly == KeyMissing(variables=("CLOUDFLARE_GATEWAY_ID",), has_key=True)
    assert wholly == KeyFound(
        secret="k", variables={"CLOUDFLARE_ACCOUNT_ID": "own", "CLOUDFLARE_GATEWAY_ID": "gateway"}
    )


def test_a_provider_with_nothing_but_a_login_takes_no_key() -> None:
    assert found("openai-codex", key="k") == KeyMissing(variables=())


def test_a_provider_of_ones_own_needs_the_key_that_is_given() -> None:
    assert found("acme", environment={"ACME_API_KEY": "k"}) == KeyMissing(variables=())
    assert found("acme", key="k") == KeyFound(secret="k")


@pytest.mark.parametrize(
    ("environment", "scoped", "variable"),
    [
        ({"AWS_PROFILE": "p"}, {}, "AWS_PROFILE"),
        ({}, {"AWS_PROFILE": "p"}, "AWS_PROFILE"),
        ({"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}, {}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "i"}, {}, None),
        ({}, {"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}, None),
    ],
)
def test_amazons_credentials_stand_in_for_a_key(
    environment: dict[str, str], scoped: dict[str, str], variable: str | None
) -> None:
    missing = KeyMissing(variables=("AWS_BEARER_TOKEN_BEDROCK",))
    expected = KeyFound(variable=variable) if variable else missing

    assert found("amazon-bedrock", environment=environment, scoped=scoped) == expected


def test_amazons_bearer_token_goes_before_its_other_credentials() -> None:
    environment = {"AWS_BEARER_TOKEN_BEDROCK": "t", "AWS_PROFILE": "p"}

    assert found("amazon-bedrock", environment=environment) == KeyFound(
        secret="t", variable="AWS_BEARER_TOKEN_BEDROCK"
    )


@pytest.mark.parametrize("key", ["gcp-vertex-credentials", " <your key> "])
def test_a_key_of_vertex_may_say_that_googles_credentials_are_meant(key: str) -> None:
    assert found("google-vertex", key=key) == KeyFound()
    assert found("google-vertex", key="AIza<x>") == KeyFound(secret="AIza<x>")


PLACE = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "l"}


@pytest.mark.parametrize(
    ("environment", "scoped", "files", "is_found"),
    [
        pytest.param(PLACE, {}, (ADC,), True, id="the usual file, project and place"),
        pytest.param(PLACE, {}, (), False, id="no file"),
        pytest.param({"GOOGLE_CLOUD_PROJECT": "p"}, {}, (ADC,), False, id="no place"),
        pytest.param({"GCLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "l"}, {}, (ADC,), True, id="the project's old name"),
        pytest.param({}, {**PLACE, "GOOGLE_APPLICATION_CREDENTIALS": "/sa"}, ("/sa",), True, id="all from the credential"),
        pytest.param({**PLACE, "GOOGLE_APPLICATION_CREDENTIALS": "/sa"}, {}, (ADC,), False, id="a file that is named and missing"),
    ],
)  # fmt: skip
def test_googles_credentials_stand_in_for_a_key(
    environment: dict[str, str], scoped: dict[str, str], files: tuple[str, ...], is_found: bool
) -> None:
    answer = found("google-vertex", environment=environment, scoped=scoped, files=files)

    assert isinstance(answer, KeyFound) is is_found


def test_a_key_is_not_shown_by_repr() -> None:
    assert "hunter2" not in repr(found("openai", key="hunter2"))

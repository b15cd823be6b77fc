"""The provider table, held against the catalogue and against pi's list of environment variables."""

from __future__ import annotations

import pytest

from pi_model_proxy.catalog import builtin_models, builtin_provider_ids
from pi_model_proxy.providers import PROVIDERS, AuthStyle, provider_row

VARIABLES = {
    "amazon-bedrock": "AWS_BEARER_TOKEN_BEDROCK",
    "ant-ling": "ANT_LING_API_KEY",
    "anthropic": "ANTHROPIC_AUTH_TOKEN ANTHROPIC_OAUTH_TOKEN ANTHROPIC_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "baseten": "BASETEN_API_KEY",
    "cerebras": "CEREBRAS_API_KEY",
    "cloudflare-ai-gateway": "CLOUDFLARE_API_KEY",
    "cloudflare-workers-ai": "CLOUDFLARE_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "fireworks": "FIREWORKS_API_KEY",
    "github-copilot": "COPILOT_GITHUB_TOKEN",
    "google": "GEMINI_API_KEY",
    "google-vertex": "GOOGLE_CLOUD_API_KEY",
    "groq": "GROQ_API_KEY",
    "huggingface": "HF_TOKEN",
    "kimi-coding": "KIMI_API_KEY",
    "meta": "META_API_KEY",
    "minimax": "MINIMAX_API_KEY",
    "minimax-cn": "MINIMAX_CN_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "moonshotai": "MOONSHOT_API_KEY",
    "moonshotai-cn": "MOONSHOT_API_KEY",
    "nvidia": "NVIDIA_API_KEY",
    "openai": "OPENAI_API_KEY",
    "openai-codex": "",
    "opencode": "OPENCODE_API_KEY",
    "opencode-go": "OPENCODE_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "qwen-token-plan": "QWEN_TOKEN_PLAN_API_KEY",
    "qwen-token-plan-cn": "QWEN_TOKEN_PLAN_CN_API_KEY",
    "qwen-token-plan-individual": "QWEN_TOKEN_PLAN_API_KEY",
    "qwen-token-plan-individual-cn": "QWEN_TOKEN_PLAN_CN_API_KEY",
    "radius": "RADIUS_API_KEY",
    "together": "TOGETHER_API_KEY",
    "typesafe": "TYPESAFE_API_KEY",
    "vercel-ai-gateway": "AI_GATEWAY_API_KEY",
    "xai": "XAI_API_KEY",
    "xiaomi": "XIAOMI_API_KEY",
    "xiaomi-token-plan-ams": "XIAOMI_TOKEN_PLAN_AMS_API_KEY",
    "xiaomi-token-plan-cn": "XIAOMI_TOKEN_PLAN_CN_API_KEY",
    "xiaomi-token-plan-sgp": "XIAOMI_TOKEN_PLAN_SGP_API_KEY",
    "zai": "ZAI_API_KEY",
    "zai-coding-cn": "ZAI_CODING_CN_API_KEY",
}
"""pi 1.5.2 `dist/env-api-keys.js`, `dist/providers/*.js`."""

LOGINS = {
    "anthropic",
    "github-copilot",
    "kimi-coding",
    "meta",
    "openai",
    "openai-codex",
    "openrouter",
    "radius",
    "xai",
}
NOT_SUBSCRIPTIONS = {"openrouter", "radius"}


def test_every_provider_of_the_catalogue_has_a_row_in_the_same_order() -> None:
    assert tuple(PROVIDERS) == builtin_provider_ids()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_keys_are_looked_for_in_pis_variables_in_pis_order(provider: str) -> None:
    assert " ".join(PROVIDERS[provider].key_variables) == VARIABLES[provider]


def test_the_rows_with_a_login_are_pis() -> None:
    logins = {row.id: row.login for row in PROVIDERS.values() if row.login}

    assert set(logins) == LOGINS
    assert {provider for provider, login in logins.items() if not login.is_subscription} == NOT_SUBSCRIPTIONS
    assert all(login.note.count(". ") == 0 for login in logins.values())
    assert all(login.note for login in logins.values() if login.is_subscription)


def test_every_address_with_blanks_has_a_row_that_names_the_variables() -> None:
    for provider in builtin_provider_ids():
        for model in builtin_models(provider):
            if "{CLOUDFLARE" in model.base_url:
                assert all(
                    f"{{{name}}}" in model.base_url for name in PROVIDERS[provider].required_variables
                ), model.ref


@pytest.mark.parametrize(
    ("provider", "kind", "style"),
    [
        ("anthropic", "anthropic-messages", AuthStyle.X_API_KEY),
        ("openai", "openai-responses", AuthStyle.BEARER),
        ("azure", "azure-openai-responses", AuthStyle.API_KEY),
        ("azure", "openai-completions", AuthStyle.BEARER),
        ("google", "google-generative-ai", AuthStyle.X_GOOG_API_KEY),
        ("github-copilot", "anthropic-messages", AuthStyle.BEARER),
        ("cloudflare-ai-gateway", "openai-completions", AuthStyle.CF_AIG),
        ("somebody's own", "anthropic-messages", AuthStyle.X_API_KEY),
        ("somebody's own", "a kind of tomorrow", AuthStyle.BEARER),
    ],
)
def test_a_key_travels_as_provider_and_kind_want_it(provider: str, kind: str, style: AuthStyle) -> None:
    assert provider_row(provider).auth_style(kind) is style


def test_a_provider_of_ones_own_has_a_row_without_peculiarities() -> None:
    row = provider_row("acme")

    assert (row.id, row.name, row.key_variables, row.login) == ("acme", "acme", (), None)

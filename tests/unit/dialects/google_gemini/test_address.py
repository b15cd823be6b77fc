"""Model and method in the URL, both ways."""

from __future__ import annotations

import pytest

from pi_model_proxy.dialects.google_gemini import Address, read_address
from pi_model_proxy.dialects.google_gemini.address import COUNT, GENERATE, STREAM, request_path
from support.gemini_wire import target


@pytest.mark.parametrize(
    ("path", "query", "address"),
    [
        ("/v1beta/models/gemini-x:generateContent", "", ("gemini-x", "plain")),
        ("/v1/models/gemini-x:generateContent", "", ("gemini-x", "plain")),
        ("/v1alpha/models/gemini-x:countTokens", "", ("gemini-x", "count")),
        ("/models/gemini-x:generateContent", "", ("gemini-x", "plain")),
        ("/v1/v1beta/models/gemini-x:generateContent", "", ("gemini-x", "plain")),
        ("/v1beta/models/a/b:streamGenerateContent", "alt=sse", ("a/b", "sse")),
        ("/v1beta/models/a/b:streamGenerateContent", "key=k&alt=sse", ("a/b", "sse")),
        ("/v1beta/models/a/b:streamGenerateContent", "$alt=sse", ("a/b", "sse")),
        ("/v1beta/models/a/b:streamGenerateContent", "", ("a/b", "array")),
        ("/v1beta/models/a/b:streamGenerateContent", "alt=json", ("a/b", "array")),
        ("/v1beta/models/llama3:8b:high:generateContent", "", ("llama3:8b:high", "plain")),
        ("/v1beta/acme/m:generateContent", "", ("acme/m", "plain")),
        ("/v1/publishers/google/models/gemini-x:generateContent", "", ("gemini-x", "plain")),
        ("/v1/projects/p/locations/l/publishers/acme/models/m:generateContent", "", ("acme/m", "plain")),
    ],
)
def test_a_path_names_the_model_and_the_form_of_the_answer(
    path: str, query: str, address: tuple[str, str]
) -> None:
    read = read_address(path, query)
    assert read == Address(model=address[0], form=address[1])  # type: ignore[arg-type] # a literal in the table above


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models",
        "/v1beta/models/x",
        "/v1beta/models/x:embedContent",
        "/v1beta/models/:generateContent",
        "/",
        "",
    ],
)
def test_other_paths_are_none_of_ours(path: str) -> None:
    assert read_address(path) is None


@pytest.mark.parametrize(
    ("kind", "model", "method", "path"),
    [
        ("google-generative-ai", "gemini-x", STREAM, "/models/gemini-x:streamGenerateContent?alt=sse"),
        ("google-generative-ai", "gemini-x", GENERATE, "/models/gemini-x:generateContent"),
        ("google-generative-ai", "models/gemini-x", COUNT, "/models/gemini-x:countTokens"),
        ("google-generative-ai", "tunedModels/t", GENERATE, "/tunedModels/t:generateContent"),
        ("google-generative-ai", "a b?c#d", GENERATE, "/models/a%20b%3Fc%23d:generateContent"),
        ("google-vertex", "gemini-x", GENERATE, "/publishers/google/models/gemini-x:generateContent"),
        ("google-vertex", "meta/llama", GENERATE, "/publishers/meta/models/llama:generateContent"),
        ("google-vertex", "projects/p/models/m", GENERATE, "/projects/p/models/m:generateContent"),
    ],
)
def test_an_upstreams_path_is_that_of_googles_own_sdk(kind: str, model: str, method: str, path: str) -> None:
    assert request_path(target(model, kind=kind), method) == path

"""Where requests for clouds go: region, project and location, by pi's rules."""

from __future__ import annotations

import pytest

from pi_model_proxy.errors import CredentialError
from pi_model_proxy.providers import bedrock_place, url_below, vertex_base_url

EAST = "https://bedrock-runtime.us-east-1.amazonaws.com"
FRANKFURT = "https://bedrock-runtime.eu-central-1.amazonaws.com"
ARN = "arn:aws:bedrock:ap-south-1:123456789012:inference-profile/x"
GOV = "arn:aws-us-gov:bedrock:us-gov-west-1:1:inference-profile/x"
OWN = "https://vpce-1.bedrock-runtime.example/gate"
PROFILE = {"AWS_PROFILE": "p"}


@pytest.mark.parametrize(
    ("model", "base_url", "own", "environment", "expected"),
    [
        pytest.param("m", EAST, {}, {}, ("us-east-1", EAST), id="the catalogue's"),
        pytest.param("m", FRANKFURT, {}, {}, ("eu-central-1", FRANKFURT), id="the catalogue's other one"),
        pytest.param("m", EAST, {}, {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "x"}, ("eu-central-1", FRANKFURT), id="AWS_REGION"),
        pytest.param("m", EAST, {}, {"AWS_DEFAULT_REGION": "eu-central-1"}, ("eu-central-1", FRANKFURT), id="AWS_DEFAULT_REGION"),
        pytest.param("m", EAST, {"AWS_REGION": "eu-central-1"}, {"AWS_REGION": "us-west-2"}, ("eu-central-1", FRANKFURT), id="the credential's own"),
        pytest.param(ARN, EAST, {}, {"AWS_REGION": "us-west-2"}, ("ap-south-1", "https://bedrock-runtime.ap-south-1.amazonaws.com"), id="the ARN's before all"),
        pytest.param(GOV, EAST, {}, {}, ("us-gov-west-1", "https://bedrock-runtime.us-gov-west-1.amazonaws.com"), id="an ARN of the government's"),
        pytest.param("m", OWN, {}, {"AWS_REGION": "us-west-2"}, ("us-west-2", OWN), id="an address of one's own stays"),
        pytest.param("m", f"{OWN}/", {}, {}, ("us-east-1", OWN), id="an address of one's own without a region"),
        pytest.param("m", EAST, {}, {"AWS_REGION": "cn-north-1"}, ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"), id="China"),
        pytest.param("m", EAST, {}, {"AWS_REGION": "us-west-2", "AWS_USE_FIPS_ENDPOINT": "true"}, ("us-west-2", "https://bedrock-runtime-fips.us-west-2.amazonaws.com"), id="FIPS"),
        pytest.param("m", "https://bedrock-runtime-fips.us-east-1.amazonaws.com", {}, {}, ("us-east-1", "https://bedrock-runtime-fips.us-east-1.amazonaws.com"), id="FIPS as it is written"),
        pytest.param("m", EAST, {"AWS_PROFILE": "p"}, {}, ("us-east-1", EAST), id="the credential's own profile does not count"),
        pytest.param("m", EAST, {}, PROFILE, None, id="only the environment's profile knows"),
        pytest.param("m", EAST, {}, {"AWS_REGION": "a.b/c"}, None, id="no region at all"),
    ],
)  # fmt: skip
def test_bedrocks_region_and_address(
    model: str,
    base_url: str,
    own: dict[str, str],
    environment: dict[str, str],
    expected: tuple[str, str] | None,
) -> None:
    place = bedrock_place(model, base_url, own=own, environment=environment)

    assert (place and (place.region, place.base_url)) == expected


def test_the_profiles_region_moves_a_standard_address() -> None:
    place = bedrock_place("m", EAST, own={}, environment=PROFILE, profile_region="eu-central-1")

    assert place is not None
    assert (place.region, place.base_url) == ("eu-central-1", FRANKFURT)
    assert bedrock_place("m", EAST, own={}, environment=PROFILE, profile_region="") is None


CATALOGUE = "https://{location}-aiplatform.googleapis.com"
PROJECT = {"GOOGLE_CLOUD_PROJECT": "p"}


@pytest.mark.parametrize(
    ("base_url", "location", "by_key", "expected"),
    [
        (CATALOGUE, "europe-west4", False, "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"),
        (CATALOGUE, "global", False, "https://aiplatform.googleapis.com/v1/projects/p/locations/global"),
        (CATALOGUE, "eu", False, "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu"),
        (CATALOGUE, "europe-west4", True, "https://aiplatform.googleapis.com/v1"),
        ("https://gate.example/", "europe-west4", False, "https://gate.example/v1"),
        ("https://gate.example/v1beta1/x", "", False, "https://gate.example/v1beta1/x"),
    ],
)  # fmt: skip
def test_vertex_goes_where_project_and_place_are(
    base_url: str, location: str, by_key: bool, expected: str
) -> None:
    variables = {**PROJECT, "GOOGLE_CLOUD_LOCATION": location}

    assert vertex_base_url("google-vertex", base_url, variables, by_key=by_key) == expected


@pytest.mark.parametrize(
    "variables",
    [{}, PROJECT, {"GOOGLE_CLOUD_LOCATION": "global"}, {**PROJECT, "GOOGLE_CLOUD_LOCATION": "evil.example/"}],
)
def test_vertex_without_a_place_says_what_to_set(variables: dict[str, str]) -> None:
    with pytest.raises(CredentialError) as caught:
        vertex_base_url("google-vertex", CATALOGUE, variables, by_key=False)
    assert "GOOGLE_CLOUD_LOCATION" in caught.value.message


@pytest.mark.parametrize(
    ("base_url", "path", "expected"),
    [
        ("https://a/v1", "/x?alt=sse", "https://a/v1/x?alt=sse"),
        ("https://a/v1?api-version=2", "/x", "https://a/v1/x?api-version=2"),
        ("https://a/v1/?api-version=2", "/x?api-version=v1&b=1", "https://a/v1/x?api-version=2&b=1"),
    ],
)
def test_a_query_of_the_base_url_stays_a_query(base_url: str, path: str, expected: str) -> None:
    assert url_below(base_url, path) == expected

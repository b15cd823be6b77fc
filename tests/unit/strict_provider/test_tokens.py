"""The token endpoint: refresh tokens rotate, are good once, and a second use costs the login."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

import pytest

from support.strict_provider import StrictProvider, TokenDesk, TokenTrouble
from unit.strict_provider.asking import Reply, ask

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def provider() -> Iterator[StrictProvider]:
    with StrictProvider.running() as running:
        yield running


def refresh(
    provider: StrictProvider, token: str, *, form: bool = False, more: dict[str, str] | None = None
) -> Reply:
    fields = {"grant_type": "refresh_token", "client_id": "pi", "refresh_token": token, **(more or {})}
    if form:
        return ask(provider, "/oauth/token", urlencode(fields).encode(), FORM)
    return ask(provider, "/v1/oauth/token", fields)


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
def test_a_refresh_replaces_both_tokens(provider: StrictProvider, *, form: bool) -> None:
    login = provider.desk.issue()
    reply = refresh(provider, login.refresh, form=form)

    assert reply.status == 200
    assert {reply.body["access_token"], reply.body["refresh_token"]}.isdisjoint({login.access, login.refresh})
    assert provider.desk.knows(reply.body["access_token"])
    assert (provider.desk.requests, provider.desk.refreshes, provider.desk.reuses) == (1, 1, 0)


def test_a_spent_refresh_token_revokes_the_login(provider: StrictProvider) -> None:
    login = provider.desk.issue()
    fresh = refresh(provider, login.refresh).body
    reply = refresh(provider, login.refresh)

    assert (reply.status, reply.body["error"]) == (400, "invalid_grant")
    assert provider.desk.reuses == 1
    assert not provider.desk.logged_in()
    assert not provider.desk.knows(fresh["access_token"])
    assert refresh(provider, fresh["refresh_token"]).body["error"] == "invalid_grant"


def test_accounts_do_not_share_their_fate(provider: StrictProvider) -> None:
    one, two = provider.desk.issue("one"), provider.desk.issue("two")
    refresh(provider, one.refresh)
    refresh(provider, one.refresh)

    assert not provider.desk.logged_in("one")
    assert provider.desk.logged_in("two")
    assert refresh(provider, two.refresh).status == 200


REFUSED: Final = [
    ("another grant", {"grant_type": "password"}, "unsupported_grant_type"),
    ("no client", {"client_id": ""}, "invalid_client"),
    ("an unknown token", {"refresh_token": "made-up"}, "invalid_grant"),
]


@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_the_endpoint_refuses(provider: StrictProvider, changes: dict[str, str], code: str) -> None:
    login = provider.desk.issue()
    token = changes.get("refresh_token", login.refresh)
    reply = refresh(provider, token, more=changes)

    assert (reply.status, reply.body["error"]) == (400, code)
    assert provider.desk.refreshes == 0
    assert provider.desk.logged_in()


def test_a_body_of_another_type_is_refused(provider: StrictProvider) -> None:
    reply = ask(provider, "/oauth/token", b"{}", {"content-type": "text/plain"})

    assert reply.body["error"] == "invalid_request"


def test_of_many_at_once_one_wins_and_the_rest_cost_the_login(provider: StrictProvider) -> None:
    login = provider.desk.issue()
    replies: list[Reply] = []
    threads = [
        threading.Thread(target=lambda: replies.append(refresh(provider, login.refresh))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(reply.status for reply in replies) == [200, 400, 400, 400, 400]
    assert (provider.desk.refreshes, provider.desk.logged_in()) == (1, False)


def test_a_refresh_may_fail_without_spending_the_token(provider: StrictProvider) -> None:
    login = provider.desk.issue()
    provider.desk.trouble(TokenTrouble(status=503))

    assert refresh(provider, login.refresh).status == 503
    assert refresh(provider, login.refresh).status == 200


def test_an_answer_may_be_lost_after_the_token_is_spent(provider: StrictProvider) -> None:
    login = provider.desk.issue()
    provider.desk.trouble(TokenTrouble(lost=True))

    with pytest.raises((ConnectionError, http.client.HTTPException)):
        refresh(provider, login.refresh)
    assert refresh(provider, login.refresh).body["error"] == "invalid_grant"


def test_an_answer_may_wait_at_a_gate(provider: StrictProvider) -> None:
    login = provider.desk.issue()
    provider.desk.trouble(TokenTrouble(gate="token"))
    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.append(refresh(provider, login.refresh)))
    asking.start()
    provider.diary.wait_until_held("token")
    assert not replies

    provider.open_gate("token")
    asking.join(5)
    assert replies[0].status == 200


def test_openai_access_tokens_name_their_account() -> None:
    desk = TokenDesk(access_format="jwt", expires_in_s=60)
    login = desk.issue("acct-9")
    payload = login.access.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    assert claims["https://api.openai.com/auth"]["chatgpt_account_id"] == "acct-9"
    with StrictProvider.running(desk=desk) as provider:
        body = refresh(provider, login.refresh, form=True).body
    assert (body["expires_in"], body["id_token"]) == (60, body["access_token"])

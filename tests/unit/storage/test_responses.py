"""Kept responses: found again, forgotten in the right order, never half a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pi_model_proxy.storage import Database, Item, KeptConversation, KeptResponse, ResponseStore, StoreLimits
from pi_model_proxy.storage import responses as responses_module

Story = Callable[[ResponseStore], Awaitable[None]]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class House:
    """A store with limits and a clock of the test's."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.limits = StoreLimits(max_responses=100, max_bytes=1_000_000, max_age_s=10_000)
        self.complaints: list[str] = []
        self._database = Database(lambda: path, self.complaints.append)
        self.store = ResponseStore(self._database, lambda: self.limits, self.clock)

    def tell(self, story: Story) -> None:
        async def told() -> None:
            try:
                await asyncio.wait_for(asyncio.ensure_future(story(self.store)), 30)
            finally:
                self._database.close()

        asyncio.run(told())
        assert not self.complaints


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(responses_module, "PRUNE_AFTER", 1)  # look at the limits every time
    return House(tmp_path / "kept.db")


def response(
    name: str, previous: str | None = None, conversation: str | None = None, size: int = 10
) -> KeptResponse:
    return KeptResponse(
        id=name,
        previous=previous,
        conversation=conversation,
        body=b'{"id":"%b","output":[]}' % name.encode(),
        input=[Item(f"in_{name}", b'"%b"' % (b"q" * size))],
        output=[Item(f"out_{name}", b'"a %b"' % name.encode())],
    )


async def ids(store: ResponseStore, name: str) -> list[str] | None:
    history = await store.history(name)
    return None if history is None else [item.id for item in history]


def test_a_chain_is_told_from_its_beginning(house: House) -> None:
    async def story(store: ResponseStore) -> None:
        await store.keep(response("a"))
        await store.keep(response("b", "a"))
        await store.keep(response("c", "b"))
        await store.keep(response("b2", "a"))
        assert await ids(store, "c") == ["in_a", "out_a", "in_b", "out_b", "in_c", "out_c"]
        assert await ids(store, "b2") == ["in_a", "out_a", "in_b2", "out_b2"]
        before = await store.input_items("b")
        assert before is not None
        assert [item.id for item in before] == ["in_a", "out_a", "in_b"]

    house.tell(story)


def test_what_has_lost_its_beginning_is_unknown(house: House) -> None:
    async def story(store: ResponseStore) -> None:
        await store.keep(response("a"))
        await store.keep(response("b", "a"))
        assert await store.delete_response("a")
        assert await ids(store, "b") is None
        assert await store.response("b") is not None
        assert not await store.delete_response("a")
        assert await store.items(["in_a", "in_b"]) == {"in_b": b'"qqqqqqqqqq"'}

    house.tell(story)


def test_too_many_responses_lose_the_one_used_longest_ago(house: House) -> None:
    house.limits = StoreLimits(max_responses=3, max_bytes=1_000_000, max_age_s=10_000)

    async def story(store: ResponseStore) -> None:
        for name in "abc":
            await store.keep(response(name))
        await store.keep(response("d", "a"))  # goes on from `a`, which counts as used now
        kept = [name for name in "abcd" if await store.response(name) is not None]
        assert kept == ["a", "c", "d"]

    house.tell(story)


def test_too_many_bytes_lose_the_oldest(house: House) -> None:
    house.limits = StoreLimits(max_responses=100, max_bytes=3000, max_age_s=10_000)

    async def story(store: ResponseStore) -> None:
        for name in "abcde":
            await store.keep(response(name, size=1000))
        kept = [name for name in "abcde" if await store.response(name) is not None]
        assert kept == ["d", "e"]

    house.tell(story)


def test_what_is_too_old_goes(house: House) -> None:
    async def story(store: ResponseStore) -> None:
        await store.keep(response("a"))
        await store.begin(KeptConversation(id="conv_a", created=1, metadata=b"{}"), [Item("x", b"1")])
        house.clock.now += 20_000
        await store.keep(response("b"))
        assert await store.response("a") is None
        assert await store.conversation("conv_a") is None
        assert await store.items(["x", "in_a"]) == {}

    house.tell(story)


def test_a_conversation_keeps_the_items_of_a_deleted_response(house: House) -> None:
    async def story(store: ResponseStore) -> None:
        await store.begin(KeptConversation(id="conv", created=1, metadata=b"{}"), [Item("x", b"1")])
        await store.keep(response("a", conversation="conv"))
        await store.delete_response("a")
        items = await store.conversation_items("conv")
        assert items is not None
        assert [item.id for item in items] == ["x", "in_a", "out_a"]

    house.tell(story)


def test_a_response_without_its_conversation_is_unknown_and_the_items_go_with_the_last_of_both(
    house: House,
) -> None:
    async def story(store: ResponseStore) -> None:
        await store.begin(KeptConversation(id="conv", created=1, metadata=b"{}"), [])
        await store.keep(response("a", conversation="conv"))
        await store.delete_conversation("conv")
        assert await ids(store, "a") is None
        await store.delete_response("a")
        assert await store.items(["in_a", "out_a"]) == {}

    house.tell(story)


def test_an_answer_to_a_conversation_deleted_meanwhile_is_not_kept(house: House) -> None:
    async def story(store: ResponseStore) -> None:
        await store.keep(response("a", conversation="conv_gone"))
        assert await store.response("a") is None
        assert await store.items(["in_a"]) == {}

    house.tell(story)


def test_nobody_adds_to_what_is_not_there(house: House) -> None:
    async def story(store: ResponseStore) -> None:
        assert await store.conversation_items("conv") is None
        assert not await store.add("conv", [Item("x", b"1")])
        assert not await store.delete_item("conv", "x")
        assert not await store.delete_conversation("conv")
        assert await store.describe("conv", b"{}") is None

    house.tell(story)


def test_no_question_and_no_change_of_what_was_never_kept_makes_a_file(tmp_path: Path) -> None:
    house = House(tmp_path / "none.db")

    async def story(store: ResponseStore) -> None:
        assert await store.response("resp_x") is None
        assert await store.history("resp_x") is None
        assert await store.input_items("resp_x") is None
        assert await store.items(["msg_x"]) == {}
        assert await store.conversation("conv_x") is None
        assert await store.conversation_items("conv_x") is None
        assert await store.describe("conv_x", b"{}") is None
        assert not await store.add("conv_x", [Item("msg_x", b"{}")])
        assert not await store.delete_response("resp_x")
        assert not await store.delete_conversation("conv_x")
        assert not await store.delete_item("conv_x", "msg_x")

    house.tell(story)
    assert list(tmp_path.iterdir()) == []

"""Responses and conversations that were to be kept, within limits of number, bytes and age.

A response holds what its own request brought and what it answered; what came before is found through the response that
it went on from. So a long conversation is kept once, not once a turn, and one whose beginning is gone cannot be gone
on from: it is unknown, never short.
"""

from __future__ import annotations

import time
from asyncio import Future, get_running_loop
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from pi_model_proxy.storage.database import Database, Work

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = ["Item", "KeptConversation", "KeptResponse", "ResponseStore", "StoreLimits"]

T = TypeVar("T")

MAX_CHAIN: Final = 10_000
"""Responses that may have gone on from each other."""
PRUNE_AFTER: Final = 50
"""So many things are kept before the limits are looked at again; the first time at once."""
MAX_PRUNED: Final = 1000
"""Things that are removed in one go."""


class StoreLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept."""

    max_responses: int
    """0: nothing is kept."""
    max_bytes: int
    max_age_s: float


class Item(msgspec.Struct, frozen=True):
    """One item, as it was said."""

    id: str
    """Its own, or the one it got here; `body` need not hold it."""
    body: bytes
    """JSON text."""


class KeptResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One response to be kept."""

    id: str
    previous: str | None
    """The response it went on from."""
    conversation: str | None
    """The conversation that its items are added to."""
    body: bytes
    """The Response object without its output, JSON text."""
    input: Sequence[Item]
    output: Sequence[Item]

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return len(self.body) + sum(len(item.body) for item in (*self.input, *self.output))


class KeptConversation(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation, without its items."""

    id: str
    created: int
    """Seconds since the epoch."""
    metadata: bytes
    """JSON text."""


class ResponseStore:
    """The tables `responses`, `conversations` and `items`. Every method returns a future that may end in `StorageFailed`."""

    def __init__(
        self, database: Database, limits: Callable[[], StoreLimits], clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._since_pruned = PRUNE_AFTER

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all."""
        return self._limits().max_responses > 0

    # Responses.

    def keep(self, response: KeptResponse) -> Future[None]:
        """Keep a response; what it went on from counts as used."""
        now = self._clock()
        size = response.size

        def work(connection: Connection) -> None:
            if response.conversation is not None and _conversation(connection, response.conversation) is None:
                return  # it was deleted meanwhile, and what went on from it is nobody's any more
            row = (response.id, response.previous, response.conversation, now, size, response.body)
            connection.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?)", row)
            for is_output, items in ((0, response.input), (1, response.output)):
                _insert(connection, items, (response.id, response.conversation), is_output)
            if response.previous is not None:
                chain = [(now, each) for each, _, _ in _chain(connection, response.previous)]
                connection.executemany("UPDATE responses SET used = ? WHERE id = ?", chain)
            if response.conversation is not None:
                _grow(connection, response.conversation, size - len(response.body), now)
            self._prune_now_and_then(connection, now)

        return self._database.write(work, size=size)

    def response(self, response_id: str) -> Future[tuple[bytes, list[Item]] | None]:
        """Return the Response object without its output, and that output."""

        def work(connection: Connection) -> tuple[bytes, list[Item]] | None:
            row = connection.execute("SELECT body FROM responses WHERE id = ?", (response_id,)).fetchone()
            where = "response = ? AND is_output = 1"
            return None if row is None else (row[0], _items(connection, where, (response_id,)))

        return self._read(work, None)

    def history(self, response_id: str) -> Future[list[Item] | None]:
        """Return everything said up to the end of a response, oldest first; None when some of it is not kept."""
        return self._read(lambda connection: _history(connection, response_id), None)

    def input_items(self, response_id: str) -> Future[list[Item] | None]:
        """Return everything said before a response answered; None when some of it is not kept."""

        def work(connection: Connection) -> list[Item] | None:
            said = _history(connection, response_id)
            (answered,) = connection.execute(
                "SELECT count(*) FROM items WHERE response = ? AND is_output = 1", (response_id,)
            ).fetchone()
            return said if said is None or not answered else said[:-answered]

        return self._read(work, None)

    def delete_response(self, response_id: str) -> Future[bool]:
        """Forget a response; its items go with it unless they belong to a conversation. False when there is none."""

        def work(connection: Connection) -> bool:
            return _delete_response(connection, response_id)

        return self._change(work, nothing=False)

    def items(self, item_ids: Sequence[str]) -> Future[dict[str, bytes]]:
        """Return items by their ids; those that are not kept are missing."""

        def work(connection: Connection) -> dict[str, bytes]:
            found: dict[str, bytes] = {}
            for item_id in item_ids:
                sql = "SELECT body FROM items WHERE id = ? ORDER BY number DESC LIMIT 1"
                row = connection.execute(sql, (item_id,)).fetchone()
                if row is not None:
                    found[item_id] = row[0]
            return found

        return self._read(work, {})

    # Conversations.

    def begin(self, conversation: KeptConversation, items: Sequence[Item]) -> Future[None]:
        """Keep a new conversation."""
        now, size = self._clock(), len(conversation.metadata)

        def work(connection: Connection) -> None:
            row = (conversation.id, conversation.created, now, size, conversation.metadata)
            connection.execute("INSERT INTO conversations VALUES (?, ?, ?, ?, ?)", row)
            _add(connection, conversation.id, items, now)
            self._prune_now_and_then(connection, now)

        return self._database.write(work, size=size + sum(len(item.body) for item in items))

    def conversation(self, conversation_id: str) -> Future[KeptConversation | None]:
        """Return a conversation without its items."""
        return self._read(lambda connection: _conversation(connection, conversation_id), None)

    def conversation_items(self, conversation_id: str) -> Future[list[Item] | None]:
        """Return a conversation's items, oldest first; None when there is no such conversation."""

        def work(connection: Connection) -> list[Item] | None:
            if _conversation(connection, conversation_id) is None:
                return None
            return _items(connection, "conversation = ?", (conversation_id,))

        return self._read(work, None)

    def add(self, conversation_id: str, items: Sequence[Item]) -> Future[bool]:
        """Add items to a conversation; False when there is no such conversation."""
        now = self._clock()

        def work(connection: Connection) -> bool:
            if _conversation(connection, conversation_id) is None:
                return False
            _add(connection, conversation_id, items, now)
            self._prune_now_and_then(connection, now)
            return True

        return self._change(work, nothing=False, size=sum(len(item.body) for item in items))

    def describe(self, conversation_id: str, metadata: bytes) -> Future[KeptConversation | None]:
        """Give a conversation other metadata; None when there is no such conversation."""

        def work(connection: Connection) -> KeptConversation | None:
            connection.execute(
                "UPDATE conversations SET metadata = ? WHERE id = ?", (metadata, conversation_id)
            )
            return _conversation(connection, conversation_id)

        return self._change(work, nothing=None, size=len(metadata))

    def delete_conversation(self, conversation_id: str) -> Future[bool]:
        """Forget a conversation; items of responses stay with these. False when there is none."""
        return self._change(
            lambda connection: _delete_conversation(connection, conversation_id), nothing=False
        )

    def delete_item(self, conversation_id: str, item_id: str) -> Future[bool]:
        """Take an item out of a conversation; False when it is not in it."""

        def work(connection: Connection) -> bool:
            names = (conversation_id, item_id)
            taken = connection.execute(
                "UPDATE items SET conversation = NULL WHERE conversation = ? AND id = ?", names
            )
            connection.execute(
                "DELETE FROM items WHERE id = ? AND conversation IS NULL AND response IS NULL", names[1:]
            )
            return taken.rowcount > 0

        return self._change(work, nothing=False)

    # What all of them share.

    def _read(self, work: Work[T], nothing: T) -> Future[T]:
        """Return what is found, or `nothing` where nothing was ever kept: a question makes no file."""
        return self._database.read(work) if self._database.exists else _done(nothing)

    def _change(self, work: Work[T], *, nothing: T, size: int = 0) -> Future[T]:
        """Change what is kept; `nothing` where nothing ever was."""
        return self._database.write(work, size=size) if self._database.exists else _done(nothing)

    # Limits.

    def _prune_now_and_then(self, connection: Connection, now: float) -> None:
        self._since_pruned += 1
        if self._since_pruned >= PRUNE_AFTER:
            self._since_pruned = 0
            _prune(connection, self._limits(), now)


def _done(result: T) -> Future[T]:
    future: Future[T] = get_running_loop().create_future()
    future.set_result(result)
    return future


def _insert(
    connection: Connection, items: Iterable[Item], owners: tuple[str | None, str | None], is_output: int
) -> None:
    rows = [(*owners, is_output, item.id, item.body) for item in items]
    sql = "INSERT INTO items (response, conversation, is_output, id, body) VALUES (?, ?, ?, ?, ?)"
    connection.executemany(sql, rows)


def _items(connection: Connection, where: str, values: Sequence[object]) -> list[Item]:
    sql = f"SELECT id, body FROM items WHERE {where} ORDER BY number"  # noqa: S608 - our own words
    return [Item(item_id, body) for item_id, body in connection.execute(sql, values)]


def _chain(connection: Connection, response_id: str) -> list[tuple[str, str | None, str | None]]:
    """Return id, predecessor and conversation of a response and of all before it, the newest first."""
    sql = """
        WITH RECURSIVE chain (id, previous, conversation, depth) AS (
            SELECT id, previous, conversation, 0 FROM responses WHERE id = ?
            UNION ALL
            SELECT r.id, r.previous, r.conversation, depth + 1 FROM responses r JOIN chain ON r.id = chain.previous
            WHERE depth < ?
        )
        SELECT id, previous, conversation FROM chain ORDER BY depth
    """
    return list(connection.execute(sql, (response_id, MAX_CHAIN)))


def _history(connection: Connection, response_id: str) -> list[Item] | None:
    chain = _chain(connection, response_id)
    if not chain or chain[-1][1] is not None:
        return None
    said: list[Item] = []
    first, _, conversation = chain[-1]
    if conversation is not None:
        if _conversation(connection, conversation) is None:
            return None
        # What the conversation held when its first response here was asked for.
        before = "conversation = ? AND number < (SELECT min(number) FROM items WHERE response = ?)"
        said += _items(connection, before, (conversation, first))
    for each, _, _ in reversed(chain):
        said += _items(connection, "response = ?", (each,))
    return said


def _conversation(connection: Connection, conversation_id: str) -> KeptConversation | None:
    sql = "SELECT id, created, metadata FROM conversations WHERE id = ?"
    row = connection.execute(sql, (conversation_id,)).fetchone()
    return None if row is None else KeptConversation(id=row[0], created=row[1], metadata=row[2])


def _add(connection: Connection, conversation_id: str, items: Sequence[Item], now: float) -> None:
    _insert(connection, items, (None, conversation_id), 0)
    _grow(connection, conversation_id, sum(len(item.body) for item in items), now)


def _grow(connection: Connection, conversation_id: str, size: int, now: float) -> None:
    sql = "UPDATE conversations SET bytes = bytes + ?, used = ? WHERE id = ?"
    connection.execute(sql, (size, now, conversation_id))


def _delete_response(connection: Connection, response_id: str) -> bool:
    connection.execute("DELETE FROM items WHERE response = ? AND conversation IS NULL", (response_id,))
    connection.execute("UPDATE items SET response = NULL WHERE response = ?", (response_id,))
    return connection.execute("DELETE FROM responses WHERE id = ?", (response_id,)).rowcount > 0


def _delete_conversation(connection: Connection, conversation_id: str) -> bool:
    connection.execute("DELETE FROM items WHERE conversation = ? AND response IS NULL", (conversation_id,))
    connection.execute("UPDATE items SET conversation = NULL WHERE conversation = ?", (conversation_id,))
    return connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,)).rowcount > 0


_KINDS: Final = (("responses", _delete_response), ("conversations", _delete_conversation))


def _prune(connection: Connection, limits: StoreLimits, now: float) -> None:
    """Remove what is too old, then what was used longest ago until the rest is within the limits."""
    for table, delete in _KINDS:
        too_old = f"SELECT id FROM {table} WHERE used < ? ORDER BY used LIMIT {MAX_PRUNED}"  # noqa: S608 - our own words
        for (each,) in connection.execute(too_old, (now - limits.max_age_s,)).fetchall():
            delete(connection, each)
        counted = f"SELECT count(*), total(bytes) FROM {table}"  # noqa: S608 - our own words
        number, size = connection.execute(counted).fetchone()
        oldest = f"SELECT id, bytes FROM {table} ORDER BY used LIMIT {MAX_PRUNED}"  # noqa: S608 - our own words
        if number <= limits.max_responses and size <= limits.max_bytes:
            continue
        for each, held in connection.execute(oldest).fetchall():
            if number <= limits.max_responses and size <= limits.max_bytes:
                break
            delete(connection, each)
            number, size = number - 1, size - held
    connection.execute("PRAGMA incremental_vacuum(256)").fetchall()

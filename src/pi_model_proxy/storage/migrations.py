"""The tables, as numbered steps: a file holds the number of the last step that it has taken (`user_version`).

A step that has been released is never changed; what must change is a further step.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MIGRATIONS"]

MIGRATIONS: Final[tuple[str, ...]] = (
    # 1: answers of the Responses endpoint that were to be kept, conversations, and the items of both. Items stand in
    # the order of their numbers; one that belongs to a conversation stays there when its response is deleted.
    """
    CREATE TABLE conversations (
        id TEXT PRIMARY KEY, created INTEGER NOT NULL, used REAL NOT NULL, bytes INTEGER NOT NULL,
        metadata BLOB NOT NULL
    );
    CREATE INDEX conversations_used ON conversations (used, bytes);
    CREATE TABLE responses (
        id TEXT PRIMARY KEY, previous TEXT, conversation TEXT, used REAL NOT NULL, bytes INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX responses_used ON responses (used, bytes);
    CREATE TABLE items (
        number INTEGER PRIMARY KEY AUTOINCREMENT, response TEXT, conversation TEXT, is_output INTEGER NOT NULL,
        id TEXT NOT NULL, body BLOB NOT NULL
    );
    CREATE INDEX items_response ON items (response, number) WHERE response IS NOT NULL;
    CREATE INDEX items_conversation ON items (conversation, number) WHERE conversation IS NOT NULL;
    CREATE INDEX items_id ON items (id);
    """,
    # 2: the vault. What a caller cannot carry, under what it does send back: a call's id, or a hash of the text.
    """
    CREATE TABLE thoughts (
        key TEXT NOT NULL, owner TEXT NOT NULL, used REAL NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (key, owner)
    );
    CREATE INDEX thoughts_used ON thoughts (used, bytes);
    """,
)
"""SQL of each step; the first is number 1."""

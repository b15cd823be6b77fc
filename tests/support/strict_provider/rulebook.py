"""Rules as data: an id that reads as a sentence, where the fact was read, and a function that objects.

A rulebook is judged in order and stops at the first objection, as vendors do. Rules about shape
come first, so that a later rule may rely on what the earlier ones have already demanded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from support.strict_provider.vault import Vault

__all__ = ["Case", "Objection", "Rule", "Rulebook", "Verdict"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a request is refused, in the vendor's words."""

    words: str
    where: str = ""
    """JSON path in the vendor's spelling; empty when the vendor names none."""
    code: str | None = None
    status: int = 400
    kind: str = "invalid_request_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Generic[T]):
    """One request as the rules see it."""

    body: dict[str, Any]
    traits: T
    vault: Vault
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names."""
    account: str = ""
    """Which credential asked: a digest, never the key."""
    counting: bool = False
    """Whether this is `count_tokens`, which takes fewer fields."""
    login: bool = False
    """Whether the credential is a subscription's OAuth token."""


Check = Callable[[Case[T]], Iterator[Objection]]


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """One thing a vendor refuses."""

    id: str
    source: str
    """A row of the dialect reference, or the vendor's own words."""
    check: Check[T]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The rule that refused, and what it said."""

    rule: str
    source: str
    objection: Objection


class Rulebook(Generic[T]):
    """An ordered list of rules for one dialect."""

    def __init__(self, *parts: Rulebook[T]) -> None:
        self.rules: list[Rule[T]] = [rule for part in parts for rule in part.rules]

    def rule(self, rule_id: str, source: str) -> Callable[[Check[T]], Check[T]]:
        """Return a decorator that adds the function below it as a rule.

        Raises:
            ValueError: the id is taken.
        """
        if any(rule.id == rule_id for rule in self.rules):
            raise ValueError(f"two rules are called {rule_id!r}")

        def add(check: Check[T]) -> Check[T]:
            self.rules.append(Rule(rule_id, source, check))
            return check

        return add

    def judge(self, case: Case[T]) -> Verdict | None:
        """Return the first refusal, or None when the request is in order."""
        for rule in self.rules:
            for objection in rule.check(case):
                return Verdict(rule.id, rule.source, objection)
        return None

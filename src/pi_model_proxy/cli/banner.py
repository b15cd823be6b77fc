"""What the server says once, when it is up: at most a dozen lines, most important first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from pi_model_proxy import __version__
from pi_model_proxy.cli.console import DEFAULT_WIDTH, Paint, wrapped
from pi_model_proxy.cli.gaps import gaps
from pi_model_proxy.config import Settings, is_loopback_host, sentence
from pi_model_proxy.gateway import Listing
from pi_model_proxy.sources import Problem, ProviderReport

__all__ = ["MAX_LINES", "Banner"]

MAX_LINES: Final = 12
INDENT: Final = " " * 10
MODEL_LINES: Final = 2
PROBLEM_LINES: Final = 4
LEAST_PROBLEM_LINES: Final = 2
UNSERVED_LINES: Final = 2
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - what to call instead of these


class Banner(msgspec.Struct, frozen=True, kw_only=True):
    """Writes the banner; the server calls it with what it knows once it listens. Pure."""

    paint: Paint = Paint()
    width: int = DEFAULT_WIDTH
    short: Callable[[str], str] = str
    """How paths are written."""

    def __call__(
        self,
        *,
        listing: Listing,
        settings: Settings,
        address: str,
        problems: Sequence[Problem] = (),
    ) -> str:
        """Return the banner, lines separated by newlines.

        Args:
            listing: All sources' models.
            settings: The settings in force.
            address: Where it listens, e.g. `http://127.0.0.1:9876`.
            problems: What is wrong with settings and sources; errors and warnings are shown.
        """
        width = min(self.width, DEFAULT_WIDTH)
        key = " (callers need the key)" if settings.api_key is not None else ""
        base = _callable(address, settings)
        head = [
            self.paint.bold(f"pi-model-proxy {__version__} at {address}") + key,
            f"{'Base URLs':<10}OpenAI {base}/v1 · Anthropic {base}",
        ]
        foot = [f"{'Next':<10}pi-model-proxy status | models | check | config, each with --help"]
        offered = _section("Models", [self._offered(listing, settings)], width=width, lines=MODEL_LINES)
        shown = sorted(
            (p for p in problems if p.severity != "note"), key=lambda problem: problem.severity != "error"
        )
        unserved = _unserved(listing)
        room = MAX_LINES - len(head) - len(offered) - len(foot)
        # What a login costs must be said at start, so it goes first; the others are a command away.
        kept_free = (LEAST_PROBLEM_LINES if shown else 0) + (1 if unserved else 0)
        notes = _notes(listing, width=width, lines=room - kept_free)
        room -= len(notes)
        warnings = self._warnings(shown, width=width, lines=min(PROBLEM_LINES, room - (1 if unserved else 0)))
        room -= len(warnings)
        not_yet = _section("Not yet", unserved, width=width, lines=min(UNSERVED_LINES, room))
        return "\n".join([*head, *offered, *notes, *not_yet, *warnings, *foot])

    def _offered(self, listing: Listing, settings: Settings) -> str:
        counts = Counter(entry.offer.model.provider for entry in listing.usable)
        if not counts:
            where = self.short(str(settings.agent_dir))
            return f"none yet: pi has no usable login or key in {where}. `pi-model-proxy login` lists the logins; or try --demo."
        if len(counts) == 1:
            return f"{counts.total()} of {next(iter(counts))}"
        each = ", ".join(f"{name} {count}" for name, count in counts.items())
        return f"{counts.total()} of {len(counts)} providers: {each}"

    def _warnings(self, problems: Sequence[Problem], *, width: int, lines: int) -> list[str]:
        said: list[str] = []
        for index, problem in enumerate(problems):
            free = lines - len(said) - (1 if index + 1 < len(problems) else 0)
            if free <= 0:
                said.append(f"{'':<10}{len(problems) - index} more: see `pi-model-proxy check`")
                break
            paint, label = (
                (self.paint.red, "Error") if problem.severity == "error" else (self.paint.yellow, "Warning")
            )
            block = _section(label, [self.short(sentence(problem))], width=width, lines=free)
            said += [paint(block[0]), *block[1:]]
        return said


def _callable(address: str, settings: Settings) -> str:
    """Return the address as a caller writes it: all interfaces are no host, and its name is checked."""
    scheme, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if is_loopback_host(settings.host):
        return address
    return f"{scheme}://{settings.allowed_hosts[0] if settings.allowed_hosts else EVERYWHERE.get(host, host)}:{port}"


def _reports(listing: Listing) -> list[ProviderReport]:
    sources = {id(entry.source): entry.source for entry in listing.entries}
    return [report for source in sources.values() for report in source.snapshot.providers]


def _section(label: str, sentences: Sequence[str], *, width: int, lines: int) -> list[str]:
    """Return the sentences under one label, cut to `lines` with an ellipsis."""
    if not sentences or lines <= 0:
        return []
    text = "; ".join(sentences)
    block = wrapped(text, width=width, indent=INDENT, first=f"{label:<10}")
    if len(block) > lines:
        last = block[lines - 1][: width - 2].rpartition(" ")[0].rstrip(",;")
        block = [*block[: lines - 1], last + " …"]
    return block


def _unserved(listing: Listing) -> list[str]:
    """Say which models pi has a credential for and cannot be served all the same, and why."""
    without_use = [
        f"{report.provider} ({report.reason})"
        for report in _reports(listing)
        if report.account and not report.usable
    ]
    return [*(str(gap) for gap in gaps(listing)), *without_use]


def _notes(listing: Listing, *, width: int, lines: int) -> list[str]:
    """Say once what each credential in use costs or means; those without room are named."""
    in_use = {entry.offer.model.provider for entry in listing.usable}
    noted = [
        report for report in _reports(listing) if report.note and report.usable and report.provider in in_use
    ]
    said: list[str] = []
    for index, report in enumerate(noted):
        text = f"{report.provider}: {report.note}"
        block = wrapped(text, width=width, indent=INDENT, first=f"{'Note':<10}")
        if len(said) + len(block) > lines - (index + 1 < len(noted)):
            rest = ", ".join(each.provider for each in noted[index:])
            return said + _section("Note", [f"see `pi-model-proxy check` for {rest}"], width=width, lines=1)
        said += block
    return said

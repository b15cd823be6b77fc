#!/usr/bin/env python3
"""Write the tables of docs/providers.md from the provider table, the catalogue and the dialects.

scripts/providers_docs.py            write the page's tables
scripts/providers_docs.py --check    write nothing; exit 1 when they are out of date
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pi_model_proxy.catalog import builtin_models, builtin_provider_ids
from pi_model_proxy.dialects.table import CLIENTS
from pi_model_proxy.providers import PROVIDERS, Address, Login, Provider

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "providers.md"
MARK: Final = "<!-- {} (written by scripts/providers_docs.py) -->"
END: Final = "<!-- end -->"

ADDRESSES: Final = {
    Address.AZURE: "address from `AZURE_OPENAI_BASE_URL` or `AZURE_OPENAI_RESOURCE_NAME`, model names from "
    "`AZURE_OPENAI_DEPLOYMENT_NAME_MAP`",
    Address.BEDROCK: "address from the region",
    Address.VERTEX: "address from project and location, or from the kind of key",
}


def page_with_tables(page: str) -> str:
    """Return the page with its tables written anew."""
    for name, rows in (("kinds", kind_rows()), ("providers", provider_rows()), ("logins", login_rows())):
        begin = MARK.format(name)
        before, found, rest = page.partition(begin)
        _, end, after = rest.partition(END)
        if not (found and end):
            raise SystemExit(f"{PAGE.name} has lost its marks: {begin} and {END}")
        page = f"{before}{begin}\n\n{_table(rows)}\n\n{END}{after}"
    return page


def kind_rows() -> Iterator[tuple[str, ...]]:
    """One row an API kind: pi's name, how many models, the format that we speak there."""
    yield ("API kind", "models in the catalogue", "spoken as")
    counts = Counter(model.api for provider in builtin_provider_ids() for model in builtin_models(provider))
    for kind, count in counts.most_common():
        client = CLIENTS.get(kind)
        yield (f"`{kind}`", f"{count:,}", f"`{client.dialect}`" if client else "not served")


def provider_rows() -> Iterator[tuple[str, ...]]:
    """One row a provider: id, name, kinds with their number of models, variables, login, what is special."""
    yield ("provider", "name", "models by API kind", "key or variables", "login", "special")
    for provider in builtin_provider_ids():
        row = PROVIDERS[provider]
        counts = Counter(model.api for model in builtin_models(provider))
        kinds = _lines(f"`{kind}` {count}" for kind, count in counts.most_common()) or "none that chats"
        login = row.login.name if row.login else "–"
        yield (f"`{provider}`", row.name, kinds, _lines(_variables(row)), login, _lines(_special(row)) or "–")


def login_rows() -> Iterator[tuple[str, ...]]:
    """One row a login: what the provider says about its use by other tools, where and when that was read."""
    yield ("provider", "login", "what it says of use and billing", "read")
    for provider in builtin_provider_ids():
        login = PROVIDERS[provider].login
        if login is not None:
            said = login.note or "Nothing special: use is billed as with a key of the account."
            yield (f"`{provider}`", login.name, said, _source(login))


def _source(login: Login) -> str:
    if not login.source:
        return "–"
    where = f"<{login.source}>" if login.source.startswith("https://") else login.source
    return f"{where}, {login.as_of}" if login.as_of else where


def _variables(row: Provider) -> Iterator[str]:
    yield from (f"`{name}`" for name in row.key_variables)
    for names in row.ambient:
        file = f" and the file of `{row.ambient_file[0]}`" if row.ambient_file[0] else ""
        yield " + ".join(f"`{name}`" for name in names) + file
    for name in row.required_variables:
        yield f"beside it `{name}`"
    if not row.takes_keys:
        yield "none: only its login works"


def _special(row: Provider) -> Iterator[str]:
    yield from (f"`{name}` is sent as `authorization: Bearer`" for name in sorted(row.bearer_variables))
    for kind, style in sorted(row.auth.items()):
        what = "the key travels" if kind == "*" else f"for `{kind}` the key travels"
        yield f"{what} as `{style.value}`"
    if row.means is not None:
        yield f"cloud credentials: {row.means.value}"
    if row.removed_headers:
        yield "never sent: " + ", ".join(f"`{name}`" for name in row.removed_headers)
    yield from dict.fromkeys(
        ADDRESSES[place]
        for model in builtin_models(row.id)
        if (place := row.address_of(model.api)) in ADDRESSES
    )
    if row.session_header:
        yield f"`{row.session_header}` names the conversation"
    if row.wants_initiator:
        yield "headers say who spoke last and whether there are pictures"
    if row.login is not None:
        yield from _special_of_login(row.login)
    yield from _static_headers(row.id)


def _special_of_login(login: Login) -> Iterator[str]:
    if login.token_names_host:
        yield "the login's token says which host is asked"
    if login.headers:
        yield "with the login: " + ", ".join(f"`{name}`" for name in login.headers)
    if login.identity.system_text:
        yield "with the login: the first system text and the spelling of tool names are those of the vendor's own tool"
    if login.identity.omitted_fields:
        left_out = ", ".join(f"`{name}`" for name in sorted(login.identity.omitted_fields))
        yield f"with the login, left out: {left_out}"


def _static_headers(provider: str) -> Iterator[str]:
    names = sorted({name.lower() for model in builtin_models(provider) for name in model.headers})
    if names:
        yield "from the catalogue: " + ", ".join(f"`{name}`" for name in names)


def _lines(parts: Iterable[str]) -> str:
    return "<br>".join(parts)


def _table(rows: Iterable[Sequence[str]]) -> str:
    head, *body = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    """Write or compare; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    wanted = page_with_tables(page)
    if page == wanted:
        return 0
    if not check:
        PAGE.write_text(wanted, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {'out of date; run scripts/providers_docs.py' if check else 'written'}")
    return 1 if check else 0


if __name__ == "__main__":
    sys.exit(main())

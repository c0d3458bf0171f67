"""Somebody else was quicker: what a page says when a form comes from a state that is no more.

The refusal stands on the page itself, beside what was typed: who changed what and when, as the audit trail tells, and
the way to see it as it is now.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from malha.channels.connecting.errors import (
    ConnectionChanged,
    FieldRulesChanged,
    ProductRoleChanged,
    StockRoleChanged,
)
from malha.channels.listings.errors import ListingChanged
from malha.console import audit_words, web
from malha.platform import audit
from malha.platform.audit import Entry, Wanted
from malha.platform.errors import Conflict
from malha.platform.i18n import N_, Word

CHANGED = (ConnectionChanged, FieldRulesChanged, ProductRoleChanged, StockRoleChanged, ListingChanged)
LOOKED_BACK = 20  # entries that are looked through for the newest of some actions
MOST = 5  # fields that are told


@asynccontextmanager
async def told(
    request: web.Asking, address: str, entity: str, key: str, actions: Collection[str]
) -> AsyncIterator[None]:
    """Have a refusal of the block, where it is that somebody else was quicker, say what they changed.

    Args:
        request: of the form.
        address: where it is shown as it is now.
        entity: what the audit trail calls it.
        key: its code there.
        actions: those that change what the form is of.
    """
    try:
        yield
    except Conflict as error:
        if not isinstance(error, CHANGED) and type(error) is not Conflict:
            raise
        async with web.reading(request) as tx:
            wanted = Wanted(entity=entity, entity_id=key)
            entries = (await audit.search(tx, wanted, size=LOOKED_BACK)).entries
        newest = next((entry for entry in entries if entry.action in actions), None)
        error.facts["newest"] = address
        error.facts["problems"] = [] if newest is None else _lines(newest)
        if entity == "product":
            error.facts["what"] = Word(N_("Product"))
        raise


def _lines(entry: Entry) -> list[dict[str, Any]]:
    """Return what was changed last as flaws are told: by whom and when, then field by field."""
    who = {"who": entry.actor_name or "–", "when": entry.at}  # noqa: RUF001 -- the dash of an empty cell
    lines: list[dict[str, Any]] = [{"says": N_("Changed last by {who}, {when}."), "facts": who}]
    for row in audit_words.differences(entry)[:MOST]:
        # Already in the reader's language.
        text = f"{row.label}: {row.before} → {row.after}" if row.only == "both" else f"{row.label}: {row.after}"
        lines.append({"says": "{said}", "facts": {"said": text[:300]}})
    return lines

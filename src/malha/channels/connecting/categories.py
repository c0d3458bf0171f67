"""Which of our categories a channel's are: by what people said, by code, or by the names from the root on.

What nobody knows is held, or made, as the connection says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from malha.catalog import reads as catalog
from malha.catalog import rules, service
from malha.catalog.model import Category
from malha.channels.connecting import category_reads, category_writes, master_reads, master_writes
from malha.channels.connecting.service import connection_of
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.text import fold

UNKNOWN_SAYS = N_("Nobody said which category {value} is.")
UNKNOWN_MEND = N_("Say it on the connection's page of categories, or have unknown ones made.")


async def ours(tx: Tx, connection_id: int, theirs: Sequence[str]) -> dict[str, str]:
    """Return the codes of the categories here that a channel's are; those that nobody knows are absent."""
    wanted = sorted(set(theirs))
    known = await category_reads.said(tx, connection_id, wanted)
    left = [each for each in wanted if each not in known]
    if left:
        tree = await catalog.categories(tx)
        codes, paths = {c.code for c in tree}, _paths(tree)
        for each in left:
            found = each if each in codes else paths.get(_path(each))
            if found:
                known[each] = found
    return known


def _path(theirs: str) -> tuple[str, ...]:
    return tuple(fold(part.strip()) for part in theirs.split(">"))


def _paths(tree: Sequence[Category]) -> dict[tuple[str, ...], str]:
    """Return categories by their names from the root on; the tree has parents before children."""
    names: dict[str, tuple[str, ...]] = {}
    for each in tree:
        names[each.code] = (*names.get(each.parent or "", ()), fold(each.name))
    return {path: code for code, path in reversed(names.items())}


async def settle(tx: Tx, connection_id: int, told: Mapping[str, dict[str, Any]], *, write: bool) -> dict[str, Flaw]:
    """Put our codes in the place of a channel's categories in what it told, by SKU; return what is unknown.

    Where nothing is written, what would be made is left out of what is told; what is unknown is, always.
    """
    theirs = {sku: str(fields["category"]) for sku, fields in told.items() if fields.get("category")}
    if not theirs:
        return {}
    if write:
        await tx.execute(category_writes.NOTE, {"connection_id": connection_id, "theirs": sorted(set(theirs.values()))})
    known = await ours(tx, connection_id, sorted(set(theirs.values())))
    missing = sorted(set(theirs.values()) - set(known))
    made = missing and (await master_reads.master(tx, connection_id)).categories == "made"
    if made and write:
        known |= await _make(tx, missing)
    flaws: dict[str, Flaw] = {}
    for sku, value in theirs.items():
        if value in known:
            told[sku]["category"] = known[value]
            continue
        del told[sku]["category"]
        if not made or write:
            flaws[sku] = Flaw("category", UNKNOWN_SAYS, UNKNOWN_MEND, {"value": value})
    return flaws


async def _make(tx: Tx, theirs: Sequence[str]) -> dict[str, str]:
    """Make categories of paths of names; those of which no code can be made are left out."""
    made: dict[str, str] = {}
    there = {each.code for each in await catalog.categories(tx)}
    for each in theirs:
        drafts = rules.categories_of_path(each)
        if drafts and not any(flaw for draft in drafts for flaw in rules.check_category(draft)):
            await service.put_categories(tx, [draft for draft in drafts if draft.code not in there])
            there |= {draft.code for draft in drafts}
            made[each] = drafts[-1].code
    return made


async def put(tx: Tx, code: str, pairs: Sequence[tuple[str, str | None]]) -> None:
    """Say which of ours (second of each pair, a code) categories of a channel are; None: nobody says.

    What waited for it is tried again, and what the channel told is written anew.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        Invalid: a category is unknown, there or here.
    """
    found = await connection_of(tx, code)
    codes = {each.code for each in await catalog.categories(tx)}
    says = N_("There is no category {value}.")
    refuse([Flaw("ours", says, facts={"value": mine}) for _, mine in pairs if mine is not None and mine not in codes])
    params = {"connection_id": found.id, "theirs": [t for t, _ in pairs], "ours": [o for _, o in pairs]}
    done = set(await tx.values(category_writes.PUT, params))
    refuse([Flaw("theirs", says, facts={"value": theirs}) for theirs, _ in pairs if theirs not in done])
    await tx.execute(master_writes.HAVE_ALL_TAKEN, {"connection_id": found.id})
    await tx.execute(category_writes.TRY_AGAIN, {"connection_id": found.id})
    facts = {"count": len(pairs), "pairs": [f"{theirs} = {mine or '-'}" for theirs, mine in pairs[:200]]}
    await audit.record(tx, action="map_categories", entity="connection", entity_id=code, after=facts)

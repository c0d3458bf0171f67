"""Use cases of mapping: which of ours a channel's variants are. Said once, by a person; orders that waited go on.

What has exactly our SKU or GTIN, or is listed under its code, is ours. All else is only suggested, ranked by how sure
that is; nothing of it is taken without somebody's press, and each can be taken back.
"""

from collections.abc import Sequence

import msgspec

from malha.catalog import ownership
from malha.channels import service as channels
from malha.channels.connecting import (
    mapping_reads,
    mapping_rules,
    mapping_writes,
    master_reads,
    master_writes,
    writes,
)
from malha.channels.connecting.errors import UnknownEntry
from malha.channels.connecting.mapping_rules import Seen
from malha.channels.connecting.model import Linked
from malha.channels.connecting.service import connection_of
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

AT_ONCE = 200
MOST = 5_000  # accepted by one press
LEAST_SCORE = 80  # nobody may accept guesses in bulk


async def note(
    tx: Tx, connection_id: int, seen: Sequence[Seen], source: str, *, partly: bool = False, makes: bool = True
) -> None:
    """Keep what a channel sells, as its catalogue (`catalog`) or one of its orders (`order`) names it.

    `partly`: what is not told now stays as it was told before. Without `makes` no product is made for its sake.
    """
    named = sorted({s.code: s for s in map(mapping_rules.storable, seen) if s.code}.values(), key=lambda s: s.code)
    if not named:
        return
    await tx.execute(
        mapping_writes.NOTE_SEEN,
        {
            "connection_id": connection_id,
            "source": source,
            "partly": partly,
            "makes": makes,
            "codes": [s.code for s in named],
            "ids": [s.external_id for s in named],
            "gtins": [s.gtin for s in named],
            "names": [s.name for s in named],
            "prices": [s.price for s in named],
            "active": [s.active for s in named],
            "versions": [s.version for s in named],
            "parents": [s.parent for s in named],
            "told": [msgspec.json.encode(s.told).decode() for s in named],
        },
    )
    if source == "order":
        await tx.execute(mapping_writes.TAKE_BACK, {"connection_id": connection_id, "codes": [s.code for s in named]})


async def settle_exact(tx: Tx, connection_id: int, codes: Sequence[str] | None = None) -> int:
    """Take what is exactly one of ours for it, of all that is open or of these codes; return how much that was.

    Orders that waited for it go on.
    """
    params = {"connection_id": connection_id, "codes": None if codes is None else list(codes)}
    found = await tx.values(mapping_writes.SETTLE_EXACT, params)
    if found:
        await tx.execute(master_writes.HAVE_TAKEN, {"connection_id": connection_id, "codes": found})
    await tx.execute(writes.WAKE_MAPPED, {"connection_id": connection_id})
    return len(found)


async def put(tx: Tx, code: str, pairs: Sequence[tuple[str, str]]) -> int:
    """Say which SKUs (second of each pair) a channel's variants (first, by code) are; return how many orders go on.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        Invalid: a SKU or a code is unknown.
    """
    found = await connection_of(tx, code)
    return await _map(tx, found, [(theirs, ours, "person") for theirs, ours in pairs], action="map_variants")


async def accept(tx: Tx, code: str, least: int) -> tuple[int, int]:
    """Accept the suggestions that are at least so sure (percent), and clearly surer than the next.

    At most 5,000 at once; more is accepted by another press.

    Returns:
        How many were mapped, and how many waiting orders go on.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        Invalid: so little is too little to be taken without a look.
    """
    found = await connection_of(tx, code)
    says = N_("Suggestions are accepted together from {least}% on.")
    refuse([] if LEAST_SCORE <= least <= 100 else [Flaw("at_least", says, facts={"least": LEAST_SCORE})])
    pairs: list[tuple[str, str, str]] = []
    after = ""
    while len(pairs) < MOST:
        page = await mapping_reads.rows(tx, found.id, after=after, most=AT_ONCE)
        suggested = await mapping_reads.suggestions(tx, page)
        for named in page:
            best = mapping_rules.clear(suggested[named.code], least)
            if best is not None:
                pairs.append((named.code, best.sku, best.how))
        if len(page) < AT_ONCE:
            break
        after = page[-1].code
    if not pairs:
        return 0, 0
    return len(pairs), await _map(tx, found, pairs, action="accept_suggestions")


async def _map(tx: Tx, connection: Linked, pairs: Sequence[tuple[str, str, str]], *, action: str) -> int:
    params = {
        "connection_id": connection.id,
        "codes": [theirs for theirs, _, _ in pairs],
        "skus": [ours for _, ours, _ in pairs],
        "hows": [how for _, _, how in pairs],
    }
    done = set(await tx.values(mapping_writes.MAP, params))
    says = N_("{theirs} cannot be mapped to {sku}: one of the two is not there.")
    refuse([Flaw("sku", says, facts={"theirs": t, "sku": o}) for t, o, _ in pairs if t not in done])
    told = {"connection_id": connection.id, "codes": sorted(done)}
    await tx.execute(mapping_writes.LIST_MAPPED, told)
    await tx.execute(master_writes.HAVE_TAKEN, told)
    await channels.look_again(tx, connection.channel_id)
    woken = len(await tx.values(writes.WAKE_MAPPED, {"connection_id": connection.id}))
    facts = {"count": len(done), "pairs": [f"{t} = {o} ({how})" for t, o, how in pairs[:200]], "orders": woken}
    await audit.record(tx, action=action, entity="connection", entity_id=connection.code, after=facts)
    return woken


async def unmap(tx: Tx, code: str, codes: Sequence[str]) -> int:
    """Take mappings back that somebody made; return how many. What is exactly ours stays ours.

    Orders that went on stay as they are; new ones wait again.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        UnknownEntry: none of them is mapped.
    """
    found = await connection_of(tx, code)
    params = {"connection_id": found.id, "codes": list(codes)}
    await tx.execute(mapping_writes.UNLIST_MAPPED, params)
    await channels.look_again(tx, found.channel_id)
    were = await tx.values(master_reads.SKUS_OF, params)
    done = await tx.values(mapping_writes.UNMAP, params)
    still = await tx.values(master_reads.STILL_TOLD, {"connection_id": found.id, "skus": were})
    await ownership.untell(tx, code, sorted(set(were) - set(still)))
    return await _told(tx, code, "unmap_variants", done, codes)


async def ignore(tx: Tx, code: str, codes: Sequence[str], *, ignored: bool = True) -> int:
    """Say that variants are none of ours, or that they are after all; return how many. An order for one asks again.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        UnknownEntry: none of them is open.
    """
    found = await connection_of(tx, code)
    params = {"connection_id": found.id, "codes": list(codes), "ignored": ignored}
    action = "ignore_variants" if ignored else "ask_variants"
    return await _told(tx, code, action, await tx.values(mapping_writes.IGNORE, params), codes)


async def _told(tx: Tx, code: str, action: str, done: Sequence[str], asked: Sequence[str]) -> int:
    if not done:
        raise UnknownEntry(key=", ".join(asked[:3]))
    facts = {"count": len(done), "codes": sorted(done)[:200]}
    await audit.record(tx, action=action, entity="connection", entity_id=code, after=facts)
    return len(done)

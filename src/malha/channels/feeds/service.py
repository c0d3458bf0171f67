"""Use cases of feeds: state one, see what it would say, have it built, and hand its file to who knows its address."""

import base64
import hmac
import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.catalog import reads as catalog
from malha.channels import service as channels
from malha.channels.feeds import building, making, reads, rules, writes
from malha.channels.feeds.errors import (
    BuildNotFound,
    BuildRunning,
    FeedChanged,
    FeedNotFound,
    NoFileYet,
    TooManyPulls,
)
from malha.channels.feeds.model import Build, BuildKind, Feed, FeedDraft, Filters, FlawRow, Plan, State
from malha.channels.feeds.profiles import PROFILES
from malha.network import reads as network
from malha.network.model import Channel
from malha.network.service import refuse_limited
from malha.platform import audit, jobs, sealing, signing
from malha.platform.db import SYSTEM, Actor, Database, Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _
from malha.platform.ids import new_id
from malha.platform.outward import OutwardRefused, inward

PULLS_A_MINUTE = 30
LEAST_MINUTES, MOST_MINUTES = 5, 30 * 24 * 60
MOST_PREVIEWED = 50
LOOK_THROUGH = 2_000  # listings that a preview looks at to find some that are in
PURPOSE = "feeds"
_SALT = 16
_CODE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_encode = msgspec.json.Encoder().encode


async def feed_of(tx: Tx, code: str) -> Feed:
    """Return a feed by its code. What it says sums up the stock of all locations.

    Raises:
        SharedByAll: the actor is limited to some locations.
        FeedNotFound: there is none.
    """
    refuse_limited(tx)
    found = await reads.feeds(tx, code)
    if not found:
        raise FeedNotFound(key=code)
    return found[0]


def usual_plan(profile: str, currency: str) -> Plan:
    """Return the plan that a new feed of a target begins with."""
    target = PROFILES[profile]
    return Plan(profile=profile, format=target.formats[0], mapping=list(target.defaults), currency=currency)


async def lock_feed(tx: Tx, code: str) -> int:
    """Let nobody else state or delete a feed until the transaction ends; return its version, 0 where there is none.

    Raises:
        SharedByAll: the actor is limited to some locations.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_CODE, {"code": code})
    found = await reads.feeds(tx, code)
    return found[0].version if found else 0


async def held_feed(tx: Tx, code: str) -> Feed:
    """Return a feed that nobody else changes until the transaction ends.

    Raises:
        SharedByAll, FeedNotFound: as the names say.
    """
    await lock_feed(tx, code)
    return await feed_of(tx, code)


async def put_feed(
    tx: Tx, code: str, draft: FeedDraft, version: int, keys: signing.Keys, *, allowed: Sequence[str] | None = None
) -> int:
    """State a feed; `version` 0 makes it. Another plan or channel has its next build be of all rows.

    `allowed`: see `outward.inward`.

    Returns:
        The new version.

    Raises:
        SharedByAll, UnknownChannel: as the names say.
        Invalid: the plan, a filter, or a time makes no sense, or the address leads into a network that is not public.
        OutwardRefused: the address to put the file to cannot be asked.
        FeedChanged: somebody else changed it meanwhile, or the code is taken.
    """
    channel = await channels.channel_of(tx, draft.channel)
    flaws = [*_check(code, draft), *await _check_plan(tx, draft.plan)]
    if draft.push_url:
        try:
            flaws += inward("push_url", draft.push_url.replace("{name}", "feed"), allowed)
        except OutwardRefused:
            refuse(flaws)
            raise
    refuse(flaws)
    await lock_feed(tx, code)
    before = next(iter(await reads.feeds(tx, code)), None)
    row = {
        "code": code,
        "name": draft.name.strip(),
        "channel_id": channel.id,
        "plan": _encode(draft.plan).decode(),
        "active": draft.active,
        "full_minutes": draft.full_minutes,
        "changes_minutes": draft.changes_minutes,
        "push_url": draft.push_url or None,
        "push_secret": sealing.seal(keys, building.PURPOSE, draft.push_secret) if draft.push_secret else None,
        "version": version,
    }
    if before is not None and before.channel_id != channel.id:
        await tx.execute(writes.STOP_OPEN, {"feed_id": before.id})
    if version == 0:
        stored = await tx.value(writes.PUT_FEED, {**row, "salt": os.urandom(_SALT)})
    else:
        stored = await tx.value(writes.CHANGE_FEED, row)
    if stored is None:
        raise FeedChanged(what="feed", key=code)
    facts = {k: v for k, v in row.items() if k not in {"push_secret", "version", "plan"}} | {"plan": draft.plan}
    action = "change" if before else "create"
    shown = None if before is None else _shown(before)
    await audit.record(tx, action=action, entity="feed", entity_id=code, before=shown, after=facts)
    return int(stored)


def _shown(feed: Feed) -> dict[str, Any]:
    return {k: v for k, v in msgspec.structs.asdict(feed).items() if k != "salt"}


def _check(code: str, draft: FeedDraft) -> list[Flaw]:
    flaws = []
    if not 0 < len(code) <= 60 or not set(code) <= _CODE:
        says, mend = N_("{value} is no code of a feed."), N_("Use small letters, digits, hyphens and underscores.")
        flaws.append(Flaw("code", says, mend, {"value": code[:80]}))
    if not draft.name.strip():
        flaws.append(Flaw("name", N_("This field is empty."), N_("Fill it in.")))
    for at, minutes in (("full_minutes", draft.full_minutes), ("changes_minutes", draft.changes_minutes)):
        if minutes is not None and not LEAST_MINUTES <= minutes <= MOST_MINUTES:
            facts = {"least": LEAST_MINUTES, "most": MOST_MINUTES}
            flaws.append(Flaw(at, N_("Use {least} to {most} minutes."), "", facts))
    if draft.changes_minutes is not None and draft.full_minutes is None:
        says = N_("Changes need a file to differ from.")
        flaws.append(Flaw("full_minutes", says, N_("Say how often all rows are built.")))
    if draft.changes_minutes is not None and not rules.has_unique_ids(draft.plan):
        says, mend = N_("Changes need ids that no two listings share."), N_("Map the id to the code or to the SKU.")
        flaws.append(Flaw("changes_minutes", says, mend))
    if draft.push_secret and (
        "\n" in draft.push_secret or "\r" in draft.push_secret or not draft.push_secret.isascii()
    ):
        flaws.append(Flaw("push_secret", N_("This cannot be sent in a header."), N_("Use one line of plain letters.")))
    return flaws


async def _check_plan(tx: Tx, plan: Plan) -> list[Flaw]:
    flaws = [*rules.check_plan(plan), *await _check_filters(tx, plan.filters)]
    return [msgspec.structs.replace(flaw, at=f"plan/{flaw.at}") for flaw in flaws]


async def _check_filters(tx: Tx, filters: Filters) -> list[Flaw]:
    known = {c.code for c in await catalog.categories(tx)} if filters.categories else set()
    says = N_("There is no category {code}.")
    flaws = [Flaw("filters/categories", says, facts={"code": c[:80]}) for c in filters.categories if c not in known]
    if filters.location_group and not await network.location_groups(tx, [filters.location_group]):
        facts = {"code": filters.location_group[:80]}
        flaws.append(Flaw("filters/location_group", N_("There is no group of locations {code}."), facts=facts))
    return flaws


async def drop_feed(tx: Tx, code: str, version: int) -> None:
    """Delete a feed with its files and reports; its address answers no more.

    Raises:
        SharedByAll, FeedNotFound, FeedChanged: as the names say.
    """
    before = await held_feed(tx, code)
    await tx.execute(writes.STOP_OPEN, {"feed_id": before.id})
    if await tx.value(writes.DROP_FEED, {"code": code, "version": version}) is None:
        raise FeedChanged(what="feed", key=code)
    await audit.record(tx, action="remove", entity="feed", entity_id=code, before=_shown(before))


async def rotate(tx: Tx, code: str, version: int) -> int:
    """Give a feed another address; the former answers no more. Return the new version.

    Raises:
        SharedByAll, FeedNotFound, FeedChanged: as the names say.
    """
    await held_feed(tx, code)
    asked = {"code": code, "version": version, "salt": os.urandom(_SALT)}
    stored: int | None = await tx.value(writes.NEW_SALT, asked)
    if stored is None:
        raise FeedChanged(what="feed", key=code)
    await audit.record(tx, action="readdress", entity="feed", entity_id=code)
    return stored


# --- building ---


async def start_build(tx: Tx, code: str, kind: BuildKind, *, wait: bool = True) -> Build | None:
    """Have a file built in the background; changes where there is no full file yet are built as a full one.

    Without `wait`, a feed that is being built already is left alone: None.

    Raises:
        SharedByAll, FeedNotFound: as the names say.
        BuildRunning: the feed is being built.
    """
    feed = await feed_of(tx, code)
    id_ = new_id()
    row = {"id": id_, "feed_id": feed.id, "kind": kind.value, "plan": _encode(feed.plan).decode()}
    number = await tx.value(writes.ADD_BUILD, {**row, "by": tx.actor.name})
    if number is None:
        if wait:
            raise BuildRunning(feed=code)
        return None
    await jobs.defer(tx, building.build, lock=f"feed:{feed.id}", build_id=str(id_))
    if tx.actor is not SYSTEM:
        if kind is BuildKind.FULL:
            await tx.execute(writes.MOVE_ON, {"feed_id": feed.id})
        facts = {"kind": kind.value, "number": number}
        await audit.record(tx, action="build", entity="feed", entity_id=code, after=facts)
    return await reads.build(tx, id_)


async def stop_build(tx: Tx, code: str, number: int) -> Build:
    """Stop a build; the file before it stays.

    Raises:
        SharedByAll, FeedNotFound, BuildNotFound: as the names say.
    """
    found = await build_of(tx, code, number)
    await tx.execute(writes.END_BUILD, {"id": found.id, "state": State.STOPPED.value, "problem": "", "push": ""})
    await tx.execute(writes.CLEAR_TODO, {"id": found.id})
    await audit.record(tx, action="stop", entity="feed", entity_id=code, after={"number": number})
    return await build_of(tx, code, number)


async def build_of(tx: Tx, code: str, number: int) -> Build:
    """Return a feed's build by its number.

    Raises:
        SharedByAll, FeedNotFound, BuildNotFound: as the names say.
    """
    feed = await feed_of(tx, code)
    found = await reads.build_of_number(tx, feed.id, number)
    if found is None:
        raise BuildNotFound(feed=code, key=number)
    return found


async def build_due(db: Database) -> None:
    """Begin the builds whose time has come, and have those go on whose job gave up while the database was away."""
    async with db.transaction() as tx:
        open_ = await tx.tuples(reads.OPEN_BUILDS)
        at_work = {arguments.get("build_id") for arguments in await jobs.open_arguments(tx, building.build)}
        for build_id, feed_id in open_:
            if str(build_id) not in at_work:
                await jobs.defer(tx, building.build, lock=f"feed:{feed_id}", build_id=str(build_id))
        for code, whole in await tx.tuples(writes.TAKE_DUE):
            await start_build(tx, code, BuildKind.FULL if whole else BuildKind.CHANGES, wait=False)


# --- looking at it ---


class Preview(msgspec.Struct, frozen=True):
    """Some rows as a plan makes them now: values by the columns, and what rules find in each."""

    columns: list[str]
    rows: list["PreviewRow"]
    looked: int  # listings that were looked at for them


class PreviewRow(msgspec.Struct, frozen=True):
    """One row of a preview; `left` is the filter that keeps it out, `refused` whether an error does."""

    sku: str
    place: str
    values: list[Any]
    found: list[rules.Found]
    refused: bool


async def preview(tx: Tx, plan: Plan, channel: Channel, *, rows: int = 3, sku: str | None = None) -> Preview:
    """Return the first rows that a plan makes of a channel's listings, or those of one SKU. Nothing is kept.

    Raises:
        Invalid: the plan makes no sense.
    """
    refuse(await _check_plan(tx, plan))
    rows = max(1, min(rows, MOST_PREVIEWED))
    maker = await making.maker_of(tx, plan, channel.id)
    shown: list[PreviewRow] = []
    after = looked = 0
    while len(shown) < rows and looked < LOOK_THROUGH:
        page = (
            await reads.goods_of_sku(tx, channel.id, sku)
            if sku
            else await reads.goods_after(tx, channel.id, after, 10 * rows)
        )
        if not page:
            break
        made = maker.made(page, await maker.stock(tx, page))
        names = {goods.sku_id: goods.sku for goods in page}
        for one in made:
            shown += [_previewed(names[one.sku_id], row) for row in one.rows]
        looked += len(page)
        after = page[-1].sku_id
        if sku:
            break
    return Preview(maker.compiled.columns, shown[:rows], looked)


def _previewed(sku: str, row: rules.Row) -> PreviewRow:
    return PreviewRow(sku, row.place, row.cells, row.found, row.values is None)


# --- the file ---


def token_of(keys: signing.Keys, feed: Feed, retailer: str) -> str:
    """Return the part of a feed's address that nobody can guess: it follows from the key and the feed's salt."""
    return _tokens(keys, feed, retailer)[0]


def _tokens(keys: signing.Keys, feed: Feed, retailer: str) -> list[str]:
    said = f"{retailer}\x00{feed.id}\x00".encode() + feed.salt
    found = []
    for key in (keys.current, keys.previous):
        if key is not None:
            mac = hmac.digest(signing.derive(key, PURPOSE), said, "sha256")
            found.append(base64.urlsafe_b64encode(mac[:24]).decode())
    return found


def path_of(keys: signing.Keys, feed: Feed, retailer: str, kind: BuildKind = BuildKind.FULL) -> str:
    """Return the address of a feed's file, below the public one."""
    return f"/feeds/{token_of(keys, feed, retailer)}/{building.name_of(feed.code, kind, feed.plan.format.ending)}"


class File(msgspec.Struct, frozen=True):
    """A file that may be sent: of which build, and whether it is asked for as a gzip file."""

    feed: Feed
    build: Build
    gzipped: bool

    @property
    def tag(self) -> str:
        """Return what changes when the content does."""
        return f"{self.build.digest.hex()}{'-gz' if self.gzipped else ''}"


async def pulled(tx: Tx, keys: signing.Keys, token: str, name: str) -> File:
    """Return the file at a public address, and count that it was read. What is wrong with an address is not said.

    Raises:
        FeedNotFound: no feed in use has this address.
        NoFileYet: it has no such file.
        TooManyPulls: it was read too often within a minute.
    """
    gzipped = name.endswith(".gz")
    parts = name.removesuffix(".gz").split(".")
    kind = BuildKind.CHANGES if len(parts) == 3 and parts[1] == "changes" else BuildKind.FULL
    feed = next(iter(await reads.feeds(tx, parts[0])), None) if len(parts) in {2, 3} else None
    # As much is compared when there is none: how long it takes says nothing.
    known = [t.encode() for t in _tokens(keys, feed, tx.retailer)] if feed else [b"x" * 32]
    fits = [hmac.compare_digest(token.encode(), one) for one in known]
    if feed is None or not any(fits) or not feed.active:
        raise FeedNotFound(key=parts[0])
    if name.removesuffix(".gz") != building.name_of(feed.code, kind, parts[-1]):
        raise FeedNotFound(key=parts[0])
    if await tx.value(writes.COUNT_PULL, {"feed_id": feed.id, "most": PULLS_A_MINUTE}) is None:
        raise TooManyPulls(seconds=60, retry_after=60)
    found = await reads.newest_file(tx, feed.id, kind)
    if found is None or found.plan.format.ending != parts[-1]:
        raise NoFileYet(feed=feed.code)
    return File(feed, found, gzipped)


async def file_of(tx: Tx, code: str, number: int) -> File:
    """Return the file of a build, for who may see feeds.

    Raises:
        SharedByAll, FeedNotFound, BuildNotFound: as the names say.
        NoFileYet: it did not end well, or newer ones replaced it.
    """
    feed = await feed_of(tx, code)
    found = await build_of(tx, code, number)
    if found.state is not State.DONE or not await tx.value(reads.HAS_PARTS, {"id": found.id}):
        raise NoFileYet(feed=code)
    return File(feed, found, gzipped=True)


def modified(file: File) -> datetime:
    """Return when a file was finished, in whole seconds as HTTP has them."""
    return reads.last_modified(file.build).replace(microsecond=0)


# --- the rows to mend ---


MEND_TITLES = (
    N_("SKU"), N_("Product"), N_("Code on the channel"), N_("Location"), N_("Field"), N_("What is wrong"),
    N_("What becomes of the row"), N_("Value"),
)  # fmt: skip
BECOMES = {"error": N_("Left out"), "warning": N_("Written all the same")}


def mend_cells(row: FlawRow) -> list[Any]:
    """Return a row to mend as cells, in the reader's language."""
    said = _(rules.RULES.get(row.rule, row.rule))
    return [row.sku, row.name, row.code, row.place, row.field, said, _(BECOMES[row.severity]), row.value]


async def mend_pages(
    database: Database, actor: Actor, build: Build, *, rule: str | None = None, field: str | None = None
) -> AsyncIterator[Sequence[FlawRow]]:
    """Yield all rows to mend of a build, of one rule and field or of all, each page in a transaction of its own."""
    after = reads.START
    while True:
        async with database.transaction(actor) as tx:
            found = await reads.flaws(tx, build.id, rule=rule, field=field, after=after, limit=1_000)
        yield found
        if len(found) < 1_000:
            return
        after = reads.place_of(found[-1])

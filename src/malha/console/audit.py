"""The audit trail to read: filtered list, one entry beside it with what differs, export."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import attention_reads, audit_words, care, export, filling, render, shell, web
from malha.console import reads as page_reads
from malha.identity import care as taking
from malha.identity import care_reads
from malha.identity.care import Subject
from malha.ordering import listing
from malha.platform import audit, i18n, sheets
from malha.platform.audit import Entry, Wanted
from malha.platform.days import maybe_day
from malha.platform.db import Tx
from malha.platform.errors import NotFound
from malha.platform.i18n import N_, _
from malha.platform.ids import id_in
from malha.platform.sheets import Column, Kind
from malha.platform.text import begun, whole_in

PAGE_SIZE = 50
COLUMNS = (
    Column(N_("When"), Kind.MOMENT, 18), Column(N_("Who"), width=24), Column(N_("Kind of actor")),
    Column(N_("Network address")), Column(N_("Request"), width=34), Column(N_("Record")),
    Column(N_("Identifier"), width=38), Column(N_("Action"), width=20), Column(N_("Before"), width=40),
    Column(N_("After"), width=40),
)  # fmt: skip
_KEYS_OF = {"person": "person", "api_key": "key"}  # kinds of record that have a name among the actors
CARES = {"mine": N_("Mine to follow up"), "any": N_("Somebody follows up")}
ACTORS = {"person": N_("Person"), "key": N_("API key"), "system": N_("System"), "anonymous": N_("Nobody signed in"),
          "connection": N_("Connection")}  # fmt: skip


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address of the list says; nonsense in it is ignored."""

    entity: str = ""
    record: str = ""
    action: str = ""
    who: str = ""  # kind:id
    source: str = ""
    request: str = ""
    imported: int = 0  # by which import, by its number
    care: str = ""  # "mine", "any": what somebody looks after
    since: date | None = None
    until: date | None = None
    after: int = 0  # entries older than this one
    before: int = 0  # entries newer than this one

    @property
    def filtered(self) -> bool:
        """Return whether anything narrows the list."""
        return any(getattr(self, name) for name in self.__struct_fields__ if name not in {"after", "before"})

    def address(self, path: str = "/audit", **changes: Any) -> str:
        """Return the address of this list with parts changed."""
        return web.address(path, self, {"after": 0, "before": 0, **changes})

    def wanted(self) -> Wanted:
        """Return the trail's terms: days become instants in the reader's zone."""
        since, until = listing.day_bounds(self.since, self.until, ZoneInfo(i18n.current_zone()))
        kind, _colon, id_ = self.who.partition(":")
        return Wanted(
            entity=self.entity or None,
            entity_id=self.record or None,
            action=self.action or None,
            actor_kind=kind or None,
            actor_id=id_ or None,
            source=self.source or None,
            request_id=self.request or None,
            import_number=self.imported or None,
            since=since,
            until=until,
        )


def _within(request: Request[Any, Any, Any], wanted: Wanted) -> Wanted:
    """Return the terms for whoever asks: who is limited to locations sees what they did themselves."""
    caller = web.caller_of(request)
    if caller.locations is None:
        return wanted
    return msgspec.structs.replace(wanted, actor_kind=caller.kind, actor_id=caller.id)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as the list and the detail draw it."""

    id: int
    when: str
    exact: str
    who: str
    actor: str
    source: str
    act: str
    kind: str
    record: str
    href: str
    summary: str
    request: str
    entity: str
    entity_id: str
    actor_key: str


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""

    def text(name: str, most: int = 200) -> str:
        return web.said(query, name).strip()[:most]

    def number(name: str) -> int:
        said = query.get(name, "")
        return whole_in(said, 18) or 0

    return Asked(
        entity=text("entity", 60),
        record=text("record"),
        action=text("action", 60),
        who=text("who", 80),
        source=text("source", 60),
        request=text("request", 80),
        imported=number("imported"),
        care=found if (found := text("care", 10)) in CARES else "",
        since=maybe_day(query.get("since")),
        until=maybe_day(query.get("until")),
        after=number("after"),
        before=number("before"),
    )


async def _cared_for(tx: Tx, request: Request[Any, Any, Any], asked: Asked, wanted: Wanted) -> Wanted:
    """Return the terms with the entries that somebody, or the person who asks, looks after."""
    if not asked.care:
        return wanted
    person = web.person_of(request) if asked.care == "mine" else None
    ids = [int(subject) for subject in await care_reads.subjects_of(tx, Subject.AUDIT, person) if subject.isdigit()]
    return msgspec.structs.replace(wanted, ids=tuple(ids))


async def _rows(tx: Tx, entries: Sequence[Entry]) -> list[Row]:
    ids = [id_ for e in entries if e.entity == "order" and (id_ := id_in(e.entity_id))]
    numbers = {str(id_): number for id_, number in await tx.tuples(attention_reads.ORDER_NUMBERS, {"orders": ids})}
    names = {f"{kind}:{id_}": name for kind, id_, name in await page_reads.actors(tx)}
    return [_row(e, numbers.get(e.entity_id), names) for e in entries]


def _row(e: Entry, number: int | None, names: Mapping[str, str]) -> Row:
    short = f"{e.entity_id[:8]}…" if id_in(e.entity_id) else e.entity_id
    record, href = names.get(f"{_KEYS_OF.get(e.entity, '')}:{e.entity_id}", short), ""
    if number is not None:
        record, href = f"#{number}", f"/orders/{number}"
    elif e.entity in audit_words.ADDRESSES:
        href = audit_words.ADDRESSES[e.entity].format(quote(e.entity_id))
    kind_of_actor = _(ACTORS.get(e.actor_kind, e.actor_kind))
    who = e.actor_name if e.actor_kind in {"person", "key"} else kind_of_actor
    if e.actor_kind == "anonymous" and e.entity == "person":
        who = record  # who logs in is nobody until then
    return Row(
        id=e.id,
        when=render.moment(e.at),
        exact=f"{i18n.date(e.at)} {e.at.astimezone(ZoneInfo(i18n.current_zone())):%H:%M:%S}",
        who=who,
        actor="" if who in {record, kind_of_actor} else kind_of_actor,
        source=e.source or "",
        act=audit_words.act(e.action),
        kind=audit_words.entity(e.entity),
        record="" if e.entity == "retailer" or record == "-" else record,  # "-": of many, none is named
        href=href,
        summary=audit_words.summary(e),
        request=e.request_id or "",
        entity=e.entity,
        entity_id=e.entity_id,
        actor_key=f"{e.actor_kind}:{e.actor_id or ''}",
    )


@get("/audit", opt={"permission": "audit:read"})
async def audit_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the list, with its first entry beside it."""
    asked = asked_of(request.query_params)
    opened = request.query_params.get("open", "")
    caller = web.caller_of(request)
    wanted = _within(request, asked.wanted())
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "audit", here=asked.address(after=asked.after, before=asked.before))
        wanted = await _cared_for(tx, request, asked, wanted)
        page = await audit.search(
            tx, wanted, older_than=asked.after or None, newer_than=asked.before or None, size=PAGE_SIZE
        )
        rows = await _rows(tx, page.entries)
        people = [p for p in await page_reads.actors(tx) if caller.locations is None or p[1] == caller.id]
        chosen = next((i for i, row in enumerate(rows) if str(row.id) == opened), 0)
        panel = await care.panel_of(tx, request, Subject.AUDIT, [str(rows[chosen].id)]) if rows else None
    part = web.wants_part(request)
    return render.html(
        "audit/list.html" if part else "audit/page.html",
        headers={"HX-Push-Url": asked.address(after=asked.after, before=asked.before)} if part else {},
        shell=around,
        may=around.may,
        asked=asked,
        rows=rows,
        open=rows[chosen].id if rows else None,
        row=rows[chosen] if rows else None,
        care=panel,
        differences=audit_words.differences(page.entries[chosen]) if rows else [],
        fields=[
            ("entity", _("Record"), [(key, _(word)) for key, word in audit_words.ENTITIES.items()], asked.entity),
            ("action", _("Action"), _actions(), asked.action),
            ("who", _("Who"), [(f"{kind}:{id_}", name) for kind, id_, name in people], asked.who),
            ("care", _("Follow-up"), [(key, _(word)) for key, word in CARES.items()], asked.care),
        ],
        previous=asked.address(before=rows[0].id) if rows and page.newer else "",
        next=asked.address(after=rows[-1].id) if rows and page.older else "",
        exports=export.choices(asked.address, "/audit/export"),
    )


def _actions() -> list[tuple[str, str]]:
    """Return the actions by their words; those that share one share an entry, as people cannot tell them apart."""
    return sorted(((key, begun(_(word))) for key, word in audit_words.ACTIONS.items()), key=lambda pair: pair[1])


async def _entry(tx: Tx, id_: int) -> tuple[Entry, Row]:
    found = await audit.entry(tx, id_)
    if found is None or (tx.actor.locations is not None and found.actor_id != tx.actor.id):
        raise NotFound(what="entry", key=id_)
    return found, (await _rows(tx, [found]))[0]


@get("/audit/{entry_id:int}/peek", opt={"permission": "audit:read"})
async def audit_peek(request: Request[Any, Any, Any], entry_id: FromPath[int]) -> Response[str]:
    """Show one entry beside the list."""
    async with web.reading(request) as tx:
        found, row = await _entry(tx, entry_id)
        panel = await care.panel_of(tx, request, Subject.AUDIT, [str(entry_id)])
    return render.html("audit/entry.html", row=row, differences=audit_words.differences(found), care=panel)


@get("/audit/{entry_id:int}", opt={"permission": "audit:read"})
async def audit_show(request: Request[Any, Any, Any], entry_id: FromPath[int]) -> Response[str]:
    """Show one entry as a page: where there is no room beside the list."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "audit")
        found, row = await _entry(tx, entry_id)
        panel = await care.panel_of(tx, request, Subject.AUDIT, [str(entry_id)])
    differences = audit_words.differences(found)
    return render.html("audit/show.html", shell=around, may=around.may, row=row, differences=differences, care=panel)


@post("/audit/{entry_id:int}/care", opt={"permission": "audit:read"}, status_code=303)
async def audit_care(request: Request[Any, Any, Any], entry_id: FromPath[int]) -> Response[bytes]:
    """Give an entry to somebody who follows it up, or write about it.

    Raises:
        NotFound: there is no such entry, for this caller, or no such person.
        Invalid: nothing is said.
    """
    read = filling.filled(await request.form())
    change = care.change_of(read)
    read.refuse()
    async with web.writing(request) as tx:
        await _entry(tx, entry_id)
        await taking.take_care(tx, Subject.AUDIT, [str(entry_id)], change, by=web.person_of(request))
    return web.see_other(f"/audit/{entry_id}", notice=_("Saved"))


@get(export.paths("/audit/export"), opt={"permission": "audit:read"})
async def audit_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered trail as a file; that it was taken is written down too."""
    asked = asked_of(request.query_params)
    async with web.writing(request) as tx:
        wanted = await _cared_for(tx, request, asked, _within(request, asked.wanted()))
        await audit.record(tx, action="export", entity="audit", entity_id="all")

    async def pages() -> AsyncIterator[Sequence[Entry]]:
        last = None
        while True:
            async with web.reading(request) as tx:
                page = await audit.search(tx, wanted, older_than=last, size=export.BATCH)
            yield page.entries
            if not page.older:
                return
            last = page.entries[-1].id

    return export.send(request, "audit", COLUMNS, pages(), _exported)


def _exported(e: Entry) -> sheets.Row:
    sides = ["" if side is None else msgspec.json.encode(side).decode() for side in (e.before, e.after)]
    who = _(ACTORS.get(e.actor_kind, e.actor_kind))
    named = [audit_words.entity(e.entity), e.entity_id, audit_words.act(e.action)]
    return [e.at, e.actor_name, who, e.source or "", e.request_id or "", *named, *sides]


HANDLERS = [audit_list, audit_export, audit_peek, audit_show, audit_care]

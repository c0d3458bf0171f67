"""Looking after things, on pages: the form that assigns, puts off and notes, and what stands beside a record."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

import msgspec

from malha.console import render, web
from malha.console.filling import Filled
from malha.identity import care_reads
from malha.identity.care import Change, Subject
from malha.identity.care_reads import Care
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.ids import UUID

MORNING = time(8)
SNOOZES = {
    "hour": N_("For an hour"),
    "tomorrow": N_("Until tomorrow, 08:00"),
    "week": N_("For a week"),
    "end": N_("No longer"),
}


class NoteView(msgspec.Struct, frozen=True, kw_only=True):
    """A note as it is drawn."""

    person: str
    when: str
    text: str


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a record, or several: who has it, until when it waits, what was written, and the form."""

    people: list[tuple[str, str]]  # to choose from: id, name
    me: str
    holders: str
    mine: bool
    until: str
    notes: list[NoteView]
    snoozes: list[tuple[str, str]]


def until_of(choice: str, at: datetime) -> datetime | None:
    """Return until when a choice puts off, from an instant in the reader's zone."""
    match choice:
        case "hour":
            return (at.astimezone(UTC) + timedelta(hours=1)).astimezone(at.tzinfo)  # clocks may change meanwhile
        case "tomorrow":
            return datetime.combine(at.date() + timedelta(days=1), MORNING, at.tzinfo)
        case "week":
            return at + timedelta(days=7)
        case _:
            return None


def change_of(read: Filled) -> Change:
    """Return what a form says; `assignee` and `snooze` are empty where nothing shall change, `none` is nobody."""
    who, snooze = read.text("assignee", 40), read.text("snooze", 20)
    assignee: UUID | None = None
    if who and who != "none":
        try:
            assignee = UUID(who)
        except ValueError:
            read.wrong("assignee", N_("No choice was made."), N_("Choose one of the list."))
    return Change(
        assign=bool(who),
        assignee=assignee,
        snooze=snooze in SNOOZES,
        until=until_of(snooze, render.local(now())),
        note=read.text("note", 4_000),
    )


async def panel_of(tx: Tx, request: web.Asking, kind: Subject, subjects: Sequence[str]) -> Panel | None:
    """Return what stands beside some subjects; nothing for a key, which looks after nothing."""
    caller = web.caller_of(request)
    if caller.kind != "person":
        return None
    cares = await care_reads.care_of(tx, kind, subjects)
    waits = [care.snoozed_until for care in cares.values() if is_put_off(care)]
    holders = sorted({care.person for care in cares.values() if care.person})
    people = [(str(id_), name) for id_, name in await care_reads.colleagues(tx)]
    people.sort(key=lambda person: person[0] != caller.id)
    return Panel(
        people=people,
        me=caller.id,
        holders=", ".join(holders),
        mine=any(str(care.assignee) == caller.id for care in cares.values()),
        until=render.moment(max(filter(None, waits))) if waits else "",
        notes=[
            NoteView(person=note.person, when=render.moment(note.at), text=note.text)
            for note in _once(await care_reads.notes_of(tx, kind, subjects))
        ],
        snoozes=[(key, _(word)) for key, word in SNOOZES.items() if key != "end" or waits],
    )


def is_put_off(care: Care | None) -> bool:
    """Return whether something is put off now."""
    return care is not None and care.snoozed_until is not None and care.snoozed_until > now()


def _once(notes: Sequence[care_reads.Note]) -> list[care_reads.Note]:
    """Return notes without those that were written about several records at once more than once."""
    return list({(note.person, note.text, note.at): note for note in notes}.values())

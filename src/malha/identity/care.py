"""Who looks after what needs attention: taking it, handing it to a colleague, putting it off, and what was found out.

A subject is a record whose event failed, a background job that failed, or an entry of the audit trail; it is named by a
text, because what it is of belongs to others. Everything is written to the audit trail.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from malha.identity import care_writes, reads
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.errors import NotFound
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID

NOTE_LENGTH = 2_000
MOST = 1_000


class Subject(StrEnum):
    """What is looked after."""

    EVENT = "event"  # "subscriber/key"
    JOB = "job"  # its number
    AUDIT = "audit"  # the entry's number


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about subjects; what is not said stays as it is."""

    assign: bool = False
    assignee: UUID | None = None  # with `assign`: nobody
    snooze: bool = False
    until: datetime | None = None  # with `snooze`: no longer
    note: str = ""


async def take_care(tx: Tx, kind: Subject, subjects: Sequence[str], change: Change, *, by: UUID) -> None:
    """Assign subjects, put them off, write about them.

    Raises:
        NotFound: the person who shall look after them is not there, or may not sign in any more.
        Invalid: nothing is chosen, nothing is said, or the note is too long.
    """
    note = change.note.replace("\x00", "").strip()
    refuse(_flaws(subjects, change, note))
    if change.assign and change.assignee is not None:
        person = await reads.person(tx, change.assignee)
        if person is None or not person.active:
            raise NotFound(what="person", key=change.assignee)
    named = list(dict.fromkeys(subjects))
    row: dict[str, Any] = {"kind": kind.value, "subjects": named}
    if change.assign or change.snooze:
        said = {"assign": change.assign, "assignee": change.assignee, "snooze": change.snooze, "until": change.until}
        await tx.execute(care_writes.SET_CARE, row | said)
    if note:
        await tx.execute(care_writes.ADD_NOTES, {**row, "person": by, "text": note})
    told = _told(change, note)
    changes = [(subject, None, told) for subject in named]
    await audit.record_many(tx, action="take_care", entity=f"care_{kind.value}", changes=changes)


def _flaws(subjects: Sequence[str], change: Change, note: str) -> list[Flaw]:
    flaws = []
    if not subjects or len(subjects) > MOST:
        flaws.append(Flaw("key", N_("Nothing is chosen."), N_("Choose at least one record.")))
    if not (change.assign or change.snooze or note):
        flaws.append(Flaw("note", N_("Nothing is said."), N_("Choose somebody or a time, or write a note.")))
    if len(note) > NOTE_LENGTH:
        facts = {"length": len(note), "longest": NOTE_LENGTH}
        flaws.append(Flaw("note", N_("The text has {length} characters."), N_("Use at most {longest}."), facts))
    return flaws


def _told(change: Change, note: str) -> dict[str, object]:
    """Return what the audit trail keeps."""
    told: dict[str, object] = {}
    if change.assign:
        told["assignee"] = str(change.assignee) if change.assignee else None
    if change.snooze:
        told["snoozed_until"] = change.until.isoformat() if change.until else None
    return told | ({"note": note} if note else {})

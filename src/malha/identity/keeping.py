"""What a person keeps for themselves: how pages speak and look, views of lists, what they chose last.

All of it is changed by its own person only; a shared view is seen by its role. A view is an address: what it shows is
decided by whoever opens it, with their permissions and their locations.
"""

from typing import Any

import msgspec

from malha.identity import keeping_reads, keeping_writes, rules
from malha.identity.errors import ViewNameTaken
from malha.identity.model import Role
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.errors import NotFound
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID

THEMES = ("light", "dark")
NAME_LENGTH = 60
QUERY_LENGTH = 2000
KEPT_CHOICES = 12  # of the command bar; older ones are forgotten


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """How a person is called and how pages are for them; None leaves it to the browser, or the retailer's zone."""

    name: str
    language: str | None = None
    theme: str | None = None
    timezone: str | None = None


# --- the person's own settings ---


async def change_ways(tx: Tx, person_id: UUID, ways: Ways) -> None:
    """Change what a person may say about themselves.

    Raises:
        NotFound: there is no such person.
        Invalid: a field is not acceptable.
    """
    flaws = rules.language_flaws(ways.language) + rules.timezone_flaws(ways.timezone) + _theme_flaws(ways.theme)
    if not ways.name.strip():
        flaws.append(Flaw("name", N_("A person needs a name.")))
    refuse(flaws)
    await _change(tx, person_id, {**msgspec.structs.asdict(ways), "name": ways.name.strip()})


async def choose_language(tx: Tx, person_id: UUID, language: str) -> None:
    """Have pages speak a language from now on.

    Raises:
        Invalid: the product does not speak it.
    """
    refuse(rules.language_flaws(language))
    await _change(tx, person_id, {"language": language})


async def choose_theme(tx: Tx, person_id: UUID, theme: str) -> None:
    """Have pages look light or dark from now on.

    Raises:
        Invalid: it is neither.
    """
    refuse(_theme_flaws(theme))
    await _change(tx, person_id, {"theme": theme})


async def _change(tx: Tx, person_id: UUID, fields: dict[str, Any]) -> None:
    found = await tx.all(dict, keeping_writes.LOCK_WAYS, {"id": person_id})
    if not found:
        raise NotFound(what="person", key=person_id)
    before = found[0]
    after = {**before, **fields}
    if after == before:
        return
    await tx.execute(keeping_writes.UPDATE_WAYS, {**after, "id": person_id})
    changed = [name for name in after if after[name] != before[name]]
    await audit.record(
        tx,
        action="update",
        entity="person",
        entity_id=person_id,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )


def _theme_flaws(theme: str | None) -> list[Flaw]:
    return [] if theme is None or theme in THEMES else [Flaw("theme", N_("A theme is light or dark."))]


# --- views of lists ---


async def save_view(tx: Tx, person_id: UUID, *, list_: str, name: str, query: str, role: Role | None = None) -> int:
    """Keep a view of a list under a name; one of one's own with that name is replaced. Return its id.

    Raises:
        Invalid: the name is empty or too long, or the query too long.
    """
    name = " ".join(name.split())
    refuse(_view_flaws(name, query))
    row = {"person_id": person_id, "list": list_, "name": name, "query": query, "role": role}
    view_id = int(await tx.value(keeping_writes.UPSERT_VIEW, row))
    await audit.record(tx, action="save", entity="saved_view", entity_id=view_id, after=_told(row))
    return view_id


async def change_view(tx: Tx, person_id: UUID, view_id: int, *, name: str, role: Role | None) -> None:
    """Rename one of one's own views, and say who else sees it.

    Raises:
        NotFound: it is not there, or another person's.
        Invalid: the name is empty or too long.
        ViewNameTaken: another view of that list has the name.
    """
    before = await _own(tx, person_id, view_id)
    name = " ".join(name.split())
    refuse(_view_flaws(name, ""))
    taken = {"person_id": person_id, "list": before["list"], "name": name, "id": view_id}
    if await tx.value(keeping_writes.NAME_TAKEN, taken):
        raise ViewNameTaken(name=name)
    await tx.execute(keeping_writes.UPDATE_VIEW, {"id": view_id, "name": name, "role": role})
    after = _told({**before, "name": name, "role": role})
    await audit.record(tx, action="update", entity="saved_view", entity_id=view_id, before=_told(before), after=after)


async def delete_view(tx: Tx, person_id: UUID, view_id: int) -> None:
    """Delete one of one's own views; lists that opened in it open as they used to.

    Raises:
        NotFound: it is not there, or another person's.
    """
    before = await _own(tx, person_id, view_id)
    await tx.execute(keeping_writes.DELETE_VIEW, {"id": view_id})
    await audit.record(tx, action="delete", entity="saved_view", entity_id=view_id, before=_told(before))


async def choose_default(tx: Tx, person_id: UUID, role: Role | None, list_: str, view_id: int | None) -> None:
    """Have a list open in a view that the person sees; None: as it opens for everyone.

    Raises:
        NotFound: the person sees no such view of that list.
    """
    if view_id is not None and view_id not in {v.id for v in await keeping_reads.views(tx, person_id, role, list_)}:
        raise NotFound(what="view", key=view_id)
    statement = keeping_writes.CLEAR_DEFAULT if view_id is None else keeping_writes.SET_DEFAULT
    params = {"person_id": person_id, "list": list_}
    await tx.execute(statement, params if view_id is None else {**params, "view_id": view_id})
    await audit.record(
        tx, action="choose_default", entity="saved_view", entity_id=view_id or 0, after={"list": list_, "view": view_id}
    )


async def _own(tx: Tx, person_id: UUID, view_id: int) -> dict[str, Any]:
    found = await tx.all(dict, keeping_writes.LOCK_OWN_VIEW, {"id": view_id, "person_id": person_id})
    if not found:
        raise NotFound(what="view", key=view_id)
    return found[0]


def _view_flaws(name: str, query: str) -> list[Flaw]:
    flaws = []
    if not name:
        flaws.append(Flaw("name", N_("A view needs a name.")))
    if len(name) > NAME_LENGTH:
        flaws.append(Flaw("name", N_("A name has at most {most} characters."), facts={"most": NAME_LENGTH}))
    if len(query) > QUERY_LENGTH:
        flaws.append(Flaw("query", N_("This filter is too long to be kept.")))
    return flaws


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return what the trail keeps of a view. Its query may hold what somebody searched for: a name, a CPF."""
    return {"list": row["list"], "name": row["name"], "role": row["role"], "query": audit.CHANGED}


# --- choices of the command bar ---


async def note_choice(tx: Tx, person_id: UUID, kind: str, key: str) -> None:
    """Remember what a person chose, and forget what they chose long ago."""
    await tx.execute(keeping_writes.NOTE_CHOICE, {"person_id": person_id, "kind": kind, "key": key})
    await tx.execute(keeping_writes.FORGET_CHOICES, {"person_id": person_id, "most": KEPT_CHOICES})

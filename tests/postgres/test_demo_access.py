"""Who may enter the demo: what it printed first is what it prints again, and what it prints works."""

import stat
from pathlib import Path

from malha.demo.access import FILE, Access, admit, remember, remembered
from malha.identity import reads, service
from malha.identity.service import Keys
from malha.platform.db import Database
from malha.platform.flaws import Invalid

EMAIL = "ana@aroeira.example"


async def owner(database: Database, password: str) -> str | None:
    """The session of the owner with this password; None: it is not theirs."""
    async with database.transaction() as tx:
        [person] = [p.id for p in await reads.people(tx, 10) if p.email == EMAIL]
        try:
            await service.check_password(tx, person, password)
        except Invalid:
            return None
        return (await service.open_session(tx, person, source=None)).token


async def test_a_demo_that_goes_on_keeps_its_password_its_key_and_who_is_logged_in(database: Database) -> None:
    first = await admit(database, EMAIL, None)
    session = await owner(database, first.password)
    assert session is not None
    assert await admit(database, EMAIL, first) == first
    async with database.transaction() as tx:
        assert await service.session_of(tx, session) is not None
        assert await tx.value("SELECT count(*) FROM api_key") == 1


async def test_a_password_that_is_chosen_replaces_the_known_one_and_one_that_was_changed_is_put_back(
    database: Database,
) -> None:
    first = await admit(database, EMAIL, None)
    chosen = await admit(database, EMAIL, first, password="rede de descanso 7")
    assert chosen == Access("rede de descanso 7", first.key)
    assert await owner(database, first.password) is None
    async with database.transaction() as tx:
        [person] = [p.id for p in await reads.people(tx, 10) if p.email == EMAIL]
        await service.set_password(tx, person, "outra coisa qualquer")
    assert await admit(database, EMAIL, chosen) == chosen
    assert await owner(database, chosen.password) is not None


async def test_a_key_that_was_revoked_or_may_do_too_little_is_made_anew(database: Database) -> None:
    first = await admit(database, EMAIL, None)
    caller = await Keys(database).caller_of(first.key)
    assert caller is not None
    assert {"intake:submit", "orders:read", "network:read", "stock:read", "catalog:read"} <= caller.permissions
    async with database.transaction() as tx:
        await service.revoke_key(tx, int(caller.id))
        little = await service.create_key(tx, name="old", permissions=["intake:submit"])
    for known in (first, Access(first.password, little.secret)):
        again = await admit(database, EMAIL, known)
        assert again.password == first.password
        assert again.key != known.key
        assert await Keys(database).caller_of(again.key) is not None


def test_what_is_remembered_is_for_its_user_alone_and_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    place = tmp_path / "demo"
    assert remembered(place) is None
    remember(place, Access("senha", "mk_a"))
    remember(place, Access("senha", "mk_b"))
    assert remembered(place) == Access("senha", "mk_b")
    assert stat.S_IMODE((place / FILE).stat().st_mode) == 0o600
    assert [path.name for path in place.iterdir()] == [FILE]
    (place / FILE).write_text("{")
    assert remembered(place) is None

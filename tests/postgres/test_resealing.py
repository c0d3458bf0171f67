"""After the secret key was changed, what was sealed with the former one is sealed anew: then that one can go."""

import pytest

from malha.cli import reseal as said
from malha.identity import second_factor
from malha.identity.model import Role
from malha.identity.service import PersonDraft, create_person
from malha.notifications import means
from malha.notifications.model import Channel
from malha.platform import sealing
from malha.platform.db import Database
from malha.platform.i18n import speaking
from malha.platform.signing import Keys
from malha.privacy import sealed, writes
from malha.testing.builders import a_network
from malha.webhooks import reads, service
from malha.webhooks.model import EndpointDraft

FORMER, PRESENT, UNKNOWN = (Keys(letter * 32) for letter in (b"f", b"p", b"u"))
BOTH = Keys(PRESENT.current, FORMER.current)


@pytest.fixture
async def kept(database: Database) -> dict[str, int]:
    """A webhook whose secret was changed, a second factor and a gateway with two secrets, of the former key."""
    async with database.transaction() as tx:
        await a_network(tx)
        draft = EndpointDraft(name="ERP", url="https://erp.example/x", types=("*",))
        hook, secret = await service.create(tx, draft, FORMER)
        _version, newer, _until = await service.rotate(tx, hook, 1, FORMER, await tx.now())
        who = await create_person(tx, PersonDraft(name="Ana", email="ana@loja.test", role=Role.OWNER), password=None)
        factor = sealing.seal(FORMER, second_factor.PURPOSE, "JBSWY3DPEHPK3PXP")
        await tx.execute(
            "INSERT INTO second_factor (person_id, secret, last_step) VALUES (%(who)s::uuid, %(sealed)s::bytea, 0)",
            {"who": who, "sealed": factor},
        )
    return {"hook": hook, secret: 1, newer: 2}


async def secrets_of(database: Database, hook: int, keys: Keys) -> list[str]:
    async with database.transaction() as tx:
        endpoint = await reads.endpoint(tx, hook)
        factor = await tx.value("SELECT secret FROM second_factor")
    assert endpoint is not None
    assert endpoint.former_secret is not None
    return [
        sealing.unseal(keys, service.PURPOSE, bytes(endpoint.secret)),
        sealing.unseal(keys, service.PURPOSE, bytes(endpoint.former_secret)),
        sealing.unseal(keys, second_factor.PURPOSE, bytes(factor)),
    ]


async def test_what_the_former_key_sealed_is_read_by_the_present_one_alone_afterwards(
    database: Database, kept: dict[str, int]
) -> None:
    before = await secrets_of(database, kept["hook"], BOTH)
    with pytest.raises(sealing.SealBroken):
        await secrets_of(database, kept["hook"], PRESENT)
    async with database.transaction() as tx:
        assert await sealed.reseal(tx, BOTH) == sealed.Resealed(3, {})
    assert await secrets_of(database, kept["hook"], PRESENT) == before
    async with database.transaction() as tx:
        assert await sealed.reseal(tx, PRESENT) == sealed.Resealed(0, {}), "done once, there is nothing left"
        trail = await tx.tuples(
            "SELECT actor_name, after ->> 'anew' FROM audit WHERE action = 'reseal' ORDER BY id LIMIT 1"
        )
    assert trail == [("system", "3")]


async def test_what_neither_key_opens_stays_and_is_named(database: Database, kept: dict[str, int]) -> None:
    async with database.transaction() as tx:
        done = await sealed.reseal(tx, Keys(PRESENT.current, UNKNOWN.current))
    assert done == sealed.Resealed(0, {"second_factor": 1, "webhook_endpoint": 2})
    assert await secrets_of(database, kept["hook"], FORMER), "as they were: the former key still opens them"
    with speaking("en"):
        told = said.told(done)
    assert "webhook_endpoint: 2 secrets cannot be read with either key" in told
    assert "needs the former key" not in told


async def test_each_place_can_be_written_and_each_means_has_a_purpose_of_its_own(database: Database) -> None:
    async with database.transaction() as tx:
        for place in sealed.SEALED:
            assert await tx.execute(writes.reseal(place.table, place.column), {"was": [], "fresh": []}) == 0
    purposes = {means.purpose(channel, part) for channel in Channel for part in ("secret", "receipt")}
    assert purposes <= {place.purpose for place in sealed.SEALED}

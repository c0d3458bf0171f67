"""Erasing a person where there is much to look through: a worker does it step by step, and nothing of them is left."""

import random
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from linked_world import Linked, linked
from personal_world import ANA, MAIL, Life, fulfilled, her_life, her_order, in_tx, left, unpark
from tests.waiting import doomed, gone

from malha.customers import reads as customers
from malha.customers import service as profiles
from malha.customers.errors import BeingErased, UnknownCustomer
from malha.customers.model import CustomerDraft
from malha.notifications.merging import merge_customers
from malha.platform import jobs
from malha.platform.db import SYSTEM, Actor
from malha.platform.ids import new_id
from malha.privacy import searching
from malha.privacy.errors import NoErasure, OrdersOpen
from malha.privacy.model import Erased

pytestmark = pytest.mark.usefixtures("mail_set_up")
WORKER = Path(__file__).with_name("erasing_worker.py")
REASON = "asked by letter, protocol 77"


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        yield made


@pytest.fixture
async def life(shop: Linked, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Life:
    monkeypatch.setattr(searching, "AT_ONCE", 0)
    monkeypatch.setattr(searching, "PAGES", 1)
    return await her_life(shop, tmp_path)


async def ask(life: Life, actor: Actor = SYSTEM) -> Erased:
    return await in_tx(life.shop, searching.begin, life.customer, REASON, actor=actor)


async def state(life: Life) -> Erased:
    return await in_tx(life.shop, searching.state_of, life.customer)


async def steps(life: Life, most: int | None = None) -> int:
    """Take that many steps of an erasure, or all; return how many there were."""
    done = 0
    while most is None or done < most:
        done += 1
        if not await searching.step(life.shop.database, life.customer):
            break
    return done


async def test_a_worker_looks_page_by_page_says_how_far_it_is_and_leaves_nothing(life: Life) -> None:
    begun_ = await ask(life)
    assert (begun_.state, begun_.looked, begun_.erased_at) == ("looking", 0.0, None)
    assert begun_.begun_at is not None
    assert await in_tx(life.shop, jobs.open_arguments, searching.go_on) == [{"customer_id": str(life.customer)}]
    await steps(life, 20)
    midway = await state(life)
    assert midway.state == "looking"
    assert 0 < midway.looked < 1
    assert "her CPF in customer.document" in await left(life.shop)  # until the end all of it is as it was
    await searching.go_on.work(life.shop.database, customer_id=str(life.customer))
    done = await state(life)
    assert (done.state, done.looked, done.orders, done.again) == ("done", 1.0, 1, True)
    assert await left(life.shop) == []
    assert await life.shop.values("SELECT count(*) FROM erasure_search") == [0]
    told = await life.shop.values("SELECT action FROM audit WHERE action IN ('begin_erasing', 'erase') ORDER BY id")
    assert told == ["begin_erasing", "erase"]


async def test_where_there_is_little_to_look_through_it_is_done_at_once(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "AT_ONCE", 1_000_000_000)
    assert (await ask(life)).state == "done"
    assert await left(life.shop) == []
    assert (await ask(life)).again


async def test_asked_for_again_meanwhile_it_says_how_far_it_is(life: Life) -> None:
    await ask(life)
    await steps(life, 10)
    again = await ask(life)
    assert again == await state(life)
    assert again.looked > 0


async def test_what_is_written_while_the_worker_looks_is_erased_too(life: Life) -> None:
    await ask(life)
    await steps(life, 10)
    async with life.shop.database.transaction() as tx:
        said = {"said": f'{{"email": "{MAIL}"}}'}
        await tx.execute(
            "INSERT INTO audit (actor_kind, actor_name, action, entity, entity_id, after)"
            " VALUES ('person', 'Bia', 'change', 'customer_group', 'vip', %(said)s::json)",
            said,
        )
        await tx.execute("UPDATE audit SET entity_id = entity_id")  # every row of it has another place
        await tx.execute(
            "UPDATE subscriber SET error = %(said)s::text WHERE name = (SELECT min(name) FROM subscriber)", said
        )
    await steps(life)
    assert (await state(life)).state == "done"
    assert await left(life.shop) == []


async def test_a_table_that_is_written_anew_meanwhile_is_looked_through_anew(life: Life) -> None:
    await ask(life)
    while (await state(life)).looked < 1:
        await steps(life, 1)
    with psycopg.connect(life.shop.database.url, autocommit=True, options="-c search_path=malha") as connection:
        connection.execute("VACUUM FULL audit")
    await steps(life, 1)
    anew = await state(life)
    assert (anew.state, anew.looked) == ("looking", 1.0)
    await steps(life, 2)
    assert (await state(life)).looked < 1
    await steps(life)
    assert (await state(life)).state == "done"
    assert await left(life.shop) == []


async def test_what_a_newer_program_looks_through_besides_is_looked_through_too(life: Life) -> None:
    """It was started with the old one, which knew of fewer columns."""
    await ask(life)
    await steps(life, 1)
    async with life.shop.database.transaction() as tx:
        await tx.execute("DELETE FROM erasure_search_place WHERE place = 'saved_view.query'")
    await steps(life)
    assert (await state(life)).state == "done"
    assert await left(life.shop) == []


async def test_who_changes_while_the_worker_looks_is_looked_for_by_that_too(life: Life) -> None:
    await ask(life)
    await steps(life, 10)
    async with life.shop.database.transaction() as tx:
        await tx.execute(
            "UPDATE customer SET phone = '+5585911112222' WHERE id = %(customer)s", {"customer": life.customer}
        )
        await tx.execute("UPDATE parked_key SET error = 'called (85) 91111-2222'")
    await steps(life)
    assert (await state(life)).state == "done"
    assert await life.shop.values("SELECT error FROM parked_key WHERE error LIKE '%%91111%%'") == []


async def test_an_order_that_comes_meanwhile_refuses_it_and_says_so_until_it_is_asked_for_again(life: Life) -> None:
    await ask(life)
    await steps(life, 10)
    await unpark(life.shop)
    order = await her_order(life.shop, "1002")
    await steps(life)
    refused = await state(life)
    assert refused.state == "refused"
    assert refused.refused is not None
    assert "em aberto" in refused.refused
    assert "her CPF in customer.document" in await left(life.shop)
    with pytest.raises(OrdersOpen):
        await ask(life)
    await fulfilled(life.shop, order, 2)
    await life.shop.tell()
    assert (await ask(life)).state == "looking"
    await steps(life)
    assert (await state(life)).state == "done"
    assert await left(life.shop) == []


async def test_who_may_not_erase_any_more_by_its_end_does_not(life: Life) -> None:
    someone = Actor("person", str(new_id()), "Bia")
    await ask(life, someone)
    await steps(life)
    refused = await state(life)
    assert refused.state == "refused"
    assert "Bia" in (refused.refused or "")


async def test_nobody_who_was_not_asked_for_is_looked_for(life: Life) -> None:
    with pytest.raises(NoErasure):
        await state(life)
    assert not await searching.step(life.shop.database, life.customer)


async def test_who_is_looked_for_is_put_together_with_nobody(shop: Linked, life: Life) -> None:
    other = await in_tx(shop, profiles.create_customer, CustomerDraft(name="Outra Pessoa"))
    await ask(life)
    async with shop.database.transaction(ANA) as tx:
        found = await customers.by_ids(tx, [other.id, life.customer])
        versions = (found[other.id].version, found[life.customer].version)
        with pytest.raises(BeingErased):
            await merge_customers(tx, other.id, life.customer, versions)
        with pytest.raises(BeingErased):
            await merge_customers(tx, life.customer, other.id, versions[::-1])
    await steps(life)
    assert await left(shop) == []


async def test_what_a_profile_went_into_before_it_was_asked_for_is_not_erased(shop: Linked, life: Life) -> None:
    other = await in_tx(shop, profiles.create_customer, CustomerDraft(name="Outra Pessoa"))
    async with shop.database.transaction(ANA) as tx:
        found = await customers.by_ids(tx, [other.id, life.customer])
        await merge_customers(tx, life.customer, other.id, (found[life.customer].version, found[other.id].version))
    with pytest.raises(UnknownCustomer):
        await in_tx(shop, searching.begin, other.id, REASON)


async def test_a_worker_that_is_killed_goes_on_where_it_was(life: Life) -> None:
    await ask(life)
    looked, chance = 0.0, random.Random(7)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, str(WORKER), life.shop.database.url, str(life.customer)],
            stdout=subprocess.PIPE, text=True, env=doomed(),
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.wait()
        process.stdout.close()
        await gone(life.shop.database)
        now_ = await state(life)
        assert now_.looked >= looked
        looked = now_.looked
    assert looked > 0
    await steps(life)
    assert (await state(life)).state == "done"
    assert await left(life.shop) == []

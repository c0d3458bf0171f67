"""Customers in a real database: who is the same person, also when many ask at once."""

import asyncio
import random

import pytest

from malha.customers import reads, service
from malha.customers.errors import CustomerExists
from malha.customers.model import Buyer, CustomerDraft, CustomerKind
from malha.platform import audit
from malha.platform.address import Address
from malha.platform.brazil import cnpj_check_digits, cpf_check_digits
from malha.platform.db import Actor, Database
from malha.platform.errors import Conflict, MalhaError
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID


def cpf(n: int) -> str:
    base = f"{n:09}"
    return base + cpf_check_digits(base)


CNPJ = "12ABC34501DE" + cnpj_check_digits("12ABC34501DE")
ANA = Buyer(name="Ana Conceição", document="111.444.777-35", email=" Ana@Example.com ", phone="(11) 98765-4321")


async def test_a_buyer_becomes_a_customer_once_and_is_found_by_each_identity(database: Database) -> None:
    async with database.transaction() as tx:
        (ana,) = await service.link(tx, [ANA])
        assert ana
        again = await service.link(
            tx,
            [
                ANA,
                Buyer(name="Ana", document="11144477735"),
                Buyer(email="ana@example.com", phone="+5511987654321"),
                Buyer(email="ANA@example.com"),
                Buyer(name="ana conceicao", phone="11 98765 4321"),
            ],
        )
        assert again == [ana] * 5
        stored = (await reads.by_ids(tx, [ana]))[ana]
        assert (stored.document, stored.email, stored.phone) == ("11144477735", "ana@example.com", "+5511987654321")
        assert (stored.name, stored.version) == ("Ana Conceição", 1)


async def test_two_documents_are_two_customers_whatever_else_agrees(database: Database) -> None:
    async with database.transaction() as tx:
        one, other = await service.link(
            tx,
            [
                Buyer(name="A", document=cpf(1), email="casa@x.com"),
                Buyer(name="B", document=cpf(2), email="casa@x.com"),
            ],
        )
        assert one != other
        # Without a document the e-mail decides; the older profile wins a tie, a telephone breaks it.
        assert await service.link(tx, [Buyer(email="casa@x.com")]) == [one]
        await service.link(tx, [Buyer(document=cpf(2), phone="21987654321")])
        assert await service.link(tx, [Buyer(email="casa@x.com", phone="21987654321")]) == [other]


async def test_a_profile_learns_the_document_when_it_is_told(database: Database) -> None:
    async with database.transaction() as tx:
        (first,) = await service.link(tx, [Buyer(name="Rui", email="rui@x.com", phone="11987650000")])
        assert await service.link(tx, [Buyer(name="Rui", email="rui@x.com", document=CNPJ)]) == [first]
        assert first
        stored = (await reads.by_ids(tx, [first]))[first]
        assert (stored.document, stored.kind) == (CNPJ, CustomerKind.COMPANY)
        # Another telephone speaks against it: the document gets a profile of its own.
        await service.link(tx, [Buyer(name="Bia", email="bia@x.com", phone="11987651111")])
        (bia,) = await service.link(tx, [Buyer(email="bia@x.com", phone="11987652222", document=cpf(9))])
        assert await service.link(tx, [Buyer(email="bia@x.com", phone="11987651111")]) != [bia]


async def test_what_is_not_valid_is_left_out_and_nobody_is_nobody(database: Database) -> None:
    async with database.transaction() as tx:
        nobody, bad, good = await service.link(
            tx,
            [
                Buyer(name="Consumidor"),
                Buyer(document="123", email="@@", phone="99"),
                Buyer(document="000", email="z@x.com"),
            ],
        )
        assert nobody is None
        assert bad is None
        assert good
        assert (await reads.by_ids(tx, [good]))[good].document is None


async def test_buyers_of_one_call_who_are_one_person_get_one_profile(database: Database) -> None:
    async with database.transaction() as tx:
        ids = await service.link(
            tx, [Buyer(email="k@x.com"), Buyer(email="k@x.com", document=cpf(7)), Buyer(email="k@x.com")]
        )
        assert len(set(ids)) == 1


async def test_many_transactions_that_speak_of_the_same_people_make_each_once(database: Database) -> None:
    people = [
        Buyer(name=f"P{i}", document=cpf(100 + i), email=f"p{i}@x.com", phone=f"119{80000000 + i}") for i in range(12)
    ]
    rng = random.Random(1)

    def a_batch() -> list[Buyer]:
        batch = []
        for person in rng.sample(people, 6):
            forms = [
                person,
                Buyer(name=person.name, document=person.document),
                Buyer(name=person.name, email=person.email, phone=person.phone),
                Buyer(name=person.name, email=person.email, document=person.document),
            ]
            batch.append(rng.choice(forms))
        return batch

    async def run(batch: list[Buyer]) -> None:
        async with database.transaction() as tx:
            await service.link(tx, batch)

    await asyncio.gather(*(run(a_batch()) for _ in range(40)))
    await run(people)
    async with database.transaction() as tx:
        ids = await service.link(tx, people)
        everyone = await reads.walk(tx)
    assert len(set(ids)) == len(people)
    # Only a profile made by name and document alone, before its e-mail was known, may stand beside another.
    documents = [c.document for c in everyone if c.document]
    assert len(documents) == len(set(documents)) == len(people)
    emails = [c.email for c in everyone if c.email and c.document is None]
    assert len(emails) == len(set(emails))


async def test_one_new_buyer_in_many_orders_at_once_is_one_customer(database: Database) -> None:
    buyer = Buyer(name="Zé", email="ze@x.com", phone="11999990000")
    documented = Buyer(name="Zé", email="ze@x.com", document=cpf(55))

    async def run(who: Buyer) -> object:
        async with database.transaction() as tx:
            return (await service.link(tx, [who]))[0]

    ids = await asyncio.gather(*(run(who) for who in [buyer, documented] * 15))
    assert len(set(ids)) == 1
    async with database.transaction() as tx:
        assert len(await reads.walk(tx)) == 1


async def test_profiles_stated_twice_are_changed_and_not_doubled(database: Database) -> None:
    draft = CustomerDraft(name="Loja Sol Ltda", document=CNPJ, email="compras@sol.com.br")
    async with database.transaction() as tx:
        (first,) = await service.put_customers(tx, [draft])
        (second,) = await service.put_customers(tx, [CustomerDraft(name="Sol", document=CNPJ, phone="1133334444")])
        assert first.created
        assert not second.created
        assert first.id == second.id
        stored = await service.customer_of(tx, first.id)
        assert (stored.name, stored.email, stored.phone, stored.version) == (
            "Sol",
            "compras@sol.com.br",
            "+551133334444",
            2,
        )
        with pytest.raises(Invalid) as refused:
            await service.put_customers(
                tx,
                [draft, CustomerDraft(name="", document="1", email="x", phone="y", address=Address(postal_code="1"))],
            )
        assert {f.at for f in refused.value.flaws} == {
            "1/name",
            "1/document",
            "1/email",
            "1/phone",
            "1/address/postal_code",
        }


async def test_who_is_limited_to_locations_learns_by_no_change_whose_an_identity_is(database: Database) -> None:
    limited = Actor("person", "1", "Bia", locations=frozenset({1}))
    async with database.transaction() as tx:
        await service.create_customer(tx, CustomerDraft(name="Elsewhere", document=cpf(1)))
        await service.create_customer(tx, CustomerDraft(name="Elsewhere", email="taken@x.com"))
        named = await service.create_customer(tx, CustomerDraft(name="Bia", email="b@x.com"))
        known = await service.create_customer(tx, CustomerDraft(name="Caio", document=cpf(3), email="c@x.com"))

    async def change(id_: UUID, **draft: str) -> str:
        async with database.transaction(limited) as tx:
            now = await service.customer_of(tx, id_)
            try:
                await service.update_customer(tx, id_, CustomerDraft(**draft), now.version)
            except MalhaError as error:
                return error.code
        return "changed"

    for document in (cpf(1), cpf(2)):  # somebody's, nobody's
        assert await change(named.id, name="Bia", document=document) == "needs_everywhere"
        assert await change(known.id, name="Caio", document=document) == "needs_everywhere"
    for email in ("taken@x.com", "free@x.com"):
        assert await change(named.id, name="Bia", email=email) == "needs_everywhere"
        assert await change(known.id, name="Caio", email=email) == "needs_everywhere"  # and no document any more
        assert await change(known.id, name="Caio", document=cpf(3), email=email) == "changed"
    assert await change(named.id, name="Beatriz", email="b@x.com", phone="11987650000") == "changed"


async def test_a_person_edits_the_version_they_saw_and_cannot_take_anothers_document(database: Database) -> None:
    async with database.transaction() as tx:
        ana = await service.create_customer(tx, CustomerDraft(name="Ana", document=cpf(1)))
        bia = await service.create_customer(tx, CustomerDraft(name="Bia", email="b@x.com"))
        with pytest.raises(CustomerExists):
            await service.create_customer(tx, CustomerDraft(name="Outra", document=cpf(1)))
        with pytest.raises(CustomerExists):
            await service.create_customer(tx, CustomerDraft(name="Outra", email="b@x.com"))
        with pytest.raises(CustomerExists):
            await service.update_customer(tx, bia.id, CustomerDraft(name="Bia", document=cpf(1)), bia.version)
        changed = await service.update_customer(
            tx, bia.id, CustomerDraft(name="Beatriz", phone="11987650000"), bia.version
        )
        assert (changed.name, changed.email, changed.version) == ("Beatriz", None, 2)
        with pytest.raises(Conflict):
            await service.update_customer(tx, bia.id, CustomerDraft(name="Bia"), bia.version)
        entries = await audit.trail(tx, entity="customer", entity_id=str(ana.id))
        assert "Ana" not in str(entries)
        assert ana.document not in str(entries)


async def test_the_code_of_a_municipality_stays_with_its_city(database: Database) -> None:
    there = Address(street="Rua A", city="São Paulo", state="SP", ibge="3550308")
    stated = [
        (Address(street="Rua B", city="sao paulo", state="SP"), "3550308"),
        (Address(city="São Paulo", state="SP", ibge="1"), "1"),
        (Address(city="Santos", state="SP"), ""),
        (Address(street="Rua B"), ""),
        (Address(), ""),
    ]
    async with database.transaction() as tx:
        for address, ibge in stated:
            made = await service.create_customer(tx, CustomerDraft(name="Ana", address=there))
            found = await service.update_customer(tx, made.id, CustomerDraft(name="Ana", address=address), made.version)
            assert (found.address.street, found.address.ibge) == (address.street, ibge)


async def test_lists_are_masked_and_a_reveal_is_written_down(database: Database) -> None:
    async with database.transaction() as tx:
        (ana,) = await service.link(tx, [ANA])
        assert ana
        for query in ("conceicao", "111.444.777-35", "11144477735", "(11) 98765-4321", "ana@EXAMPLE", "ana 4321"):
            (row,) = await reads.page(tx, query=query)
            assert (row.document, row.phone, row.email) == ("•••.444.777-••", "(11) •••••-4321", "a•••@example.com")
        assert await reads.page(tx, query="ana_conceicao") == []
        with pytest.raises(Invalid):
            await service.reveal(tx, ana, " ")
        assert (await service.reveal(tx, ana, "asked on the telephone")).document == "11144477735"
        (entry,) = await audit.trail(tx, entity="customer", entity_id=str(ana))
        assert entry.action == "reveal"

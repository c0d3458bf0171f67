"""Two profiles of one person put together and told apart: what each was, their orders, and who orders next."""

import asyncio

import pytest
from tests.waiting import waiting

from malha.customers import merging, reads, service
from malha.customers.errors import CustomersDiffer, MergeUndone, SameCustomer
from malha.customers.model import Buyer, CustomerDraft
from malha.notifications import reads as wished
from malha.notifications import wishes
from malha.notifications.merging import merge_customers, unmerge_customers
from malha.notifications.model import Channel, ConsentSource, Purpose
from malha.platform.errors import Conflict
from malha.testing.builders import a_network, an_order

CPF, OTHER_CPF = "52998224725", "11144477735"


async def profile(tx, **facts):
    return await service.create_customer(tx, CustomerDraft(**facts))


async def order_of(tx, world, customer):
    order = await an_order(tx, world)
    await tx.execute(
        "INSERT INTO order_customer (order_id, customer_id) VALUES (%(order)s::uuid, %(customer)s::uuid)"
        " ON CONFLICT (order_id) DO UPDATE SET customer_id = excluded.customer_id",
        {"order": order, "customer": customer.id},
    )
    return order


async def owners(tx):
    return dict(await tx.tuples("SELECT order_id, customer_id FROM order_customer"))


async def test_one_profile_has_what_both_had_and_all_orders_and_both_are_there_again_after(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        ana = await profile(tx, name="Ana Prates", document=CPF, email="ana@x.example")
        aninha = await profile(tx, name="Aninha", email="aninha@x.example", phone="+5511987654321")
        first, second = await order_of(tx, world, ana), await order_of(tx, world, aninha)
        done = await merge_customers(tx, ana.id, aninha.id, (ana.version, aninha.version))
        assert done.orders == [second]
        one = (await reads.by_ids(tx, [ana.id, aninha.id]))[ana.id]
        assert (one.name, one.document, one.email, one.phone) == ("Ana Prates", CPF, "ana@x.example", "+5511987654321")
        assert set((await owners(tx)).values()) == {ana.id}
        assert await reads.gone_into(tx, aninha.number) == ana.number
        await unmerge_customers(tx, done.id)
        found = await reads.by_ids(tx, [ana.id, aninha.id])
        assert (found[ana.id].email, found[ana.id].phone) == ("ana@x.example", None)
        again = found[aninha.id]
        assert (again.number, again.name, again.email, again.phone) == (
            aninha.number,
            "Aninha",
            aninha.email,
            aninha.phone,
        )
        assert again.created_at == aninha.created_at
        assert await owners(tx) == {first: ana.id, second: aninha.id}
        with pytest.raises(MergeUndone):
            await unmerge_customers(tx, done.id)


async def test_who_orders_with_what_the_gone_profile_had_is_the_one_that_stayed(database):
    async with database.transaction() as tx:
        ana = await profile(tx, name="Ana", document=CPF, email="ana@x.example")
        other = await profile(tx, name="A. Prates", email="trabalho@x.example")
        done = await merge_customers(tx, ana.id, other.id, (1, 1))
        assert await service.link(tx, [Buyer(name="Ana", email="trabalho@x.example")]) == [ana.id]
        # Another document is another person, whatever the e-mail.
        stranger = await service.link(tx, [Buyer(name="Rui", document=OTHER_CPF, email="trabalho@x.example")])
        assert stranger != [ana.id]
        await tx.execute("DELETE FROM customer WHERE id = %(id)s::uuid", {"id": stranger[0]})
        await unmerge_customers(tx, done.id)
        assert await service.link(tx, [Buyer(name="Ana", email="trabalho@x.example")]) == [other.id]


async def bought(tx, world, **said):
    """Let a buyer order as the subscriber would link it; return the order."""
    order = await an_order(tx, world)
    buyer = {"name": "", "document": None, "email": None, "phone": None} | said
    await tx.execute(
        "UPDATE sales_order SET buyer_name = %(name)s::text, buyer_document = %(document)s::text,"
        " buyer_email = %(email)s::text, buyer_phone = %(phone)s::text WHERE id = %(order)s::uuid",
        {**buyer, "order": order},
    )
    (customer,) = await service.link(tx, [Buyer(**buyer)])
    await tx.execute("INSERT INTO order_customer VALUES (%s::uuid, %s::uuid)", (order, customer))
    return order


async def test_orders_that_came_meanwhile_go_back_with_whose_own_they_are(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        ana = await profile(tx, name="Ana Prates", document=CPF, email="ana@x.example", phone="+5511987654321")
        bia = await profile(tx, name="Bia Souza", email="bia@x.example", phone="+5511912345678")
        before = await bought(tx, world, name="Ana", email="ana@x.example")
        theirs = await bought(tx, world, name="Bia", email="bia@x.example")
        done = await merge_customers(tx, ana.id, bia.id, (ana.version, bia.version))
    async with database.transaction() as tx:
        by_email = await bought(tx, world, name="B. Souza", email="Bia@x.example")
        by_phone = await bought(tx, world, name="bia souza", phone="(11) 91234-5678")
        by_document = await bought(tx, world, name="Ana", document=CPF, email="bia@x.example")
        by_hers = await bought(tx, world, name="Ana P.", email="ana@x.example")
        assert set((await owners(tx)).values()) == {ana.id}
        await unmerge_customers(tx, done.id)
    async with database.transaction() as tx:
        assert await owners(tx) == {
            before: ana.id, theirs: bia.id, by_email: bia.id, by_phone: bia.id, by_document: ana.id, by_hers: ana.id,
        }  # fmt: skip


async def test_what_the_kept_profile_gave_up_for_the_others_still_leads_to_it(database):
    async with database.transaction() as tx:
        ana = await profile(tx, name="Ana", document=CPF, email="ana@x.example")
        other = await profile(tx, name="A. Prates", email="trabalho@x.example")
        await merge_customers(tx, ana.id, other.id, (1, 1), frozenset({"email"}))
        assert await service.link(tx, [Buyer(name="Ana", email="ana@x.example")]) == [ana.id]


async def test_a_telephone_of_the_gone_profile_leads_to_the_kept_one_under_the_name_it_had(database):
    async with database.transaction() as tx:
        ana = await profile(tx, name="Ana Prates", document=CPF, phone="+5511987654321")
        other = await profile(tx, name="Aninha", phone="+5511912345678")
        done = await merge_customers(tx, ana.id, other.id, (1, 1))
        aninha = Buyer(name="aninha", phone="(11) 91234-5678")
        assert await service.link(tx, [aninha]) == [ana.id]
        # A telephone is a family's, and two documents are two people.
        for stranger in (
            Buyer(name="Rui", phone=aninha.phone),
            Buyer(name="Aninha", document=OTHER_CPF, phone=aninha.phone),
        ):
            found = await service.link(tx, [stranger])
            assert found != [ana.id]
            await tx.execute("DELETE FROM customer WHERE id = %(id)s::uuid", {"id": found[0]})
        await unmerge_customers(tx, done.id)
        assert await service.link(tx, [aninha]) == [other.id]


async def test_an_order_that_comes_while_its_profile_goes_into_another_finds_that_one(database):
    async with database.transaction() as tx:
        first = await profile(tx, name="A", email="a@x.example")
        second = await profile(tx, name="B", email="b@x.example")
        third = await profile(tx, name="C", document=CPF)
        await merge_customers(tx, second.id, first.id, (1, 1))

    async def comes():
        async with database.transaction() as tx:
            return await service.link(tx, [Buyer(name="A", email="a@x.example")])

    async with database.transaction() as tx:
        await merge_customers(tx, third.id, second.id, (1, 1))
        coming = asyncio.create_task(comes())
        while not coming.done() and not await waiting(database):
            await asyncio.sleep(0.01)
    assert await coming == [third.id]


async def test_a_no_of_either_profile_counts_for_the_one_that_stays_and_goes_back_with_the_other(database):
    no, yes = {(Purpose.TRANSACTIONAL, Channel.WHATSAPP): False}, {(Purpose.MARKETING, Channel.EMAIL): True}
    async with database.transaction() as tx:
        ana = await profile(tx, name="Ana", document=CPF)
        other = await profile(tx, name="A. Prates", email="trabalho@x.example")
        await wishes.set_wishes(tx, ana.id, yes, source=ConsentSource.CALL, proof="protocol 1")
        await wishes.set_wishes(tx, other.id, no, source=ConsentSource.CALL, proof="protocol 2")
        done = await merge_customers(tx, ana.id, other.id, (1, 1))
        assert await wished.standing(tx, ana.id) == no | yes
        assert (await wished.preference(tx, ana.id)).declined == (Channel.WHATSAPP,)
        assert {c.proof for c in await wished.consents(tx, ana.id)} == {"protocol 1", "protocol 2"}
        await unmerge_customers(tx, done.id)
        assert (await wished.standing(tx, ana.id), await wished.standing(tx, other.id)) == (yes, no)
        assert not (await wished.preference(tx, ana.id)).declined
        assert (await wished.preference(tx, other.id)).declined == (Channel.WHATSAPP,)


async def test_a_no_that_is_said_while_its_profile_goes_into_another_is_that_ones(database):
    async with database.transaction() as tx:
        ana = await profile(tx, name="Ana", document=CPF)
        other = await profile(tx, name="A. Prates", email="trabalho@x.example")

    async def says_no():
        async with database.transaction() as tx:
            no = {(Purpose.TRANSACTIONAL, Channel.EMAIL): False}
            return await wishes.set_wishes(tx, other.id, no, source=ConsentSource.ONE_CLICK)

    async with database.transaction() as tx:
        await merge_customers(tx, ana.id, other.id, (1, 1))
        saying = asyncio.create_task(says_no())
        while not saying.done() and not await waiting(database):
            await asyncio.sleep(0.01)
    assert await saying == 1
    async with database.transaction() as tx:
        assert (await wished.preference(tx, ana.id)).declined == (Channel.EMAIL,)
        assert not await wished.consents(tx, other.id)


async def test_a_chain_of_merges_is_undone_from_its_end(database):
    async with database.transaction() as tx:
        a = await profile(tx, name="A", email="a@x.example")
        b = await profile(tx, name="B", email="b@x.example")
        c = await profile(tx, name="C", document=CPF)
        first = await merge_customers(tx, b.id, a.id, (1, 1))
        b_now = (await reads.by_ids(tx, [b.id]))[b.id]
        second = await merge_customers(tx, c.id, b.id, (1, b_now.version))
        assert await service.link(tx, [Buyer(name="A", email="a@x.example")]) == [c.id]
        with pytest.raises(MergeUndone):
            await unmerge_customers(tx, first.id)
        await unmerge_customers(tx, second.id)
        assert await service.link(tx, [Buyer(name="A", email="a@x.example")]) == [b.id]
        await unmerge_customers(tx, first.id)
        assert await service.link(tx, [Buyer(name="A", email="a@x.example")]) == [a.id]


async def test_who_went_into_a_profile_that_went_on_is_found_through_the_whole_chain(database):
    a_buys = [Buyer(name="A", email="a@x.example")]
    async with database.transaction() as tx:
        a, b, c, d = [await profile(tx, name=n, email=f"{n.lower()}@x.example") for n in "ABCD"]
        await merge_customers(tx, b.id, a.id, (1, 1))
        await merge_customers(tx, c.id, b.id, (1, 1))
        last = await merge_customers(tx, d.id, c.id, (1, 1))
        assert await reads.gone_into(tx, a.number) == d.number
        assert await service.link(tx, a_buys) == [d.id]
        await unmerge_customers(tx, last.id)
        assert await reads.gone_into(tx, a.number) == c.number
        assert await service.link(tx, a_buys) == [c.id]


async def test_two_that_went_into_one_are_told_apart_in_the_order_in_which_they_went(database):
    async with database.transaction() as tx:
        kept = await profile(tx, name="K", document=CPF)
        first = await profile(tx, name="F", email="f@x.example")
        second = await profile(tx, name="S", email="s@x.example")
        one = await merge_customers(tx, kept.id, first.id, (1, 1))  # has the e-mail of the first, which it lacked
        now = (await reads.by_ids(tx, [kept.id]))[kept.id]
        two = await merge_customers(tx, kept.id, second.id, (now.version, 1), frozenset({"email"}))
        await unmerge_customers(tx, one.id)
        await unmerge_customers(tx, two.id)
        found = await reads.by_ids(tx, [kept.id, first.id, second.id])
        assert [found[c.id].email for c in (kept, first, second)] == [None, "f@x.example", "s@x.example"]
        assert await tx.value("SELECT count(*) FROM customer_alias") == 0


async def test_two_merges_of_one_profile_are_undone_at_once(database):
    async with database.transaction() as tx:
        kept, first, second = [await profile(tx, name=n, email=f"{n.lower()}@x.example") for n in "KFS"]
        merges, version = [], 1
        for gone in (first, second):
            done = await merge_customers(tx, kept.id, gone.id, (version, 1), frozenset({"email"}))
            merges.append(done.id)
            version = done.kept_version

    async def undo(merge_id):
        async with database.transaction() as tx:
            await unmerge_customers(tx, merge_id)

    undoing = []
    async with database.transaction() as tx:
        await tx.value("SELECT 1 FROM customer WHERE id = %(id)s::uuid FOR UPDATE", {"id": kept.id})
        for n, merge_id in enumerate(merges, 1):
            undoing.append(asyncio.create_task(undo(merge_id)))
            while await waiting(database) < n:
                await asyncio.sleep(0.01)
    await asyncio.gather(*undoing)
    async with database.transaction() as tx:
        found = await reads.by_ids(tx, [kept.id, first.id, second.id])
    assert [found[c.id].email for c in (kept, first, second)] == ["k@x.example", "f@x.example", "s@x.example"]


async def test_what_a_profile_gave_up_twice_leads_to_it_when_the_first_one_goes_back(database):
    k_buys, taken = [Buyer(name="K", email="k@x.example")], frozenset({"email"})
    async with database.transaction() as tx:
        kept, first, second = [await profile(tx, name=n, email=f"{n.lower()}@x.example") for n in "KFS"]
        one = await merge_customers(tx, kept.id, first.id, (1, 1), taken)
        now = (await reads.by_ids(tx, [kept.id]))[kept.id]
        two = await merge_customers(tx, kept.id, second.id, (now.version, 1), taken)
        await unmerge_customers(tx, one.id)
        assert await service.who_are(tx, k_buys) == [kept.id]  # its own e-mail is the second one's still
        assert await service.who_are(tx, [Buyer(name="F", email="f@x.example")]) == [first.id]
        await unmerge_customers(tx, two.id)
        assert (await reads.by_ids(tx, [kept.id]))[kept.id].email == "k@x.example"


async def test_what_a_person_changed_since_stays_when_two_are_told_apart(database):
    async with database.transaction() as tx:
        ana = await profile(tx, name="Ana", document=CPF)
        other = await profile(tx, name="Ana P.", email="p@x.example", phone="+5511987654321")
        done = await merge_customers(tx, ana.id, other.id, (1, 1), frozenset({"name"}))
        now = (await reads.by_ids(tx, [ana.id]))[ana.id]
        assert now.name == "Ana P."
        draft = CustomerDraft(name="Ana Prates", document=CPF, email=now.email, phone="+5511900000000")
        await service.update_customer(tx, ana.id, draft, now.version)
        await unmerge_customers(tx, done.id)
        back = (await reads.by_ids(tx, [ana.id]))[ana.id]
        assert (back.name, back.email, back.phone) == ("Ana Prates", None, "+5511900000000")


async def test_two_documents_are_two_people_and_a_stale_look_merges_nothing(database):
    async with database.transaction() as tx:
        one = await profile(tx, name="Ana", document=CPF, email="casa@x.example")
        two = await profile(tx, name="Rui", document=OTHER_CPF, email="casa@x.example")
        three = await profile(tx, name="Ana", phone="+5511987654321", email="ana@x.example")
        with pytest.raises(CustomersDiffer):
            await merge_customers(tx, one.id, two.id, (1, 1))
        with pytest.raises(SameCustomer):
            await merge_customers(tx, one.id, one.id, (1, 1))
        with pytest.raises(Conflict):
            await merge_customers(tx, one.id, three.id, (1, 2))


async def test_the_finder_offers_who_shares_an_e_mail_or_phone_unless_told_apart(database):
    async with database.transaction() as tx:
        ana = await profile(tx, name="Ana", document=CPF, email="ana@x.example")
        again = await profile(tx, name="Ana P", email="ana@x.example", phone="+5511987654321")
        rui = await profile(tx, name="Rui", phone="+5511987654321")
        await profile(tx, name="Bia", document=OTHER_CPF, email="ana@x.example")
        found = {(pair.one_id, pair.other_id, pair.shares) for pair in await reads.alike(tx)}
        assert (ana.id, again.id, "email") in found
        assert (again.id, rui.id, "phone") in found
        assert not any(pair[:2] == (ana.id, rui.id) for pair in found)
        await merging.call_distinct(tx, rui.id, again.id)
        assert "phone" not in {pair.shares for pair in await reads.alike(tx)}

"""Money to give back: of orders paid too much or cancelled after they were paid. Told where people look, gone once given."""

import html
import re
from typing import Any

from test_routing_explained import retailer
from tests_http import Shop

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import PERMISSIONS, Role
from malha.payments import giving_back
from malha.platform import jobs
from malha.platform.subscribers import drain

__all__ = ["retailer"]

EVERYTHING = set(PERMISSIONS) - {"identity:manage"}
ORDER: dict[str, Any] = {
    "channel": "site",
    "ship_to": {"postal_code": "58038000", "city": "João Pessoa", "state": "PB", "street": "Rua A"},
    "lines": [{"sku": "REDE", "quantity": 1, "unit_price": 10_000}],
}


async def sold(shop: Shop, key: dict[str, str], name: str, *paid: int, quantity: int = 1) -> dict[str, Any]:
    payments = [
        {"kind": "pix", "amount": each, "state": "captured", "reference": f"{name}-{n}"} for n, each in enumerate(paid)
    ]
    lines = [{**ORDER["lines"][0], "quantity": quantity}]
    body = {**ORDER, "lines": lines, "external_id": name, "payments": payments}
    answer = await shop.http.post("/v1/orders", json=body, headers=key)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def listed(shop: Shop, key: dict[str, str], query: str = "") -> dict[int, int]:
    answer = await shop.http.get(f"/v1/refunds-due{query}", headers=key)
    assert answer.status_code == 200, answer.text
    return {row["number"]: row["refund_due"] for row in answer.json()["items"]}


async def test_what_was_paid_too_much_is_told_everywhere_and_holds_nothing(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    http = retailer.http
    exact = await sold(retailer, key, "exact", 10_000)
    twice = await sold(retailer, key, "twice", 10_000, 10_000)
    later = await sold(retailer, key, "later", 10_000)
    assert twice["holds"] == []
    tender = {"kind": "pix", "amount": 2_500, "state": "captured", "reference": "again"}
    added = await http.post(f"/v1/orders/{later['id']}/tenders", json=tender, headers=key)
    assert added.status_code in {200, 201}, added.text
    assert await listed(retailer, key) == {twice["number"]: 10_000, later["number"]: 2_500}
    assert await listed(retailer, key, "?limit=1") == {later["number"]: 2_500}
    assert await listed(retailer, key, f"?q={twice['number']}") == {twice["number"]: 10_000}
    assert await listed(retailer, await retailer.key({"orders:read"}, locations=["JPA"])) == {}

    owner = {**await retailer.session(), "accept-language": "pt-BR"}
    page = (await http.get(f"/orders/{later['number']}", headers=owner)).text
    assert "R$\xa025,00 a devolver" in page
    assert "Foi pago mais do que o total." in page
    assert 'value="25,00"' in page  # of the refund to record
    assert "a devolver</b>" not in (await http.get(f"/orders/{exact['number']}", headers=owner)).text
    shown = (await http.get("/refunds-due", headers=owner)).text
    assert f'href="/orders/{later["number"]}"' in shown
    assert f'href="/orders/{exact["number"]}"' not in shown
    assert "Há dinheiro a devolver em 2 pedidos" in (await http.get("/attention", headers=owner)).text
    file = await http.get("/refunds-due:export.csv", headers=owner)
    assert file.status_code == 200
    assert str(twice["number"]) in file.text
    elsewhere = await retailer.session(Role.STORE_LEAD, locations=["JPA"], email="jpa@loja.test")
    assert f'href="/orders/{later["number"]}"' not in (await http.get("/refunds-due", headers=elsewhere)).text

    fact = {"position": 2, "kind": "refunded", "amount": 2_500, "reference": "back"}
    given = await http.post(f"/v1/orders/{later['id']}/payments", json=fact, headers=key)
    assert given.status_code in {200, 201}, given.text
    assert await listed(retailer, key) == {twice["number"]: 10_000}
    assert "a devolver</b>" not in (await http.get(f"/orders/{later['number']}", headers=owner)).text


async def test_an_apology_is_recorded_as_one_and_what_was_cancelled_is_still_to_be_given_back(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = {**await retailer.session(), "accept-language": "pt-BR"}
    order = await sold(retailer, key, "sorry", 20_000, quantity=2)
    at, page = f"/v1/orders/{order['id']}", f"/orders/{order['number']}"
    await retailer.http.post(
        f"{at}/cancel", json={"reason": "one less", "lines": [{"line": 1, "quantity": 1}]}, headers=key
    )
    form = {"position": "1", "kind": "refunded", "amount": "15,00", "reference": "frete", "favour": "1"}
    said = await retailer.http.post(f"{page}/payment", data=form, headers=owner)
    assert said.status_code == 303, said.text
    await drain(retailer.database, SUBSCRIPTIONS)
    shown = (await retailer.http.get(page, headers=owner)).text
    assert "R$\xa0100,00 a devolver" in shown
    assert "Reembolsado como cortesia" in shown
    assert "Reembolso registrado, como cortesia" in shown
    assert await listed(retailer, key) == {order["number"]: 10_000}
    file = await retailer.http.get("/refunds-due:export.csv", headers=owner)
    *_, refunded, favour, due = file.text.strip().splitlines()[-1].split(";")
    assert (refunded, favour, due) == ("15,00", "15,00", "100,00")
    paid = (await retailer.http.get(f"{at}/payments", headers=key)).json()
    assert (paid["standing"]["favour"], [e["favour"] for e in paid["entries"]]) == (1_500, [False, True])
    no_word = await retailer.http.post(f"{page}/payment", data={**form, "favour": ""}, headers=owner)
    assert no_word.status_code == 303  # the same again
    wrong = {"position": 1, "kind": "captured", "amount": 1, "reference": "x", "favour": True}
    refused = await retailer.http.post(f"{at}/payments", json=wrong, headers=key)
    assert (refused.status_code, refused.json()["errors"][0]["at"]) == (422, "/favour")
    given = {"position": "1", "kind": "refunded", "amount": "100,00", "reference": "um"}
    await retailer.http.post(f"{page}/payment", data=given, headers=owner)
    assert await listed(retailer, key) == {}
    late = {"position": 1, "kind": "refunded", "amount": 10_000, "reference": "um", "favour": True}
    refused = await retailer.http.post(f"{at}/payments", json=late, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "refund_not_a_favour")


async def test_what_went_back_twice_is_told_on_the_page_of_its_order(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = {**await retailer.session(), "accept-language": "pt-BR"}
    order = await sold(retailer, key, "back", 10_000)
    at = f"/v1/orders/{order['id']}"
    await retailer.http.post(f"{at}/cancel", json={"reason": "changed her mind"}, headers=key)
    for kind, amount in (("refunded", 10_000), ("charged_back", 8_000)):
        fact = {"position": 1, "kind": kind, "amount": amount, "reference": kind}
        answer = await retailer.http.post(f"{at}/payments", json=fact, headers=key)
        assert answer.status_code == 200, answer.text
    assert (answer.json()["charged_back"], answer.json()["lost"], answer.json()["refund_due"]) == (8_000, 8_000, 0)
    more = await retailer.http.post(f"{at}/payments", json={**fact, "reference": "more"}, headers=key)
    assert (more.status_code, more.json()["code"]) == (409, "charged_back_too_much")
    page = (await retailer.http.get(f"/orders/{order['number']}", headers=owner)).text
    assert "R$\xa080,00 voltaram duas vezes" in page
    assert "Chargeback de R$\xa080,00" in page
    assert '<option value="charged_back">Chargeback</option>' in page  # of the form that records it
    assert await listed(retailer, key) == {}


async def test_a_refund_that_no_single_payment_can_give_is_ready_in_parts(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = await retailer.session()
    thrice = await sold(retailer, key, "thrice", 10_000, 10_001, 9_999)
    page = await retailer.http.get(f"/orders/{thrice['number']}", headers=owner)
    assert page.status_code == 200
    dialog = page.text.partition('id="dlg-refund"')[2].partition("</dialog>")[0]
    assert '<option value="2" selected>' in dialog  # of the payment that can give back the most
    assert 'value="100.01"' in dialog


async def test_what_was_cancelled_after_it_was_paid_is_due_until_it_is_recorded(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = {**await retailer.session(), "accept-language": "pt-BR"}
    whole = await sold(retailer, key, "whole", 10_000)
    part = await sold(retailer, key, "part", 20_000, quantity=2)
    kept = await sold(retailer, key, "kept", 10_000)
    for order, lines in ((whole, None), (part, [{"line": 1, "quantity": 1}])):
        body = {"reason": "changed her mind", **({"lines": lines} if lines else {})}
        answer = await retailer.http.post(f"/v1/orders/{order['id']}/cancel", json=body, headers=key)
        assert answer.status_code == 200, answer.text
    assert await listed(retailer, key) == {whole["number"]: 10_000, part["number"]: 10_000}
    assert await listed(retailer, key, "?q=whole") == {whole["number"]: 10_000}  # the channel's number
    page = (await retailer.http.get(f"/orders/{whole['number']}", headers=owner)).text
    assert "O pedido foi cancelado depois de pago." in page
    page = (await retailer.http.get(f"/orders/{part['number']}", headers=owner)).text
    assert "Uma parte foi cancelada depois de paga." in page

    # A part is given back: the rest is still due.
    fact = {"position": 1, "kind": "refunded", "amount": 4_000, "reference": "first"}
    answer = await retailer.http.post(f"/v1/orders/{whole['id']}/payments", json=fact, headers=key)
    assert answer.status_code == 200, answer.text
    assert await listed(retailer, key) == {whole["number"]: 6_000, part["number"]: 10_000}

    # Many at once, under one reference; of one of them nothing is due, and it says so.
    chosen = [str(each["number"]) for each in (whole, part, kept)]
    form = {"order": chosen, "reference": "batch 7", "next": "/refunds-due"}
    headers = {**owner, "hx-request": "true", "hx-current-url": "http://malha.test/refunds-due"}
    answer = await retailer.http.post("/refunds-due:record", data=form, headers=headers)
    assert answer.status_code == 200, answer.text
    assert f"Não há nada a devolver do pedido {kept['number']}." in answer.text
    assert await listed(retailer, key) == {}
    paid = (await retailer.http.get(f"/v1/orders/{part['id']}/payments", headers=key)).json()
    assert [(e["kind"], e["amount"], e["reference"]) for e in paid["entries"]][-1] == ("refunded", 10_000, "batch 7")
    assert paid["standing"]["refund_due"] == 0

    # Without a reference, or by somebody who may not, nothing is recorded.
    again = await sold(retailer, key, "again", 10_000, 500)
    number = str(again["number"])
    answer = await retailer.http.post("/refunds-due:record", data={"order": number}, headers=headers)
    assert answer.status_code == 422
    answer = await retailer.http.post("/orders/bulk", data={"order": number, "act": "refund"}, headers=headers)
    assert answer.status_code == 200
    assert (
        f'<a href="/orders/{number}">#{number}</a>' in answer.text.partition('id="bulk-result"')[2]
    )  # among the refused
    reader = await retailer.session(Role.AUDITOR, email="ler@loja.test")
    answer = await retailer.http.post("/refunds-due:record", data={"order": number, "reference": "x"}, headers=reader)
    assert answer.status_code == 403
    assert await listed(retailer, key) == {again["number"]: 500}


async def test_of_chosen_orders_no_other_amount_is_recorded_than_the_list_showed(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    desk = await retailer.session()
    order = await sold(retailer, key, "twice", 10_000, 500)
    page = (await retailer.http.get("/refunds-due", headers=desk)).text
    seen = dict(re.findall(r'name="(d[0-9]+)" value="([0-9]+)"', page))
    assert seen == {f"d{order['number']}": "500"}
    fact = {"position": 2, "kind": "refunded", "amount": 200, "reference": "by a colleague"}
    given = await retailer.http.post(f"/v1/orders/{order['id']}/payments", json=fact, headers=key)
    assert given.status_code == 200, given.text
    form = {"order": [str(order["number"])], "reference": "lot 3", **seen}
    late = await retailer.http.post("/refunds-due:record", data=form, headers=desk | {"hx-request": "true"})
    assert "1 refused" in html.unescape(late.headers["hx-trigger"]), late.text
    assert await listed(retailer, key) == {order["number"]: 300}


async def all_of_it(shop: Shop, headers: dict[str, str], q: str = "", **said: str) -> Any:
    """Press the button that records all of what the page shows."""
    page = (await shop.http.get(f"/refunds-due?q={q}", headers=headers)).text
    mark = re.search(r'name="mark" value="([^"]*)"', page)
    assert mark is not None, page
    form = {"q": q, "mark": mark[1], "reference": "lot 9", **said}
    return await shop.http.post("/refunds-due:record-all", data=form, headers=headers)


async def worked(shop: Shop) -> None:
    """Do what a worker does."""
    async with shop.database.transaction() as tx:
        ids = await tx.values("SELECT id FROM refund_batch WHERE state = 'going'")
    for id_ in ids:
        await giving_back.go_on.work(shop.database, batch_id=str(id_))


async def test_all_that_is_found_is_recorded_on_a_page_that_says_how_far_it_is_and_what_was_refused(
    retailer: Shop,
) -> None:
    key = await retailer.key(EVERYTHING)
    owner = {**await retailer.session(), "accept-language": "pt-BR"}
    orders = [await sold(retailer, key, f"o{n}", 10_000, 1_000 + n) for n in range(55)]  # more than a page
    shown = (await retailer.http.get("/refunds-due", headers=owner)).text
    assert "Registrar os reembolsos de 55 pedidos?" in shown
    assert "R$\xa0564,85" in shown
    answer = await all_of_it(retailer, owner)
    assert answer.status_code == 303, answer.text
    there = answer.headers["location"]
    page = (await retailer.http.get(there, headers=owner)).text
    assert 'data-poll-every="1"' in page
    assert "0 de 55 pedidos" in page
    assert 'id="dlg-all"' not in (await retailer.http.get("/refunds-due", headers=owner)).text  # they are at it
    by_hand = {"position": 2, "kind": "refunded", "amount": 1_003, "reference": "by hand"}
    answer = await retailer.http.post(f"/v1/orders/{orders[3]['id']}/payments", json=by_hand, headers=key)
    assert answer.status_code == 200, answer.text
    await worked(retailer)
    page = (await retailer.http.get(there, headers=owner)).text
    assert 'data-poll-every="1"' not in page
    assert "Concluído" in page
    assert f"Não há nada a devolver do pedido {orders[3]['number']}." in page
    assert await listed(retailer, key) == {}
    paid = (await retailer.http.get(f"/v1/orders/{orders[54]['id']}/payments", headers=key)).json()
    assert [(e["kind"], e["amount"], e["reference"]) for e in paid["entries"]][-1] == ("refunded", 1_054, "lot 9")
    assert f'href="{there}"' in (await retailer.http.get("/refunds-due", headers=owner)).text


async def test_all_is_refused_when_the_list_is_no_longer_what_was_seen_or_says_no_reference(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = await retailer.session()
    one = await sold(retailer, key, "one", 10_000, 500)
    page = (await retailer.http.get("/refunds-due", headers=owner)).text
    mark = page.partition('name="mark" value="')[2].partition('"')[0]
    two = await sold(retailer, key, "two", 10_000, 600)
    part = {**owner, "hx-request": "true", "hx-current-url": "http://malha.test/refunds-due", "x-slot": "#slot-all"}
    answer = await all_of_it(retailer, part, mark=mark)
    assert answer.status_code == 409
    assert "What is to be given back is no longer what you saw." in answer.text
    assert (await all_of_it(retailer, owner, reference=" ")).status_code == 422
    reader = await retailer.session(Role.AUDITOR, email="ler@loja.test")
    assert 'id="dlg-all"' not in (await retailer.http.get("/refunds-due", headers=reader)).text
    form = {"q": "", "mark": mark, "reference": "x"}
    answer = await retailer.http.post("/refunds-due:record-all", data=form, headers=reader)
    assert answer.status_code == 403
    assert await listed(retailer, key) == {one["number"]: 500, two["number"]: 600}


async def test_a_person_stops_what_is_being_recorded(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = await retailer.session()
    one = await sold(retailer, key, "one", 10_000, 500)
    there = (await all_of_it(retailer, owner, "one")).headers["location"]
    answer = await retailer.http.post(f"{there}/stop", headers=owner)
    assert (answer.status_code, answer.headers["location"]) == (303, there)
    page = (await retailer.http.get(there, headers=owner)).text
    assert "It was stopped: the refund of 1 order is still due." in page
    assert "found by one" in page
    assert (await retailer.http.post(f"{there}/stop", headers=owner)).status_code == 409
    await worked(retailer)
    assert await listed(retailer, key) == {one["number"]: 500}
    elsewhere = await retailer.session(Role.STORE_LEAD, locations=["JPA"], email="jpa@loja.test")
    assert (await retailer.http.get(there, headers=elsewhere)).status_code == 404


async def test_a_batch_whose_job_failed_for_good_is_tried_again_or_stopped_where_attention_is_asked_for(
    retailer: Shop,
) -> None:
    key = await retailer.key(EVERYTHING)
    owner = await retailer.session()
    one = await sold(retailer, key, "one", 10_000, 500)
    there = (await all_of_it(retailer, owner, "one")).headers["location"]
    async with retailer.database.transaction() as tx:
        failed = (
            "UPDATE malha_jobs.procrastinate_jobs SET status = 'failed', attempts = 5"
            " WHERE task_name = 'payments.record_refunds' RETURNING id"
        )
        number = await tx.value(failed)
    page = (await retailer.http.get("/attention", headers=owner)).text
    assert f'href="{there}"' in page
    assert "Recording of refunds together" in page
    assert "It goes on where it stopped and records nothing twice." in page
    assert 'action="/attention/replay"' in page
    assert 'action="/attention/stop"' in page
    lead = await retailer.session(Role.STORE_LEAD, locations=["JPA"], email="jpa@loja.test")
    form = {"key": str(number)}
    assert (await retailer.http.post("/attention/stop", data=form, headers=lead)).status_code == 403
    sent = await retailer.http.post("/attention/stop", data=form, headers=owner)
    assert (sent.status_code, sent.headers["location"]) == (303, "/attention")
    assert "Recording of refunds together" not in (await retailer.http.get("/attention", headers=owner)).text
    assert "It was stopped: the refund of 1 order is still due." in (await retailer.http.get(there, headers=owner)).text
    assert await listed(retailer, key) == {one["number"]: 500}
    assert (await retailer.http.post("/attention/stop", data=form, headers=owner)).status_code == 404


async def test_several_batches_whose_jobs_failed_are_each_named_and_stopped_in_one_act(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = await retailer.session()
    for name in ("one", "two"):
        await sold(retailer, key, name, 10_000, 500)
    pages = [(await all_of_it(retailer, owner, name)).headers["location"] for name in ("one", "two")]
    async with retailer.database.transaction() as tx:
        numbers = await tx.values(
            "UPDATE malha_jobs.procrastinate_jobs SET status = 'failed', attempts = 5"
            " WHERE task_name = 'payments.record_refunds' RETURNING id"
        )
    page = (await retailer.http.get("/attention", headers=owner)).text
    assert all(f'href="{there}"' in page for there in pages)
    form = {"key": [str(number) for number in numbers]}
    sent = await retailer.http.post("/attention/stop", data=form, headers=owner)
    assert sent.status_code == 303, sent.text
    assert "2%20orders" in sent.headers["set-cookie"]
    for there in pages:
        assert "It was stopped" in (await retailer.http.get(there, headers=owner)).text


async def test_a_batch_that_is_stopped_on_its_own_page_asks_for_no_attention_any_more(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = await retailer.session()
    await sold(retailer, key, "one", 10_000, 500)
    there = (await all_of_it(retailer, owner, "one")).headers["location"]
    async with retailer.database.transaction() as tx:
        await tx.execute(
            "UPDATE malha_jobs.procrastinate_jobs SET status = 'failed' WHERE task_name = 'payments.record_refunds'"
        )
    assert (await retailer.http.post(f"{there}/stop", headers=owner)).status_code == 303
    async with retailer.database.transaction() as tx:
        assert await jobs.failed(tx) == []


async def test_a_program_has_all_that_a_search_finds_recorded_asks_how_far_it_is_and_reads_what_was_refused(
    retailer: Shop,
) -> None:
    http, key = retailer.http, await retailer.key(EVERYTHING)
    orders = [await sold(retailer, key, f"o{n}", 10_000, 1_000 + n) for n in range(5)]
    found = (await http.get("/v1/refunds-due/sums?q=site", headers=key)).json()
    assert found["sums"] == [{"currency": "BRL", "orders": 5, "due": 5_010}]
    asked = {"reference": "lot 9", "q": "site", "mark": found["mark"]}
    once = {**key, "idempotency-key": "lot-9"}
    begun = await http.post("/v1/refunds-due/batches", json=asked, headers=once)
    assert begun.status_code == 201, begun.text
    there = begun.headers["location"]
    again = await http.post("/v1/refunds-due/batches", json=asked, headers=once)
    assert (again.status_code, again.json()) == (201, begun.json())
    batch = (await http.get(there, headers=key)).json()
    assert batch == begun.json()
    told = {"state": "going", "orders": 5, "recorded": 0, "refused": 0, "left": 5, "q": "site", "reference": "lot 9"}
    assert batch.items() >= told.items()
    assert (batch["sums"], batch["ended_at"]) == (found["sums"], None)
    assert (await http.get("/v1/refunds-due/sums", headers=key)).json() == {"sums": [], "mark": ""}  # it has them
    for order in orders[1:4]:
        paid = (await http.get(f"/v1/orders/{order['id']}/payments", headers=key)).json()["tenders"][1]
        by_hand = {"position": 2, "kind": "refunded", "amount": paid["amount"], "reference": "by hand"}
        answer = await http.post(f"/v1/orders/{order['id']}/payments", json=by_hand, headers=key)
        assert answer.status_code == 200, answer.text
    await worked(retailer)
    batch = (await http.get(there, headers=key)).json()
    assert batch.items() >= {"state": "done", "recorded": 2, "refused": 3, "left": 0}.items()
    rows: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await http.get(f"{there}/refused", params={"limit": 2, "cursor": cursor}, headers=key)
        assert page.status_code == 200, page.text
        rows += page.json()["items"]
        cursor = page.json()["next"]
    assert [(row["order"], row["order_id"], row["due"]) for row in rows] == [
        (orders[n]["number"], orders[n]["id"], 1_000 + n) for n in (3, 2, 1)
    ]
    assert f"Nothing is to be given back of order {orders[3]['number']}." in rows[0]["why"]
    assert await listed(retailer, key) == {}


async def test_batches_of_refunds_are_listed_stopped_and_refused_as_the_page_does(retailer: Shop) -> None:
    http, key = retailer.http, await retailer.key(EVERYTHING)
    reader = await retailer.key({"orders:read"})
    near = await retailer.key(EVERYTHING, locations=["JPA"])
    one = await sold(retailer, key, "one", 10_000, 500)
    seen = (await http.get("/v1/refunds-due/sums", headers=reader)).json()["mark"]
    two = await sold(retailer, key, "two", 10_000, 600)

    async def begin(of: dict[str, str], **said: object) -> tuple[int, Any]:
        body = {"reference": "lot", "mark": seen, **said}
        answer = await http.post("/v1/refunds-due/batches", json=body, headers=of)
        return answer.status_code, answer.json().get("code", answer.json().get("number"))

    assert await begin(key) == (409, "refunds_changed")
    assert await begin(reader) == (403, "forbidden")
    assert (await begin(key, reference=" "))[0] == 422
    assert await begin(key, mark="") == (409, "refunds_changed")
    assert await begin(near) == (409, "no_refunds_found")  # theirs are none
    numbers = []
    for name in ("one", "two"):
        seen = (await http.get(f"/v1/refunds-due/sums?q={name}", headers=key)).json()["mark"]
        status, number = await begin(key, q=name)
        assert status == 201
        numbers.append(number)
    first, second = (f"/v1/refunds-due/batches/{number}" for number in numbers)
    page = (await http.get("/v1/refunds-due/batches?limit=1", headers=reader)).json()
    assert [row["number"] for row in page["items"]] == [numbers[1]]
    page = (await http.get("/v1/refunds-due/batches", params={"cursor": page["next"]}, headers=reader)).json()
    assert ([row["number"] for row in page["items"]], page["next"]) == ([numbers[0]], None)
    assert (await http.get("/v1/refunds-due/batches", headers=near)).json()["items"] == []
    assert (await http.get(first, headers=near)).status_code == 404
    assert (await http.get(f"{first}/refused", headers=near)).status_code == 404
    assert (await http.post(f"{first}/stop", headers=near)).status_code == 404
    assert (await http.post(f"{first}/stop", headers=reader)).status_code == 403
    stopped = await http.post(f"{first}/stop", headers=key)
    assert stopped.status_code == 200, stopped.text
    assert stopped.json().items() >= {"state": "stopped", "recorded": 0, "left": 1}.items()
    assert (await http.post(f"{first}/stop", headers=key)).json()["code"] == "refund_batch_ended"
    assert (await http.get("/v1/refunds-due/batches/2147483648", headers=key)).json()[
        "code"
    ] == "refund_batch_not_found"
    await worked(retailer)
    assert (await http.get(second, headers=reader)).json()["state"] == "done"
    assert await listed(retailer, key) == {one["number"]: 500}
    assert two["number"] not in await listed(retailer, key)

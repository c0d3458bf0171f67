"""Connections over the API: made paused, tested, resumed; webhooks at their own address, bounded and quick."""

import json
from pathlib import Path

import pytest
from linked_world import CODE, SECRETS, linked
from tests_http import Shop, open_shop

from malha.platform.db import Database
from malha.platform.ids import new_id
from peer_shop import Sent, peer_shop, sign

PERMISSIONS = ["network:read", "network:write", "payments:record", "settings:manage"]
BODY = {"code": "loja2", "name": "Loja 2", "connector": "generic", "channel": "web", "config": {}, "secrets": SECRETS}


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    """A shop with a connection whose channel answers, and a key."""
    from contextlib import AsyncExitStack

    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))
        yield world, shop, await shop.key(PERMISSIONS)


async def post(shop: Shop, sent: Sent, code: str = CODE):
    return await shop.http.post(f"/in/{code}", content=sent.body, headers=sent.headers)


async def test_a_connection_is_made_paused_tested_and_resumed(made):
    world, shop, key = made
    body = {**BODY, "config": {"base_url": world.peer.url}}
    answer = await shop.http.post("/v1/connections", json=body, headers=key)
    assert answer.status_code == 201, answer.text
    assert answer.json()["webhook_url"].endswith("/in/loja2")
    assert "4711" not in answer.text
    seen = (await shop.http.get("/v1/connections/loja2", headers=key)).json()
    assert seen["state"]["status"] == "paused"
    assert "4711" not in json.dumps(seen)
    tested = await shop.http.post("/v1/connections/loja2/test", headers=key)
    assert tested.json() == {"ok": True, "says": "Loja de teste"}
    assert (await shop.http.post("/v1/connections/loja2/resume", headers=key)).status_code == 204
    rows = (await shop.http.get("/v1/connections", headers=key)).json()
    assert {r["code"]: r["status"] for r in rows} == {"loja": "active", "loja2": "active"}
    assert (await shop.http.post("/v1/connections/loja2/pause", headers=key)).status_code == 204
    again = await shop.http.post("/v1/connections", json=body, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "connection_exists")


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"config": {}}, "/config/base_url"),
        ({"config": {"base_url": "https://ok.example", "colour": "red"}}, "/config/colour"),
        ({"config": {"base_url": "https://ok.example", "page": "ten"}}, "/config/page"),
        ({"config": {"base_url": "https://ok.example", "rate": 0}}, "/config/rate"),
        ({"config": {"base_url": "https://ok.example", "access": "door"}}, "/config/access"),
        ({"config": {"base_url": "ftp://ok.example"}}, "/config/base_url"),
        ({"config": {"base_url": "https://user:pass@ok.example"}}, "/config/base_url"),
        ({"config": {"base_url": "https://10.1.2.3/api"}}, "/config/base_url"),
        ({"config": {"base_url": "https://[::ffff:a01:203]/api"}}, "/config/base_url"),
        ({"config": {"base_url": "https://ok.example"}, "secrets": {"pin": "1234"}}, "/secrets/pin"),
    ],
)
async def test_what_does_not_fit_the_connector_is_refused_where_it_is_wrong(made, change, at):
    _, shop, key = made
    answer = await shop.http.post("/v1/connections", json={**BODY, **change}, headers=key)
    assert answer.status_code == 422, answer.text
    assert [e["at"] for e in answer.json()["errors"]] == [at]


async def test_a_failed_test_is_told_in_the_readers_language_and_without_a_mark(made):
    world, shop, key = made
    body = {**BODY, "config": {"base_url": world.peer.url}, "secrets": {}}
    assert (await shop.http.post("/v1/connections", json=body, headers=key)).status_code == 201
    portuguese = {**key, "accept-language": "pt-BR"}
    tested = await shop.http.post("/v1/connections/loja2/test", headers=portuguese)
    assert tested.json() == {"ok": False, "says": "o segredo api_key não foi informado"}
    state = (await shop.http.get("/v1/connections/loja2", headers=key)).json()["state"]
    assert (state["check_ok"], state["check_says"]) == (False, "the secret api_key was not entered")
    state = (await shop.http.get("/v1/connections/loja2", headers=portuguese)).json()["state"]
    assert state["check_says"] == "o segredo api_key não foi informado"


async def test_what_does_not_fit_is_told_with_the_title_of_its_field(made):
    _, shop, key = made
    body = {**BODY, "config": {"base_url": "https://ok.example", "page": "ten", "access": "door"}}
    told = (await shop.http.post("/v1/connections", json=body, headers={**key, "accept-language": "pt-BR"})).json()
    assert {e["at"]: e["says"] for e in told["errors"]} == {
        "/config/access": "Acesso: 'door' não é um dos valores possíveis.",
        "/config/page": "Pedidos por página: Deve ser um número inteiro.",
    }


async def test_what_a_connector_itself_refuses_is_told_at_its_field_with_the_reason(made):
    _, shop, key = made
    config = {"host": "sftp.example", "user": "malha", "columns": "COD=foo"}
    body = {**BODY, "connector": "erp_files", "config": config, "secrets": {}}
    for language, says in (
        ("en", "Headings of its own: “COD=foo”: there is no column foo."),
        ("pt-BR", "Cabeçalhos próprios: “COD=foo”: não existe a coluna foo."),
    ):
        answer = await shop.http.post("/v1/connections", json=body, headers={**key, "accept-language": language})
        assert answer.status_code == 422, answer.text
        assert [(e["at"], e["says"]) for e in answer.json()["errors"]] == [("/config/columns", says)]


PARTNER = {"code": "parceiro", "name": "Parceiro", "connector": "partner_http", "config": {}}


async def test_what_sells_nothing_has_no_channel_and_what_sells_must_name_one(made):
    world, shop, key = made
    body = {**PARTNER, "config": {"base_url": world.peer.url}}
    answer = await shop.http.post("/v1/connections", json=body, headers=key)
    assert answer.status_code == 201, answer.text
    state = (await shop.http.get("/v1/connections/parceiro", headers=key)).json()["state"]
    assert (state["code"], state["channel"]) == ("parceiro", None)
    rows = (await shop.http.get("/v1/connections", headers=key)).json()
    assert {row["code"]: row["channel"] for row in rows} == {"loja": "web", "parceiro": None}
    tested = await shop.http.post("/v1/connections/parceiro/test", headers=key)
    assert tested.status_code == 200, tested.text

    changed = {**body, "name": "Armazéns do Sul"}
    url = "/v1/connections/parceiro"
    version = {"if-match": '"1"'}
    named = await shop.http.put(url, json={**changed, "channel": "web"}, headers={**key, **version})
    assert (named.status_code, [e["at"] for e in named.json()["errors"]]) == (422, ["/channel"])
    assert "sells nothing" in named.text
    assert (await shop.http.put(url, json=changed, headers={**key, **version})).status_code == 200
    other = await shop.http.post("/v1/connections", json={**body, "code": "x", "channel": "web"}, headers=key)
    assert [e["at"] for e in other.json()["errors"]] == ["/channel"]
    selling = {name: said for name, said in BODY.items() if name != "channel"}
    without = await shop.http.post(
        "/v1/connections", json={**selling, "config": {"base_url": world.peer.url}}, headers=key
    )
    assert (without.status_code, [e["at"] for e in without.json()["errors"]]) == (422, ["/channel"])


async def test_unknown_connectors_channels_and_connections_are_named(made):
    _, shop, key = made
    for change, code in (({"connector": "sap"}, "unknown_connector"), ({"channel": "moon"}, "unknown_channel")):
        body = {**BODY, "config": {"base_url": "https://ok.example"}, **change}
        assert (await shop.http.post("/v1/connections", json=body, headers=key)).json()["code"] == code
    assert (await shop.http.get("/v1/connections/none", headers=key)).json()["code"] == "unknown_connection"


async def test_a_change_needs_the_version_that_was_read(made):
    world, shop, key = made
    body = {**BODY, "code": CODE, "name": "Other", "config": {"base_url": world.peer.url}, "secrets": {}}
    url = f"/v1/connections/{CODE}"
    assert (await shop.http.put(url, json=body, headers=key)).status_code == 428
    tag = (await shop.http.get(url, headers=key)).headers["etag"]
    assert (await shop.http.put(url, json=body, headers={**key, "if-match": tag})).status_code == 200
    stale = await shop.http.put(url, json=body, headers={**key, "if-match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
    assert (await shop.http.post(f"{url}/test", headers=key)).json()["ok"], "secrets that are not mentioned stay"


async def test_a_secret_is_not_sent_to_another_server_than_it_was_entered_for(made):
    """Who may change connections sees no secret, and could have it sent to a server of their own."""
    world, shop, key = made
    body = {**BODY, "code": CODE, "name": "Loja", "secrets": {}}
    url = f"/v1/connections/{CODE}"

    async def put(address: str, secrets: dict[str, str]):
        tag = (await shop.http.get(url, headers=key)).headers["etag"]
        sent = {**body, "config": {"base_url": address}, "secrets": secrets}
        return await shop.http.put(url, json=sent, headers={**key, "if-match": tag})

    moved = await put("https://elsewhere.example/oms", {"webhook_secret": "new and long enough for it"})
    assert (moved.status_code, [e["at"] for e in moved.json()["errors"]]) == (422, ["/secrets/api_key"])
    assert "another server" in moved.text
    assert (await put(world.peer.url + "/v2", {})).status_code == 200, "the same server under another path"
    assert (await put(world.peer.url, {})).status_code == 200
    assert (await put("https://elsewhere.example/oms", {"api_key": "a key of theirs"})).status_code == 200
    assert (await put("https://elsewhere.example/oms", {"api_key": ""})).status_code == 200
    assert (await put("https://third.example/oms", {})).status_code == 200, "none is left that would be sent"


async def test_a_webhook_is_acknowledged_once_it_is_kept_and_every_time_it_comes(made):
    world, shop, _ = made
    sent = world.peer.webhook(world.peer.sell("1001"))
    answers = [await post(shop, sent) for _ in range(3)]
    assert [(a.status_code, a.json()["new"]) for a in answers] == [(202, 1), (202, 0), (202, 0)]
    await world.handle()
    assert await world.values("SELECT external_id FROM sales_order") == ["1001"]


async def test_a_webhook_that_is_forged_unreadable_or_nobodys_is_refused_in_words(made):
    world, shop, key = made
    good = world.peer.webhook(world.peer.sell("1001"))
    forged = await post(shop, Sent(good.headers, good.body + b" "))
    assert (forged.status_code, forged.json()["code"]) == (401, "webhook_not_proved")
    assert (await post(shop, sign(b"{"))).json()["code"] == "webhook_unreadable"
    assert (await post(shop, good, "nobody")).json()["code"] == "no_webhooks"
    assert (await post(shop, sign({"type": "ping"}))).status_code == 202
    rows = (await shop.http.get("/v1/connections", headers=key)).json()
    assert rows[0]["refused"] == 1


async def test_a_large_order_is_taken_and_what_has_no_end_is_not(made):
    world, shop, _ = made
    lines = [{"sku": "A", "quantity": 1, "unit_price": 1, "name": "x" * 180, "id": str(n)} for n in range(500)]
    large = world.peer.webhook(world.peer.sell("1001", lines=lines))
    assert len(large.body) > 100_000
    assert (await post(shop, large)).status_code == 202
    endless = await post(shop, sign(b"{" + b" " * (1 << 20) + b"}"))
    assert endless.status_code == 413


async def test_what_waits_for_a_person_is_listed_with_cause_and_remedy_and_settled(made):
    world, shop, key = made
    await post(shop, world.peer.webhook(world.peer.sell("1001", status="levitating")))
    await world.handle()
    url = f"/v1/connections/{CODE}"
    (stuck,) = (await shop.http.get(f"{url}/inbox", headers=key)).json()["items"]
    assert stuck["cause"] == "unknown_status"
    assert "look at the order there" in stuck["mend"]
    (cause,) = (await shop.http.get(url, headers=key)).json()["causes"]
    assert (cause["way"], cause["cause"], cause["count"]) == ("in", "unknown_status", 1)
    assert (await shop.http.post(f"{url}/replay", json={"inbox": [stuck["id"]]}, headers=key)).json() == {"count": 1}
    await world.handle()
    assert (await shop.http.post(f"{url}/drop", json={"inbox": [stuck["id"]]}, headers=key)).json() == {"count": 1}
    gone = await shop.http.post(f"{url}/drop", json={"inbox": [stuck["id"]]}, headers=key)
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_entry")


async def test_all_of_a_cause_is_found_tried_again_and_given_up_and_attempts_are_told(made):
    world, shop, key = made
    url = f"/v1/connections/{CODE}"
    for number in ("1001", "1002"):
        await post(shop, world.peer.webhook(world.peer.sell(number, status="levitating")))
    await world.handle()

    async def found(asked: str) -> int:
        return len((await shop.http.get(f"{url}/inbox?{asked}", headers=key)).json()["items"])

    assert [await found(asked) for asked in ("cause=unknown_status", "cause=auth", "q=order:1002", "q=order_1")] == [
        2, 0, 1, 0,
    ]  # fmt: skip
    all_of_it = {"cause": "unknown_status", "way": "in"}
    assert (await shop.http.post(f"{url}/replay", json=all_of_it, headers=key)).json() == {"count": 2}
    await world.handle()
    both = {**all_of_it, "inbox": [1]}
    refused = await shop.http.post(f"{url}/drop", json=both, headers=key)
    assert (refused.status_code, refused.json()["errors"][0]["at"]) == (422, "/cause")
    assert (await shop.http.post(f"{url}/drop", json=all_of_it, headers=key)).json() == {"count": 2}
    assert (await shop.http.post(f"{url}/drop", json=all_of_it, headers=key)).status_code == 404
    op = new_id()
    async with world.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO channel_op (key, connection_id, kind, entity, payload, state, cause)"
            " SELECT %s::uuid, id, 'cancel', 'order:1', '{}', 'dead', 'exhausted' FROM connection", (op,),
        )  # fmt: skip
        await tx.execute("INSERT INTO op_attempt (op_key, attempt, outcome) VALUES (%s::uuid, 1, 'exhausted')", (op,))
    (attempt,) = (await shop.http.get(f"{url}/operations/{op}/attempts", headers=key)).json()
    assert (attempt["attempt"], attempt["outcome"]) == (1, "exhausted")
    assert (await shop.http.get(f"{url}/operations/{new_id()}/attempts", headers=key)).status_code == 404


async def test_words_of_the_channel_are_mapped_over_the_api(made):
    world, shop, key = made
    payment = {"id": "p1", "method": "cc", "amount": 1000, "state": "captured"}
    await post(shop, world.peer.webhook(world.peer.sell("1001", payments=[payment])))
    await world.handle()
    url = f"/v1/connections/{CODE}/methods"
    assert (await shop.http.get(url, headers=key)).json() == [{"kind": "payment", "theirs": "cc", "ours": None}]
    wrong = await shop.http.put(url, json={"kind": "payment", "theirs": "cc", "ours": "gold"}, headers=key)
    assert wrong.status_code == 422
    right = await shop.http.put(url, json={"kind": "payment", "theirs": "cc", "ours": "credit_card"}, headers=key)
    assert right.json() == {"count": 1}
    await world.handle()
    number = (await world.values("SELECT number FROM sales_order"))[0]
    refund = {"order": number, "payment": "p1", "amount": 400, "reference": "R-1"}
    asked = [await shop.http.post(f"/v1/connections/{CODE}/refunds", json=refund, headers=key) for _ in range(2)]
    assert [a.status_code for a in asked] == [202, 202]
    assert [a.json()["operation"] is None for a in asked] == [False, True]
    more = {**refund, "amount": 601, "reference": "R-2"}
    refused = await shop.http.post(f"/v1/connections/{CODE}/refunds", json=more, headers=key)
    assert refused.status_code == 422, "of 1000 that were paid, 400 are on their way back"
    (flaw,) = refused.json()["errors"]
    assert (flaw["at"], flaw["says"]) == ("/amount", "Of what is known to be paid, R$6.00 is left to give back.")
    await world.tell()
    assert [r["amount"] for r in world.peer.refunds] == [400]
    log = (await shop.http.get(f"/v1/connections/{CODE}/log", headers=key)).json()
    assert [c["operation"] for c in log] == ["refund"]


async def test_all_that_is_read_again_is_known_already(made):
    world, shop, key = made
    for n in range(5):
        world.peer.sell(f"100{n}")
    await world.settle()
    since = {"since": "2026-11-01T00:00:00Z"}
    assert (await shop.http.post(f"/v1/connections/{CODE}/read-again", json=since, headers=key)).status_code == 204
    await world.settle()
    assert len(await world.values("SELECT 1 FROM sales_order")) == 5
    assert len(await world.values("SELECT 1 FROM channel_inbox")) == 5


async def test_where_a_stream_is_is_told_by_its_beginning(made):
    world, shop, key = made
    await world.settle()
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE connection_cursor SET value = 'place ' || repeat('x', 500000) WHERE stream = 'orders'")
    answer = await shop.http.get(f"/v1/connections/{CODE}", headers=key)
    values = {cursor["stream"]: cursor["value"] for cursor in answer.json()["cursors"]}
    assert values["orders"] == "place " + "x" * 194
    assert len(answer.content) < 10_000


async def test_who_sees_only_some_locations_sees_no_connection(made):
    world, shop, _ = made
    key = await shop.key(PERMISSIONS, locations=["DC"])
    for url in ("/v1/connections", f"/v1/connections/{CODE}"):
        assert (await shop.http.get(url, headers=key)).status_code == 403
    del world


async def test_the_connectors_say_what_they_are_given_and_how_sure_they_are(made):
    _, shop, key = made
    found = {c["key"]: c for c in (await shop.http.get("/v1/connectors", headers=key)).json()}
    assert found["generic"]["tier"] == "C"
    assert "base_url" in json.dumps(found["generic"]["config"])
    assert "webhook_secret" in found["generic"]["secrets"]


async def test_a_channel_in_our_own_network_is_not_asked(database: Database, tmp_path: Path):
    """The same channel, by a name, and nobody allowed its address."""
    from contextlib import AsyncExitStack

    async with peer_shop() as other, linked(database, tmp_path) as world, AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path)
        key = await shop.key(PERMISSIONS)
        body = {**BODY, "config": {"base_url": other.url.replace("127.0.0.1", "localhost")}}
        assert (await shop.http.post("/v1/connections", json=body, headers=key)).status_code == 201
        answer = (await shop.http.post("/v1/connections/loja2/test", headers=key)).json()
        assert answer["ok"] is False
        assert "not public" in answer["says"]
        assert other.asked == []
        del world

"""A command sent twice is carried out once: by one process, by two, after a crash, and never with another body."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from tests_http import PASSWORD, open_shop

from malha.api.work import Work, command
from malha.identity.model import PERMISSIONS, Role
from malha.platform import idempotency
from malha.platform.errors import Conflict


def new_person(name: str = "Bia") -> dict[str, Any]:
    return {"name": name, "email": f"{name.lower()}@loja.test", "password": PASSWORD, "role": "planner"}


async def count(database, table: str) -> int:
    async with database.transaction() as tx:
        return await tx.value("SELECT count(*) FROM " + table)


async def test_racing_sends_of_one_key_to_two_processes_are_carried_out_once(shop, tmp_path) -> None:
    owner = {**await shop.session(), "idempotency-key": "a-key"}
    async with AsyncExitStack() as stack:
        other = await open_shop(stack, shop.database, tmp_path)
        answers = await asyncio.gather(
            *(s.http.post("/v1/people", json=new_person(), headers=owner) for s in [shop, other] * 10)
        )
        replay = await other.http.post("/v1/people", json=new_person(), headers=owner)
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {201, 409}
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"in_flight"}
    carried_out = [a for a in answers if a.status_code == 201 and "idempotent-replayed" not in a.headers]
    assert len(carried_out) == 1
    assert await count(shop.database, "person WHERE name = 'Bia'") == 1
    assert replay.headers["idempotent-replayed"] == "true"
    for header in ("location", "etag"):
        assert replay.headers[header] == carried_out[0].headers[header]
    assert (replay.status_code, replay.content) == (201, carried_out[0].content)


async def test_a_key_names_one_request_of_one_caller(shop) -> None:
    owner = {**await shop.session(), "idempotency-key": "k1"}
    assert (await shop.http.post("/v1/people", json=new_person(), headers=owner)).status_code == 201
    other_body = await shop.http.post("/v1/people", json=new_person("Caio"), headers=owner)
    assert (other_body.status_code, other_body.json()["code"]) == (422, "idempotency_key_reused")
    other_operation = await shop.http.post("/v1/keys", json=new_person(), headers=owner)
    assert other_operation.status_code == 422
    other_caller = {**await shop.key(PERMISSIONS), "idempotency-key": "k1"}
    assert (await shop.http.post("/v1/people", json=new_person("Davi"), headers=other_caller)).status_code == 201
    for unusable in ("", "x" * 201, "tab\there"):
        answer = await shop.http.post(
            "/v1/people", json=new_person("Eva"), headers={**owner, "idempotency-key": unusable}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_unusable"), unusable


async def test_a_refused_command_leaves_its_key_free(shop) -> None:
    owner = {**await shop.session(), "idempotency-key": "k2"}
    refused = await shop.http.post("/v1/people", json={**new_person(), "locations": ["NOWHERE"]}, headers=owner)
    assert (refused.status_code, refused.json()["errors"][0]["at"]) == (422, "/locations/0")
    assert await count(shop.database, "idempotency") == 0
    assert (await shop.http.post("/v1/people", json=new_person(), headers=owner)).status_code == 201


async def test_the_reply_commits_with_the_command_or_not_at_all(own_shop) -> None:
    class Refuses(Conflict):
        code = "test_refuses"

    calls = 0

    @command("/twice", permission="identity:manage")
    async def twice(work: Work) -> dict[str, int]:
        """Write, then fail the first time."""
        nonlocal calls
        calls += 1
        await work.tx.execute("INSERT INTO revision (name) VALUES (%(name)s::text)", {"name": f"call-{calls}"})
        if calls == 1:
            raise Refuses
        return {"calls": calls}

    own_shop.app.register(twice)
    headers = {**await own_shop.session(), "idempotency-key": "k3"}
    outcomes = [(await own_shop.http.post("/twice", headers=headers)).status_code for _ in range(4)]
    assert (outcomes, calls) == ([409, 200, 200, 200], 2)
    async with own_shop.database.transaction() as tx:
        assert await tx.values("SELECT name FROM revision WHERE name LIKE 'call%%'") == ["call-2"]


async def test_a_secret_is_answered_once_and_never_kept(shop) -> None:
    owner = {**await shop.session(), "idempotency-key": "k4"}
    body = {"name": "ERP", "permissions": ["orders:read"]}
    first = (await shop.http.post("/v1/keys", json=body, headers=owner)).json()
    again = (await shop.http.post("/v1/keys", json=body, headers=owner)).json()
    assert first["secret"].startswith("mk_")
    assert again == {"id": first["id"], "secret": None}
    async with shop.database.transaction() as tx:
        kept = await tx.value("SELECT string_agg(encode(reply, 'escape'), '') FROM idempotency")
    assert first["secret"] not in kept


async def test_kept_replies_expire_and_are_swept(shop) -> None:
    owner = {**await shop.session(Role.OWNER), "idempotency-key": "k5"}
    body = {"name": "ERP", "permissions": ["orders:read"]}
    ids = [(await shop.http.post("/v1/keys", json=body, headers=owner)).json()["id"]]
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE idempotency SET expires_at = now() - interval '1 second'")
    ids.append((await shop.http.post("/v1/keys", json=body, headers=owner)).json()["id"])
    assert ids[0] != ids[1]
    async with shop.database.transaction() as tx:
        assert await idempotency.forget_expired(tx) == 0
        await tx.execute("UPDATE idempotency SET expires_at = now() - interval '1 second'")
        assert await idempotency.forget_expired(tx) == 1


async def test_a_change_on_an_older_version_is_refused_and_one_without_a_version_too(shop) -> None:
    owner = await shop.session()
    made = await shop.http.post("/v1/people", json=new_person(), headers=owner)
    address = made.headers["location"]
    changed = {"name": "Bia Lima", "email": "bia@loja.test", "role": "manager"}

    async def put(body: dict[str, Any], **headers: str) -> Any:
        return await shop.http.put(address, json=body, headers={**owner, **headers})

    without = await put(changed)
    assert (without.status_code, without.json()["code"]) == (428, "version_required")
    racing = await asyncio.gather(*(put({**changed, "name": f"Bia {i}"}, **{"if-match": '"1"'}) for i in range(8)))
    assert sorted(answer.status_code for answer in racing) == [200] + [412] * 7
    stale = next(answer for answer in racing if answer.status_code == 412).json()
    assert (stale["code"], stale["detail"]) == ("stale_version", "This record is at version 2, not 1.")
    assert stale["facts"] == {"current": 2, "expected": 1}
    for nonsense in ('"x"', '"1', "99999999999999999999"):
        assert (await put(changed, **{"if-match": nonsense})).status_code == 412
    assert (await put(changed, **{"if-match": 'W/"2"'})).headers["etag"] == '"3"'
    read = await shop.http.get(address, headers=owner)
    assert msgspec.json.decode(read.content)["name"] == "Bia Lima"

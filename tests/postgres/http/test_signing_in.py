"""Who may come in, for how long, and how guessing is slowed down."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from tests_http import HOST, PASSWORD, Shop, open_shop

from malha.identity import guessing, rules, service
from malha.identity.errors import LastOwner, OwnerExists
from malha.identity.model import Role
from malha.identity.service import LoggedIn, PersonDraft, Refused
from malha.platform.clock import now
from malha.platform.flaws import Invalid
from malha.testing import builders
from waiting import waiting

SOME_ID = "01932c4e-7a10-7c3e-9f52-0a4b8d6e2f11"
WRONG = "not the password"
SIGN_IN = {"email": " Owner@Loja.test ", "password": PASSWORD}


async def test_a_person_signs_in_is_known_and_signs_out(shop: Shop) -> None:
    await shop.person()
    answer = await shop.http.post("/v1/sessions", json=SIGN_IN)
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("malha=")
    assert "; HttpOnly; SameSite=Lax" in cookie
    assert "Max-Age=2592000" in cookie
    me = (await shop.http.get("/v1/session")).json()
    assert (me["kind"], me["role"], me["locations"]) == ("person", "owner", None)
    assert "identity:manage" in me["permissions"]
    sessions = (await shop.http.get("/v1/sessions")).json()
    assert len(sessions) == 1
    assert sessions[0]["agent"].startswith("python-httpx")
    async with shop.database.transaction() as tx:
        stored = await tx.value("SELECT encode(token_hash, 'escape') FROM session")
    assert answer.cookies["malha"] not in stored
    again = await shop.http.post("/v1/sessions", json=SIGN_IN, headers={"origin": "http://shop.test"})
    assert len((await shop.http.get("/v1/sessions")).json()) == 1  # the token changes at log-in, the old one ends
    assert again.cookies["malha"] != answer.cookies["malha"]
    out = await shop.http.delete("/v1/session", headers={"origin": "http://shop.test"})
    assert "Max-Age=0" in out.headers["set-cookie"]
    old = {"cookie": f"malha={again.cookies['malha']}"}
    assert (await shop.http.get("/v1/session", headers=old)).status_code == 401


async def test_over_https_the_cookie_is_bound_to_the_host(shop: Shop, tmp_path) -> None:
    await shop.person()
    async with AsyncExitStack() as stack:
        secure = await open_shop(stack, shop.database, tmp_path, public_url="https://oms.loja.test")
        answer = await secure.http.post("/v1/sessions", json=SIGN_IN)
    assert answer.headers["set-cookie"].startswith("__Host-malha=")
    assert answer.headers["set-cookie"].endswith("; Secure")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_guessing_waits_longer_and_longer_and_learns_nothing(shop: Shop) -> None:
    await shop.person()

    async def guess(email: str, password: str = WRONG) -> object:
        return await shop.http.post(
            "/v1/sessions", json={"email": email, "password": password}, headers={"accept-language": "en"}
        )

    known, unknown = await guess("owner@loja.test"), await guess("nobody@loja.test")
    assert known.status_code == unknown.status_code == 401
    assert known.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}
    for _ in range(4):
        assert (await guess("owner@loja.test")).status_code == 401
    async with shop.database.transaction() as tx:  # however slow this machine is
        await tx.execute("UPDATE login_attempt SET blocked_until = blocked_until + interval '1 hour'")
    blocked = await guess("owner@loja.test", PASSWORD)  # the right one too: it must not tell
    assert (blocked.status_code, blocked.json()["code"]) == (429, "too_many_attempts")
    assert 3_500 < int(blocked.headers["retry-after"]) <= 3_602  # two seconds, and the hour
    assert (await guess("nobody@loja.test")).status_code == 401  # another account is not touched
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE login_attempt SET blocked_until = NULL")
    assert (await guess("owner@loja.test", PASSWORD)).status_code == 204
    shop.http.cookies.clear()
    assert (await guess("owner@loja.test")).status_code == 401  # a success begins the count anew
    waits = [rules.wait_after(failures, "account").total_seconds() for failures in range(1, 20)]
    assert waits[:8] == [0, 0, 0, 0, 2, 4, 8, 16]
    assert waits[-1] == rules.LONGEST_WAIT.total_seconds()


async def test_whoever_fails_on_purpose_keeps_nobody_out_of_the_browser_they_came_in_by_before(shop: Shop) -> None:
    await shop.person()
    await shop.person(Role.MANAGER)

    async def try_(password: str, email: str = "owner@loja.test", kept: str = "") -> Any:
        shop.http.cookies.clear()
        headers = {"origin": HOST, "cookie": f"malha_known={kept}"}
        return await shop.http.post("/login", data={"email": email, "password": password}, headers=headers)

    came_in = await try_(PASSWORD)
    mark = came_in.cookies["malha_known"]
    (line,) = [line for line in came_in.headers.get_list("set-cookie") if line.startswith("malha_known=")]
    assert "HttpOnly" in line
    assert "SameSite=lax" in line
    for _ in range(6):
        await try_(WRONG)
    async with shop.database.transaction() as tx:  # however slow this machine is
        await tx.execute("UPDATE login_attempt SET blocked_until = blocked_until + interval '1 hour'")
    assert (await try_(PASSWORD)).status_code == 429
    assert (await try_(PASSWORD, kept=mark[:-2] + ("AA" if mark[-2:] != "AA" else "BB"))).status_code == 429
    assert (await try_(PASSWORD, kept=mark)).status_code == 303
    assert (await try_(PASSWORD)).status_code == 429  # elsewhere it is as it was
    # A mark is of one person, and gives no more tries than anybody has.
    for _ in range(6):
        await try_(WRONG, "manager@loja.test", kept=mark)
        await try_(WRONG, kept=mark)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE login_attempt SET blocked_until = blocked_until + interval '1 hour'")
    assert (await try_(PASSWORD, "manager@loja.test")).status_code == 429
    assert (await try_(PASSWORD, kept=mark)).status_code == 429


async def test_guesses_sent_at_once_are_counted_one_by_one(shop: Shop) -> None:
    await shop.person()

    async def guess() -> LoggedIn | Refused:
        async with shop.database.transaction() as tx:
            return await service.log_in(tx, "owner@loja.test", WRONG, source="10.0.0.1")

    outcomes = await asyncio.gather(*(guess() for _ in range(12)))
    assert sum(isinstance(o, Refused) and o.wait == 0 for o in outcomes) == 5
    assert sum(isinstance(o, Refused) and o.wait > 0 for o in outcomes) == 7


async def test_the_wait_after_a_guess_counts_from_when_it_failed(shop: Shop) -> None:
    """A guess may stand in line for long: the next one has to wait all the same."""
    async with shop.database.transaction() as tx:
        await tx.execute("INSERT INTO login_attempt (subject, failures, last_at) VALUES ('account:x', 4, now())")
        tries = await guessing.begin(tx, "account:x", "source:10.0.0.4")
        await tx.execute("SELECT pg_sleep(0.2)")
        await guessing.failed(tx, tries)
        waits = dict(await tx.tuples("SELECT subject, blocked_until - now() FROM login_attempt"))
    assert waits["account:x"] >= timedelta(seconds=2.2)
    assert waits["source:10.0.0.4"] is None


async def test_guessing_many_accounts_from_one_address_is_slowed_down_too(shop: Shop) -> None:
    source = "source:10.0.0.2"
    async with shop.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO login_attempt (subject, failures, last_at) VALUES (%(s)s::text, 29, now())", {"s": source}
        )
        first = await service.log_in(tx, "a@loja.test", "x" * 12, source="10.0.0.2")
    async with shop.database.transaction() as tx:
        second = await service.log_in(tx, "b@loja.test", "x" * 12, source="10.0.0.2")
        elsewhere = await service.log_in(tx, "b@loja.test", "x" * 12, source="10.0.0.3")
    assert (first, second.wait > 0, elsewhere) == (Refused(0), True, Refused(0))


async def test_a_session_slides_with_use_and_ends_without(shop: Shop) -> None:
    session = await shop.session()

    async def left() -> timedelta:
        async with shop.database.transaction() as tx:
            return await tx.value("SELECT expires_at - now() FROM session")

    async with shop.database.transaction() as tx:
        await tx.execute(
            "UPDATE session SET seen_at = now() - interval '2 minutes', expires_at = now() + interval '1 h'"
        )
    assert (await shop.http.get("/v1/session", headers=session)).status_code == 200
    assert await left() > timedelta(hours=11)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE session SET expires_at = now() - interval '1 second'")
    assert (await shop.http.get("/v1/session", headers=session)).status_code == 401
    async with shop.database.transaction() as tx:
        assert await service.forget_expired(tx) >= 1


async def test_what_is_taken_from_a_person_is_lost_at_once(shop: Shop) -> None:
    owner = await shop.session()
    person_id = await shop.person(Role.MANAGER)
    manager = {"cookie": f"malha={await shop.token('manager@loja.test')}"}
    assert (await shop.http.get("/v1/audit", headers=manager)).status_code == 200
    body = {"name": "M", "email": "manager@loja.test", "role": "planner"}
    address = f"/v1/people/{person_id}"
    assert (await shop.http.put(address, json=body, headers={**owner, "if-match": '"1"'})).status_code == 200
    assert (await shop.http.get("/v1/audit", headers=manager)).status_code == 403
    inactive = {**body, "active": False}
    assert (await shop.http.put(address, json=inactive, headers={**owner, "if-match": '"2"'})).status_code == 200
    assert (await shop.http.get("/v1/session", headers=manager)).status_code == 401
    async with shop.database.transaction() as tx:
        assert await service.log_in(tx, "manager@loja.test", PASSWORD, source="x") == Refused(0)
        trail = await tx.tuples(
            "SELECT action, before::text, after::text FROM audit WHERE entity_id = %(id)s::text ORDER BY id",
            {"id": str(person_id)},
        )
    assert [row[0] for row in trail] == ["create", "log_in", "update", "update"]
    assert trail[2][1:] == ('{"name":"Manager","role":"manager"}', '{"name":"M","role":"planner"}')
    assert trail[3][1:] == ('{"active":true}', '{"active":false}')
    assert "manager@loja.test" not in str(trail)


async def test_a_new_password_ends_every_other_session(shop: Shop) -> None:
    here = await shop.session()
    there = {"cookie": f"malha={await shop.token('owner@loja.test')}"}
    body = {"current": "not this one", "password": "another good phrase"}
    refused = await shop.http.post("/v1/session/password", json=body, headers=here)
    assert (refused.status_code, refused.json()["errors"][0]["at"]) == (422, "/current")
    easy = await shop.http.post("/v1/session/password", json={"current": PASSWORD, "password": "short"}, headers=here)
    assert easy.json()["errors"][0]["says"] == "A password has 10 to 200 characters."
    done = await shop.http.post("/v1/session/password", json={**body, "current": PASSWORD}, headers=here)
    assert done.status_code == 204
    shop.http.cookies.clear()
    here = {"cookie": f"malha={done.cookies['malha']}"}  # the session goes on under a new token
    assert (await shop.http.get("/v1/session", headers=here)).status_code == 200
    assert (await shop.http.get("/v1/session", headers=there)).status_code == 401


async def test_an_empty_retailer_gets_one_first_owner(database) -> None:
    async def first(name: str) -> str:
        async with database.transaction() as tx:
            try:
                await service.create_first_owner(tx, name=name, email=f"{name}@loja.test", password=PASSWORD)
            except OwnerExists:
                return "refused"
        return "made"

    assert sorted(await asyncio.gather(*(first(n) for n in ("ana", "bia", "caio")))) == ["made", "refused", "refused"]
    async with database.transaction() as tx:
        with pytest.raises(Invalid) as refusal:
            await service.create_person(
                tx,
                PersonDraft(name=" ", email="no mail", role=Role.OWNER, language="fr", timezone="Mars/Base"),
                password="aaaaaaaaaaaa",
            )
    assert [flaw.at for flaw in refusal.value.flaws] == ["email", "language", "timezone", "name", "password"]


async def test_the_last_owner_stays_even_when_two_remove_each_other(shop: Shop) -> None:
    ids = [await shop.person(email="a@loja.test"), await shop.person(email="b@loja.test")]

    async def demote(index: int) -> str:
        draft = PersonDraft(name="x", email=f"{'ab'[index]}@loja.test", role=Role.AUDITOR)
        try:
            async with shop.database.transaction() as tx:
                await service.change_person(tx, ids[index], draft)
        except LastOwner:
            return "refused"
        return "done"

    assert sorted(await asyncio.gather(demote(0), demote(1))) == ["done", "refused"]


async def test_a_key_does_what_it_was_given_until_it_ends(shop: Shop) -> None:
    shop.app.state.services.keys.REMEMBERED = 0.2
    owner = await shop.session()
    made = (await shop.http.post("/v1/keys", json={"name": "ERP", "permissions": ["audit:read"]}, headers=owner)).json()
    key = {"authorization": f"Bearer {made['secret']}"}
    assert (await shop.http.get("/v1/audit", headers=key)).status_code == 200
    assert (await shop.http.get("/v1/people", headers=key)).status_code == 403
    tampered = {"authorization": f"Bearer {made['secret'][:-1]}{'A' if made['secret'][-1] != 'A' else 'B'}"}
    for wrong in (tampered, {"authorization": "Bearer mk_x"}, {"authorization": f"Basic {made['secret']}"}):
        assert (await shop.http.get("/v1/audit", headers=wrong)).status_code == 401
    await shop.app.state.services.keys.write_used()
    listed = (await shop.http.get("/v1/keys", headers=owner)).json()[0]
    assert listed["last_used_at"] is not None
    assert made["secret"] not in str(listed)
    assert (await shop.http.post(f"/v1/keys/{made['id']}/revoke", headers=owner)).status_code == 204
    await asyncio.sleep(0.3)
    assert (await shop.http.get("/v1/audit", headers=key)).status_code == 401
    assert (await shop.http.post(f"/v1/keys/{made['id']}/revoke", headers=owner)).status_code == 404


async def test_a_key_that_is_remembered_ends_at_its_end(shop: Shop) -> None:
    keys = shop.app.state.services.keys
    keys.REMEMBERED = 0.0
    short = await shop.key(["audit:read"], expires_at=now() + timedelta(hours=1))
    assert (await shop.http.get("/v1/audit", headers=short)).status_code == 200
    keys.REMEMBERED = 3_600.0
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE api_key SET expires_at = now() + interval '0.4 seconds' WHERE expires_at IS NOT NULL")
    # Asked and remembered, or over already on a busy machine.
    assert (await shop.http.get("/v1/audit", headers=short)).status_code in {200, 401}
    await asyncio.sleep(0.5)
    assert (await shop.http.get("/v1/audit", headers=short)).status_code == 401


async def test_nobody_gives_a_key_more_than_they_have(shop: Shop) -> None:
    maker = await shop.key(["identity:manage", "orders:read"])
    body = {"name": "x", "permissions": ["orders:read", "orders:cancel", "orders:everything"]}
    answer = await shop.http.post("/v1/keys", json=body, headers=maker)
    assert [flaw["says"] for flaw in answer.json()["errors"]] == [
        "There is no permission orders:everything.",
        "You do not hold orders:cancel yourself.",
    ]


async def test_sixty_requests_with_a_key_ask_the_database_once(shop: Shop) -> None:
    key = await shop.key(["audit:read"])
    secret = key["authorization"].removeprefix("Bearer ")
    keys = shop.app.state.services.keys
    asked = 0
    ask = keys._ask

    async def counted(prefix: str, digest: bytes) -> object:
        nonlocal asked
        asked += 1
        return await ask(prefix, digest)

    keys._ask = counted
    first = asyncio.create_task(keys.caller_of(secret))
    others = [asyncio.create_task(keys.caller_of(secret)) for _ in range(59)]
    await asyncio.sleep(0)
    first.cancel()  # whoever goes away does not take the answer from the others
    callers = await asyncio.gather(*others)
    assert (asked, len({caller.id for caller in callers})) == (1, 1)


async def test_only_our_own_proxies_say_where_someone_comes_from(shop: Shop, tmp_path) -> None:
    await shop.person()
    forwarded = {"x-forwarded-for": "6.6.6.6, 203.0.113.9, 10.0.0.4"}
    await shop.http.post("/v1/sessions", json=SIGN_IN, headers=forwarded)
    async with AsyncExitStack() as stack:
        behind = await open_shop(stack, shop.database, tmp_path, trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))
        await behind.http.post("/v1/sessions", json=SIGN_IN, headers=forwarded)
        await behind.http.post(
            "/v1/sessions", json=SIGN_IN, headers={"x-forwarded-for": "junk", "origin": "http://shop.test"}
        )
    async with shop.database.transaction() as tx:
        sources = await tx.values("SELECT source FROM audit WHERE action = 'log_in' ORDER BY id")
    assert sources == ["127.0.0.1", "203.0.113.9", "127.0.0.1"]


async def test_a_chain_of_proxies_that_each_add_a_line_is_read_as_one_list(shop: Shop, tmp_path) -> None:
    await shop.person()
    async with AsyncExitStack() as stack:
        behind = await open_shop(stack, shop.database, tmp_path, trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))
        lines = [("x-forwarded-for", at) for at in ("6.6.6.6", "203.0.113.9", "10.0.0.4")]
        await behind.http.post("/v1/sessions", json=SIGN_IN, headers=lines)
    async with shop.database.transaction() as tx:
        sources = await tx.values("SELECT source FROM audit WHERE action = 'log_in'")
    assert sources == ["203.0.113.9"], "as of one line with commas; what the caller says itself is not believed"


@pytest.mark.parametrize(
    ("told", "source"),
    [
        ("6.6.6.6:1, 203.0.113.9:50123, 10.0.0.4:443", "203.0.113.9"),
        ("[2001:db8::1]:50123", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("203.0.113.9:junk", "127.0.0.1"),
    ],
)
async def test_a_port_behind_an_address_is_no_part_of_it(shop: Shop, tmp_path, told: str, source: str) -> None:
    await shop.person()
    async with AsyncExitStack() as stack:
        behind = await open_shop(stack, shop.database, tmp_path, trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))
        await behind.http.post("/v1/sessions", json=SIGN_IN, headers={"x-forwarded-for": told})
    async with shop.database.transaction() as tx:
        assert await tx.values("SELECT source FROM audit WHERE action = 'log_in'") == [source]


async def test_a_proxy_that_is_reached_by_ipv6_is_still_known_by_its_ipv4_address(shop: Shop, tmp_path) -> None:
    await shop.person()
    async with AsyncExitStack() as stack:
        behind = await open_shop(stack, shop.database, tmp_path, trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))
        forwarded = {"x-forwarded-for": "::ffff:203.0.113.9, ::ffff:10.0.0.4"}
        await behind.http.post("/v1/sessions", json=SIGN_IN, headers=forwarded)
    async with shop.database.transaction() as tx:
        assert await tx.values("SELECT source FROM audit WHERE action = 'log_in'") == ["203.0.113.9"]


async def test_who_has_a_network_of_ipv6_addresses_is_counted_as_one(shop: Shop, tmp_path) -> None:
    async with AsyncExitStack() as stack:
        behind = await open_shop(stack, shop.database, tmp_path, trusted_proxies=("127.0.0.0/8",))
        for n in range(3):
            guess = {"email": f"p{n}@loja.com.br", "password": "not the password"}
            forwarded = {"x-forwarded-for": f"2001:db8:1:2::{n}"}
            assert (await behind.http.post("/v1/sessions", json=guess, headers=forwarded)).status_code == 401
    async with shop.database.transaction() as tx:
        counted = await tx.tuples("SELECT subject, failures FROM login_attempt WHERE subject LIKE 'source:%%'")
    assert counted == [("source:2001:db8:1:2::/64", 3)]


async def test_a_flood_of_log_ins_leaves_connections_to_everybody_else(shop: Shop, tmp_path) -> None:
    async with AsyncExitStack() as stack:
        small = await open_shop(stack, shop.database, tmp_path, web_pool_size=4)
        async with shop.database.transaction() as tx:
            await tx.execute("LOCK TABLE login_attempt")  # every log-in stands still with the connection it has
            guesses = [{"email": f"p{n}@loja.com.br", "password": "not the password"} for n in range(12)]
            ways = [
                lambda guess: small.http.post("/v1/sessions", json=guess),
                lambda guess: small.http.post("/login", data=guess, headers={"origin": HOST}),
            ]
            flood = [asyncio.create_task(ways[n % 2](guess)) for n, guess in enumerate(guesses)]
            while await waiting(shop.database) < 2:
                await asyncio.sleep(0)
            queue = small.app.state.services.database.pool.get_stats().get("requests_waiting", 0)
            assert queue == 0  # for a connection: those that have to wait do so without one
            assert (await small.http.get("/forgot")).status_code == 200
        await asyncio.gather(*flood)


async def test_a_person_ends_one_of_their_sessions_but_nobody_elses(shop: Shop) -> None:
    here = await shop.session()
    there = {"cookie": f"malha={await shop.token('owner@loja.test')}"}
    other = await shop.session(Role.AUDITOR)
    sessions = (await shop.http.get("/v1/sessions", headers=there)).json()
    newest = max(sessions, key=lambda session: session["created_at"])
    address = f"/v1/sessions/{newest['id']}"
    assert (await shop.http.delete(address, headers=other)).status_code == 404
    assert (await shop.http.delete(address, headers=here)).status_code == 204
    assert (await shop.http.get("/v1/session", headers=there)).status_code == 401
    assert (await shop.http.get("/v1/session", headers=here)).status_code == 200


async def test_a_persons_own_language_comes_before_the_browsers(shop: Shop) -> None:
    owner = await shop.session()  # its browser asks for English
    me = (await shop.http.get("/v1/session", headers=owner)).json()["id"]
    english = await shop.http.get(f"/v1/people/{SOME_ID}", headers=owner)
    assert english.json()["title"] == "Not found"
    body = {
        "name": "Ana",
        "email": "owner@loja.test",
        "role": "owner",
        "language": "pt-BR",
        "timezone": "America/Manaus",
    }
    assert (await shop.http.put(f"/v1/people/{me}", json=body, headers={**owner, "if-match": '"1"'})).status_code == 200
    portuguese = await shop.http.get(f"/v1/people/{SOME_ID}", headers=owner)
    assert (portuguese.json()["title"], portuguese.headers["content-language"]) == ("Não encontrado", "pt-BR")


async def test_a_key_that_has_ended_already_is_not_made(shop: Shop) -> None:
    owner = await shop.session()
    told = {
        (now() - timedelta(seconds=1)).isoformat(): ("would never work", "Name a time to come, or none."),
        "0001-01-01T00:00:00Z": ("none of the years", "Leave it out, or empty, where there is no date."),
    }
    for ended, (says, mend) in told.items():
        body = {"name": "ERP", "permissions": ["audit:read"], "expires_at": ended}
        answer = await shop.http.post("/v1/keys", json=body, headers=owner)
        assert answer.status_code == 422, answer.text
        (flaw,) = answer.json()["errors"]
        assert (flaw["at"], flaw["mend"]) == ("/expires_at", mend)
        assert says in flaw["says"]
    assert (await shop.http.get("/v1/keys", headers=owner)).json() == []


async def test_nobody_ends_a_key_that_may_more_than_they(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await builders.a_network(tx)
    owner = await shop.session()
    weak = await shop.key(["identity:manage", "orders:read"])
    there = await shop.key(["identity:manage", "orders:read"], locations=["S1"])
    strong = await made(shop, owner, ["orders:read", "orders:cancel"])
    wide = await made(shop, owner, ["orders:read"])
    for key, by, expected in ((strong, weak, 403), (wide, there, 404), (wide, weak, 204), (strong, owner, 204)):
        answer = await shop.http.post(f"/v1/keys/{key}/revoke", headers=by)
        assert answer.status_code == expected, answer.text
        if expected == 403:
            assert answer.json()["code"] == "key_beyond_own_rights"
            assert (await shop.http.post(f"/keys/{key}/revoke", headers=by)).status_code == 403


async def made(shop: Shop, by: dict[str, str], permissions: list[str]) -> int:
    body = {"name": "x", "permissions": permissions}
    answer = await shop.http.post("/v1/keys", json=body, headers=by)
    return int(answer.json()["id"])


@pytest.mark.parametrize(
    "by", ["api", "/account/password", "/account/second-factor/codes", "/account/second-factor/off"]
)
async def test_who_took_over_a_session_cannot_guess_its_password_on_and_on(shop: Shop, by: str) -> None:
    owner = await shop.session()

    async def proof(current: str) -> int:
        if by == "api":
            body = {"current": current, "password": "another good phrase"}
            return (await shop.http.post("/v1/session/password", json=body, headers=owner)).status_code
        form = {"current": current, "password": "another good phrase"}
        return (await shop.http.post(by, data=form, headers=owner)).status_code

    assert [await proof(WRONG) for _ in range(6)] == [422] * 5 + [429]
    async with shop.database.transaction() as tx:  # however slow this machine is
        await tx.execute("UPDATE login_attempt SET blocked_until = now() + interval '1 hour'")
    assert await proof(PASSWORD) == 429  # the right one too, or waiting would tell
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE login_attempt SET blocked_until = NULL")
    assert await proof(PASSWORD) in {200, 204, 303}
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT failures FROM login_attempt WHERE subject LIKE 'password:%%'") == 0

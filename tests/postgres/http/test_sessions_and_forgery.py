"""Sessions cannot be planted, outlive nothing, and no other site acts with them: every route is walked."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from tests.ports import free_port
from tests_http import HOST, PASSWORD, Shop, open_shop

from malha.identity import second_factor, service, totp
from malha.identity.model import Role
from malha.platform.csrf import SAFE_METHODS
from malha.platform.db import Database
from malha.testing import builders

EXAMPLES = {
    "uuid": "01a20aaa-3a0a-7699-914b-ef55839f91c1",
    "int": "1",
    "str": "NOWHERE",
    "path": "css/none.css",
    "date": "2026-12-24",
}
# These answer for as long as somebody listens.
STREAMS = re.compile(r"/events/|/v1/events/stream$|/metrics$")
# A GET that changes something, because the standard has it so: once, and only in the browser that began the log-in.
OF_THE_STANDARD = {"/login/back/{code:str}"}
# Lists that are taken away as a file are written down in the trail.
TAKEN_AWAY = re.compile(r"/export")


def walked(app: Litestar) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        for method in route.route_handler_map:
            if method != "OPTIONS":
                yield method, route.path


def address_of(path: str) -> str:
    return re.sub(r"\{\w+:(\w+)\}", lambda match: EXAMPLES[match[1]], path)


FORGERIES = (
    {"sec-fetch-site": "cross-site", "origin": "https://evil.test"},
    {"sec-fetch-site": "same-site", "origin": "http://other.shop.test"},
    {"origin": "https://evil.test"},
    {"origin": "null"},
    {"origin": f"{HOST}.evil.test"},
    {"origin": f"{HOST}:8443"},
)


async def test_no_other_site_changes_anything_by_any_route(shop: Shop) -> None:
    cookie = (await shop.session())["cookie"]
    unsafe = [(method, path) for method, path in walked(shop.app) if method not in SAFE_METHODS]
    assert len(unsafe) > 150
    let_through = []
    for method, path in unsafe:
        for n, forged in enumerate(FORGERIES):
            # With the person's session, and without any: forging a log-in signs the victim in as somebody else.
            for session in ({"cookie": cookie}, {}):
                shop.http.cookies.clear()
                answer = await shop.http.request(
                    method, address_of(path), headers={**session, **forged}, data={"email": "x", "next": "/"}
                )
                if answer.status_code != 403 or answer.json()["code"] != "cross_site" or answer.cookies:
                    let_through.append(f"{method} {path} {n} {bool(session)}: {answer.status_code}")
        shop.http.cookies.clear()
        bare = await shop.http.request(method, address_of(path), headers={"cookie": cookie})  # no mark at all
        if bare.status_code != 403 or bare.json()["code"] != "cross_site":
            let_through.append(f"{method} {path} bare: {bare.status_code}")
    assert not let_through
    assert (await shop.http.get("/v1/session", headers={"cookie": cookie})).status_code == 200


async def everything(database: Database) -> dict[str, str]:
    """A digest of every table."""
    async with database.transaction() as tx:
        tables = await tx.values(
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = current_schema()::regnamespace ORDER BY 1"
        )
        parts = [
            f"SELECT '{t}', coalesce(md5(string_agg(x::text, '|' ORDER BY x::text)), '') FROM \"{t}\" x" for t in tables
        ]
        return dict(await tx.tuples(" UNION ALL ".join(parts)))  # type: ignore[arg-type]


async def test_no_get_changes_anything(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        order = await builders.an_order(tx, world)
        number = await tx.value("SELECT number FROM sales_order WHERE id = %(id)s::uuid", {"id": order})
        sku = await tx.value("SELECT min(sku) FROM variant")
    session = await shop.session()
    person = (await shop.http.get("/v1/session", headers=session)).json()["id"]
    async with shop.database.transaction() as tx:  # that it is used is noted each minute, and this may take longer
        await tx.execute("UPDATE session SET seen_at = now() + interval '1 hour'")
    real = {
        "order_id": str(order), "person_id": person, "number": str(number), "sku": str(sku), "sku_code": str(sku),
    }  # fmt: skip
    gets = [
        path
        for method, path in walked(shop.app)
        if method == "GET" and not STREAMS.match(path) and path not in OF_THE_STANDARD
    ]
    assert len(gets) > 100
    async with shop.database.transaction() as tx:  # however long the walk takes: a session is touched once a minute
        await tx.execute("UPDATE session SET seen_at = now() + interval '1 day'")
    before, wrong, answered = await everything(shop.database), [], 0
    for path in gets:
        codes = {"/locations": "DC", "/channels": "web", "/services": "standard", "/establishments": "SP1"}
        code = next((code for at, code in codes.items() if at in path), "NOWHERE")
        address = re.sub(r"\{(\w+):(\w+)\}", lambda m: real.get(m[1], code if m[2] == "str" else EXAMPLES[m[2]]), path)  # noqa: B023
        shop.http.cookies.clear()
        answer = await shop.http.get(address, headers={"cookie": session["cookie"], "sec-fetch-site": "cross-site"})
        answered += answer.status_code == 200
        if answer.status_code >= 500:
            wrong.append(f"{address}: {answer.status_code}")
        if TAKEN_AWAY.search(path):
            async with shop.database.transaction() as tx:
                await tx.execute("DELETE FROM audit WHERE action = 'export'")
    after = await everything(shop.database)
    wrong += [table for table in before if before[table] != after[table]]
    assert not wrong
    assert answered > 90  # most of them showed something


async def test_a_planted_token_is_never_taken_over(shop: Shop) -> None:
    await shop.person()
    planted = "a-token-that-somebody-else-knows"
    form = {"email": "owner@loja.test", "password": PASSWORD}
    answer = await shop.http.post("/login", data=form, headers={"origin": HOST, "cookie": f"malha={planted}"})
    assert answer.status_code == 303
    assert answer.cookies["malha"] != planted
    for token, status in ((planted, 401), (answer.cookies["malha"], 200)):
        shop.http.cookies.clear()
        assert (await shop.http.get("/v1/session", headers={"cookie": f"malha={token}"})).status_code == status


async def test_the_token_changes_when_the_session_may_do_more(shop: Shop) -> None:
    session = await shop.session(Role.MANAGER)
    async with shop.database.transaction() as tx:
        await second_factor.demand(tx, Role.MANAGER, demanded=True)
    old = session["cookie"].removeprefix("malha=")
    assert (await shop.http.get("/orders", headers=session)).headers["location"] == "/account/second-factor"
    page = (await shop.http.get("/account/second-factor", headers=session)).text
    secret = re.search(r'id="secret"[^>]*>([A-Z2-7 ]+)<', page)
    sealed = re.search(r'name="sealed" value="([^"]+)"', page)
    assert secret
    assert sealed
    code = totp.code_at(totp.decoded(secret[1].replace(" ", "")), totp.step_at(datetime.now(UTC)))
    answer = await shop.http.post("/account/second-factor", data={"sealed": sealed[1], "code": code}, headers=session)
    assert answer.status_code == 200
    new = answer.cookies["malha"]
    shop.http.cookies.clear()
    assert (await shop.http.get("/v1/session", headers=session)).status_code == 401
    assert (await shop.http.get("/orders", headers={"cookie": f"malha={new}"})).status_code == 200
    form = {"current": PASSWORD, "password": "another good phrase"}
    headers = {"cookie": f"malha={new}", "origin": HOST}
    answer = await shop.http.post("/account/password", data=form, headers=headers)
    assert (answer.status_code, answer.cookies["malha"] not in {old, new}) == (303, True)
    assert (await shop.http.get("/v1/session", headers={"cookie": f"malha={new}"})).status_code == 401
    again = {"cookie": f"malha={answer.cookies['malha']}", "origin": HOST}
    shop.http.cookies.clear()
    body = {"current": "another good phrase", "password": "and one more phrase"}
    last = await shop.http.post("/v1/session/password", json=body, headers=again)
    assert (last.status_code, last.cookies["malha"] != answer.cookies["malha"]) == (204, True)


async def test_every_way_in_and_out_sets_the_same_kind_of_cookie(shop: Shop, tmp_path: Path) -> None:
    await shop.person()
    async with AsyncExitStack() as stack:
        secure = await open_shop(stack, shop.database, tmp_path, public_url="https://oms.loja.test")
        headers = {"origin": "https://oms.loja.test"}
        form = {"email": "owner@loja.test", "password": PASSWORD}
        entered = await secure.http.post("/login", data=form, headers=headers)
        (line,) = [x for x in entered.headers.get_list("set-cookie") if x.startswith("__Host-malha=")]
        (known,) = [x for x in entered.headers.get_list("set-cookie") if x != line]  # by which it let somebody in
        token = re.match(r"__Host-malha=([\w-]{43});", line)
        assert token
        out = await secure.http.post("/logout", headers={**headers, "cookie": f"__Host-malha={token[1]}"})
    flags = "; Path=/; Max-Age={}; HttpOnly; SameSite=Lax; Secure"
    assert set(known.split("; ")[1:]) == {"Path=/", f"Max-Age={180 * 86_400}", "HttpOnly", "SameSite=lax", "Secure"}
    assert known.startswith("__Host-malha-known=")
    assert line == f"__Host-malha={token[1]}{flags.format(30 * 86_400)}"
    assert out.headers["set-cookie"] == "__Host-malha=" + flags.format(0)
    async with shop.database.transaction() as tx:
        assert await service.session_of(tx, token[1]) is None  # on the server too, not only in the browser


async def test_an_idle_session_ends_after_the_hours_that_are_set_and_a_busy_one_after_the_days(
    shop: Shop, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        brief = await open_shop(stack, shop.database, tmp_path, session_hours=2, session_days=3)
        session = await brief.session()

        async def left() -> timedelta:
            async with shop.database.transaction() as tx:
                return await tx.value("SELECT expires_at - now() FROM session")

        async def age(by: str) -> None:
            async with shop.database.transaction() as tx:
                await tx.execute(
                    "UPDATE session SET created_at = created_at - %(by)s::interval, seen_at = seen_at - %(by)s::interval",
                    {"by": by},
                )

        await age("2 minutes")
        assert (await brief.http.get("/v1/session", headers=session)).status_code == 200
        assert timedelta(hours=1, minutes=59) < await left() <= timedelta(hours=2)  # as set, not as by default
        await age("2 days 23 hours")
        assert (await brief.http.get("/v1/session", headers=session)).status_code == 200
        assert await left() < timedelta(hours=1)  # however busy
        await age("1 hour")
        assert (await brief.http.get("/v1/session", headers=session)).status_code == 200  # this one moved the expiry
        assert (await brief.http.get("/v1/session", headers=session)).status_code == 401


@contextlib.contextmanager
def web_process(database: Database, home: Path) -> Iterator[str]:
    """One web process, as `malha serve` starts them."""
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALHA_")}
    env |= {"DATABASE_URL": database.url, "MALHA_DATA_DIR": str(home), "MALHA_LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--host", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "malha.app:create_app"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    break
            assert server.poll() is None, "the web process stopped"
            assert time.monotonic() < deadline, "the web process did not start"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


@pytest.fixture
async def two(database: Database, tmp_path: Path) -> AsyncIterator[list[str]]:
    async with AsyncExitStack() as stack:
        yield [stack.enter_context(web_process(database, tmp_path)) for _ in range(2)]


async def test_what_ends_a_session_ends_it_in_every_web_process_at_once(shop: Shop, two: list[str]) -> None:
    person_id = await shop.person(Role.MANAGER)
    owner = await shop.session()
    async with httpx.AsyncClient() as web:

        async def statuses(token: str) -> list[int]:
            session = {"cookie": f"malha={token}"}
            return [(await web.get(f"{at}/v1/session", headers=session)).status_code for at in two]

        async def end(how: str, token: str) -> None:
            own = {"cookie": f"malha={token}", "origin": two[0]}
            if how == "revoke":
                listed = (await web.get(f"{two[0]}/v1/sessions", headers=own)).json()
                mine = next(session["id"] for session in listed if session["current"])
                await web.delete(f"{two[0]}/v1/sessions/{mine}", headers=own)
            elif how == "log out":
                await web.delete(f"{two[0]}/v1/session", headers=own)
            elif how == "signed out by an owner":
                await web.post(f"{two[0]}/people/{person_id}/sign-out", headers={**owner, "origin": two[0]})
            else:
                await web.post(f"{two[0]}/people/{person_id}/deactivate", headers={**owner, "origin": two[0]})

        for how in ("revoke", "log out", "signed out by an owner", "deactivate"):
            token = await shop.token("manager@loja.test")
            assert await statuses(token) == [200, 200]
            await end(how, token)
            assert await statuses(token) == [401, 401], how

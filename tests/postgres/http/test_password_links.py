"""Invitations and forgotten passwords: links that work once, mail that leaves by a job, and nothing that tells who exists."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.mail_server import Mailbox, mail_server
from tests_http import HOST, PASSWORD, Shop, open_shop

from malha.identity import links
from malha.identity.model import ROLES, Role
from malha.platform import jobs, signing
from malha.platform.db import Database

NEW = "uma senha bem nova 9"
FORM = {"origin": HOST, "accept-language": "pt-BR"}


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with mail_server(tmp_path, "none") as mailbox:
        yield mailbox


@pytest.fixture
async def mailing(database: Database, tmp_path: Path, box: Mailbox) -> AsyncIterator[Shop]:
    """The application with a real mail server."""
    async with AsyncExitStack() as stack:
        yield await open_shop(
            stack, database, tmp_path, smtp_url=box.url, mail_from="Loja Azul <acesso@loja.example>", public_url=HOST
        )


async def run_jobs(shop: Shop, until: Any) -> None:
    """Let a worker run until something is so."""
    stop = asyncio.Event()
    settings = shop.app.state.services.settings
    running = asyncio.create_task(jobs.run_jobs(shop.database, stop, settings=settings))
    async with asyncio.timeout(30):
        while not await until():
            await asyncio.sleep(0.02)
    stop.set()
    await running


async def no_jobs(shop: Shop) -> bool:
    async with shop.database.transaction() as tx:
        return not await tx.value("SELECT count(*) FROM malha_jobs.procrastinate_jobs")


async def mailed_token(shop: Shop, box: Mailbox) -> str:
    async def came() -> bool:
        return bool(box.inbox) and await no_jobs(shop)

    await run_jobs(shop, came)
    found = re.search(rf"{HOST}/access\?token=([\w-]+)", box.inbox[-1].get_content())
    assert found, box.inbox[-1].get_content()
    return found[1]


async def choose(shop: Shop, token: str, password: str = NEW) -> Any:
    return await shop.http.post("/access", data={"token": token, "password": password}, headers=FORM)


async def can_enter(shop: Shop, password: str, email: str = "owner@loja.test") -> bool:
    answer = await shop.http.post("/v1/sessions", json={"email": email, "password": password}, headers={"origin": HOST})
    shop.http.cookies.clear()
    return answer.status_code == 204


async def test_who_forgot_the_password_gets_a_link_by_mail_that_works_once_and_ends_every_session(
    mailing: Shop, box: Mailbox
) -> None:
    session = await mailing.session()
    asked = await mailing.http.post("/forgot", data={"email": " Owner@LOJA.test "}, headers=FORM)
    assert "um link está a caminho" in asked.text
    token = await mailed_token(mailing, box)
    message = box.inbox[0]
    assert message["To"] == "Owner <owner@loja.test>"
    assert message["Subject"] == "Escolha uma nova senha"
    assert "só pode ser usado uma vez" in message.get_content()

    page = await mailing.http.get(f"/access?token={token}", headers=FORM)  # as mail scanners do, also twice
    assert (await mailing.http.get(f"/access?token={token}", headers=FORM)).text == page.text
    assert "owner@loja.test" in page.text
    short = await choose(mailing, token, "curta")
    assert (short.status_code, "10 a 200" in short.text) == (422, True)

    done = await choose(mailing, token)
    assert (done.status_code, done.headers["location"]) == (303, "/login")
    assert (await mailing.http.get("/v1/session", headers=session)).status_code == 401
    assert await can_enter(mailing, NEW)
    assert not await can_enter(mailing, PASSWORD)
    again = await choose(mailing, token, "mais uma senha 123")
    assert (again.status_code, "já foi usado" in again.text) == (410, True)
    assert await can_enter(mailing, NEW)


async def test_an_address_that_nobody_has_gets_the_same_answer_and_leaves_the_same_traces(
    mailing: Shop, box: Mailbox
) -> None:
    await mailing.person(email="known@loja.test")
    answers = []
    for email in ("known@loja.test", "nobody@loja.test"):
        async with mailing.database.transaction() as tx:
            before = await tx.value("SELECT count(*) FROM malha_jobs.procrastinate_jobs")
        answer = await mailing.http.post("/forgot", data={"email": email}, headers=FORM)
        async with mailing.database.transaction() as tx:
            deferred = await tx.value("SELECT count(*) FROM malha_jobs.procrastinate_jobs") - before
        answers.append((answer.status_code, answer.text.replace(email, "?"), deferred))
    assert answers[0] == answers[1]
    await run_jobs(mailing, lambda: no_jobs(mailing))
    assert [message["To"] for message in box.inbox] == ["Owner <known@loja.test>"]


async def test_no_token_is_in_the_database_or_in_what_is_logged(
    mailing: Shop, box: Mailbox, capfd: pytest.CaptureFixture[str]
) -> None:
    await mailing.person()
    await mailing.http.post("/forgot", data={"email": "owner@loja.test"}, headers=FORM)
    async with mailing.database.transaction() as tx:
        row = str(await tx.tuples("SELECT l::text FROM password_link l"))
        job = str(await tx.tuples("SELECT args::text FROM malha_jobs.procrastinate_jobs"))
    token = await mailed_token(mailing, box)
    await mailing.http.get(f"/access?token={token}", headers=FORM)
    await choose(mailing, token)
    async with mailing.database.transaction() as tx:
        trail = str(await tx.tuples("SELECT a::text FROM audit a"))
    printed = "".join(capfd.readouterr())
    assert [token in text or token[20:60] in text for text in (row, job, trail, printed)] == [False] * 4


async def test_asking_again_and_again_is_slowed_down_for_known_and_unknown_alike(mailing: Shop) -> None:
    await mailing.person(email="known@loja.test")
    for email in ("known@loja.test", "nobody@loja.test"):
        statuses = [
            (await mailing.http.post("/forgot", data={"email": email}, headers=FORM)).status_code for _ in range(5)
        ]
        assert statuses == [200, 200, 200, 429, 429], email
    refused = await mailing.http.post("/forgot", data={"email": "known@loja.test"}, headers=FORM)
    assert 50 <= int(refused.headers["retry-after"]) <= 60


async def test_a_link_ends_with_a_newer_one_another_address_and_a_deactivation(shop: Shop) -> None:
    owner = await shop.session()
    person_id = await shop.person(Role.PLANNER)
    path = f"/v1/people/{person_id}"
    body = {"name": "P", "email": "planner@loja.test", "role": "planner", "locations": None, "active": True}

    async def token() -> str:
        made = await shop.http.post(f"{path}/link", headers=owner)
        assert made.status_code == 200, made.text
        return str(made.json()["address"]).partition("token=")[2]

    async def change(**changed: Any) -> None:
        put = await shop.http.put(path, json={**body, **changed}, headers={**owner, "if-match": "*"})
        assert put.status_code == 200, put.text

    first, second = await token(), await token()
    assert (await choose(shop, first)).status_code == 410
    await change(email="moved@loja.test")
    assert (await choose(shop, second)).status_code == 410
    third = await token()
    await change(email="moved@loja.test", active=False)
    assert (await choose(shop, third)).status_code == 410
    refused = await shop.http.post(f"{path}/link", headers=owner)
    assert (refused.status_code, refused.json()["code"]) == (410, "link_used")
    await change(email="moved@loja.test")
    assert (await choose(shop, await token())).status_code == 303
    assert await can_enter(shop, NEW, "moved@loja.test")


async def test_two_who_use_one_link_at_the_same_moment_are_not_both_let_through(shop: Shop) -> None:
    await shop.person()
    async with shop.database.transaction() as tx:
        owner_id = await tx.value("SELECT id FROM person")
        made = await links.make_link(tx, shop.app.state.services.signing, owner_id)
    answers = await asyncio.gather(*(choose(shop, made.token, f"a senha numero {i}") for i in range(4)))
    assert sorted(a.status_code for a in answers) == [303, 410, 410, 410]


async def test_an_expired_or_forged_link_opens_nothing(shop: Shop) -> None:
    await shop.person()
    keys = shop.app.state.services.signing
    async with shop.database.transaction() as tx:
        person_id = await tx.value("SELECT id FROM person")
        made = await links.make_link(tx, keys, person_id)
        link_id = await tx.value("SELECT id FROM password_link")
    forged = signing.sign(signing.Keys(b"x" * 32), links.PURPOSE, link_id.bytes, until=made.expires_at)
    other_use = signing.sign(keys, "tracking", link_id.bytes, until=made.expires_at)
    for token in ("", "nothing", made.token[:-2], forged, other_use):
        assert (await choose(shop, token)).status_code == 404, token
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE password_link SET expires_at = now() - interval '1 second'")
    assert (await choose(shop, made.token)).status_code == 410
    assert await can_enter(shop, PASSWORD)


async def test_an_owner_invites_by_mail_and_sees_what_the_mail_server_said(mailing: Shop, box: Mailbox) -> None:
    owner = {**await mailing.session(), "accept-language": "en"}
    form = {"name": "Bia Reis", "role": "store_lead", "scope": "everywhere", "language": "en"}
    sent = await mailing.http.post("/people/new", data={**form, "email": "bia@loja.test"}, headers=owner)
    assert sent.status_code == 303, sent.text
    token = await mailed_token(mailing, box)
    assert box.inbox[0]["Subject"] == "Your access to Malha"
    assert "Sent " in (await mailing.http.get(sent.headers["location"], headers=owner)).text
    assert (
        "Welcome, Bia Reis"
        in (await mailing.http.get(f"/access?token={token}", headers={"accept-language": "en"})).text
    )
    assert (await choose(mailing, token)).status_code == 303
    assert await can_enter(mailing, NEW, "bia@loja.test")

    box.answer_to["gone@loja.test"] = "550 no such mailbox"
    gone = await mailing.http.post("/people/new", data={**form, "email": "gone@loja.test"}, headers=owner)
    await run_jobs(mailing, lambda: no_jobs(mailing))
    page = (await mailing.http.get(gone.headers["location"], headers=owner)).text
    assert "Not mailed" in page
    assert "no such mailbox" in page


async def test_without_a_mail_server_an_owner_gets_a_link_to_hand_over(shop: Shop) -> None:
    owner = await shop.session()
    assert "Ask an owner" in (await shop.http.get("/forgot", headers={"accept-language": "en"})).text
    form = {"name": "Bia Reis", "email": "bia@loja.test", "role": "store_lead", "scope": "everywhere"}
    page = await shop.http.post("/people/new", data=form, headers=owner)
    found = re.search(r'value="http://[^"]+/access\?token=([\w-]+)"', page.text)
    assert (page.status_code, bool(found)) == (200, True)
    assert found
    assert not await can_enter(shop, "", "bia@loja.test")
    assert (await choose(shop, found[1])).status_code == 303
    assert await can_enter(shop, NEW, "bia@loja.test")
    refused = await shop.http.post("/forgot", data={"email": "bia@loja.test"}, headers=FORM)
    assert refused.status_code == 409


async def test_a_link_begins_with_our_address_whatever_host_the_request_names(mailing: Shop, box: Mailbox) -> None:
    person_id = await mailing.person()
    key = await mailing.key(["identity:manage", *ROLES[Role.OWNER]])
    evil = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    made = await mailing.http.post(f"/v1/people/{person_id}/link", headers={**key, **evil})
    assert made.json()["address"].startswith(f"{HOST}/access?token=")
    form = {"email": "owner@loja.test"}
    await mailing.http.post("/forgot", data=form, headers={**FORM, **evil, "origin": "http://evil.example"})
    assert await mailed_token(mailing, box)
    assert "evil.example" not in box.inbox[-1].as_string()

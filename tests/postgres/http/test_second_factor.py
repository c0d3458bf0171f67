"""The second factor: codes that work once, recovery codes, and roles that demand it."""

import asyncio
import re
from typing import Any

from tests_http import HOST, PASSWORD, Shop

from malha.identity import second_factor, totp
from malha.identity.model import Role
from malha.platform.db import Database
from malha.platform.ids import UUID

EMAIL = "owner@loja.test"


class Phone:
    """An authenticator app."""

    def __init__(self, secret: str) -> None:
        self.secret = totp.decoded(secret.replace(" ", ""))

    async def code(self, database: Database, ahead: int = 0) -> str:
        async with database.transaction() as tx:
            return totp.code_at(self.secret, totp.step_at(await tx.now()) + ahead)


async def set_up(shop: Shop, headers: dict[str, str]) -> tuple[Phone, list[str]]:
    """Turn the second factor on as a person does; the phone, and the recovery codes shown."""
    page = (await shop.http.get("/account/second-factor", headers=headers)).text
    phone = Phone(re.findall(r'id="secret">([A-Z2-7 ]+)<', page)[0])
    sealed = re.findall(r'name="sealed" value="([^"]+)"', page)[0]
    done = await shop.http.post(
        "/account/second-factor", data={"sealed": sealed, "code": await phone.code(shop.database)}, headers=headers
    )
    codes = re.findall(r"<li class=\"m-mono\">([a-z2-7-]+)</li>", done.text)
    assert len(codes) == second_factor.RECOVERY_CODES, done.text
    async with shop.database.transaction() as tx:  # as if half a minute had passed: a log-in needs another code
        await tx.execute("UPDATE second_factor SET last_step = last_step - 1")
    headers["cookie"] = f"malha={done.cookies['malha']}"  # the session goes on under a new token
    shop.http.cookies.clear()
    return phone, codes


async def enter(shop: Shop, code: str | None, password: str = PASSWORD) -> Any:
    shop.http.cookies.clear()
    body = {"email": EMAIL, "password": password} | ({} if code is None else {"code": code})
    answer = await shop.http.post("/v1/sessions", json=body, headers={"origin": HOST, "accept-language": "en"})
    shop.http.cookies.clear()
    return answer


async def test_password_and_code_open_a_session_and_a_code_works_once(shop: Shop) -> None:
    phone, _codes = await set_up(shop, await shop.session())
    refused = await enter(shop, None)
    assert (refused.status_code, refused.json()["code"]) == (401, "code_needed")
    assert "set-cookie" not in refused.headers
    code = await phone.code(shop.database)
    assert (await enter(shop, code)).status_code == 204
    again = await enter(shop, code)
    assert (again.status_code, again.json()["code"]) == (401, "wrong_factor_code")
    assert (await enter(shop, await phone.code(shop.database, 1))).status_code == 204
    earlier = await enter(shop, await phone.code(shop.database))  # an older step after a newer one
    assert earlier.json()["code"] == "wrong_factor_code"


async def test_one_code_sent_twice_at_the_same_moment_opens_one_session(shop: Shop) -> None:
    phone, _codes = await set_up(shop, await shop.session())
    code = await phone.code(shop.database)
    answers = await asyncio.gather(*(enter(shop, code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [204, 401, 401, 401]


async def test_a_wrong_password_is_told_before_anything_about_a_second_factor(shop: Shop) -> None:
    phone, _codes = await set_up(shop, await shop.session())
    answer = await enter(shop, await phone.code(shop.database), "not the password")
    assert "second" not in answer.text
    assert answer.status_code == 401


async def test_guessing_codes_waits_longer_and_longer(shop: Shop) -> None:
    phone, _codes = await set_up(shop, await shop.session())
    statuses = [(await enter(shop, "000000")).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    async with shop.database.transaction() as tx:  # however slow this machine is
        await tx.execute("UPDATE login_attempt SET blocked_until = blocked_until + interval '1 hour'")
    assert (await enter(shop, await phone.code(shop.database))).status_code == 429  # the right one too


async def test_a_recovery_code_lets_in_once_however_it_is_typed(shop: Shop) -> None:
    _phone, codes = await set_up(shop, await shop.session())
    assert (await enter(shop, codes[0].upper().replace("-", " "))).status_code == 204
    assert (await enter(shop, codes[0])).status_code == 401
    assert (await enter(shop, codes[1])).status_code == 204
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM recovery_code") == len(codes) - 2
        kept = str(await tx.tuples("SELECT code_hash FROM recovery_code"))
        assert await tx.value("SELECT count(*) FROM audit WHERE action = 'use_recovery_code'") == 2
    assert codes[5].replace("-", "") not in kept


async def test_the_secret_is_encrypted_at_rest_and_nothing_is_kept_of_a_set_up_that_was_not_finished(
    shop: Shop,
) -> None:
    headers = await shop.session()
    await shop.http.get("/account/second-factor", headers=headers)
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM second_factor") == 0
    phone, _codes = await set_up(shop, headers)
    async with shop.database.transaction() as tx:
        kept = bytes(await tx.value("SELECT secret FROM second_factor"))
    assert phone.secret not in kept
    assert totp.encoded(phone.secret).encode() not in kept


async def test_a_set_up_belongs_to_one_person_and_runs_out(shop: Shop) -> None:
    headers = await shop.session()
    page = (await shop.http.get("/account/second-factor", headers=headers)).text
    sealed = re.findall(r'name="sealed" value="([^"]+)"', page)[0]
    phone = Phone(re.findall(r'id="secret">([A-Z2-7 ]+)<', page)[0])
    code = await phone.code(shop.database)
    other = await shop.session(Role.MANAGER)
    stolen = await shop.http.post("/account/second-factor", data={"sealed": sealed, "code": code}, headers=other)
    assert stolen.status_code == 409
    wrong = await shop.http.post("/account/second-factor", data={"sealed": sealed, "code": "000000"}, headers=headers)
    assert (wrong.status_code, sealed in wrong.text) == (422, True)  # what was scanned stays good
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM second_factor") == 0


async def test_on_the_page_the_way_between_password_and_code_ends_when_the_password_changes(shop: Shop) -> None:
    phone, _codes = await set_up(shop, await shop.session())
    form = {"origin": HOST, "accept-language": "en"}
    half = await shop.http.post("/login", data={"email": EMAIL, "password": PASSWORD, "next": "/keys"}, headers=form)
    assert "set-cookie" not in half.headers
    token = re.findall(r'name="token" value="([^"]+)"', half.text)[0]
    wrong = await shop.http.post("/login/code", data={"token": token, "code": "000000"}, headers=form)
    assert (wrong.status_code, "This code does not fit." in wrong.text) == (401, True)
    code = await phone.code(shop.database)
    done = await shop.http.post("/login/code", data={"token": token, "code": code, "next": "/keys"}, headers=form)
    assert (done.status_code, done.headers["location"]) == (303, "/keys")
    assert done.headers["set-cookie"].startswith("malha=")
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE person SET version = version + 1")
    late = await shop.http.post(
        "/login/code", data={"token": token, "code": await phone.code(shop.database, 1)}, headers=form
    )
    assert (late.status_code, "This took too long." in late.text) == (401, True)


async def test_turning_it_on_ends_the_sessions_opened_without_it(shop: Shop) -> None:
    before = await shop.session()
    now = {**before, "cookie": f"malha={await shop.token(EMAIL)}"}
    await set_up(shop, now)
    assert (await shop.http.get("/v1/session", headers=before)).status_code == 401
    assert (await shop.http.get("/v1/session", headers=now)).status_code == 200


async def test_whose_role_demands_it_can_do_nothing_but_set_it_up(shop: Shop) -> None:
    owner, manager = await shop.session(), await shop.session(Role.MANAGER)
    assert (await shop.http.get("/v1/orders", headers=manager)).status_code == 200
    await shop.http.post("/roles/manager/second-factor", data={"demanded": "yes"}, headers=owner)
    assert (await shop.http.get("/v1/orders", headers=manager)).status_code == 403
    assert (await shop.http.get("/v1/session", headers=manager)).json()["permissions"] == []
    led = await shop.http.get("/orders", headers=manager)
    assert (led.status_code, led.headers["location"]) == (303, "/account/second-factor")
    await set_up(shop, manager)
    assert (await shop.http.get("/v1/orders", headers=manager)).status_code == 200
    kept = await shop.http.post("/account/second-factor/off", data={"current": PASSWORD}, headers=manager)
    assert (kept.status_code, "Your role demands a second factor." in kept.text) == (409, True)
    await shop.http.post("/roles/manager/second-factor", data={"demanded": "no"}, headers=owner)
    wrong = await shop.http.post("/account/second-factor/off", data={"current": "something else"}, headers=manager)
    assert wrong.status_code == 422
    gone = await shop.http.post("/account/second-factor/off", data={"current": PASSWORD}, headers=manager)
    assert gone.status_code == 303
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM second_factor") == 0
        assert await tx.value("SELECT count(*) FROM recovery_code") == 0


async def test_an_owner_takes_it_away_from_somebody_who_lost_the_phone(shop: Shop) -> None:
    owner, manager = await shop.session(), await shop.session(Role.MANAGER)
    await set_up(shop, manager)
    person_id: UUID = (await shop.http.get("/v1/session", headers=manager)).json()["id"]
    removed = await shop.http.delete(f"/v1/people/{person_id}/second-factor", headers=owner)
    assert removed.status_code == 204, removed.text
    assert (await shop.http.get("/v1/session", headers=manager)).status_code == 401
    assert isinstance(await shop.token("manager@loja.test"), str)


async def test_one_recovery_code_sent_twice_at_the_same_moment_opens_one_session(shop: Shop) -> None:
    _phone, codes = await set_up(shop, await shop.session())
    answers = await asyncio.gather(*(enter(shop, codes[0]) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [204, 401, 401, 401]
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM recovery_code") == len(codes) - 1


async def test_another_app_takes_the_password_so_that_a_session_alone_takes_no_account_over(shop: Shop) -> None:
    headers = await shop.session()
    phone, codes = await set_up(shop, headers)
    page = (await shop.http.get("/account/second-factor", headers=headers)).text
    assert 'name="current"' in page
    new = Phone(re.findall(r'id="secret">([A-Z2-7 ]+)<', page)[0])
    form = {"sealed": re.findall(r'name="sealed" value="([^"]+)"', page)[0], "code": await new.code(shop.database)}
    for current in ("", "not the password"):
        refused = await shop.http.post("/account/second-factor", data={**form, "current": current}, headers=headers)
        assert (refused.status_code, "This is not your password." in refused.text) == (422, True)
    assert (await enter(shop, await phone.code(shop.database))).status_code == 204
    done = await shop.http.post("/account/second-factor", data={**form, "current": PASSWORD}, headers=headers)
    assert done.status_code == 200
    assert codes[0] not in done.text
    assert (await enter(shop, await phone.code(shop.database, 1))).status_code == 401
    assert (await enter(shop, await new.code(shop.database, 1))).status_code == 204

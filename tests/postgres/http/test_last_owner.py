"""Somebody always owns all places: whatever would leave nobody is refused, in races too, and an operator brings one back."""

import asyncio
import os
import re
import sys
from typing import Any

import pytest
from tests_http import HOST, Shop

from malha.identity import provider_writes, providers, reads, recovery, second_factor, service, totp
from malha.identity.errors import LastOwner, NoWayBack
from malha.identity.model import Role
from malha.identity.provider_model import ProviderDraft
from malha.identity.service import PersonDraft
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID
from malha.testing import builders

NOBODY_ELSE = "This person is the last active owner of all locations."
BESIDES = "Make someone else an owner of all locations first, who has chosen a password or logged in by a provider."


@pytest.fixture
async def placed(shop: Shop) -> Shop:
    """A retailer with a store, S1."""
    async with shop.database.transaction() as tx:
        await builders.a_network(tx)
    return shop


async def change(shop: Shop, who: UUID, by: dict[str, str], **said: Any) -> tuple[int, dict[str, Any]]:
    read = await shop.http.get(f"/v1/people/{who}", headers=by)
    kept = {name: read.json()[name] for name in ("name", "email", "role", "active")} | {"locations": None} | said
    answer = await shop.http.put(f"/v1/people/{who}", json=kept, headers={**by, "if-match": read.headers["etag"]})
    return answer.status_code, answer.json()


async def invited(shop: Shop, email: str) -> UUID:
    """Make an owner of all places who has not come in yet."""
    async with shop.database.transaction() as tx:
        return await service.create_person(tx, PersonDraft(name="Guest", email=email, role=Role.OWNER), password=None)


async def owners(shop: Shop) -> list[str]:
    async with shop.database.transaction() as tx:
        found = await reads.people(tx, 100)
    return [p.email for p in found if p.role is Role.OWNER and p.active and p.everywhere]


@pytest.mark.parametrize("said", [{"locations": ["S1"]}, {"locations": []}, {"role": "manager"}, {"active": False}])
async def test_the_last_owner_of_all_places_can_be_nothing_less(placed: Shop, said: dict[str, Any]) -> None:
    only = await placed.person(email="only@loja.test")
    # These own nothing that could bring the other back.
    await placed.person(email="limited@loja.test", locations=["S1"])
    manager = await placed.person(Role.OWNER, email="gone@loja.test")
    async with placed.database.transaction() as tx:
        await service.set_active(tx, manager, active=False)
    key = await placed.key(["identity:manage", *service.ROLES[Role.OWNER]])
    status, refusal = await change(placed, only, key, **said)
    assert (status, refusal["code"]) == (409, "last_owner"), refusal
    assert (refusal["detail"], refusal["mend"]) == (NOBODY_ELSE, BESIDES)
    assert await owners(placed) == ["only@loja.test"]
    await placed.person(email="second@loja.test")
    assert (await change(placed, only, key, **said))[0] == 200
    assert await owners(placed) == ["second@loja.test"]


@pytest.mark.parametrize("said", [{"locations": ["S1"]}, {"role": "manager"}, {"active": False}])
async def test_an_owner_who_was_invited_and_never_came_in_is_none_yet(placed: Shop, said: dict[str, Any]) -> None:
    only = await placed.person(email="only@loja.test")
    guest = await invited(placed, "guest@loja.test")
    key = await placed.key(["identity:manage", *service.ROLES[Role.OWNER]])
    status, refusal = await change(placed, only, key, **said)
    assert (status, refusal["code"]) == (409, "last_owner"), refusal
    assert (await change(placed, guest, key, active=False))[0] == 200
    assert (await change(placed, guest, key, active=True))[0] == 200
    async with placed.database.transaction() as tx:
        await service.set_password(tx, guest, "a good long phrase")
    assert (await change(placed, only, key, **said))[0] == 200
    assert await owners(placed) == ["guest@loja.test"]


async def test_an_owner_who_came_in_by_a_provider_is_one_without_a_password(placed: Shop) -> None:
    only = await placed.person(email="only@loja.test")
    guest = await invited(placed, "guest@loja.test")
    async with placed.database.transaction() as tx:
        account = {"issuer": "https://id.example", "subject": "g", "person_id": guest, "provider_id": None}
        await tx.execute(provider_writes.BIND, account)
    async with placed.database.transaction() as tx:
        await service.set_active(tx, only, active=False)
    with pytest.raises(LastOwner):
        async with placed.database.transaction() as tx:
            await service.set_active(tx, guest, active=False)
    assert await owners(placed) == ["guest@loja.test"]


async def test_the_only_account_of_the_last_owner_is_not_taken_away(placed: Shop) -> None:
    only = await invited(placed, "only@loja.test")
    await invited(placed, "guest@loja.test")
    async with placed.database.transaction() as tx:
        for subject in "gh":
            account = {"issuer": "https://id.example", "subject": subject, "person_id": only, "provider_id": None}
            await tx.execute(provider_writes.BIND, account)
    async with placed.database.transaction() as tx:
        await providers.unbind(tx, only, "https://id.example", "g")
    with pytest.raises(LastOwner):
        async with placed.database.transaction() as tx:
            await providers.unbind(tx, only, "https://id.example", "h")
    await placed.person(email="second@loja.test")
    async with placed.database.transaction() as tx:
        await providers.unbind(tx, only, "https://id.example", "h")


async def test_where_nobody_came_in_yet_the_last_who_is_invited_stays(placed: Shop) -> None:
    first, second = [await invited(placed, f"{who}@loja.test") for who in "ab"]
    async with placed.database.transaction() as tx:
        await service.set_active(tx, first, active=False)
    with pytest.raises(LastOwner):
        async with placed.database.transaction() as tx:
            await service.set_active(tx, second, active=False)


async def test_the_page_says_how_to_mend_it_and_keeps_what_was_typed(placed: Shop) -> None:
    owner = await placed.session(email="only@loja.test")
    async with placed.database.transaction() as tx:
        (only,) = await reads.people(tx, 1)
    form = {"name": "Ana", "email": only.email, "role": "owner", "scope": "some", "locations": "S1"}
    answer = await placed.http.post(f"/people/{only.id}", data={**form, "version": str(only.version)}, headers=owner)
    assert answer.status_code == 409
    assert NOBODY_ELSE in answer.text
    assert BESIDES in answer.text
    assert await owners(placed) == ["only@loja.test"]


@pytest.mark.parametrize("said", [{"locations": ["S1"]}, {"role": "manager"}, {"active": False}])
async def test_of_two_owners_who_make_each_other_less_at_once_exactly_one_does(
    placed: Shop, said: dict[str, Any]
) -> None:
    sessions = [await placed.session(email=f"{who}@loja.test") for who in "ab"]
    async with placed.database.transaction() as tx:
        people = {p.email[0]: p for p in await reads.people(tx, 9)}

    async def lessen(who: str, by: dict[str, str]) -> tuple[int, dict[str, Any]]:
        body = {"name": "x", "email": f"{who}@loja.test", "role": "owner", "locations": None, **said}
        headers = {**by, "if-match": f'"{people[who].version}"'}
        answer = await placed.http.put(f"/v1/people/{people[who].id}", json=body, headers=headers)
        return answer.status_code, answer.json()

    # Each holds the row of the other before either looks who owns what.
    for _again in range(5):
        answers = await asyncio.gather(lessen("b", sessions[0]), lessen("a", sessions[1]))
        assert sorted(status for status, _said in answers) in ([200, 409], [200, 401], [200, 403], [200, 404]), answers
        assert len(await owners(placed)) == 1
        async with placed.database.transaction() as tx:
            for who in people.values():
                everything = PersonDraft(name="x", email=who.email, role=Role.OWNER)
                await service.change_person(tx, who.id, everything)
            people = {p.email[0]: p for p in await reads.people(tx, 9)}
        sessions = [await signed_in(placed, f"{who}@loja.test") for who in "ab"]


async def signed_in(shop: Shop, email: str) -> dict[str, str]:
    return {"cookie": f"malha={await shop.token(email)}", "origin": HOST, "accept-language": "en"}


async def test_two_transactions_that_limit_each_others_owner_wait_and_one_is_refused(placed: Shop) -> None:
    ids = [await placed.person(email=f"{who}@loja.test") for who in "ab"]
    started = asyncio.Barrier(2)

    async def limit(index: int) -> str:
        draft = PersonDraft(name="x", email=f"{'ab'[index]}@loja.test", role=Role.OWNER, locations=["S1"])
        try:
            async with placed.database.transaction() as tx:
                await tx.now()
                await started.wait()
                await service.lock_to_change(tx, ids[index])
                await service.change_person(tx, ids[index], draft)
        except MalhaError as error:
            return error.code
        return "done"

    assert sorted(await asyncio.gather(limit(0), limit(1))) == ["done", "last_owner"]


async def with_a_factor(shop: Shop, person_id: UUID) -> None:
    keys = shop.app.state.services.signing
    async with shop.database.transaction() as tx:
        at = await tx.now()
        app = second_factor.begin(keys, person_id=person_id, issuer="M", account="x", at=at)
        code = totp.code_at(totp.decoded(app.secret), totp.step_at(at))
        await second_factor.confirm(tx, keys, person_id, app.sealed, code)


async def behind_a_provider(shop: Shop) -> None:
    """Let people log in by a provider only."""
    draft = ProviderDraft(
        code="corp", name="Corp", issuer="https://id.example", client_id="malha", secret=None, active=True
    )
    async with shop.database.transaction() as tx:
        await providers.create_provider(tx, shop.app.state.services.signing, draft)
        await providers.set_policy(tx, provider_only=True)


async def test_who_could_come_in_when_the_provider_fails_has_to_own_all_places(placed: Shop) -> None:
    both = [await placed.person(email=f"{who}@loja.test") for who in "ab"]
    await with_a_factor(placed, both[0])
    await behind_a_provider(placed)
    for said in ({"locations": ["S1"]}, {"role": Role.MANAGER}, {"active": False}):
        draft = PersonDraft(**{"name": "x", "email": "a@loja.test", "role": Role.OWNER, **said})
        with pytest.raises(NoWayBack):
            async with placed.database.transaction() as tx:
                await service.change_person(tx, both[0], draft)


# --- the operator


async def malha(shop: Shop, *arguments: str, **more: str) -> tuple[int, str, str]:
    data_dir = shop.app.state.services.settings.data_dir
    environment = {
        **os.environ, "DATABASE_URL": shop.database.url, "MALHA_RETAILER": shop.database.retailer,
        "MALHA_DATA_DIR": str(data_dir), "MALHA_LANGUAGE": "en", "MALHA_PUBLIC_URL": "https://oms.loja.test", **more,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "malha.cli.main", "owner", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_operator_makes_an_owner_again_of_who_was_limited_and_turned_off(placed: Shop) -> None:
    who = await placed.person(Role.PLANNER, email="ana@loja.test", locations=["S1"])
    before = await signed_in(placed, "ana@loja.test")
    async with placed.database.transaction() as tx:
        await service.set_active(tx, who, active=False)
    code, out, err = await malha(placed, " Ana@Loja.test ")
    assert (code, err) == (0, "")
    assert await owners(placed) == ["ana@loja.test"]
    assert (await placed.http.get("/v1/session", headers=before)).status_code == 401
    link = re.search(r"https://oms\.loja\.test/access\?token=(\S+)", out)
    assert link
    chosen = {"token": link[1], "password": "a good long phrase"}
    assert (await placed.http.post("/access", data=chosen, headers={"origin": HOST})).status_code == 303
    async with placed.database.transaction() as tx:
        outcome = await service.log_in(tx, "ana@loja.test", "a good long phrase", source="10.0.0.1")
        noted = await tx.tuples("SELECT actor_name, entity_id FROM audit WHERE action = 'restore_owner'")
        changed = await tx.value(
            "SELECT before->>'role' FROM audit WHERE action = 'update' AND after->>'role' = 'owner' AND entity_id = %(id)s",
            {"id": str(who)},
        )
    assert isinstance(outcome, service.LoggedIn)
    assert noted == [("malha owner", str(who))]
    assert changed == "planner"


async def test_the_operator_makes_an_owner_where_nobody_has_the_e_mail(placed: Shop) -> None:
    code, out, _err = await malha(placed, "nova@loja.test", "--name", "Nova Dona", MALHA_LANGUAGE="pt-BR")
    assert (code, await owners(placed)) == (0, ["nova@loja.test"])
    assert "Nova Dona" in out
    assert "todos os locais" in out
    code, _out, err = await malha(placed, "not an e-mail")
    assert (code, "not an e-mail address" in err) == (2, True)


async def test_the_operator_opens_the_way_past_a_provider_and_a_lost_phone_only_when_told_to(placed: Shop) -> None:
    who = await placed.person(email="ana@loja.test")
    await with_a_factor(placed, who)
    await behind_a_provider(placed)
    code, out, _err = await malha(placed, "ana@loja.test")
    assert (code, "--let-passwords-in" in out, "--without-second-factor" in out) == (0, True, True)
    code, _out, err = await malha(placed, "ana@loja.test", "--without-second-factor")
    assert (code, "nobody could come in" in err) == (2, True)
    code, out, _err = await malha(placed, "ana@loja.test", "--without-second-factor", "--let-passwords-in")
    # Not "--" alone: the link that is printed is drawn by chance and may hold it.
    assert (code, "--let" in out, "--without" in out) == (0, False, False)
    async with placed.database.transaction() as tx:
        person = await reads.person(tx, who)
        assert isinstance(
            await service.log_in(tx, "ana@loja.test", "correct horse battery", source="x"), service.LoggedIn
        )
    assert person is not None
    assert not person.second_factor


async def test_an_owner_who_is_one_already_gets_a_link_and_stays_as_they_are(placed: Shop) -> None:
    who = await placed.person(email="ana@loja.test")
    keys = placed.app.state.services.signing
    async with placed.database.transaction() as tx:
        done = await recovery.restore_owner(tx, keys, email="ana@loja.test", name="Another Name")
        person = await reads.person(tx, who)
    assert done.person_id == who
    assert person is not None
    assert (person.name, person.role, person.everywhere) == ("Owner", Role.OWNER, True)

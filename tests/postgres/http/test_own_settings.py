"""A person's own settings live on the person: language, theme and time zone follow them to every browser."""

from http.cookies import SimpleCookie

import pytest
from tests_http import Shop

from malha.identity.model import Role


async def seen(shop: Shop, headers: dict[str, str], cookies: str = "") -> str:
    shop.http.cookies.clear()
    asked = {**headers, "cookie": headers["cookie"] + cookies}
    return (await shop.http.get("/me", headers=asked)).text


async def test_language_and_theme_of_the_person_win_over_those_of_the_browser(shop: Shop) -> None:
    owner = await shop.session()
    other = "; malha_language=en; malha_theme=light"
    assert "Your settings" in await seen(shop, owner, other)
    for field, value in (("language", "pt-BR"), ("theme", "dark")):
        sent = await shop.http.post(f"/me/{field}", data={field: value, "next": "/orders"}, headers=owner)
        assert (sent.status_code, sent.headers["location"]) == (303, "/orders")
        kept = SimpleCookie("; ".join(sent.headers.get_list("set-cookie")))
        assert kept[f"malha_{field}"].value == value  # so that the log-in page of this browser looks the same
    page = await seen(shop, owner, other)
    assert "Suas preferências" in page
    assert 'lang="pt-BR" data-bs-theme="dark"' in page


async def test_without_a_choice_of_their_own_the_browsers_holds(shop: Shop) -> None:
    owner = await shop.session()
    page = await seen(shop, owner, "; malha_language=pt-BR; malha_theme=dark")
    assert 'lang="pt-BR" data-bs-theme="dark"' in page


async def test_the_form_keeps_everything_and_empty_means_no_choice(shop: Shop) -> None:
    owner = await shop.session()
    said = {"name": " Helena  Prates ", "language": "en", "theme": "dark", "timezone": "America/Manaus"}
    sent = await shop.http.post("/me", data=said, headers=owner)
    assert sent.headers["location"] == "/me"
    async with shop.database.transaction() as tx:
        row = (await tx.tuples("SELECT name, language, theme, timezone FROM person"))[0]
        assert row == ("Helena  Prates", "en", "dark", "America/Manaus")
    await shop.http.post("/me", data={"name": "Helena", "language": "", "theme": "", "timezone": ""}, headers=owner)
    async with shop.database.transaction() as tx:
        assert (await tx.tuples("SELECT language, theme, timezone FROM person"))[0] == (None, None, None)
        rows = await tx.tuples("SELECT after FROM audit WHERE entity = 'person' AND action = 'update' ORDER BY id")
    assert [set(after) for (after,) in rows] == [{"name", "language", "theme", "timezone"}] * 2


async def test_times_are_told_in_the_persons_zone(shop: Shop) -> None:
    owner = await shop.session()
    await shop.http.post("/me", data={"name": "Ana", "language": "en", "timezone": "Asia/Tokyo"}, headers=owner)
    assert '<option value="Asia/Tokyo" selected>' in await seen(shop, owner)


@pytest.mark.parametrize(
    "said",
    [
        {"name": " "},
        {"name": "x", "language": "fr"},
        {"name": "x", "theme": "pink"},
        {"name": "x", "timezone": "Mars/Base"},
    ],
)
async def test_what_makes_no_sense_is_refused(shop: Shop, said: dict[str, str]) -> None:
    owner = await shop.session()
    assert (await shop.http.post("/me", data=said, headers=owner)).status_code == 422
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT name FROM person") == "Owner"


async def test_a_person_changes_nothing_but_their_own(shop: Shop) -> None:
    await shop.person(Role.MANAGER)
    owner = await shop.session()
    await shop.http.post("/me", data={"name": "Outra", "role": "auditor", "email": "x@y.test"}, headers=owner)
    async with shop.database.transaction() as tx:
        rows = await tx.tuples("SELECT name, role, email FROM person ORDER BY email")
    assert rows == [("Manager", "manager", "manager@loja.test"), ("Outra", "owner", "owner@loja.test")]


async def test_the_log_in_page_asks_only_its_browser(shop: Shop) -> None:
    await shop.person()
    page = await shop.http.get("/login", headers={"cookie": "malha_language=en; malha_theme=dark"})
    assert 'lang="en" data-bs-theme="dark"' in page.text
    sent = await shop.http.post("/settings/theme", data={"theme": "light"}, headers={"origin": "http://shop.test"})
    assert "malha_theme=light" in sent.headers["set-cookie"]

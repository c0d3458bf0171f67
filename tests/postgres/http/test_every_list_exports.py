"""Every list of the console can be taken as CSV and as XLSX: the lists are derived from the routes, not named here."""

import re

from tests_http import Shop

from malha.testing.builders import a_network, a_product

# Pages without a record in their address that are no lists, or lists of which a file would be of no use, and why.
WITHOUT = {
    "/": "the home page sums lists up that have files of their own",
    "/account": "one's own sessions and password",
    "/account/second-factor": "one's own second factor",
    "/attention": "work to be done now, in three lists of other pages; a file of it is old at once",
    "/capacity:several": "a form: slots of several locations at once",
    "/components": "the design language",
    "/customers:duplicates": "pairs to judge side by side; the customers themselves have files",
    "/me": "one's own language and look",
    "/messages/means": "a form: which means goes first",
    "/messages/texts": "texts to write, each with its versions",
    "/receive": "a form: what is being received",
    "/routing-costs": "a form; the tables of taxes and of aged stock have files below it",
    "/settings": "a form",
}
# Below these something is entered; `:new` and `/new` are forms.
FORM = re.compile(r"[:/]new$")


async def pages(shop: Shop, owner: dict[str, str]) -> dict[str, str]:
    """The pages a person can open by their address alone, with what they show."""
    found = {}
    for route in shop.app.routes:
        handlers = getattr(route, "route_handler_map", {})
        if "GET" not in handlers or "{" in route.path or route.path.startswith(("/v1", "/events/")):
            continue
        handler = handlers["GET"][0]
        if handler.opt.get("permission") == "public" or FORM.search(route.path):
            continue
        answer = await shop.http.get(route.path, headers=owner)
        whole = answer.headers.get("content-type", "").startswith("text/html") and "<main" in answer.text
        if answer.status_code == 200 and whole:
            found[route.path] = answer.text
    return found


async def test_every_list_page_leads_to_both_files_and_they_come(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "A", stock={"S1": 2})
    owner = await shop.session()
    shown = await pages(shop, owner)
    assert set(WITHOUT) <= set(shown), "an exception names no page"
    lacking = []
    for path, text in sorted(shown.items()):
        files = {ending: re.search(rf'href="([^"]*[:/]export\.{ending}[^"]*)"', text) for ending in ("csv", "xlsx")}
        if path in WITHOUT:
            continue
        for ending, link in files.items():
            if link is None:
                lacking.append(f"{path}: no {ending}")
                continue
            answer = await shop.http.get(link[1].replace("&amp;", "&"), headers=owner)
            begins = {"csv": b"\xef\xbb\xbf", "xlsx": b"PK"}[ending]
            if answer.status_code != 200 or not answer.content.startswith(begins):
                lacking.append(f"{path}: {link[1]} answers {answer.status_code}")
    assert not lacking, "Give these lists their files (malha.console.export), or say in WITHOUT why not:\n" + "\n".join(
        lacking
    )
    assert len(shown) - len(WITHOUT) > 20


async def test_the_file_of_roles_says_what_each_may(shop: Shop) -> None:
    rows = (await shop.http.get("/roles:export.csv", headers=await shop.session())).text.splitlines()
    heads = rows[0].lstrip("\ufeff").split(";")
    auditor = dict(zip(heads, next(row for row in rows if row.startswith("Auditor")).split(";"), strict=True))
    assert (auditor["audit:read"], auditor["orders:write"]) == ("yes", "no")
    owner = dict(zip(heads, next(row for row in rows if row.startswith("Owner")).split(";"), strict=True))
    assert owner["People"] == "1"
    assert all(owner[name] == "yes" for name in heads if ":" in name)


async def test_the_file_of_imports_has_all_of_them_and_none_of_other_peoples_kinds(shop: Shop) -> None:
    owner = await shop.session()
    for name in ("first.csv", "=second.csv"):
        body = b"sku;price\nA;1,00\n"
        sent = await shop.http.post("/imports/prices", files={"file": (name, body, "text/csv")}, headers=owner)
        assert sent.status_code in {200, 303}, sent.text
    rows = (await shop.http.get("/imports:export.csv", headers=owner)).text.splitlines()
    assert [row.split(";")[1] for row in rows[1:]] == ["'=second.csv", "first.csv"]
    assert "Prices" in rows[1]

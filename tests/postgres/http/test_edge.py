"""What every request meets before and after its use case."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
from litestar import get
from tests_http import open_shop

from away import absence
from malha.api.work import Work, command, query
from malha.identity.model import PUBLIC, Role


async def test_every_answer_is_marked_and_protected(shop) -> None:
    for path in ("/healthz", "/nowhere", "/v1/docs", "/v1/people"):
        answer = await shop.http.get(path, headers={"x-request-id": "till-42.0007"})
        assert answer.headers["x-request-id"] == "till-42.0007"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "cache-control" in answer.headers
    page = await shop.http.get("/v1/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "style=" not in page.text
    assert "<script" not in page.text
    strange = await shop.http.get("/healthz", headers={"x-request-id": 'a b"<script>'})
    assert strange.headers["x-request-id"] != 'a b"<script>'
    assert len(strange.headers["x-request-id"]) == 32


async def test_the_page_of_the_api_is_in_the_language_that_is_chosen_else_the_persons_own_else_the_browsers(
    shop,
) -> None:
    async def read(address: str, **headers: str) -> str:
        page = await shop.http.get(address, headers=headers)
        assert page.status_code == 200
        (language,) = re.findall(r'<html lang="([^"]+)"', page.text)
        (other,) = re.findall(r'href="\?language=([^"]+)"', page.text)
        assert {language, other} == {"en", "pt-BR"}, "the other one is a step away"
        assert ("Operações" in page.text) == (language == "pt-BR")
        return language

    assert await read("/v1/docs", **{"accept-language": "en"}) == "en"
    assert await read("/v1/docs?language=pt-BR", **{"accept-language": "en"}) == "pt-BR"
    assert await read("/v1/docs?language=tlh", **{"accept-language": "en"}) == "en"
    session = await shop.session(Role.OWNER)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE person SET language = 'pt-BR'")
    assert await read("/v1/docs", **session) == "pt-BR"
    assert await read("/v1/docs?language=en", **session) == "en"


async def test_the_page_of_the_api_needs_no_database(database, tmp_path) -> None:
    async with AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path)
        session = await shop.session(Role.OWNER)
        with absence(database) as gone:
            gone.begin()
            page = await shop.http.get("/v1/docs", headers=session)
        assert (page.status_code, 'lang="en"' in page.text) == (200, True)


async def test_what_the_api_did_says_how_long_it_took_and_what_it_refused_does_not(shop) -> None:
    done = await shop.http.get("/v1/openapi.json")
    assert done.status_code == 200
    name, _, took = done.headers["server-timing"].partition(";dur=")
    assert name == "total"
    assert float(took) > 0
    for path in ("/v1/people", "/v1/nothing/here", "/healthz"):
        assert "server-timing" not in (await shop.http.get(path)).headers, path


async def test_a_parameter_that_is_none_of_its_values_is_refused_with_what_it_may_be(shop) -> None:
    headers = await shop.key(["orders:read"])
    for name, mend in (
        ("sort", "Use one of newest, oldest, due."),
        ("status", "Use one of placed, awaiting_payment, "),
    ):
        refused = await shop.http.get(f"/v1/orders?{name}=zzz", headers={**headers, "accept-language": "en"})
        (error,) = refused.json()["errors"]
        assert (refused.status_code, error["at"]) == (422, f"?{name}")
        assert error["mend"].startswith(mend)


async def test_a_refusal_is_the_same_problem_in_the_readers_language(shop) -> None:
    english = await shop.http.get("/v1/people", headers={"accept-language": "en-GB,fr;q=0.9"})
    assert english.status_code == 401
    assert english.headers["content-type"] == "application/problem+json"
    assert english.headers["content-language"] == "en"
    assert english.headers["www-authenticate"].startswith("Bearer")
    problem = english.json()
    assert (
        problem.items()
        >= {
            "type": "/problems/not_signed_in",
            "code": "not_signed_in",
            "status": 401,
            "instance": "/v1/people",
            "request_id": english.headers["x-request-id"],
            "detail": "This needs a signed-in person or an API key.",
        }.items()
    )
    for wish in ("pt-PT", "fr", "", "*"):
        answer = (await shop.http.get("/v1/people", headers={"accept-language": wish})).json()
        assert answer["detail"] == "Isto exige uma pessoa conectada ou uma chave de API.", wish
    lost = await shop.http.get("/v1/nothing/here")
    assert (lost.status_code, lost.json()["code"]) == (404, "no_such_route")
    wrong = await shop.http.put("/healthz", headers={"origin": "http://shop.test"})
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]


async def test_a_bad_body_is_answered_with_every_flaw_and_where_it_is(shop) -> None:
    key = await shop.key(["intake:submit"])

    async def send(body: bytes) -> Any:
        return await shop.http.post("/v1/orders", content=body, headers=key)

    order = {
        "channel": "",
        "lines": [
            {"sku": 7, "quantity": 0, "unit_price": 100},
            {"quantity": "two", "unit_price": 1, "color/size": "x"},
        ],
        "placed_at": "yesterday",
    }
    answer = await send(json.dumps(order).encode())
    assert answer.status_code == 422
    flaws = {flaw["at"]: flaw["says"] for flaw in answer.json()["errors"]}
    assert flaws == {
        "/channel": "This must not be empty.",
        "/lines/0/sku": "This must be a text.",
        "/lines/0/quantity": "This must be at least 1.",
        "/lines/1/sku": "This is required.",
        "/lines/1/quantity": "This must be a whole number.",
        "/lines/1/color~1size": "There is no such field here.",
        "/placed_at": "This is not a date with time, like 2026-11-23T14:05:00-03:00.",
    }
    good = {"channel": "web", "lines": [{"sku": "A", "quantity": 1, "unit_price": 1, "name": "N"}]}
    nul = await send(json.dumps(good).replace("N", "\\u0000").encode())
    assert (nul.status_code, nul.json()["errors"][0]["at"]) == (422, "/lines/0/name")
    huge = await send(json.dumps(good).replace('"unit_price": 1', '"unit_price": ' + "9" * 400).encode())
    assert huge.status_code == 422
    for broken in (b"", b"{", b"\xff\xfe", b'{"channel": "a\x00b"}'):
        answer = await send(broken)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body"), broken
    whole = await send(b"[]")
    assert whole.json()["errors"] == [{"at": "", "says": "This must be an object."}]
    query_flaw = await shop.http.get("/v1/audit?limit=many", headers=await shop.session())
    assert query_flaw.status_code == 422
    assert query_flaw.json()["errors"][0]["at"] == "?limit"


async def test_a_parameter_that_is_missing_is_named_in_the_readers_language(shop) -> None:
    spoken = await shop.key(["stock:read"]) | {"accept-language": "pt-BR"}
    answer = await shop.http.get("/v1/stock/settlement?since=2026-01-01T00:00:00Z", headers=spoken)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"at": "?until", "says": "Este campo é obrigatório."}]
    assert "Missing" not in answer.text


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ("2026", "This is not a date with time, like 2026-11-23T14:05:00-03:00."),
        ("1767225600.5", "This is not a date with time, like 2026-11-23T14:05:00-03:00."),
        ("2026-01-01", "This is not a date with time, like 2026-11-23T14:05:00-03:00."),
        ("2026-01-01T00:00:00", "This needs a time zone, like 2026-11-23T14:05:00-03:00."),
    ],
)
async def test_a_parameter_that_is_an_instant_is_no_number_of_seconds_and_has_a_zone(shop, sent, says) -> None:
    key = await shop.key(["audit:read", "orders:read", "stock:read"])
    for path, name in (("audit", "since"), ("orders", "placed_until"), ("transfers", "until")):
        answer = await shop.http.get(f"/v1/{path}?{name}={sent}", headers=key)
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["errors"] == [{"at": f"?{name}", "says": says}]
        good = await shop.http.get(f"/v1/{path}?{name}=2026-01-01T00:00:00-03:00", headers=key)
        assert good.status_code == 200, good.text


async def test_an_instant_in_a_body_is_no_number_and_has_a_zone(shop) -> None:
    key = await shop.key(["stock:write"])
    for sent, says in ((2026, "This must be a date with time"), ("2026-01-01T00:00:00", "This needs a time zone")):
        draft = {"code": "R", "name": "R", "measure": "units", "amount": 1, "starts_at": sent}
        answer = await shop.http.post("/v1/safety-rules", json=draft, headers=key)
        assert answer.status_code == 422, answer.text
        (flaw,) = answer.json()["errors"]
        assert (flaw["at"], flaw["says"].startswith(says)) == ("/starts_at", True), flaw


async def test_a_body_beyond_the_limit_is_refused_while_it_streams(shop) -> None:
    key = await shop.key(["intake:submit"])
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 1
            yield b" " * 1024 * 1024

    answer = await shop.http.post("/v1/orders:batch", content=endless(), headers=key)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert "32" in answer.json()["detail"]


async def test_faults_of_the_program_and_the_database_tell_nothing_of_themselves(own_shop, capfd) -> None:
    secret = "maria@cliente.test"

    @query("/broken", permission=PUBLIC)
    async def broken(work: Work) -> None:
        """Fail."""
        raise RuntimeError(f"password=hunter2 of {secret}")

    @query("/constraint", permission=PUBLIC)
    async def constraint(work: Work) -> None:
        """Break a constraint whose message quotes the row."""
        for _ in range(2):
            await work.tx.execute("INSERT INTO revision (name) VALUES (%(name)s::text)", {"name": secret})

    @query("/deadlock", permission=PUBLIC)
    async def deadlock(work: Work) -> None:
        """Lose a deadlock."""
        raise psycopg.errors.DeadlockDetected("Process 1 waits")

    @query("/unreadable", permission=PUBLIC)
    async def unreadable(work: Work) -> None:
        """Offer the database what it cannot read."""
        await work.tx.execute("SELECT %(value)s::int", {"value": secret})

    for handler in (broken, constraint, deadlock, unreadable):
        own_shop.app.register(handler)
    expected = {
        "/broken": (500, "internal"),
        "/constraint": (409, "constraint_refused"),
        "/deadlock": (409, "busy"),
        "/unreadable": (422, "value_refused"),
    }
    for path, outcome in expected.items():
        answer = await own_shop.http.get(path, headers={"accept-language": "en"})
        assert (answer.status_code, answer.json()["code"]) == outcome
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert secret not in answer.text
        assert "hunter2" not in answer.text
        assert "revision" not in answer.text
    assert (await own_shop.http.get("/deadlock")).headers["retry-after"] == "1"
    refused = await own_shop.http.get("/v1/audit?entity=%00", headers=await own_shop.session())
    assert (refused.status_code, refused.json()["errors"][0]["at"]) == (422, "?entity")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://shop.test"}, False),
        ({"origin": "http://shop.test"}, True),
        ({"origin": "http://evil.test"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
async def test_a_browser_changes_things_only_from_our_own_pages(shop, headers, allowed) -> None:
    session = {"cookie": (await shop.session())["cookie"], **headers}
    answer = await shop.http.delete("/v1/session", headers=session)
    assert (answer.status_code == 204) is allowed
    if not allowed:
        assert answer.json()["code"] == "cross_site"
        assert (await shop.http.get("/v1/session", headers=session)).status_code == 200


async def test_programs_are_not_asked_where_they_come_from(shop) -> None:
    key = await shop.key(["identity:manage"])
    answer = await shop.http.post("/v1/keys/999/revoke", headers={**key, "sec-fetch-site": "cross-site"})
    assert answer.status_code == 404


async def test_it_says_whether_it_is_alive_and_ready_and_counts_what_it_does(shop) -> None:
    assert (await shop.http.get("/healthz")).json() == {"status": "ok"}
    ready = await shop.http.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": "ok", "migrations": "ok"})
    await shop.http.get("/v1/people")
    await shop.http.get("/v1/no-such-thing-" + "x" * 50)
    metrics = (await shop.http.get("/metrics")).text
    assert 'malha_http_request_seconds_count{method="GET",route="/v1/people",status="4xx"}' in metrics
    assert 'malha_http_problems_total{code="not_signed_in"}' in metrics
    assert "no-such-thing" not in metrics  # what a client makes up is no label
    await shop.app.state.services.database.close()
    unready = await shop.http.get("/readyz")
    assert unready.status_code == 503
    assert unready.json()["checks"]["database"] != "ok"


async def test_what_answers_get_answers_head_without_a_body(shop) -> None:
    whole = await shop.http.get("/v1/docs.css")
    head = await shop.http.head("/v1/docs.css")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert (await shop.http.head("/v1/people")).status_code == 401


async def test_a_read_answers_304_to_who_has_it_already(shop) -> None:
    owner = await shop.session(Role.OWNER)
    people = (await shop.http.get("/v1/people", headers=owner)).json()["items"]
    first = await shop.http.get(f"/v1/people/{people[0]['id']}", headers=owner)
    again = await shop.http.get(
        f"/v1/people/{people[0]['id']}", headers={**owner, "if-none-match": first.headers["etag"]}
    )
    assert (first.headers["etag"], again.status_code, again.content) == ('"1"', 304, b"")


@get("/plain")
async def plain() -> str:
    """A route that declares no permission."""
    return "open"


async def test_a_route_that_declares_no_permission_is_closed(own_shop) -> None:
    own_shop.app.register(plain)
    assert (await own_shop.http.get("/plain")).status_code == 401
    assert (await own_shop.http.get("/plain", headers=await own_shop.session(Role.OWNER))).status_code == 403


async def test_a_command_declares_only_permissions_that_exist() -> None:
    with pytest.raises(ValueError, match="no permission"):

        @command("/x", permission="orders:everything")
        async def x(work: Work) -> None:
            """Do."""


async def test_people_get_a_page_where_programs_get_a_problem(own_shop) -> None:
    browser = {"accept": "text/html,application/xhtml+xml", "accept-language": "en"}
    page = await own_shop.http.get("/no/such/page", headers=browser)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "There is nothing at /no/such/page." in page.text
    program = await own_shop.http.get("/v1/no-such-thing", headers=browser)
    assert program.headers["content-type"] == "application/problem+json"

    @get("/broken-page", opt={"permission": PUBLIC})
    async def broken_page() -> str:
        raise RuntimeError("hunter2")

    own_shop.app.register(broken_page)
    fault = await own_shop.http.get("/broken-page", headers=browser)
    assert (fault.status_code, "hunter2" in fault.text) == (500, False)
    assert fault.headers["x-request-id"] in fault.text


@pytest.mark.parametrize(
    ("body", "english", "portuguese"),
    [
        (b"", "it is empty", "ele está vazio"),
        (b"{", "it ends before it is complete", "ele termina antes de estar completo"),
        (b"\xff\xfe", "there is a character at byte 0 that may not be there", "há no byte 0 um caractere que não pode"),
        (b'{"a" 1}', "a colon is missing at byte 5", "falta um dois-pontos no byte 5"),
        (b'{"a": 1 "b": 2}', "a comma or a closing brace is missing at byte 8", "a chave que fecha no byte 8"),
        (b'{"a": [1 2]}', "a comma or a closing ] is missing at byte 9", "falta uma vírgula ou um ] no byte 9"),
        (b'{"a": 1,}', "there is a comma too many at byte 8", "há uma vírgula a mais no byte 8"),
        (b'{"a": 01}', "there is a number at byte", "um número inválido"),
        (b"{1: 2}", "a name at byte 1 is not in quotation marks", "um nome no byte 1 não está entre aspas"),
        (b'{"a": "\\x"}', "that is none", "uma sequência de escape inválida"),
        (b'{"a": "\\ud800\\u0041"}', "half of a character", "metade de um caractere"),
        (b"{} {}", "something follows its end at byte", "há algo depois do fim dele, no byte"),
        (b'{"a": "\\ud800", "b": 12345678}', "half of a character", "metade de um caractere"),
        (b'{"a": "b\xff"}', "it is not UTF-8 from byte 8 on", "ele não está em UTF-8 a partir do byte 8"),
        (b'{"lines": [{"unit_price": 1e999}]}', "a number beyond all measure", "um número fora de qualquer medida"),
        (b"[" * 100_000, "it is nested too deeply", "ele tem níveis demais"),
    ],
)
async def test_what_is_wrong_with_a_text_that_is_no_json_is_told_in_the_readers_language(
    shop, body, english, portuguese
) -> None:
    key = await shop.key(["intake:submit"])
    for language, wanted in (("en", english), ("pt-BR", portuguese)):
        answer = await shop.http.post("/v1/orders", content=body, headers={**key, "accept-language": language})
        assert answer.status_code == 400, answer.text
        assert wanted in answer.json()["detail"]

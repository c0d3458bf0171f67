"""Every route with every role, over HTTP, against tables that are written here and not taken from the program."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from tests_http import HOST, Shop

from malha.identity.model import PERMISSIONS, ROLES, Caller, Role
from malha.platform.db import Actor

ROUTES = Path(__file__).with_name("routes.txt")

# Columns: owner, manager, customer service, planner, store lead, store associate, integrator, auditor.
ROLE_ORDER = [
    Role.OWNER,
    Role.MANAGER,
    Role.CUSTOMER_SERVICE,
    Role.PLANNER,
    Role.STORE_LEAD,
    Role.STORE_ASSOCIATE,
    Role.INTEGRATOR,
    Role.AUDITOR,
]
MATRIX = """
                     O M C P L A I U
orders:read          x x x x x x x x
orders:write         x x x . x . x .
orders:cancel        x x x . x . x .
orders:release_hold  x x x x . . . .
orders:override_hold x x . . . . . .
intake:submit        x x x . x x x .
stock:read           x x x x x x x x
stock:write          x x . x x . x .
stock:count          x x . x x x x .
stock:approve        x x . x x . . .
catalog:read         x x x x x x x x
catalog:write        x x . x . . x .
customers:read       x x x x x . x x
customers:write      x x x . x . x .
customers:reveal     x x x . . . . .
customers:erase      x x . . . . . .
network:read         x x x x x x x x
network:write        x x . x . . . .
fulfillment:work     x x . . x x x .
payments:record      x x x . x . x .
fiscal:record        x x . . x . x .
identity:manage      x . . . . . . .
audit:read           x x . . . . . x
settings:manage      x . . . . . . .
doctor:read          x x . . . . x x
webhooks:manage      x x . . . . x .
"""
# These answer for as long as somebody listens.
STREAMS = {"/events/orders", "/events/stock", "/v1/events/stream"}
# These end the session they are asked with: they come last.
ENDING = {("POST", "/logout"), ("DELETE", "/v1/session")}
# These are open to whoever may see orders; what is asked in them is decided by its own permission.
FINER = {("POST", "/orders/bulk")}
# These lead on, or take the log-in's own way to say no.
LEADING = {
    ("GET", "/login/back/{code:str}"),
    ("POST", "/login"),
    ("POST", "/login/code"),
    ("POST", "/logout"),
    ("GET", "/welcome"),
    ("POST", "/welcome"),
}
EXAMPLES = {
    "uuid": "01a20aaa-3a0a-7699-914b-ef55839f91c1",
    "int": "999",
    "str": "NOWHERE",
    "path": "css/none.css",
    "date": "2026-12-24",
}


def expected_roles() -> dict[str, frozenset[Role]]:
    rows = [line.split() for line in MATRIX.strip().splitlines()[1:]]
    return {
        permission: frozenset(role for role, mark in zip(ROLE_ORDER, marks, strict=True) if mark == "x")
        for permission, *marks in rows
    }


def declared(app: Litestar) -> Iterator[tuple[str, str, str]]:
    for route in app.routes:
        for method, (handler, _model) in route.route_handler_map.items():
            if method != "OPTIONS":
                yield method, route.path, str(handler.opt.get("permission"))


def test_roles_hold_the_permissions_that_were_agreed() -> None:
    expected = expected_roles()
    assert set(expected) == set(PERMISSIONS)
    for permission, roles in expected.items():
        assert {role for role in Role if permission in ROLES[role]} == roles, permission


async def test_every_route_declares_the_permission_that_was_agreed(shop: Shop, tmp_path: Path) -> None:
    found = "".join(sorted(f"{method:6} {path}  {permission}\n" for method, path, permission in declared(shop.app)))
    if found != ROUTES.read_text():
        fresh = tmp_path / "routes.txt"
        fresh.write_text(found)
        pytest.fail(f"Routes changed. Read the difference of {fresh} to {ROUTES}; where it is meant, move it there.")


async def test_every_route_lets_in_exactly_the_roles_that_hold_its_permission(shop: Shop) -> None:
    expected = expected_roles()
    routes = sorted(declared(shop.app), key=lambda route: (route[:2] in ENDING, route))
    wrong = []
    for role in [None, *ROLE_ORDER]:
        headers = {"origin": HOST, "idempotency-key": "same"} if role is None else await shop.session(role)
        for method, path, permission in routes:
            if path in STREAMS or (method, path) == ("GET", "/metrics"):
                continue
            address = re.sub(r"\{\w+:(\w+)\}", lambda match: EXAMPLES[match.group(1)], path)
            body = {} if method == "GET" else {"content": b"{}", "headers": {"content-type": "application/json"}}
            shop.http.cookies.clear()
            answer = await shop.http.request(
                method, address, **{**body, "headers": {**body.get("headers", {}), **headers}}
            )
            to_login = answer.status_code == 303 and answer.headers["location"].startswith("/login")
            refused = answer.status_code in {401, 403} or to_login
            if permission == "public":
                may = True
            elif permission == "signed_in":
                may = role is not None
            else:
                may = role in expected[permission]
            if refused == may and (method, path) not in FINER | LEADING:
                wrong.append(f"{method} {path} as {role}: {answer.status_code}")
            if answer.status_code >= 500:
                wrong.append(f"{method} {path} as {role}: {answer.status_code} {answer.text[:300]}")
    assert not wrong


def test_a_scope_is_a_set_of_locations_or_everywhere() -> None:
    caller = Caller("person", "1", "Ana", ROLES[Role.STORE_LEAD], frozenset({3, 4}))
    assert [caller.sees(place) for place in (3, 5, None)] == [True, False, True]
    assert Caller("key", "1", "ERP", frozenset()).sees(5)
    actor = Actor("person", "1", "Ana", permissions=frozenset({"orders:read"}), locations=frozenset())
    assert [actor.may("orders:read"), actor.may("orders:write"), actor.sees(1)] == [True, False, False]
    assert Actor().may("anything")
    assert Actor().sees(1)

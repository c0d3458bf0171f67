"""Make the records a demo does not have by itself, through its API and pages, so that the walk sees their pages too."""

import html
import re
import sys
import time
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

UNTIL = 60  # seconds the worker has for each
CODE = "WALK"  # of what is made here: where it is there already, nothing is made


class Demo:
    """A demo that runs, as its owner uses it."""

    def __init__(self, request: Any, base: str) -> None:
        self.request, self.base = request, base

    def get(self, path: str) -> Any:
        """Read from the API."""
        return self.request.get(self.base + path).json()

    def post(self, path: str, said: Any) -> Any:
        """Change something by the API; text is sent as a table."""
        kind = "text/csv" if isinstance(said, str) else "application/json"
        headers = {"Origin": self.base, "Content-Type": kind, "Idempotency-Key": str(uuid.uuid4())}
        answer = self.request.post(self.base + path, data=said, headers=headers)
        if answer.status >= 300:
            sys.exit(f"records: {path} answers {answer.status}: {answer.text()[:600]}")
        return answer.json() if answer.text() else None

    def form(self, path: str, fields: dict[str, str], **headers: str) -> str:
        """Send a form of a page; return the page that answers."""
        answer = self.request.post(self.base + path, form=fields, headers={"Origin": self.base, **headers})
        if answer.status >= 300:
            sys.exit(f"records: {path} answers {answer.status}")
        return str(html.unescape(answer.text()))

    def soon(self, ask: Callable[[], Any]) -> Any:
        """Wait until an answer is true: the worker does the rest."""
        end = time.monotonic() + UNTIL
        while not (found := ask()):
            if time.monotonic() > end:
                sys.exit("records: the worker did not come to it")
            time.sleep(0.3)
        return found


def make(request: Any, base: str) -> dict[str, str]:
    """Make what is missing; return the addresses that no page links to, by the name of their page."""
    demo = Demo(request, base)
    if not any(group["code"] == CODE for group in demo.get("/v1/location-groups")):
        for record in (imports, twins, groups, provider, simulation):
            record(demo)
    return {"access-invitation": invitation(demo), **shopper(demo)}


def imports(demo: Demo) -> None:
    """Bring prices with rows that are refused: once only checked, once done, once undone."""
    skus = re.findall(r"/stock/([A-Z0-9-]+)", demo.request.get(f"{demo.base}/stock").text())[:3]
    for acts in (("check",), ("check", "apply"), ("check", "apply", "undo")):
        price = 100 + 10 * len(acts)
        table = "".join(f"{sku};{price},90\n" for sku in skus)
        run = demo.post("/v1/imports/prices?name=prices.csv", f"sku;price\n{table}NOWHERE;1,00\n{skus[0]};free\n")
        at = f"/v1/imports/{run['id']}"
        for act in acts:
            demo.post(f"{at}/{act}", {})
            demo.soon(lambda at=at: demo.get(at)["state"] in {"checked", "done", "undone"})


def twins(demo: Demo) -> None:
    """Two profiles of one person."""
    demo.post(
        "/v1/customers:import?mode=valid",
        "name;email;phone\nHelena Prates Duarte;helena@example.com;11987650001\n"
        "Helena P. Duarte;hpd@example.com;11987650001\n",
    )


def groups(demo: Demo) -> None:
    """A group of locations and one of customers."""
    codes = [location["code"] for location in demo.get("/v1/locations?limit=4")["items"]]
    demo.post("/v1/location-groups", {"code": CODE, "name": "Lojas de rua", "locations": codes})
    demo.post("/v1/customer-groups", {"code": CODE, "name": "Clube Aroeira"})


def provider(demo: Demo) -> None:
    """A log-in provider that is not switched on."""
    demo.post(
        "/v1/login-providers",
        {"code": "aroeira-id", "name": "Aroeira ID", "issuer": "https://id.aroeira.example", "client_id": "malha"},
    )


def simulation(demo: Demo) -> None:
    """What if a store closes, decided to its end."""
    today, store = date.today(), demo.get("/v1/locations?limit=1")["items"][0]["code"]  # noqa: DTZ011 -- any days do
    run = demo.post(
        "/v1/simulations",
        {
            "name": "A store closes",
            "since": str(today - timedelta(days=6)),
            "until": str(today),
            "scenario": {"locations": [{"location": store, "closed": True}]},
        },
    )
    demo.soon(lambda: demo.get(f"/v1/simulations/{run['id']}")["status"] in {"done", "failed"})


def invitation(demo: Demo) -> str:
    """Invite a person without a password anew; return where they choose one."""
    email = "walk@aroeira.example"
    known = next((p for p in demo.get("/v1/people?limit=200")["items"] if p["email"] == email), None)
    fields = {"name": "Bento Salles", "email": email, "role": "manager", "scope": "everywhere", "language": ""}
    page = demo.form(f"/people/{known['id']}/link" if known else "/people/new", {} if known else fields)
    return found(r"(/access\?token=[\w.~-]+)", page)


def shopper(demo: Demo) -> dict[str, str]:
    """Return the pages that buyers follow their orders on, in the states that differ."""
    pages = {}
    for view in ("to_pick", "ready", "in_transit", "cancelled"):
        wanted = "all&status=cancelled" if view == "cancelled" else view
        rows = demo.request.get(f"{demo.base}/orders?view={wanted}").text()
        number = re.search(r'href="/orders/(\d+)"', rows)
        if number:
            why = {"why": "The pages of buyers are looked at"}
            shown = demo.form(f"/orders/{number[1]}/reveal", why, **{"HX-Request": "true"})
            pages[f"track-{view.replace('_', '-')}"] = found(r"(/track/[\w.~-]{40,})", shown)
    return pages


def found(pattern: str, page: str) -> str:
    """Return what a page has to have."""
    match = re.search(pattern, page)
    if match is None:
        sys.exit(f"records: no {pattern} on a page that should have it")
    return match[1]

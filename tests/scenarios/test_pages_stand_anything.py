"""No page falls over: every form that the console shows is sent with fields that nobody would fill in like that.

Whatever is refused is refused with words; a fault of the server is a defect, of which the failure says how to meet it.
Days get the ends of the calendar, other fields a sample: `MALHA_TEST_FUZZ_EXAMPLES=20` sends as many to each field,
`MALHA_TEST_FUZZ_SEED=7` others.
"""

import asyncio
import os
import random
import re
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from api_world import build_world
from traffic import Serving

from malha.identity import service as identity
from malha.identity.model import Role
from malha.identity.service import PersonDraft
from malha.platform.db import Database

EACH = int(os.environ.get("MALHA_TEST_FUZZ_EXAMPLES", "0"))
SAMPLE = 500  # fields of all forms that get something odd, where no number for each is asked for
SEED = int(os.environ.get("MALHA_TEST_FUZZ_SEED", "1"))
PATIENCE_S = max(1_200, EACH * 300)
EMAIL, PASSWORD = "dona@loja.test", "correct horse battery"
PER_KIND = 1 if EACH == 0 else 2  # pages of one route that are looked at for forms
# Who sends these is no longer signed in, or never gets an answer that ends.
SPARED = re.compile(r"^/(logout|login|forgot|events|static)|password|second-factor|sessions|/people/|/stream|/live$")
CODE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+|[A-Z]{2,}[-A-Z0-9]*")
ODD = (
    *("", " ", "x", "-", ".", "..", "%", "\\", "{}", "[]", "null", "NaN", "1e400", "\0", "a\nb", "\u202e", "٣", "😀"),
    *("0", "-1", "1,5", "1.000,99", "2147483648", "-2147483649", "9223372036854775808", "9" * 30, "1" * 400),
    *("é" * 5_000, "'; --", "<script>", "=1+1", "../..", "25:61", "1;2;3", "00000000-0000-0000-0000-000000000000"),
)
ODD_DAYS = ("0001-01-01", "9999-12-31", "10000-01-01", "2026-02-30")
ODD_INSTANTS = ("0001-01-01T00:00", "9999-12-31T23:59", "2026-02-30T00:00")


class Form(NamedTuple):
    """A form as a page shows it: what it would send untouched, and the kind of each field."""

    action: str
    method: str
    fields: dict[str, str]
    kinds: dict[str, str]
    is_file: bool

    @property
    def key(self) -> tuple[str, ...]:
        return (route(self.action), self.method, *sorted(self.fields))


def route(address: str) -> str:
    return CODE.sub("*", urlsplit(address).path)


class Sheet(HTMLParser):
    """Reads the links and forms of a page at `address`."""

    def __init__(self, address: str, text: str) -> None:
        super().__init__()
        self.address = address
        self.links: list[str] = []
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        self.links += [urljoin(self.address, at[name]) for name in ("href", "hx-get") if at.get(name)]
        if tag == "form":
            action = at.get("hx-post") or at.get("action") or at.get("hx-get") or self.address
            method = "post" if "hx-post" in at else at.get("method", "get").lower()
            self._form = Form(urljoin(self.address, action), method, {}, {}, "multipart" in at.get("enctype", ""))
            self.forms.append(self._form)
        elif self._form is not None:
            self._field(self._form, tag, at)

    def _field(self, form: Form, tag: str, at: dict[str, str]) -> None:
        name = at.get("name", "")
        if tag == "button" and "formaction" in at:
            self.forms.append(form._replace(action=urljoin(self.address, at["formaction"]), method="post"))
        if tag in {"input", "select", "textarea"} and name:
            kind = at.get("type", "text") if tag == "input" else tag
            form.kinds[name] = kind
            if kind not in {"checkbox", "radio", "file"} or "checked" in at:
                form.fields[name] = at.get("value", "")
            self._select = name if tag == "select" else self._select
        elif tag == "option" and self._select and ("selected" in at or not form.fields[self._select]):
            form.fields[self._select] = at.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._form = None if tag == "form" else self._form
        self._select = None if tag == "select" else self._select


@pytest.fixture(scope="module")
def console(template_url: str, retailer_on) -> Iterator[tuple[httpx.Client, Serving]]:
    """The owner signed in at a served retailer that has a past."""
    home = Path(tempfile.mkdtemp(prefix="malha-p-"))
    with asyncio.Runner() as runner:
        retailer = retailer_on(template_url)
        database = runner.run(retailer.__aenter__())
        try:
            runner.run(_fill(database))
            options = {"DATABASE_URL": database.url, "MALHA_LOG_LEVEL": "warning"}
            with Serving(home, "--no-worker", "--web-workers", "1", **options) as serving:
                base = f"http://127.0.0.1:{serving.port}"
                said = {"Origin": base, "Sec-Fetch-Site": "same-origin", "Accept": "text/html", "Accept-Language": "en"}
                with httpx.Client(base_url=base, headers=said, timeout=120) as client:
                    answer = client.post("/login", data={"email": EMAIL, "password": PASSWORD, "next": "/"})
                    assert answer.headers["location"] == "/", answer.text
                    yield client, serving
        finally:
            runner.run(retailer.__aexit__(None, None, None))
            shutil.rmtree(home, ignore_errors=True)


async def _fill(database: Database) -> None:
    await build_world(database)
    async with database.transaction() as tx:
        await identity.create_person(tx, PersonDraft(name="Dona", email=EMAIL, role=Role.OWNER), password=PASSWORD)


def forms_of(client: httpx.Client, wrong: list[str]) -> list[Form]:
    """Walk the console from its first page; return one of each form that is met."""
    forms: dict[tuple[str, ...], Form] = {}
    met: Counter[str] = Counter()
    queue = deque(["/"])
    while queue:
        address = queue.popleft()
        parts = urlsplit(address)
        asked = f"{route(address)}?{re.sub(r'=[^&]*', '', parts.query)}"
        if parts.netloc or SPARED.search(parts.path) or met[asked] >= PER_KIND:
            continue
        met[asked] += 1
        with client.stream("GET", address) as answer:
            kind = answer.headers.get("content-type", "")
            text = "" if "html" not in kind else answer.read().decode()
        if answer.status_code >= 500:
            wrong.append(f"{answer.status_code} GET {address}")
        if "location" in answer.headers:
            queue.append(answer.headers["location"])
        sheet = Sheet(address, text)
        queue.extend(sheet.links)
        for form in sheet.forms:
            if not SPARED.search(urlsplit(form.action).path):
                forms.setdefault(form.key, form)
    return list(forms.values())


def oddities(forms: list[Form], rng: random.Random) -> list[tuple[Form, str, str]]:
    """Return forms, a field of each, and what to put into it, in any order."""
    fields = [(form, name, kind) for form in forms for name, kind in form.kinds.items()]
    ends = {"date": ODD_DAYS, "datetime-local": ODD_INSTANTS}
    told = [(form, name, value) for form, name, kind in fields for value in ends.get(kind, ())]
    if EACH:
        told += [(form, name, value) for form, name, _ in fields for value in rng.sample(ODD, min(EACH, len(ODD)))]
    else:
        told += [(form, name, rng.choice(ODD)) for form, name, _ in rng.sample(fields, min(SAMPLE, len(fields)))]
    rng.shuffle(told)
    return told


@pytest.mark.timeout(PATIENCE_S)
def test_every_form_with_odd_fields_is_answered_and_nothing_falls_over(
    console: tuple[httpx.Client, Serving],
) -> None:
    client, serving = console
    rng = random.Random(SEED)
    wrong: list[str] = []
    answers: Counter[int] = Counter()
    forms = forms_of(client, wrong)
    for form, name, value in oddities(forms, rng):
        data = {**form.fields, name: value}
        if form.method == "get":
            answer = client.get(urlsplit(form.action).path, params=data)
        else:
            files = {"file": ("x.csv", value.encode(), "text/csv")} if form.is_file else None
            answer = client.post(form.action, data=data, files=files)
        answers[answer.status_code] += 1
        if answer.status_code >= 500:
            wrong.append(f"{answer.status_code} {form.method.upper()} {form.action} {data}")
        assert not answer.headers.get("location", "").startswith("/login"), (form.action, name, value)
    assert not wrong, "\n".join(wrong[:20])
    assert len(forms) > 150, len(forms)
    assert answers[422] > 50, answers
    assert "Traceback" not in serving.said()

"""Stories that go through the services end with a visit of the doctor: whatever they did, nothing may drift."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from malha.console.audit_fields import FIELDS
from malha.console.audit_words import SILENT
from malha.doctor import examine
from malha.platform import audit
from malha.platform.db import Database

STORIES = {
    "test_supply",
    "test_transfers",
    "test_counts",
    "test_order_flows",
    "test_fulfillment",
    "test_pickups",
    "test_payments",
    "test_payment_deadlines",
    "test_fiscal",
    "test_intake",
    "test_ahead",
    "test_brought_to_stores",
}


@pytest.fixture
async def examined(database: Database) -> AsyncIterator[None]:
    """At the end, the doctor finds no drift in the test's database."""
    yield
    report = await examine(database)
    drift = [line for finding in report.findings if finding.drifts for line in (finding.check, *finding.lines("en"))]
    assert not drift, "\n".join(drift)


@pytest.fixture(scope="session", autouse=True)
def _fields_of_the_trail_have_words() -> Iterator[None]:
    """Whatever these tests have the audit trail note can be read: no field of it without a word in `audit_fields`.

    A name that says data, like `line 2` or a lane of rates, has its own words in it.
    """
    write = audit._written

    def written(side: Mapping[str, Any] | None) -> str | None:
        shown = [name for name in side or () if name not in SILENT and not name.endswith("_id")]
        wordless = [name for name in shown if re.fullmatch("[a-z_]+", name) and name not in FIELDS]
        assert not wordless, f"no word in console.audit_fields: {wordless}"
        return write(side)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "_written", written)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in STORIES and "database" in getattr(item, "fixturenames", ()):
            item.fixturenames.append("examined")


@pytest.fixture
def mail_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say in the environment that mail can be sent; nothing listens there."""
    monkeypatch.setenv("MALHA_SMTP_URL", "smtp://127.0.0.1:9?tls=none")
    monkeypatch.setenv("MALHA_MAIL_FROM", "Loja <pedidos@loja.example>")

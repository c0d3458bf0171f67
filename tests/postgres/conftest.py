"""Stories that go through the services end with a visit of the doctor: whatever they did, nothing may drift."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from malha.console import audit_words
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
    """Whatever these tests have the audit trail note can be read: no field of it without a word in `audit_fields`."""
    write = audit._written

    def written(side: Mapping[str, Any] | None) -> str | None:
        assert not audit_words.wordless(side or {}), (
            f"no word in console.audit_fields: {audit_words.wordless(side or {})}"
        )
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

"""Signatures of Standard Webhooks, both ways, with a secret as its libraries read it and with any other text."""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from malha.channels.signatures import is_standard, sign_standard

KEY = b"a key of thirty-two bytes or so."
STANDARD = "whsec_" + base64.b64encode(KEY).decode()
BODY = b'{"type": "order.changed", "order_id": "1001"}'


@pytest.fixture
def now() -> datetime:
    """Taken for each test: the library allows five minutes by the real clock."""
    return datetime.now(UTC)


def stamp_of(now: datetime) -> int:
    return int(now.timestamp())


def proved(now: datetime, secret: str, said: str, body: bytes = BODY) -> bool:
    return is_standard([secret], id_="m1", timestamp=str(stamp_of(now)), body=body, said=said, now=now)


def test_what_a_library_of_standard_webhooks_signs_with_a_whsec_secret_is_believed(now: datetime) -> None:
    said = Webhook(STANDARD).sign("m1", now, BODY.decode())
    assert proved(now, STANDARD, said)
    assert proved(now, STANDARD.rstrip("="), said)
    assert not proved(now, STANDARD, Webhook(base64.b64encode(b"another").decode()).sign("m1", now, BODY.decode()))
    assert not proved(now, STANDARD, said, BODY + b" ")


@pytest.mark.parametrize("secret", ["a plain secret", STANDARD, "whsec_no base64!", "whsec_"])
def test_what_is_signed_with_the_bytes_of_a_secret_is_believed_as_before(now: datetime, secret: str) -> None:
    digest = hmac.digest(secret.encode(), f"m1.{stamp_of(now)}.".encode() + BODY, hashlib.sha256)
    assert proved(now, secret, "v1," + base64.b64encode(digest).decode())


def test_what_we_sign_with_a_whsec_secret_a_library_proves_and_who_takes_it_as_bytes_does_too(now: datetime) -> None:
    said = sign_standard(STANDARD, "m1", stamp_of(now), BODY)
    headers = {"webhook-id": "m1", "webhook-timestamp": str(stamp_of(now)), "webhook-signature": said}
    assert Webhook(STANDARD).verify(BODY, headers)["order_id"] == "1001"
    assert len(said.split(" ")) == 2
    assert proved(now, STANDARD, said)
    assert len(sign_standard("a plain secret", "m1", stamp_of(now), BODY).split(" ")) == 1
    assert proved(now, "a plain secret", sign_standard("a plain secret", "m1", stamp_of(now), BODY))


def test_a_secret_that_is_empty_proves_nothing(now: datetime) -> None:
    digest = hmac.digest(b"", f"m1.{stamp_of(now)}.".encode() + BODY, hashlib.sha256)
    said = "v1," + base64.b64encode(digest).decode()
    assert not proved(now, "", said)
    assert not proved(now, "whsec_", said)


@pytest.mark.parametrize("secret", [STANDARD, "a plain secret of a channel"])
def test_what_the_docs_say_of_stock_proves_what_we_sign_and_nothing_else(now: datetime, secret: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "tell-channels-of-stock.md").read_text("utf-8")
    said: dict[str, Any] = {}
    exec(re.search(r"```python\n(.+?)```", page, re.DOTALL)[1], said)  # noqa: S102 -- our own page
    stamp = stamp_of(now)
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign_standard(secret, "m1", stamp, BODY),
    }
    assert said["is_from_malha"](secret, headers, BODY)
    assert not said["is_from_malha"](secret, headers, BODY + b" ")
    assert not said["is_from_malha"]("another secret of a channel", headers, BODY)
    assert not said["is_from_malha"](secret, {**headers, "webhook-timestamp": str(stamp - 301)}, BODY)

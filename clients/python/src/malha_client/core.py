"""Sending and repeating: what the generated operations stand on."""

import asyncio
import random
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from malha_client.problems import Unreachable, problem_of

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class Retries(msgspec.Struct, frozen=True):
    """How often a request that may be repeated is sent at most, and how long to wait in between.

    Waits are drawn between nothing and `first_s` doubled by each attempt, at most `longest_s`. What a server asks for
    by `Retry-After` is waited for, but no longer than `patience_s`: then the problem is raised.
    """

    attempts: int = 5
    first_s: float = 0.25
    longest_s: float = 8.0
    patience_s: float = 60.0


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One request: what is sent, what comes back, and whether it may be repeated."""

    method: str
    path: str
    reply: Any = None  # None: nothing; bytes: as it is; else decoded from JSON
    query: Mapping[str, Any] = {}
    body: Any = None
    content_type: str | None = None  # of a body of bytes
    version: int | None = None
    repeatable: bool = False
    accept: str = "application/json"

    def headers(self, key: str | None) -> dict[str, str]:
        """Return the headers of this request, the same however often it is sent."""
        headers = {"accept": self.accept}
        if self.method == "POST":
            headers["idempotency-key"] = key or uuid.uuid4().hex
        if self.version is not None:
            headers["if-match"] = f'"{self.version}"'
        if self.body is not None:
            headers["content-type"] = self.content_type or "application/json"
        return headers

    def content(self) -> bytes | None:
        """Return the body."""
        return self.body if self.body is None or isinstance(self.body, bytes) else _encode(self.body)

    def params(self) -> httpx.QueryParams:
        """Return the query."""
        found: list[tuple[str, str | int | float | bool | None]] = []
        for name, value in self.query.items():
            for one in value if isinstance(value, list | tuple) else [value]:
                if one is not None:
                    found.append((name, _word(one)))  # noqa: PERF401 -- two loops read better
        return httpx.QueryParams(found)

    def read(self, answer: httpx.Response) -> Any:
        """Return what a success holds."""
        if self.reply is None or answer.status_code == 204:
            return None
        if self.reply is bytes:
            return answer.content
        decoder = _decoders.get(self.reply)
        if decoder is None:
            decoder = _decoders[self.reply] = msgspec.json.Decoder(self.reply)
        return decoder.decode(answer.content)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value.value if isinstance(value, Enum) else value)


def segment(value: Any) -> str:
    """Return a value as one part of a path."""
    return quote(_word(value), safe="")


def _asked_for(answer: httpx.Response) -> float | None:
    said = answer.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()) if said else None
    except (ValueError, TypeError):
        return None


def _again_after(
    retries: Retries, call: Call[Any], attempt: int, answer: httpx.Response | None, sent: bool
) -> float | None:
    """Return how long to wait before the same request is sent again; None when it is not."""
    if attempt >= retries.attempts:
        return None
    jitter = random.uniform(0.0, min(retries.first_s * 2**attempt, retries.longest_s))  # noqa: S311 -- jitter
    if answer is None:
        return jitter if call.repeatable or not sent else None
    asked = _asked_for(answer)
    # Refused before anything was done: 429, 503 and whatever says when to come back.
    refused = answer.status_code in {429, 503} or (answer.status_code == 409 and asked is not None)
    if not refused and not (call.repeatable and answer.status_code in {502, 504}):
        return None
    if asked is None:
        return jitter if call.repeatable else None
    return None if asked > retries.patience_s else max(asked, 0.0) + jitter


def _options(key: str | None, language: str) -> dict[str, str]:
    return {"accept-language": language, **({"authorization": f"Bearer {key}"} if key else {})}


class SyncCore:
    """Sends requests one after the other."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        language: str = "en",
        timeout_s: float = 30.0,
        retries: Retries = Retries(),  # noqa: B008 -- frozen
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url` is where Malha answers, like `https://oms.example`; `key` an API key."""
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=_options(key, language), timeout=timeout_s, transport=transport
        )
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T], *, idempotency_key: str | None = None, timeout_s: float | None = None) -> Any:
        """Send a request, again where that is safe, and return what a success holds.

        Raises:
            Problem: it was refused.
            Unreachable: no answer came.
        """
        headers, body, params = call.headers(idempotency_key), call.content(), call.params()
        timeout: Any = httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s
        attempt = 0
        while True:
            attempt += 1
            answer: httpx.Response | None = None
            sent, error = True, None
            try:
                answer = self._http.request(
                    call.method, call.path, params=params, headers=headers, content=body, timeout=timeout
                )
            except httpx.TransportError as failure:
                sent, error = not isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout), failure
            if answer is not None and answer.is_success:
                return call.read(answer)
            wait = _again_after(self._retries, call, attempt, answer, sent)
            if wait is None:
                if answer is None:
                    raise Unreachable(f"{call.method} {call.path}: {error!r}") from error
                raise problem_of(answer.status_code, answer.content)
            time.sleep(wait)


class AsyncCore:
    """Sends requests, any number at a time."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        language: str = "en",
        timeout_s: float = 30.0,
        retries: Retries = Retries(),  # noqa: B008 -- frozen
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`url` is where Malha answers, like `https://oms.example`; `key` an API key."""
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), headers=_options(key, language), timeout=timeout_s, transport=transport
        )
        self._retries = retries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T], *, idempotency_key: str | None = None, timeout_s: float | None = None) -> Any:
        """As `SyncCore.send`."""
        headers, body, params = call.headers(idempotency_key), call.content(), call.params()
        timeout: Any = httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s
        attempt = 0
        while True:
            attempt += 1
            answer: httpx.Response | None = None
            sent, error = True, None
            try:
                answer = await self._http.request(
                    call.method, call.path, params=params, headers=headers, content=body, timeout=timeout
                )
            except httpx.TransportError as failure:
                sent, error = not isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout), failure
            if answer is not None and answer.is_success:
                return call.read(answer)
            wait = _again_after(self._retries, call, attempt, answer, sent)
            if wait is None:
                if answer is None:
                    raise Unreachable(f"{call.method} {call.path}: {error!r}") from error
                raise problem_of(answer.status_code, answer.content)
            await asyncio.sleep(wait)

"""The outermost layer of every request: request id, language, origin check, security headers, metrics, access log.

Plain ASGI, one class and one look at the headers: at thousands of orders a second each wrapper is felt. What it finds
goes into the scope: `request_id`, `source` (the caller's address), `language`.
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, cast

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from malha.api.bodies import Body
from malha.api.errors import BadRequest, CrossSite
from malha.api.problem import MEDIA_TYPE, problem_bytes
from malha.api.replies import Raw
from malha.platform import i18n
from malha.platform.csrf import SAFE_METHODS, is_own
from malha.platform.errors import MalhaError
from malha.platform.ids import new_hex
from malha.platform.page_policy import PAGE_POLICY
from malha.platform.settings import Settings
from malha.platform.sources import plain

_LONGEST_HOST = 262  # a name of 255, a colon, a port
_HOST = re.compile(rb"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
# What some proxies write after an address: `203.0.113.9:50123`, `[2001:db8::1]:50123`.
_PORT = re.compile(r"^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?$")
_SANE_ID = re.compile(rb"^[A-Za-z0-9._-]{8,80}$")

_COMMON = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_PAGE = [
    *_COMMON,
    (b"content-security-policy", PAGE_POLICY.encode()),
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
]
_OTHER = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
# A page that says its own policy (one that shows a mail in a frame, and the mail in it) keeps it.
_LOOKED_AT = frozenset({b"content-type", b"cache-control", b"content-security-policy", b"server-timing"})
_NO_STORE = (b"cache-control", b"no-store")
_CLOSE = (b"connection", b"close")
_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")

Header = tuple[bytes, bytes]
# (method, route template, status, seconds, scope): metrics and access log.
Observer = Callable[[str, str, int, float, Scope], None]


class Edge:
    """Wraps the application."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        cookie: str,
        observers: tuple[Observer, ...] = (),
        *,
        page: Callable[[Scope, MalhaError], ASGIApp | None] = lambda _scope, _refusal: None,
    ) -> None:
        """Wrap `app`; `page` returns what shows a refusal to a person, None where a program asks."""
        self._app = app
        self._show = page
        self._cookie = cookie.encode() + b"="
        self._default_language = settings.language
        self._zone = settings.timezone
        self._observers = observers
        self._public = settings.address
        self._secure = self._public.startswith("https://")
        self._trusted = _trust(settings.trusted_proxies)
        extra = [_TRANSPORT] if self._secure else []
        self._page, self._other = _PAGE + extra, _OTHER + extra

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        facts = cast("dict[str, Any]", scope)
        if facts["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(facts["headers"])
        self._mark(facts, headers)
        body = None if facts["method"] in SAFE_METHODS else Body(receive, headers)
        if body is not None:
            receive = body.receive
        answer = _Answer(send, facts, self._page, self._other, body, started)
        if answer.bodiless:
            facts["method"] = "GET"  # what answers GET answers HEAD: the same, without its body
        try:
            refusal = self._refusal(facts["method"], headers)
            if refusal is None:
                await self._app(scope, receive, answer.send)
            else:
                shown = self._show(scope, refusal) if isinstance(refusal, CrossSite) else None
                if shown is None:
                    said = problem_bytes(
                        refusal, facts["language"], instance=facts["path"], request_id=facts["request_id"]
                    )
                    shown = Raw(said, refusal.status, None, MEDIA_TYPE)
                await shown(scope, receive, answer.send)
        finally:
            seconds = time.perf_counter() - started
            template = facts.get("path_template") or "(unknown)"
            for observe in self._observers:
                observe(facts["method"], template, answer.status, seconds, scope)

    def _mark(self, facts: dict[str, Any], headers: dict[bytes, bytes]) -> None:
        """Give the request its id, its source and its language."""
        given = headers.get(b"x-request-id")
        facts["request_id"] = given.decode() if given and _SANE_ID.match(given) else new_hex()
        client = facts.get("client")
        source = plain(client[0]) if client else None
        if self._trusted is not None and source is not None and b"x-forwarded-for" in headers:
            # Some proxies add a line of their own to those that came: all of them are one list.
            told = b",".join(value for name, value in facts["headers"] if name == b"x-forwarded-for")
            source = _first_untrusted(source, told.decode("latin-1"), self._trusted)
        facts["source"] = source
        accepted = headers.get(b"accept-language")
        default = self._default_language
        language = default if accepted is None else i18n.choose(accepted[:400].decode("latin-1"), default)
        facts["language"] = language
        i18n.use(language, self._zone)

    def _refusal(self, method: str, headers: dict[bytes, bytes]) -> MalhaError | None:
        """Return why the request goes no further, None if it does."""
        if not _is_host(headers.get(b"host", b"localhost")):
            return BadRequest(reason="`Host` is no host")
        return None if self._is_own(method, headers) else CrossSite()

    def _is_own(self, method: str, headers: dict[bytes, bytes]) -> bool:
        if method in SAFE_METHODS or b"authorization" in headers:
            return True
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        return is_own(
            method,
            fetch_site=None if site is None else site.decode("latin-1"),
            origin=None if origin is None else origin.decode("latin-1"),
            own_origins=self._origins(headers.get(b"host")),
            has_cookie=self._cookie in headers.get(b"cookie", b""),
        )

    def _origins(self, host: bytes | None) -> tuple[str, ...]:
        """Return the origins of our own pages: the public address, and, without TLS, the host the browser asked for."""
        if host is None or self._secure:
            return (self._public,)
        return (self._public, f"http://{host.decode('latin-1')}")


class _Answer:
    """Adds the headers every answer has, and remembers its status."""

    __slots__ = ("_body", "_other", "_page", "_request_id", "_send", "_started", "bodiless", "status")

    def __init__(
        self,
        send: Send,
        facts: dict[str, Any],
        page: list[Header],
        other: list[Header],
        body: Body | None,
        started: float,
    ) -> None:
        self._send = send
        # How long the API took is told of what it did; of what it refused nobody learns anything by the time.
        self._started = started if facts["path"].startswith("/v1/") else None
        self._body = body
        self._request_id = facts["request_id"].encode()
        self.bodiless = facts["method"] == "HEAD"
        self._page = page
        self._other = other
        self.status = 500

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = list(message["headers"])
            names = {name: value for name, value in own if name in _LOOKED_AT}
            usual = self._page if names.get(b"content-type", b"").startswith(b"text/html") else self._other
            if b"content-security-policy" in names:
                usual = [header for header in usual if header[0] != b"content-security-policy"]
            own += usual
            own.append((b"x-request-id", self._request_id))
            if self._started is not None and self.status < 400 and b"server-timing" not in names:
                took = (time.perf_counter() - self._started) * 1e3
                own.append((b"server-timing", b"total;dur=%.3f" % took))
            if b"cache-control" not in names:
                own.append(_NO_STORE)
            if self._body is not None and not await self._body.ended():
                own.append(_CLOSE)
            message["headers"] = own
        elif self.bodiless and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)


@lru_cache(maxsize=256)
def _is_host(host: bytes) -> bool:
    found = _HOST.fullmatch(host) if len(host) <= _LONGEST_HOST else None
    return found is not None and int(found[1] or 0) < 1 << 16


def _trust(proxies: tuple[str, ...]) -> Callable[[str], bool] | None:
    if not proxies:
        return None
    networks = [ip_network(proxy, strict=False) for proxy in proxies]

    @lru_cache(maxsize=1024)
    def trusted(address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in networks)

    return trusted


def _first_untrusted(peer: str, forwarded: str, trusted: Callable[[str], bool]) -> str:
    """Return the address nearest to the caller that our own proxies vouch for; what is no address ends the search."""
    found = peer
    for hop in reversed([_PORT.sub(r"\1\2", part.strip()) for part in forwarded.split(",")]):
        if not trusted(found) or not _is_address(hop):
            break
        found = plain(hop)
    return found


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True

"""HTTP to servers that somebody else names: gateways, webhooks, identity providers. The address is never trusted.

    out = Outward(settings.outward_allow)
    answer = await out.send("POST", url, headers={"Authorization": "..."}, body=b"{}")
    answer.status, answer.body

Whoever may type an address must not be able to make this server ask its own network (server-side request forgery). So:

- a name is resolved once, every address it has is judged, and the connection goes to a judged one: a name server that
  answers something else a moment later changes nothing;
- only addresses of the public internet are taken: none that is private, loopback, link-local (where clouds keep their
  metadata), multicast or reserved, nor one that hides such an address in IPv6 (mapped, 6to4, NAT64, Teredo);
- only `https`, no user and password in the address, redirects are not followed, proxies of the environment not used;
- the time until the whole answer is there and the size of the answer are bounded.

A gateway of one's own network is taken when `MALHA_OUTWARD_ALLOW` names its host, its host and port, or its network;
only there may it be plain `http`. `Outward.send` makes a connection for each request; `Kept` keeps connections open for
those who ask one server often: each new one goes to an address that was judged for it, and carries requests for its own
scheme, host and port only. Never call this inside a transaction.

What can go wrong is told apart by whether the other side can have acted: `OutwardRefused` and `OutwardUnreachable` (no
byte of the request was sent; the same again is safe), `OutwardUnanswered` (it may have arrived).
"""

import asyncio
import re
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import httpcore
import httpx
import msgspec

from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, Word

TIMEOUT_S = 15.0
CONNECT_S = 5.0
LIMIT = 1 << 20  # bytes of an answer
LONGEST = 2_048  # characters of an address
IDLE_S = 20.0  # how long a kept connection waits for the next request
LONGEST_S = 300.0  # how long one is used before its name is resolved and judged anew
NAMES_AT_ONCE = 64  # that are asked for; one whose name server is silent takes a place for half a minute
IDLE, IDLE_OF_ONE = 64, 8  # how many wait, in all and of one server
_SAID = 300
_GZIP = 16 + zlib.MAX_WBITS
_READ = {"", "identity", "gzip", "x-gzip"}  # packings of answers

_KEPT_FAILURES = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    OSError,  # TimeoutError is one, and what TLS says
    zlib.error,
)
# What a connection that waited says when the other side has closed it. A time-out is none of these.
_CLOSED = (
    httpcore.RemoteProtocolError,
    httpcore.ReadError,
    httpcore.WriteError,
    ConnectionError,
)
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_Origin = tuple[str, str, int]
IpAddress = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")
# For protocols and for documents; one cloud gives its machines their secrets at the first. Some versions of Python take
# most of both for public.
_SPECIAL = (ip_network("192.0.0.0/24"), ip_network("3fff::/20"))
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class OutwardRefused(MalhaError):
    """The address is none that this server asks. Nothing was sent."""

    status = 422
    code = "outward_refused"
    says = "{address} is not asked: {why}."
    mend = "Use an https address of the public internet, or have its host named in MALHA_OUTWARD_ALLOW."


class OutwardUnreachable(MalhaError):
    """No byte of the request was sent: no such name, no connection, or a wrong certificate."""

    status = 503
    code = "outward_unreachable"
    says = "{host} cannot be reached: {answer}"
    mend = "Check the address and that the server runs; then try again."


class OutwardUnanswered(MalhaError):
    """The request was sent, in part or whole, and no whole answer came: the other side may have acted on it."""

    status = 503
    code = "outward_unanswered"
    says = "{host} did not answer in full: {answer}"
    mend = "Look there whether the request arrived before you repeat it."


class Answer(msgspec.Struct, frozen=True):
    """What a server answered, whatever its status. Names of headers are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Target(msgspec.Struct, frozen=True):
    """An address that was judged: where to connect, and as whom to ask."""

    scheme: str
    host: str  # ASCII
    port: int
    path: str  # with the query
    address: str  # of the network

    @property
    def origin(self) -> str:
        """Return host and port as a `Host` header says them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


class Outward:
    """Asks servers of others. Cheap to make; holds no connection."""

    def __init__(
        self,
        allowed: Sequence[str] = (),
        *,
        timeout_s: float = TIMEOUT_S,
        limit: int = LIMIT,
        ca_file: str | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        """`allowed` is what `MALHA_OUTWARD_ALLOW` names; `ca_file` a certificate authority besides the system's."""
        self._allowed = tuple(parse_allowed(entry) for entry in allowed)
        self._timeout_s = timeout_s
        self._limit = limit
        self._ca_file = ca_file
        self._resolve = resolve or _look_up
        self._context: ssl.SSLContext | None = None

    @property
    def timeout_s(self) -> float:
        """Return how long a request may take in all, in seconds."""
        return self._timeout_s

    @property
    def limit(self) -> int:
        """Return how many bytes an answer may have."""
        return self._limit

    def context(self) -> ssl.SSLContext:
        """Return what certificates are checked with. Made once: reading all authorities takes longer than a request."""
        if self._context is None:
            self._context = ssl.create_default_context()
            if self._ca_file:
                self._context.load_verify_locations(self._ca_file)
        return self._context

    async def judge(self, url: str) -> Target:
        """Return where a request to an address goes.

        Raises:
            OutwardRefused: the address is none that is asked.
            OutwardUnreachable: its name does not exist.
        """
        scheme, host, port, path = _taken_apart(url)
        named = any(allowed.names(host, port) for allowed in self._allowed)
        try:
            found = [ip_address(raw.partition("%")[0]) for raw in await self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError) as error:
            raise OutwardUnreachable(host=host, answer=_said(error)) from None
        if not found:
            raise OutwardUnreachable(host=host, answer="no address")
        trusted = [named or any(allowed.holds(address) for allowed in self._allowed) for address in found]
        # One bad address among good ones is a trick, not an oversight to be worked around.
        if not all(ok or is_public(address) for ok, address in zip(trusted, found, strict=True)):
            raise OutwardRefused(
                address=f"{scheme}://{host}", why=Word(N_("it leads into a network that is not public"))
            )
        if scheme == "http" and not all(trusted):
            raise OutwardRefused(address=f"{scheme}://{host}", why=Word(N_("it is not https")))
        return Target(scheme, host, port, path, str(found[0]))

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] | None = None,
        again: bool = False,  # noqa: ARG002 -- as `Kept.send` has it; here every request has its own connection
        cut: bool = False,
    ) -> Answer:
        """Send one request and return the answer, whatever its status. `cut`: see `Kept.send`.

        A body in pieces is sent as it comes; say its `Content-Length` where it is known.

        Raises:
            OutwardRefused, OutwardUnreachable, OutwardUnanswered: see the module. A redirect is `OutwardUnanswered`.
            ValueError: a header or the method is none.
        """
        _check(method, headers)
        target = await self.judge(url)
        sent = False

        async def follow(event: str, _facts: Any) -> None:
            nonlocal sent
            sent = sent or event.endswith("send_request_headers.started")

        host = f"[{target.address}]" if ":" in target.address else target.address
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(
                    method,
                    f"{target.scheme}://{host}:{target.port}{target.path}",
                    {"Accept-Encoding": "identity", **(headers or {}), "Host": target.origin},
                    body,
                    {"sni_hostname": target.host, "trace": follow},
                    target,
                    cut=cut,
                )
        except (httpx.HTTPError, OSError, ssl.SSLError, zlib.error) as error:  # TimeoutError is an OSError
            kind = OutwardUnanswered if sent else OutwardUnreachable
            raise kind(host=target.host, answer=_said(error)) from None

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | AsyncIterable[bytes] | None,
        extensions: Any,
        target: Target,
        *,
        cut: bool,
    ) -> Answer:
        timeout = httpx.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s))
        context = self.context() if target.scheme == "https" else False
        async with (
            httpx.AsyncClient(verify=context, trust_env=False, follow_redirects=False, timeout=timeout) as client,
            client.stream(method, url, headers=headers, content=body, extensions=extensions) as response,
        ):
            if response.is_redirect:
                raise OutwardUnanswered(host=target.host, answer=f"{response.status_code}, a redirect")
            said = {name.lower(): value for name, value in response.headers.items()}
            packing = said.get("content-encoding", "")
            if cut and packing.strip().lower() not in _READ:
                return Answer(response.status_code, said, b"")
            read = _Body(target.host, response.status_code, packing, self._limit, cut=cut)
            async for piece in response.aiter_raw():
                read.take(piece)
                if read.is_over:
                    break
            return Answer(response.status_code, said, bytes(read.data[: self._limit]))


class Kept:
    """As `Outward.send`, over connections that stay open between requests. Leave its `async with` block to close them.

    Each new connection goes to an address that was judged for it, and none is used for longer than `LONGEST_S`: then
    its name is resolved and judged anew. One that was idle for `IDLE_S`, or that the other side closed, is not used
    again; at most `idle` wait at the same time, and `idle_of_one` of one server. With `connections`, so many carry a
    request at the same time, to all servers together. httpcore's own pool looks at each connection for each request,
    which costs more than the request.
    """

    def __init__(
        self, outward: Outward, *, connections: int | None = None, idle: int = IDLE, idle_of_one: int = IDLE_OF_ONE
    ) -> None:
        """Requests are judged, bounded and told apart as those of `outward`."""
        self._outward = outward
        self._room: AbstractAsyncContextManager[Any] = nullcontext()
        if connections is not None:
            self._room = asyncio.Semaphore(connections)
        self._most_idle = idle
        self._most_of_one = idle_of_one
        self._idle: dict[_Origin, list[_Open]] = {}
        self._swept = time.monotonic()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what waits, and have what still carries a request closed at its end."""
        self._closed = True
        idle = [kept for kept_of_one in self._idle.values() for kept in kept_of_one]
        self._idle.clear()
        for kept in idle:
            await kept.connection.aclose()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        again: bool = False,
        cut: bool = False,
        rest_s: float | None = None,
    ) -> Answer:
        """Send one request and return the answer; see `Outward.send`.

        `cut`: the status is what counts. Of an answer that is larger than the limit its beginning is returned, and
        nothing of one that cannot be unpacked; both end the connection.

        `rest_s`: nothing that follows the status counts. It is waited for so long at the most, and what came of it
        until then, or until it broke off, is returned.

        `again`: the same request twice does no harm. Only such a one goes over a connection that waited: where the
        other side turns out to have closed it, the request is sent once more, over a new one. Others get a new one at
        once, since nobody knows what became of a request on a connection that was closed meanwhile.

        Raises:
            OutwardRefused, OutwardUnreachable, OutwardUnanswered: see the module. A redirect is `OutwardUnanswered`.
            ValueError: a header or the method is none.
        """
        _check(method, headers)
        scheme, host, port, path = _taken_apart(url)
        said = {name.lower(): value for name, value in (headers or {}).items()}
        lines = [(b"host", Target(scheme, host, port, path, "").origin.encode())]
        for name, value in (("accept", "*/*"), ("accept-encoding", "identity"), ("user-agent", "Malha")):
            said.setdefault(name, value)
        lines += [(name.encode("ascii"), value.encode("latin-1")) for name, value in said.items() if name not in _OURS]
        if body is not None or method in {"POST", "PUT", "PATCH"}:
            lines.append((b"content-length", b"%d" % len(body or b"")))
        timeout = self._outward.timeout_s
        limits = {"connect": min(CONNECT_S, timeout), "read": timeout, "write": timeout, "pool": timeout}
        sent = False

        async def follow(event: str, _facts: Any) -> None:
            nonlocal sent
            sent = sent or event.endswith("send_request_headers.started")

        def request() -> httpcore.Request:
            return httpcore.Request(
                method,
                httpcore.URL(scheme=scheme.encode(), host=host.encode(), port=port, target=path.encode()),
                headers=lines,
                content=body or b"",
                extensions={"timeout": limits, "trace": follow},
            )

        origin = (scheme, host, port)
        try:
            async with self._room, asyncio.timeout(timeout + (rest_s or 0.0)):
                waiting = await self._waiting(origin) if again else None
                if waiting is not None:
                    try:
                        return await self._exchange(origin, waiting, request(), waited=True, cut=cut, rest_s=rest_s)
                    except _ClosedMeanwhile:
                        sent = False
                return await self._exchange(origin, self._new(origin), request(), cut=cut, rest_s=rest_s)
        except _KEPT_FAILURES as error:
            kind = OutwardUnanswered if sent else OutwardUnreachable
            raise kind(host=host, answer=_said(error)) from None

    async def _exchange(
        self,
        origin: _Origin,
        kept: "_Open",
        request: httpcore.Request,
        *,
        waited: bool = False,
        cut: bool = False,
        rest_s: float | None = None,
    ) -> Answer:
        connection = kept.connection
        whole = False
        try:
            try:
                response = await connection.handle_async_request(request)
            except _CLOSED as error:  # before any of an answer
                raise _ClosedMeanwhile if waited else error from None
            try:
                answer, whole = await self._read(origin[1], response, cut=cut, rest_s=rest_s)
            finally:
                await response.aclose()
        finally:
            if whole and self._may_wait(origin, kept):
                self._idle.setdefault(origin, []).append(kept)
            else:
                await connection.aclose()
        return answer

    def _may_wait(self, origin: _Origin, kept: "_Open") -> bool:
        connection = kept.connection
        if self._closed or kept.is_old() or connection.is_closed() or not connection.is_idle():
            return False
        mine = len(self._idle.get(origin, ()))
        return mine < self._most_of_one and sum(map(len, self._idle.values())) < self._most_idle

    async def _read(
        self, host: str, response: httpcore.Response, *, cut: bool, rest_s: float | None
    ) -> tuple[Answer, bool]:
        """Return an answer, and whether all of it was read."""
        said = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        if 300 <= response.status < 400:
            raise OutwardUnanswered(host=host, answer=f"{response.status}, a redirect")
        packing = said.get("content-encoding", "")
        if cut and packing.strip().lower() not in _READ:
            return Answer(response.status, said, b""), False
        read = _Body(host, response.status, packing, self._outward.limit, cut=cut)
        whole = False
        try:
            async with asyncio.timeout(rest_s):
                async for piece in response.aiter_stream():
                    read.take(piece)
                    if read.is_over:
                        break
                else:
                    whole = True
        except _KEPT_FAILURES:
            if rest_s is None:
                raise
        return Answer(response.status, said, bytes(read.data[: self._outward.limit])), whole

    async def _waiting(self, origin: _Origin) -> "_Open | None":
        """Return a connection that waits and may be used, the one that was used last; None if there is none."""
        if time.monotonic() - self._swept > IDLE_S:
            await self._sweep()
        idle = self._idle.get(origin, [])
        while idle:
            kept = idle.pop()
            if kept.connection.is_available() and not kept.is_over():
                return kept
            await kept.connection.aclose()
        return None

    def _new(self, origin: _Origin) -> "_Open":
        scheme, host, port = origin
        connection = httpcore.AsyncHTTPConnection(
            httpcore.Origin(scheme.encode(), host.encode(), port),
            ssl_context=self._outward.context() if scheme == "https" else None,
            keepalive_expiry=IDLE_S,
            network_backend=_Judged(self._outward, scheme),
        )
        return _Open(connection, time.monotonic())

    async def _sweep(self) -> None:
        """Close what has been idle for too long, of servers that nobody asks any more too."""
        self._swept = time.monotonic()
        over: list[_Open] = []
        for origin, idle in list(self._idle.items()):
            over += [kept for kept in idle if kept.is_over()]
            self._idle[origin] = [kept for kept in idle if kept not in over]
            if not self._idle[origin]:
                del self._idle[origin]
        for kept in over:
            await kept.connection.aclose()


class _ClosedMeanwhile(Exception):
    """The other side has closed a connection that waited."""


class _Open(NamedTuple):
    """A connection, and since when it is open."""

    connection: httpcore.AsyncHTTPConnection
    since: float

    def is_old(self) -> bool:
        return time.monotonic() - self.since > LONGEST_S

    def is_over(self) -> bool:
        """Tell whether it is to be closed: old, idle for too long, or closed by the other side."""
        return self.is_old() or self.connection.has_expired()


class _Body:
    """An answer's body as it comes, unpacked if need be, within bounds whatever it was packed into."""

    def __init__(self, host: str, status: int, packing: str, limit: int, *, cut: bool = False) -> None:
        self._host, self._status, self._limit, self._cut = host, status, limit, cut
        packing = packing.strip().lower()
        self._unpack = zlib.decompressobj(_GZIP) if packing in {"gzip", "x-gzip"} else None
        if self._unpack is None and packing not in {"identity", ""}:
            raise OutwardUnanswered(host=host, answer=f"{status}, packed as {packing[:40]}")
        self._broken = False
        self.data = bytearray()

    @property
    def is_over(self) -> bool:
        """Tell whether more came than an answer may have, or what came cannot be unpacked and was cut there."""
        return self._broken or len(self.data) > self._limit

    def take(self, piece: bytes) -> None:
        """Add a piece.

        Raises:
            OutwardUnanswered: more came than an answer may have, and it is not to be cut there.
            zlib.error: it is not packed as it says, and its status is not all that counts.
        """
        # As it came: a client would unpack each piece whole, however large it becomes.
        room = self._limit + 1 - len(self.data)
        try:
            self.data += piece if self._unpack is None else self._unpack.decompress(piece, room)
        except zlib.error:
            if not self._cut:
                raise
            self._broken = True
            self.data.clear()
        if self.is_over and not self._cut:
            raise OutwardUnanswered(host=self._host, answer=f"{self._status}, an endless answer")


class _Judged(httpcore.AsyncNetworkBackend):
    """Connects to an address that was judged for this connection, never to a name."""

    def __init__(self, outward: Outward, scheme: str) -> None:
        self._outward = outward
        self._scheme = scheme
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- the interface is httpcore's
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        named = f"[{host}]" if ":" in host else host
        target = await self._outward.judge(f"{self._scheme}://{named}:{port}/")
        return await self._network.connect_tcp(target.address, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Allowed(msgspec.Struct, frozen=True):
    """One thing that may be asked although it is not public: a host, a host and port, or a network."""

    host: str = ""
    port: int | None = None
    network: str = ""

    def names(self, host: str, port: int) -> bool:
        """Tell whether it means this host by its name."""
        return bool(self.host) and self.host == host and self.port in {None, port}

    def holds(self, address: IpAddress) -> bool:
        """Tell whether an address is in its network."""
        return bool(self.network) and address in ip_network(self.network)


def parse_allowed(entry: str) -> Allowed:
    """Read `sms.intern.example`, `sms.intern.example:8080`, `10.2.3.4` or `10.2.0.0/16`.

    Raises:
        ValueError: it is none of these.
    """
    text = entry.strip().lower()
    try:
        return Allowed(network=str(ip_network(text, strict=False)))
    except ValueError:
        pass
    found = re.fullmatch(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)(?::([0-9]{1,5}))?", text)
    if found is None or not 0 < int(found[3] or 1) < 65_536:
        raise ValueError(f"{entry!r} is neither a host nor a network")
    return Allowed(host=found[1], port=int(found[3]) if found[3] else None)


def is_public(address: IpAddress) -> bool:
    """Tell whether an address belongs to the public internet, looking into those that hide another one."""
    if isinstance(address, IPv6Address):
        hidden = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64 or address in _COMPATIBLE:
            hidden.append(IPv4Address(int(address) & 0xFFFFFFFF))
        inner = [h for h in hidden if h is not None]
        if inner:
            return all(is_public(h) for h in inner)
        if address.is_site_local:
            return False
    if any(address in special for special in _SPECIAL):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _check(method: str, headers: Mapping[str, str] | None) -> None:
    if not re.fullmatch(r"[A-Z]{3,10}", method):
        raise ValueError("the method is none")
    for name, value in (headers or {}).items():
        if not _HEADER.fullmatch(name) or "\r" in value or "\n" in value or "\x00" in value:
            raise ValueError("a header cannot be sent")


def check_address(url: str) -> None:
    """Refuse an address that can never be asked, whatever it resolves to; for forms.

    Raises:
        OutwardRefused: it is no web address, or holds a user.
    """
    _taken_apart(url)


def inward(at: str, url: str, allowed: Sequence[str] | None) -> list[Flaw]:
    """Return what is wrong with an address, in field `at`, whose host is itself an address that is not public.

    For what is saved: who typed it hears of it at once, not when something is sent. A name is judged only then, since
    what it resolves to changes. `allowed` is what `MALHA_OUTWARD_ALLOW` names; None leaves all to the sending.

    Raises:
        OutwardRefused: it is no web address, or holds a user.
    """
    scheme, host, port, _path = _taken_apart(url)
    address = _literal(host)
    if allowed is None or address is None or is_public(address):
        return []
    if any(entry.names(host, port) or entry.holds(address) for entry in map(parse_allowed, allowed)):
        return []
    shown = f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}"
    refused = OutwardRefused(address=shown, why=Word(N_("it leads into a network that is not public")))
    return [Flaw(at, refused.says, refused.mend, refused.facts)]


def never_asked(at: str, url: str, allowed: Sequence[str] | None) -> list[Flaw]:
    """Return what is wrong with an address, in field `at`, that will be asked as it stands: `inward`, or plain http.

    Plain http goes to what the operator allows only. A name may lead into a network of theirs, so where one is allowed
    it is judged when something is sent.

    Raises:
        OutwardRefused: it is no web address, or holds a user.
    """
    flaws = inward(at, url, allowed)
    scheme, host, port, _path = _taken_apart(url)
    if flaws or allowed is None or scheme == "https":
        return flaws
    known, address = [parse_allowed(entry) for entry in allowed], _literal(host)
    if any(entry.names(host, port) or (address is not None and entry.holds(address)) for entry in known):
        return []
    if address is None and any(entry.network for entry in known):
        return []
    refused = OutwardRefused(address=f"http://{host}", why=Word(N_("it is not https")))
    return [Flaw(at, refused.says, refused.mend, refused.facts)]


def server_of(address: str) -> tuple[str, str]:
    """Return how and whom an address asks, to compare it; what cannot be taken apart is a server of its own.

    Its path may change without anybody else learning a secret that is sent there.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", address.lower()
    return parts.scheme.lower(), parts.netloc.lower()


def _literal(host: str) -> IpAddress | None:
    """Return the address that a host states, in any spelling that the system would connect to; None: it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))  # 2130706433, 0177.0.0.1, 0x7f.1, 127.1
    except (OSError, UnicodeError):
        return None


def _taken_apart(url: str) -> tuple[str, str, int, str]:
    def refuse(why: str) -> OutwardRefused:
        return OutwardRefused(address=_CONTROL.sub("", url.partition("?")[0].rpartition("@")[2])[:100], why=Word(why))

    # A backslash or a blank is read differently by different programs: nobody needs one.
    if len(url) > LONGEST or _CONTROL.search(url) or "\\" in url:
        raise refuse(N_("it is no web address"))
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
        host = host if ":" in host else host.encode("idna").decode("ascii").lower()
    except (ValueError, UnicodeError):
        raise refuse(N_("it is no web address")) from None
    if parts.scheme not in {"https", "http"} or not host or "%" in host or port == 0:
        raise refuse(N_("it is no web address"))
    if "@" in parts.netloc:
        raise refuse(N_("it holds a user or a password"))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, host, port or {"https": 443, "http": 80}[parts.scheme], path


async def _look_up(host: str, port: int) -> Sequence[str]:
    # Strange spellings of addresses (decimal, octal, hexadecimal) come out of here as what the system would connect to.
    async with asyncio.timeout(CONNECT_S):
        found = await asyncio.shield(asyncio.wrap_future(_asked(host, port)))
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _asked(host: str, port: int) -> Future[list[Any]]:
    """Ask for a name in a thread kept for names, or join who asks for it already.

    The system waits up to half a minute for a name server that does not answer, and cannot be told to stop. In the
    threads that all else shares, a few such names keep passwords, files and every other name waiting.
    """
    asked = _under_way.get((host, port))
    if asked is None:
        asked = _threads().submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        _under_way[host, port] = asked
        asked.add_done_callback(lambda _done: _under_way.pop((host, port), None))
    return asked


_under_way: dict[tuple[str, int], Future[list[Any]]] = {}


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(NAMES_AT_ONCE, thread_name_prefix="names")


def _said(error: BaseException) -> str:
    """Return what a person may read of a failure."""
    return (_CONTROL.sub(" ", str(error)) or type(error).__name__)[:_SAID]

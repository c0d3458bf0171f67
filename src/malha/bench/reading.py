"""`malha bench reads`: how long pages and questions take over a retailer with years behind it.

A data directory of its own with the settings a user gets, filled by COPY (`bench.past`), served by `malha serve`. One
client asks one thing after the other over one connection, each time about another order, SKU or page: what is measured
is the server, not a queue. Times are from the request's first byte to the answer's last; beside them stands what an
answer cost the processors (web, worker and database), which says the same on a busy machine.
"""

import asyncio
import http.client
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec

from malha.bench.machine import cpu_seconds, descendants, peak_mb, pss_mb
from malha.bench.past import LOCATIONS, Past, Size, write
from malha.bench.server import Server, bench_home
from malha.identity import service as identity
from malha.identity.model import Role
from malha.identity.service import LoggedIn, PersonDraft
from malha.ordering.listing import Sort, View
from malha.ordering.tracking import tracking_path
from malha.platform.clock import now
from malha.platform.db import Database
from malha.platform.embedded import EmbeddedPostgres
from malha.platform.ids import UUID
from malha.platform.migrate import migrate
from malha.platform.settings import Settings
from malha.platform.signing import Keys, keys_of

PAGE_GOAL_MS, AVAILABILITY_GOAL_MS = 100.0, 10.0
WARM_UP = 5
PAGES_OF_A_VISITOR = 100  # shoppers who ask for more within a minute are told to wait
PASSWORD = "a long bench password"  # noqa: S105 -- of a retailer that is gone in a minute
OWNER, STORE = "owner@bench.example", "store@bench.example"
FILLED = "SELECT EXISTS (SELECT FROM sales_order)"

Say = Callable[[str], None]
Ask = str | Callable[[int], str]  # the address, or that of the n-th request


class Question(msgspec.Struct, frozen=True):
    """One thing to ask, of whom (`owner`, `store`, `key` or nobody), and how long it may take."""

    name: str
    ask: Ask
    who: str = "owner"
    goal_ms: float = PAGE_GOAL_MS


def questions(past: Past, keys: Keys) -> Iterator[Question]:
    """Yield everything that is asked. A page that is new belongs here."""
    size = past.size

    def order(n: int) -> int:
        # All over the past, and every third one of today's.
        return size.orders - n * 37 % past.open if n % 3 == 0 else 1 + n * 7_907 % size.orders

    def sku(n: int) -> int:
        return 1 + n * 613 % size.skus

    def fifty(n: int) -> str:
        return urlencode([("sku", f"SKU{1 + (n * 997 + k * 31) % size.skus}") for k in range(50)] + [("limit", 200)])

    yield Question("availability_sku", lambda n: f"/v1/stock?sku=SKU{sku(n)}", "key", AVAILABILITY_GOAL_MS)
    yield Question("availability_50x30", lambda n: f"/v1/stock?{fifty(n)}", "key", AVAILABILITY_GOAL_MS)
    yield Question("order_page", lambda n: f"/orders/{order(n)}")
    yield Question("order_peek", lambda n: f"/orders/{order(n)}/peek")
    yield Question("order_api", lambda n: f"/v1/orders/{past.order_id(order(n))}", "key")
    yield Question("order_timeline", lambda n: f"/v1/orders/{past.order_id(order(n))}/timeline", "key")
    yield Question("track_page", lambda n: tracking_path(keys, UUID(past.order_id(order(n))), at=now()), "")
    yield from _lists(past)
    yield from _searches(past, order)


def _lists(past: Past) -> Iterator[Question]:
    for view in View:
        yield Question(f"list_{view}", f"/orders?view={view}")
    for sort in (Sort.OLDEST, Sort.DUE):
        yield Question(f"list_open_{sort}", f"/orders?view=open&sort={sort}")
    yield Question("list_all_oldest", "/orders?view=all&sort=oldest")
    for name, says in {
        "channel": "channel=C2",
        "status": "status=delivered",
        "cancelled": "status=cancelled",
        "pickup": "method=pickup",
    }.items():
        yield Question(f"list_all_{name}", f"/orders?view=all&{says}")
    yield Question("list_all_location", lambda n: f"/orders?view=all&location=L{1 + n % LOCATIONS}")
    yield Question("list_open_location", lambda n: f"/orders?view=open&location=L{1 + n % LOCATIONS}")
    yield Question(
        "list_all_days", lambda n: f"/orders?view=all&since={past.placed(n * 4_001 % past.size.orders):%Y-%m-%d}"
    )
    yield Question("list_of_a_store", lambda n: ("/orders?view=open", "/orders?view=all")[n % 2], "store")
    yield Question("counts", "/orders/counts")
    yield Question("counts_of_a_store", "/orders/counts", "store")
    yield Question("fulfillment_board", "/fulfillment")
    yield Question("fulfillment_board_of_a_store", "/fulfillment", "store")
    yield Question("attention_page", "/attention")
    yield Question("home_page", "/")
    yield Question("home_page_of_a_store", "/", "store")
    for name in ("customers", "products", "audit", "messages", "locations", "people", "keys", "imports"):
        yield Question(f"{name}_page", f"/{name}")
    yield Question("customers_page_of_a_store", "/customers", "store")
    yield Question("customer_page", lambda n: f"/customers/{past.customer(1 + n * 7_907 % past.size.orders)}")
    yield Question("stock_page", "/stock")
    yield Question("stock_page_further", lambda n: f"/stock?after=SKU{1 + n * 613 % past.size.skus}")
    yield Question("stock_page_of_a_store", "/stock", "store")
    for name in ("out", "safety", "deficit", "held"):
        yield Question(f"stock_page_{name}", f"/stock?view={name}")
    yield Question("stock_sku", lambda n: f"/stock/SKU{1 + n * 613 % past.size.skus}")
    yield Question("stock_ledger", lambda n: f"/stock/SKU{1 + n * 613 % past.size.skus}/L{1 + n % LOCATIONS}")
    yield Question("api_orders", lambda n: f"/v1/orders?view={('all', 'open', 'late')[n % 3]}", "key")
    yield Question("api_fulfillments", lambda n: f"/v1/fulfillments?location=L{1 + n % LOCATIONS}", "key")
    yield Question("api_customers", "/v1/customers", "key")
    yield Question("api_variants", "/v1/variants", "key")
    yield Question("api_stock", "/v1/stock", "key")
    yield Question("api_audit", "/v1/audit", "key")
    yield Question(
        "api_movements", lambda n: f"/v1/stock/SKU{1 + n * 613 % past.size.skus}/L{1 + n % LOCATIONS}/movements", "key"
    )


def _searches(past: Past, order: Callable[[int], int]) -> Iterator[Question]:
    def cpf(n: int) -> str:
        digits = past.person(past.customer(order(n)))[1]
        return f"{digits[:3]}.{digits[3:6]}.{digits[6:9]}-{digits[9:]}"

    def done(n: int) -> int:
        # An order that was shipped: most are, but for one in twenty-five.
        return 1 + n * 7_907 % (past.size.orders - past.open - 25) // 25 * 25

    def gtin(sku: int) -> str:
        digits = f"789{sku:09d}"
        return digits + str(-sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(digits)) % 10)

    def person(n: int) -> tuple[str, str, str, str]:
        return past.person(past.customer(order(n)))

    keys: dict[str, Callable[[int], str]] = {
        "number": lambda n: str(order(n)),
        "external_id": lambda n: f"EXT-{order(n)}",
        "name": lambda n: person(n)[0],
        "surname": lambda n: person(n)[0].split()[-1],  # of thousands
        "document": cpf,
        "email": lambda n: person(n)[2],
        "phone": lambda n: person(n)[3].removeprefix("+55"),
        "sku": lambda n: f"SKU{past.lines(order(n))[0].sku}",
        "gtin": lambda n: gtin(past.lines(order(n))[0].sku),
        "tracking_code": lambda n: f"BR{done(n):09d}",
        "access_key": lambda n: f"{done(n):044d}",
        "external_id_beginning": lambda n: f"EXT-{order(n) // 100}",
        "part_of_a_name": lambda n: person(n)[0].split()[-1][1:-1],
        "nothing": lambda n: f"zzqx{n}",
    }
    for name, text in keys.items():
        yield Question(f"search_{name}", _asking("/orders?q=", text))
    for name in ("number", "external_id", "name", "document", "email", "phone", "sku", "gtin", "access_key"):
        yield Question(f"find_{name}", _asking("/find?q=", keys[name]))
    yield Question("search_of_a_store", lambda n: f"/orders?q={quote(person(n)[0])}", "store")
    for name in ("name", "surname", "document", "email", "phone"):
        yield Question(f"customers_page_{name}", _asking("/customers?q=", keys[name]))
    yield Question("products_page_search", lambda n: f"/products?q=product+{1 + n * 613 % past.size.skus}")
    yield Question("stock_page_search", lambda n: f"/stock?q=product+{1 + n * 613 % past.size.skus}")
    yield Question("search_customers", lambda n: f"/v1/customers?q={quote(person(n)[0])}", "key")
    yield Question("search_customers_document", lambda n: f"/v1/customers?q={quote(cpf(n))}", "key")
    yield Question("search_variants", lambda n: f"/v1/variants?q=product+{1 + n * 613 % past.size.skus}", "key")


def _asking(address: str, text: Callable[[int], str]) -> Ask:
    return lambda n: address + quote(text(n))


class Measured(msgspec.Struct, frozen=True):
    """What one question took, in milliseconds: at least, half of the times, all but one in a hundred times."""

    name: str
    min_ms: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float  # of all processes together
    goal_ms: float  # for p99

    @property
    def met(self) -> bool:
        """Return whether it is answered in the time it may take."""
        return self.p99_ms < self.goal_ms


class Report(msgspec.Struct, frozen=True):
    """What was measured: sizes, what each question took, which goals are missed, how busy the machine was."""

    orders: int
    movements: int
    rounds: int
    fill_s: float
    database_gb: float
    load_before: float  # processes that ran or waited for a processor, the mean of a minute
    load_after: float
    serve_pss_mb: float  # all processes of `malha serve` together
    largest_peak_mb: float  # the most memory one of them ever had
    times: list[Measured]

    @property
    def missed(self) -> list[str]:
        """Return the questions that take longer than they may."""
        return [found.name for found in self.times if not found.met]

    def lines(self) -> dict[str, object]:
        """Return it for people: a line for each question."""
        said: dict[str, object] = {name: getattr(self, name) for name in self.__struct_fields__ if name != "times"}
        for found in self.times:
            said[found.name] = (
                f"{'met' if found.met else 'MISSED'}: p50 {found.p50_ms}, p99 {found.p99_ms} of {found.goal_ms:.0f}, "
                f"at least {found.min_ms}, cpu {found.cpu_ms}"
            )
        return {**said, "goals": len(self.times), "missed": len(self.missed)}

    def flat(self) -> dict[str, object]:
        """Return it as one object for machines: `<name>_p50_ms` and so on, `<name>_met`, `goals`, `missed`."""
        said: dict[str, object] = {name: getattr(self, name) for name in self.__struct_fields__ if name != "times"}
        for found in self.times:
            for part in ("min_ms", "p50_ms", "p99_ms", "cpu_ms", "goal_ms", "met"):
                said[f"{found.name}_{part}"] = getattr(found, part)
        return {**said, "goals": len(self.times), "missed": len(self.missed), "missed_goals": self.missed}


def run(*, orders: int, rounds: int, port: int, home: Path | None, only: str, say: Say) -> Report:
    """Measure. A million orders need about 15 GB of disk; with `home` they are kept there and used again."""
    with _home(home) as place:
        postgres = EmbeddedPostgres(place)
        url = postgres.start()
        try:
            size, at = Size(orders), datetime(*now().timetuple()[:3], 12, tzinfo=UTC)
            started = time.monotonic()
            past, callers, gigabytes = asyncio.run(_prepare(url, size, at, say))
            filled = time.monotonic() - started
            server = Server(place, port, 1, url)
            try:
                server.wait()
                keys = keys_of(Settings(data_dir=place, database_url=url))
                pids = [server.process.pid, *([postgres.pid] if postgres.pid else [])]
                asked = [question for question in questions(past, keys) if only in question.name]
                load = os.getloadavg()[0]
                times = _measure(port, pids, asked, callers, rounds, say)
                serving = descendants(server.process.pid)
                memory = round(pss_mb(serving), 1), round(max(peak_mb(pid) for pid in serving), 1)
            finally:
                server.stop()
        finally:
            postgres.stop()
    return Report(
        orders=orders,
        movements=size.movements,
        rounds=rounds,
        fill_s=round(filled, 1),
        database_gb=round(gigabytes, 1),
        load_before=round(load, 1),
        load_after=round(os.getloadavg()[0], 1),
        serve_pss_mb=memory[0],
        largest_peak_mb=memory[1],
        times=times,
    )


@contextmanager
def _home(kept: Path | None) -> Iterator[Path]:
    if kept is None:
        with bench_home() as home:
            yield home
    else:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept


async def _prepare(url: str, size: Size, at: datetime, say: Say) -> tuple[Past, dict[str, dict[str, str]], float]:
    """Fill the retailer unless it is, and return who asks with which headers."""
    await migrate(url, "malha")
    async with Database(url) as db:
        async with db.transaction() as tx:
            filled = await tx.value(FILLED)
        past = Past(size, at) if filled else await write(db, size, at, say)
        async with db.transaction() as tx:
            if not filled:
                await identity.create_first_owner(tx, name="Owner", email=OWNER, password=PASSWORD)
                draft = PersonDraft(name="Store", email=STORE, role=Role.STORE_LEAD, locations=["L7"])
                await identity.create_person(tx, draft, password=PASSWORD)
            permissions = ["stock:read", "orders:read", "customers:read", "catalog:read", "audit:read"]
            key = await identity.create_key(tx, name=f"bench {now():%H:%M:%S}", permissions=permissions)
            callers = {"": {}, "key": {"Authorization": f"Bearer {key.secret}"}}
            for name, email in (("owner", OWNER), ("store", STORE)):
                entered = await identity.log_in(tx, email, PASSWORD, source=None)
                if not isinstance(entered, LoggedIn):
                    raise TypeError(f"{email} could not log in")
                callers[name] = {"Cookie": f"malha={entered.token}"}
            size_of = await tx.value("SELECT pg_database_size(current_database())")
    return past, callers, size_of / 1e9


def _visitor(port: int, n: int) -> http.client.HTTPConnection:
    """Return a connection from an address of its own: a shopper who asks for page after page is told to wait."""
    source = f"127.1.{n // 250}.{n % 250 + 1}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120, source_address=(source, 0))
    connection.connect()
    return connection


def _measure(
    port: int, pids: list[int], asked: list[Question], callers: dict[str, dict[str, str]], rounds: int, say: Say
) -> list[Measured]:
    times = []
    visitors = count()
    for question in asked:
        connection = _visitor(port, next(visitors))
        headers = {"Accept": "text/html", "Accept-Language": "pt-BR", **callers[question.who]}
        taken = []
        before = 0.0
        for n in range(-WARM_UP, rounds):
            if n == 0:
                before = _cpu(pids)
            if (n + WARM_UP) % PAGES_OF_A_VISITOR == PAGES_OF_A_VISITOR - 1:
                connection.close()
                connection = _visitor(port, next(visitors))
            address = question.ask if isinstance(question.ask, str) else question.ask(n + WARM_UP)
            began = time.perf_counter()
            connection.request("GET", address, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            told = (time.perf_counter() - began) * 1000
            if answer.status != 200:
                raise RuntimeError(f"{address} answered {answer.status}: {body[:300]!r}")
            if n >= 0:
                taken.append(told)
        cost = (_cpu(pids) - before) * 1000 / rounds
        taken.sort()
        p99 = taken[min(len(taken) * 99 // 100, len(taken) - 1)]
        found = Measured(
            question.name,
            min_ms=round(taken[0], 2),
            p50_ms=round(taken[len(taken) // 2], 2),
            p99_ms=round(p99, 2),
            cpu_ms=round(cost, 2),
            goal_ms=question.goal_ms,
        )
        times.append(found)
        verdict = "met" if found.met else "MISSED"
        say(f"{verdict:6} {found.name}: p50 {found.p50_ms}, p99 {found.p99_ms}, cpu {found.cpu_ms}")
        connection.close()
    return times


def _cpu(pids: list[int]) -> float:
    """Return the processor seconds that processes and what they started have used so far."""
    return cpu_seconds(sorted({child for pid in pids for child in descendants(pid)}))

"""The checks, one literal list. Each is a statement that returns what is wrong, and words for it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, LiteralString

import msgspec
from psycopg.rows import dict_row

from malha.doctor import allotment_reads, capacity_reads, projection_reads, reads, supply_reads
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.ordering.model import CLAIMING, GONE, UnitState
from malha.ordering.rules import PROGRESS, derive_status
from malha.platform import clocks
from malha.platform.db import Statement, Tx
from malha.platform.i18n import N_, translate
from malha.platform.money import Money

PATIENCE = timedelta(minutes=1)  # what waits longer than this is told
LONG_TRANSACTION = timedelta(minutes=5)


class Finding(msgspec.Struct, frozen=True):
    """What one check found: how many rows, and the first of them by name."""

    check: str
    drifts: bool
    total: int
    says: str  # message id
    row_says: str  # message id, filled with a row
    rows: list[dict[str, Any]]
    amounts: tuple[str, ...] = ()  # columns that are centavos

    def headline(self, language: str) -> str:
        """Return what is wrong, in a language."""
        return translate(language, self.says, total=self.total)

    def lines(self, language: str) -> list[str]:
        """Return one sentence per named row, in a language."""
        return [translate(language, self.row_says, **self._told(row)) for row in self.rows]

    def _told(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: Money(value) if name in self.amounts else value for name, value in row.items()}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A statement whose rows are wrong; its last column, `total`, counts them all."""

    name: str
    says: str
    row: str
    statement: LiteralString = ""
    drifts: bool = True
    params: Callable[[], dict[str, Any]] = dict
    amounts: tuple[str, ...] = ()

    async def run(self, tx: Tx, cap: int) -> Finding:
        """Return what is wrong, `cap` rows by name."""
        rows = await self.rows(tx, cap)
        total = rows[0].pop("total") if rows else 0
        for row in rows[1:]:
            del row["total"]
        return Finding(self.name, self.drifts, total, self.says, self.row, rows, self.amounts)

    async def rows(self, tx: Tx, cap: int) -> list[dict[str, Any]]:
        """Return the wrong rows, `total` among their columns."""
        return await fetch(tx, self.statement, {"cap": cap, **self.params()})


class LedgerCheck(Check, frozen=True, kw_only=True):
    """Balances against the ledger; a closed partition is believed only when its rows and last id are those it had."""

    async def rows(self, tx: Tx, cap: int) -> list[dict[str, Any]]:
        """Return the balances that are not the sum of their movements."""
        opened, closed = await proved_partitions(tx)
        return await fetch(tx, reads.balance_is_not_ledger(opened, closed, cap), {})


class BucketCheck(Check, frozen=True, kw_only=True):
    """The buckets that may not be sold against the ledger."""

    async def rows(self, tx: Tx, cap: int) -> list[dict[str, Any]]:
        """Return the buckets that are not the sum of their movements."""
        opened, closed = await proved_partitions(tx)
        return await fetch(tx, reads.bucket_is_not_ledger(opened, closed, cap), {})


class MoveCheck(Check, frozen=True, kw_only=True):
    """Moves between buckets and places, of which no unit may be made or lost."""

    async def rows(self, tx: Tx, cap: int) -> list[dict[str, Any]]:
        """Return the moves whose sides do not cancel out."""
        opened, _ = await proved_partitions(tx)
        return await fetch(tx, reads.move_is_not_whole(opened, cap), {}) if opened else []


class ClosingCheck(Check, frozen=True, kw_only=True):
    """Closed partitions of the ledger that are no longer what was closed."""

    async def rows(self, tx: Tx, cap: int) -> list[dict[str, Any]]:
        """Return the partitions whose rows changed after their closing."""
        _, closed = await proved_partitions(tx)
        changed = [
            {"partition": name, "rows": rows}
            for name, rows, _ in await tx.tuples(reads.LEDGER_PARTITIONS)
            if rows is not None and name not in closed
        ]
        return [{**row, "total": len(changed)} for row in changed[:cap]]


class ClockCheck(Check, frozen=True, kw_only=True):
    """This machine's clock against the database's."""

    async def rows(self, tx: Tx, cap: int) -> list[dict[str, Any]]:
        """Return by how many seconds this machine's clock is off, if by more than it may be."""
        ahead = await clocks.ahead_s(tx)
        return [{"seconds": round(ahead, 1), "total": 1}][:cap] if abs(ahead) > clocks.APART_S else []


class GapCheck(Check, frozen=True, kw_only=True):
    """Rows that are missing between others of the event log, whose numbers have no gaps."""

    async def rows(self, tx: Tx, cap: int) -> list[dict[str, Any]]:
        """Return the gaps."""
        lacks = await tx.value(reads.LOG_LACKS)
        return await fetch(tx, reads.LOG_GAPS, {"cap": cap}) if lacks else []


async def fetch(tx: Tx, statement: Statement, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows as dictionaries."""
    async with tx.connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, params)
        return await cursor.fetchall()


async def proved_partitions(tx: Tx) -> tuple[list[str], list[str]]:
    """Return the ledger's partitions to be summed, and those whose closing is proved by row count and last id."""
    opened, closed = [], []
    for name, rows, last_id in await tx.tuples(reads.LEDGER_PARTITIONS):
        proof = (rows, last_id)
        if rows is not None and (await tx.tuples(reads.partition_proof(name)))[0] == proof:
            closed.append(name)
        else:
            opened.append(name)
    return opened, closed


def _claiming() -> dict[str, Any]:
    return {"claiming": sorted(CLAIMING)}


def _status_rule() -> dict[str, Any]:
    return {
        "states": list(PROGRESS),
        "ranks": list(range(len(PROGRESS))),
        "statuses": [derive_status([UnitState(state)], ()) for state in PROGRESS],
        "gone": sorted(GONE),
    }


def _patience() -> dict[str, Any]:
    return {"patience": PATIENCE}


CHECKS: tuple[Check, ...] = (
    ClosingCheck(
        name="closing_changed",
        says=N_("Months of the ledger that were changed after their closing: {total}"),
        row=N_("{partition} had {rows} rows when it was closed."),
    ),
    LedgerCheck(
        name="balance_ledger",
        says=N_("Balances that are not the sum of their ledger: {total}"),
        row=N_(
            "{sku} at {location}: on hand {on_hand}, ledger {ledger_on_hand}; "
            "allocated {allocated}, ledger {ledger_allocated}; held {held}, ledger {ledger_held}."
        ),
    ),
    BucketCheck(
        name="bucket_ledger",
        says=N_("Buckets that are not the sum of their ledger: {total}"),
        row=N_("{sku} at {location}, {bucket}: there are {quantity}, ledger {ledger}."),
    ),
    MoveCheck(
        name="moves_conserved",
        says=N_("Moves of goods whose sides do not cancel out: {total}"),
        row=N_("{reason} {reference}, SKU {sku}: {units} units came from or went nowhere."),
    ),
    Check(
        name="transit_transfers",
        says=N_("Goods on their way that are not those of transfers: {total}"),
        row=N_("{sku} to {location}: {quantity} in transit, by transfers {transit}."),
        statement=reads.TRANSIT_IS_NOT_TRANSFERS,
    ),
    Check(
        name="transfer_shipments",
        says=N_("Lines of transfers that are not the sum of their shipments: {total}"),
        row=N_(
            "Transfer {number}, line {line}: sent {shipped}, by shipments {s_shipped}; arrived {arrived}, by shipments "
            "{s_arrived}; gone another way {settled}, by shipments {s_settled}."
        ),
        statement=reads.TRANSFERS_ARE_NOT_SHIPMENTS,
    ),
    Check(
        name="transfer_states",
        says=N_("Transfers that are in another state than their units: {total}"),
        row=N_(
            "Transfer {number} is {state}, by its units {by_units}: "
            "{rest} to ship, {coming} to come, {undecided} to decide."
        ),
        statement=reads.STATE_IS_NOT_UNITS,
    ),
    Check(
        name="received_receipts",
        says=N_("Lines of purchase and production orders that are not the sum of their receipts: {total}"),
        row=N_("Order {number}, line {line}: received {received}, by receipts {units}."),
        statement=reads.RECEIVED_IS_NOT_RECEIPTS,
    ),
    Check(
        name="allocated_units",
        says=N_("Balances whose allocation is not what the units of orders claim: {total}"),
        row=N_("{sku} at {location}: allocated {allocated}, claimed by units {units}."),
        statement=reads.ALLOCATED_IS_NOT_UNITS,
        params=_claiming,
    ),
    Check(
        name="supply_promised",
        says=N_("Supply lines that promise more than they expect, or something else than orders claim: {total}"),
        row=N_("{sku} to {location} on {eta}: expected {expected}, promised {promised}, claimed {units}."),
        statement=supply_reads.PROMISED_IS_NOT_CLAIMS,
    ),
    Check(
        name="supply_stated",
        says=N_("Supply lines that offer something else than their order or transfer expects: {total}"),
        row=N_("Number {number}, line {line}: offered {offered}, expected {expected}."),
        statement=supply_reads.SUPPLY_IS_NOT_STATED,
    ),
    Check(
        name="supply_claims",
        says=N_("Lines of orders that claim more supply than they have units waiting: {total}"),
        row=N_("Order {number}, line {line}: {units} claimed, {waiting} waiting."),
        statement=supply_reads.CLAIMS_WITHOUT_UNITS,
    ),
    Check(
        name="drop_ship_units",
        says=N_("Lines of orders of which vendors are to send more than waits for them: {total}"),
        row=N_("Order {number}, line {line}: {units} asked of vendors, {waiting} waiting."),
        statement=supply_reads.ASKED_WITHOUT_UNITS,
    ),
    Check(
        name="drop_ship_state",
        says=N_("Drop-ship orders whose state is not what their lines say: {total}"),
        row=N_("Drop-ship order {number} is {state}, and {expected} units are to come."),
        statement=supply_reads.DROPS_OUT_OF_STATE,
    ),
    Check(
        name="ahead_waiting",
        says=N_("Policies of selling ahead that count something else than waits under them: {total}"),
        row=N_("Policy {policy}: counted {waiting}, waiting {units}."),
        statement=supply_reads.WAITING_IS_NOT_CLAIMS,
    ),
    Check(
        name="claim_without_place",
        says=N_("Units that claim stock nowhere: {total}"),
        row=N_("Order {number}, line {line}, part {part}: {quantity} units are {state} without a location or SKU."),
        statement=reads.CLAIM_WITHOUT_PLACE,
        params=_claiming,
    ),
    Check(
        name="held_holds",
        says=N_("Balances that hold something else than the active holds: {total}"),
        row=N_("{sku} at {location}: held {held}, by active holds {holds}."),
        statement=reads.HELD_IS_NOT_HOLDS,
    ),
    Check(
        name="fenced_fences",
        says=N_("Balances that set something else apart than their fences have: {total}"),
        row=N_("{sku} at {location}: fenced {fenced}, remaining in fences {remaining}."),
        statement=allotment_reads.FENCED_IS_NOT_FENCES,
    ),
    Check(
        name="fence_ledger",
        says=N_("Fences that are not the sum of their ledger: {total}"),
        row=N_(
            "Fence {allotment}, {sku} at {location}: remaining {remaining}, ledger {ledger_remaining}; "
            "drawn {drawn}, ledger {ledger_drawn}; sold {sold}, ledger {ledger_sold}."
        ),
        statement=allotment_reads.FENCE_IS_NOT_LEDGER,
    ),
    Check(
        name="fence_draws",
        says=N_("Fences that gave something else than what claims drew from them: {total}"),
        row=N_("Fence {allotment}, {sku} at {location}: drawn {drawn}, by claims {draws}."),
        statement=allotment_reads.DRAWN_IS_NOT_DRAWS,
    ),
    Check(
        name="fence_covered",
        says=N_("Balances that set more apart than is there: {total}"),
        row=N_("{sku} at {location}: fenced {fenced}, there {there}."),
        statement=allotment_reads.FENCED_IS_NOT_THERE,
    ),
    Check(
        name="draws_claimed",
        says=N_("Claims that remember more units from fences than they have: {total}"),
        row=N_("Claim {claim}, {sku} at {location}: drawn {draws}, claimed {claimed}."),
        statement=allotment_reads.DRAWS_ARE_NOT_CLAIMED,
        params=_claiming,
    ),
    Check(
        name="cap_uses",
        says=N_("Caps that count something else than what was claimed under them: {total}"),
        row=N_("Cap {allotment} {sku}: used {used}, by claims {uses}."),
        statement=allotment_reads.COUNTER_IS_NOT_USES,
    ),
    Check(
        name="cap_uses_claimed",
        says=N_("Claims that count more units on caps than they have: {total}"),
        row=N_("Cap {allotment}, claim {claim}, {sku} at {location}: counted {uses}, claimed {claimed}."),
        statement=allotment_reads.USES_ARE_NOT_CLAIMED,
    ),
    Check(
        name="units_conserved",
        says=N_("Order lines with more or fewer units than were sold: {total}"),
        row=N_("Order {number}, line {line}, SKU {sku}: sold {sold}, units {units}."),
        statement=reads.UNITS_ARE_NOT_CONSERVED,
    ),
    Check(
        name="status_derived",
        says=N_("Orders that show a status their units and holds do not say: {total}"),
        row=N_("Order {number} shows {status}; its units and holds say {derived}."),
        statement=reads.STATUS_IS_NOT_DERIVED,
        params=_status_rule,
    ),
    Check(
        name="order_total",
        says=N_("Orders that do not add up to their lines: {total}"),
        row=N_("Order {number}: items {items_total}, lines {lines_total}."),
        statement=reads.TOTAL_IS_NOT_LINES,
        amounts=("items_total", "lines_total"),
    ),
    Check(
        name="cancelled_total",
        says=N_("Orders with a wrong amount taken off for what was cancelled: {total}"),
        row=N_("Order {number}: total {order_total}, taken off {cancelled_total}."),
        statement=reads.CANCELLED_TOTAL_IS_WRONG,
        amounts=("order_total", "cancelled_total"),
    ),
    Check(
        name="payment_ledger",
        says=N_("Orders whose payment sums are not those of their tenders: {total}"),
        row=N_(
            "Order {number}: authorised {authorised}, ledger {ledger_authorised}; captured {captured}, ledger "
            "{ledger_captured}; refunded {refunded}, ledger {ledger_refunded}; voided {voided}, ledger "
            "{ledger_voided}; charged back {charged_back}, ledger {ledger_charged_back}; as a favour {favour}, ledger "
            "{ledger_favour}."
        ),
        statement=reads.PAYMENT_IS_NOT_LEDGER,
        amounts=tuple(
            f"{of}{kind}"
            for of in ("", "ledger_")
            for kind in ("authorised", "captured", "refunded", "voided", "charged_back", "favour")
        ),
    ),
    Check(
        name="refund_due",
        says=N_("Orders whose refund due is not what was paid beyond their total: {total}"),
        row=N_("Order {number}: refund due {refund_due}, by its payments and total {due}."),
        statement=reads.REFUND_DUE_IS_WRONG,
        amounts=("refund_due", "due"),
    ),
    Check(
        name="tender_limits",
        says=N_("Tenders on which more was captured, refunded, charged back or voided than may be: {total}"),
        row=N_(
            "Order {number}, tender {position} ({kind}) of {amount}: authorised {authorised}, voided {voided}, "
            "captured {captured}, refunded {refunded}, charged back {charged_back}."
        ),
        statement=reads.TENDER_BEYOND_LIMITS,
        amounts=("amount", "authorised", "voided", "captured", "refunded", "charged_back"),
    ),
    Check(
        name="document_units",
        says=N_("Lines of fiscal documents that do not cover the units that refer to them: {total}"),
        row=N_(
            "Order {number}, line {line}, SKU {sku}: {documented} units on document {document}, {units} refer to it."
        ),
        statement=reads.DOCUMENT_IS_NOT_UNITS,
    ),
    Check(
        name="work_units",
        says=N_("Fulfillment orders that disagree with the units that belong to them: {total}"),
        row=N_("Fulfillment order {number} at {location} is {state}."),
        statement=reads.WORK_IS_NOT_UNITS,
        params=_claiming,
    ),
    Check(
        name="deficit_missing",
        says=N_("Balances that promise more than is there without a deficit for a person: {total}"),
        row=N_("{sku} at {location}: on hand {on_hand}, allocated {allocated}."),
        statement=reads.DEFICIT_MISSING,
    ),
    Check(
        name="sites",
        says=N_("Locations that differ in what they share with the site they are at: {total}"),
        row=N_("{location} is not as the site of {site}."),
        statement=reads.SITES_DISAGREE,
    ),
    Check(
        name="capacity_taken",
        says=N_("Days on which a location's taken capacity is not its work: {total}"),
        row=N_("{location} on {day}: taken {taken}, fulfillment orders {pieces}."),
        statement=reads.CAPACITY_IS_NOT_WORK,
    ),
    Check(
        name="slot_counters",
        says=N_("Slots whose counters are not their reservations: {total}"),
        row=N_(
            "{location}, {kind}, {day} at {starts}: held {held}, holds {holds}; confirmed {confirmed}, orders {orders};"
            " units {units}, of the work {work_units}; the quota was never above {widest}."
        ),
        statement=capacity_reads.COUNTER_IS_NOT_RESERVATIONS,
    ),
    Check(
        name="slot_units",
        says=N_("Work that has other units than it says: {total}"),
        row=N_("F{number} at {location}: it says {units}, and has {living}."),
        statement=capacity_reads.UNITS_ARE_NOT_WORK,
    ),
    Check(
        name="orphans",
        says=N_("Rows that refer to something that does not exist: {total}"),
        row=N_("{child} {row}: there is no such {parent}."),
        statement=reads.ORPHANS,
    ),
    Check(
        name="log_counter",
        says=N_("The event log does not end where its counter stands."),
        row=N_("Counter at {position}, last event at {log_position}."),
        statement=reads.LOG_IS_NOT_COUNTER,
    ),
    GapCheck(
        name="log_gaps",
        says=N_("Gaps in the event log: {total}"),
        row=N_("Events {first} to {last} are missing ({missing})."),
    ),
    Check(
        name="checkpoint_ahead",
        says=N_("Subscribers ahead of the event log: {total}"),
        row=N_("{name} is at {position}, the log ends at {log_position}."),
        statement=reads.CHECKPOINT_AHEAD,
    ),
    Check(
        name="timeline_rows",
        says=N_("Orders whose timelines lack events that happened: {total}"),
        row=N_("Order {number}: events handled {events}, in the timeline {told}."),
        statement=projection_reads.TIMELINE_LACKS,
    ),
    Check(
        name="search_rows",
        says=N_("Orders that no search finds: {total}"),
        row=N_("Order {number} is not in the search."),
        statement=projection_reads.SEARCH_LACKS,
    ),
    Check(
        name="parked_events",
        says=N_("Records with events that could not be handled: {total}"),
        row=N_("{subscriber}, {key}: waiting events {waiting}, attempts {attempts} ({state}). {cause}: {error}"),
        statement=reads.PARKED,
    ),
    Check(
        name="subscriber_lag",
        drifts=False,
        says=N_("Subscribers that are behind: {total}"),
        row=N_("{name} is behind by {behind} since {since}. {error}"),
        statement=reads.SUBSCRIBER_LAGS,
        params=_patience,
    ),
    Check(
        name="subscriber_unknown",
        drifts=False,
        says=N_("Checkpoints of subscribers this version does not have: {total}"),
        row=N_("{name} stands at {position} and keeps older events from being dropped."),
        statement=reads.SUBSCRIBER_UNKNOWN,
        params=lambda: {"names": [s.name for s in SUBSCRIPTIONS]},
    ),
    Check(
        name="outbox_backlog",
        drifts=False,
        says=N_("Events wait for the sequencer: no worker is running, or it is stuck."),
        row=N_("Waiting events: {waiting}, the oldest since {since}."),
        statement=reads.OUTBOX_WAITS,
        params=_patience,
    ),
    Check(
        name="holds_not_retired",
        drifts=False,
        says=N_("Expired holds that still keep their stock: {total}"),
        row=N_("Hold {reference} expired at {expires_at}."),
        statement=reads.HOLDS_NOT_RETIRED,
        params=_patience,
    ),
    Check(
        name="pix_on_two_orders",
        drifts=False,
        says=N_("Payments that are recorded on orders of two channels: {total}"),
        row=N_("Order {number}: {reference} pays order {other} already."),
        statement=reads.ONE_PIX_TWICE,
    ),
    Check(
        name="slot_above_quota",
        drifts=False,
        says=N_("Slots whose quota was lowered below what is reserved: {total}"),
        row=N_("{location}, {kind}, {day} at {starts}: {reserved} reserved, the quota is now {quota}."),
        statement=capacity_reads.RESERVED_ABOVE_QUOTA,
    ),
    ClockCheck(
        name="clock",
        drifts=False,
        says=N_("This machine's clock is not the database's: orders are stamped, released and late at the wrong time."),
        row=N_(
            "It is {seconds} seconds ahead of it (behind, where less than 0). Have both set by a time server (NTP)."
        ),
    ),
    Check(
        name="oldest_transaction",
        drifts=False,
        says=N_("Long transactions or slots that keep dead rows from being cleaned up: {total}"),
        row=N_("{kind} {name}: since {since}, {age} transactions old."),
        statement=reads.OLDEST_TRANSACTION,
        params=lambda: {"patience": LONG_TRANSACTION},
    ),
)

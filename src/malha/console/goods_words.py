"""Words and signs of supply, transfers and counts on a page."""

from malha.console.words import Sign
from malha.inventory.buckets.model import Bucket
from malha.inventory.counts.model import CountKind, LineState, Source, TaskState
from malha.inventory.supply.model import InboundKind, InboundState
from malha.inventory.transfers.model import Crosses, Decision, DiscrepancyKind, TransferState
from malha.platform.i18n import N_

BUCKET: dict[str, str] = {
    Bucket.SELLABLE: N_("Sellable"),
    Bucket.DAMAGED: N_("Damaged"),
    Bucket.QUALITY_CONTROL: N_("Quality control"),
    Bucket.DISPLAY: N_("On display"),
    Bucket.IN_TRANSIT: N_("In transit"),
}
INBOUND_KIND: dict[str, str] = {
    InboundKind.PURCHASE: N_("Purchase"),
    InboundKind.PRODUCTION: N_("Production"),
    "transfer": N_("Transfer"),
}
INBOUND: dict[str, Sign] = {
    InboundState.OPEN: Sign(N_("To come"), "wait", "dash"),
    InboundState.PARTIAL: Sign(N_("Partly received"), "work", "p50"),
    InboundState.RECEIVED: Sign(N_("Received"), "done", "done"),
    InboundState.CLOSED: Sign(N_("Closed short"), "neutral", "done"),
    InboundState.CANCELLED: Sign(N_("Cancelled"), "neutral", "x"),
}
TRANSFER: dict[str, Sign] = {
    TransferState.REQUESTED: Sign(N_("To approve"), "review", "eye"),
    TransferState.APPROVED: Sign(N_("To ship"), "work", "p50"),
    TransferState.PARTLY_SHIPPED: Sign(N_("Partly shipped"), "work", "p75"),
    TransferState.SHIPPED: Sign(N_("In transit"), "move", "move"),
    TransferState.RECEIVED: Sign(N_("To decide"), "fail", "fail"),
    TransferState.CLOSED: Sign(N_("Closed"), "done", "done"),
    TransferState.CANCELLED: Sign(N_("Cancelled"), "neutral", "x"),
}
CROSSES: dict[str, str] = {
    Crosses.NOTHING: N_("No"),
    Crosses.ESTABLISHMENT: N_("Two establishments"),
    Crosses.COMPANY: N_("Two companies"),
}
DISCREPANCY: dict[str, str] = {
    DiscrepancyKind.MISSING: N_("Missing"),
    DiscrepancyKind.DAMAGED: N_("Damaged"),
    DiscrepancyKind.EXCESS: N_("Too much"),
}
DECISION: dict[str, str] = {
    Decision.ARRIVED_LATE: N_("Arrived late"),
    Decision.FOUND_AT_ORIGIN: N_("Found at the origin"),
    Decision.LOST: N_("Lost: written off"),
    Decision.CARRIER_CLAIM: N_("Claimed from the carrier"),
    Decision.KEPT: N_("Kept here"),
    Decision.TAKEN_FROM_ORIGIN: N_("The origin sent too much"),
}
TASK: dict[str, Sign] = {
    TaskState.OPEN: Sign(N_("To count"), "work", "p25"),
    TaskState.APPLYING: Sign(N_("Being applied"), "work", "p90"),
    TaskState.APPLIED: Sign(N_("Applied"), "done", "done"),
    TaskState.CANCELLED: Sign(N_("Cancelled"), "neutral", "x"),
}
COUNT_KIND: dict[str, str] = {
    CountKind.CYCLE: N_("Cycle count"),
    CountKind.PHYSICAL: N_("Physical inventory"),
}
SOURCE: dict[str, str] = {
    Source.PERSON: N_("asked for"),
    Source.ABC: N_("by class"),
    Source.SHORT_PICK: N_("after a short pick"),
    Source.DRIFT: N_("because a source says otherwise"),
    Source.SUSPICION: N_("suspected stock"),
}
LINE: dict[str, Sign] = {
    LineState.PENDING: Sign(N_("To count"), "neutral", "ring"),
    LineState.RECOUNT: Sign(N_("To count again"), "wait", "dash"),
    LineState.REVIEW: Sign(N_("To approve"), "review", "eye"),
    LineState.ACCEPTED: Sign(N_("Accepted"), "work", "p75"),
    LineState.APPLIED: Sign(N_("Applied"), "done", "done"),
    LineState.SKIPPED: Sign(N_("Not counted"), "neutral", "x"),
}

"""Words of stock that others state: states of snapshots and disagreements, and what a source's settings mean."""

from malha.console.words import Sign
from malha.inventory.sync.model import DriftKind, DriftState, Leaves, Scope, State, ZeroRule
from malha.platform.i18n import N_

MOST_NUMBER = 2_147_483_647  # of a snapshot

SNAPSHOT: dict[State, Sign] = {
    State.RECEIVING: Sign(N_("Being received"), "work", "p25"),
    State.WAITING: Sign(N_("Waits for you"), "wait", "p50"),
    State.APPLYING: Sign(N_("Being written"), "work", "p75"),
    State.APPLIED: Sign(N_("Written"), "done", "done"),
    State.REFUSED: Sign(N_("Refused"), "fail", "fail"),
    State.CANCELLED: Sign(N_("Cancelled"), "neutral", "x"),
    State.FAILED: Sign(N_("Failed"), "fail", "fail"),
}
SCOPE: dict[Scope, str] = {Scope.WHOLE: N_("Whole locations"), Scope.PARTIAL: N_("Some SKUs")}
DRIFT: dict[DriftState, Sign] = {
    DriftState.OPEN: Sign(N_("Open"), "wait", "p25"),
    DriftState.EXPLAINED: Sign(N_("Explained"), "neutral", "p75"),
    DriftState.AGREED: Sign(N_("Agrees again"), "done", "done"),
    DriftState.THEIRS: Sign(N_("Theirs taken"), "done", "done"),
    DriftState.OURS: Sign(N_("Ours kept"), "done", "done"),
    DriftState.COUNTING: Sign(N_("To be counted"), "work", "p50"),
    DriftState.COUNTED: Sign(N_("Counted"), "done", "done"),
}
KIND: dict[DriftKind, str] = {
    DriftKind.WINDOW: N_("Moved near the time of the snapshot"),
    DriftKind.COMPARED: N_("A secondary source says otherwise"),
    DriftKind.NEGATIVE: N_("More left since than was stated"),
    DriftKind.BEYOND: N_("More than a balance can hold"),
    DriftKind.LATE: N_("A change that may be in the snapshot"),
}
VIEWS: dict[str, tuple[str, tuple[DriftState, ...]]] = {
    "open": (N_("Open"), (DriftState.OPEN,)),
    "counting": (N_("To be counted"), (DriftState.COUNTING,)),
    "explained": (N_("Explained"), (DriftState.EXPLAINED,)),
    "settled": (N_("Settled"), (DriftState.THEIRS, DriftState.OURS, DriftState.COUNTED, DriftState.AGREED)),
}
LEAVES: dict[Leaves, str] = {
    Leaves.PICK: N_("When they are picked"),
    Leaves.PACK: N_("When they are packed"),
    Leaves.INVOICE: N_("When the fiscal document is authorised"),
    Leaves.SHIP: N_("When they leave the location, as here"),
}
ZERO: dict[ZeroRule, str] = {
    ZeroRule.ASK: N_("A person has to confirm it"),
    ZeroRule.REFUSE: N_("It is refused"),
}
SIDE: dict[str, str] = {
    "later": N_("After it: on top of what they said"),
    "window": N_("Too near to say"),
    "before": N_("Before it: they know of it"),
}
EMPTY: dict[str, tuple[str, str]] = {
    "open": (N_("Nobody disagrees"), N_("Where a source and Malha differ and nobody may guess, it appears here.")),
    "counting": (N_("Nothing waits for a count"), N_("A count of the balance settles what is sent here.")),
    "explained": (
        N_("Nothing to explain"),
        N_("Differences that a movement near the time of a snapshot explains in full appear here."),
    ),
    "settled": (N_("Nothing was settled yet"), N_("Repairs, and what agreed again by itself, appear here.")),
}

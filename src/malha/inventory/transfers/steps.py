"""What every step of a transfer begins and ends with: its lock, whose end it is, its state, and who may."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from malha.inventory.model import Reference
from malha.inventory.transfers import rules, writes
from malha.inventory.transfers.errors import NotYourEnd, UnknownTransfer, WrongTransferState
from malha.inventory.transfers.model import (
    TRANSFER_WORDS,
    Progress,
    Transfer,
    TransferLine,
    TransferState,
)
from malha.network import reads as network
from malha.platform.db import Tx
from malha.platform.errors import Forbidden
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, Word

APPROVE = "stock:approve"
MAX_UNITS = 1_000_000_000
SET_ASIDE_S = 60 * 24 * 3600.0  # how long units wait for their departure, or the next one, until they may be sold again


class About(TypedDict):
    """What every event of a transfer says of it."""

    number: int
    origin_id: int
    destination_id: int


def hold_of(number: int) -> str:
    """Return the reference of the hold that sets a transfer's units aside; no cart or order can have it."""
    return f"transfer {number}"


def flaws_of(given: Mapping[int, int], lines: Sequence[TransferLine]) -> list[Flaw]:
    """Return what is wrong with quantities by line, whatever they are for."""
    known = {line.line for line in lines}
    flaws = [
        Flaw(f"quantities/{line}", N_("There is no line {line}."), facts={"line": line})
        for line in given
        if line not in known
    ]
    flaws += [
        Flaw(f"quantities/{line}", N_("Write a whole number, 0 or more."))
        for line, units in given.items()
        if not 0 <= units <= MAX_UNITS
    ]
    return flaws


def refuse_without_approval(tx: Tx) -> None:
    """Refuse who may not approve.

    Raises:
        Forbidden: the actor may not.
    """
    if not tx.actor.may(APPROVE):
        raise Forbidden(permission=APPROVE)


async def lock_transfer(tx: Tx, number: int) -> Transfer:
    """Lock a transfer that comes from or goes to a location of the actor; its `seq` is its version.

    Raises:
        UnknownTransfer: there is none.
    """
    transfer = await tx.maybe(Transfer, writes.LOCK_TRANSFER, {"number": number})
    if transfer is None or not (tx.actor.sees(transfer.origin_id) or tx.actor.sees(transfer.destination_id)):
        raise UnknownTransfer(number=number)
    return transfer


async def at_end(tx: Tx, location_id: int) -> None:
    """Refuse who does not work at one end of a transfer.

    Raises:
        NotYourEnd: the location is not in the actor's scope.
    """
    if not tx.actor.sees(location_id):
        place = (await network.locations_by_id(tx, [location_id]))[location_id]
        raise NotYourEnd(location=place.code)


def need(transfer: Transfer, *states: TransferState) -> None:
    """Refuse a step that does not follow from where the transfer is.

    Raises:
        WrongTransferState: it is in none of these states.
    """
    if transfer.state not in states:
        raise WrongTransferState(number=transfer.number, state=Word(TRANSFER_WORDS[transfer.state]))


async def lines_of(tx: Tx, transfer: Transfer) -> list[TransferLine]:
    """Return the lines of a transfer as they stand."""
    return await tx.all(TransferLine, writes.LINES, {"id": transfer.id})


async def step(tx: Tx, transfer: Transfer, state: TransferState) -> int:
    """State where a transfer is now; return its version."""
    seq: int = await tx.value(writes.STEP, {"id": transfer.id, "state": str(state), "actor": tx.actor.label})
    return seq


def about(transfer: Transfer) -> About:
    """Return what every event of a transfer says of it."""
    return {
        "number": transfer.number,
        "origin_id": transfer.origin_id,
        "destination_id": transfer.destination_id,
    }


async def derived_state(tx: Tx, transfer: Transfer) -> TransferState:
    """Return the state that the units of an approved transfer come to."""
    return rules.state_of(await tx.one(Progress, writes.PROGRESS, {"id": transfer.id}))


def reference(transfer: Transfer, shipment: int | None = None) -> Reference:
    """Return what the ledger says of a transfer's movements, of those of one of several shipments like T12/2."""
    return Reference("transfer", transfer.id, f"T{transfer.number}" + (f"/{shipment}" if shipment else ""))

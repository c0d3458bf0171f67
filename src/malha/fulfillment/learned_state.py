"""Whether dates are promised by learned days, and why not."""

from enum import StrEnum

import msgspec

from malha.fulfillment import outcome_reads as outcomes
from malha.fulfillment.learning_days import LOOK_BACK
from malha.platform.db import Tx
from malha.promising import reads
from malha.promising.lived import LEAST
from malha.promising.reads import Standing


class State(StrEnum):
    """Whether learned days count."""

    IN_FORCE = "in_force"
    TOO_FEW = "too_few"  # deliveries are known
    SOON = "soon"  # the worker learns at its next look
    OFF = "off"  # a person turned them off
    OFF_BY_SETTING = "off_by_setting"


class LearnedState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether learned days count. `known`: deliveries, counted up to the `needed` ones; `standing`: those in force."""

    state: State
    known: int
    needed: int
    standing: Standing | None


async def state_of(tx: Tx, *, by_setting: bool) -> LearnedState:
    """Return whether learned days count; `by_setting`: whether the setting lets them."""
    standing = await reads.standing(tx)
    known = LEAST if standing is not None else await outcomes.known(tx, back=LOOK_BACK, most=LEAST)
    if not by_setting:
        state = State.OFF_BY_SETTING
    elif not await reads.is_wanted(tx):
        state = State.OFF
    elif standing is not None:
        state = State.IN_FORCE
    else:
        state = State.SOON if known >= LEAST else State.TOO_FEW
    return LearnedState(state=state, known=known, needed=LEAST, standing=standing if state is State.IN_FORCE else None)

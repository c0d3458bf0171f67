"""Learned dates on the page of promises: whether they count, how good they were, and a way to turn them off."""

from typing import Any, NamedTuple

from litestar import Request, post
from litestar.response import Response

from malha.console import filling, render, shell, web
from malha.console.words import Sign
from malha.fulfillment import learned_state
from malha.fulfillment import outcome_reads as outcomes
from malha.fulfillment.learned_state import LearnedState, State
from malha.fulfillment.outcome_reads import KeptLearned
from malha.platform import i18n
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.settings import Settings
from malha.promising import keeping

CHANGE = "network:write"
PATH = "/promises/learned"
SIGNS: dict[State, Sign] = {
    State.IN_FORCE: Sign(N_("In force"), "done", "done"),
    State.TOO_FEW: Sign(N_("Not yet"), "wait", "dash"),
    State.SOON: Sign(N_("Within ten minutes"), "wait", "dash"),
    State.OFF: Sign(N_("Turned off"), "neutral", "pause"),
    State.OFF_BY_SETTING: Sign(N_("Turned off by setting"), "neutral", "pause"),
}


class Panel(NamedTuple):
    """The panel: what is so, and what may be done."""

    state: str
    sign: Sign
    sentence: str
    facts: list[tuple[str, str, str]]  # name, value, note
    may_turn: bool
    on: bool


async def panel(tx: Tx, request: Request[Any, Any, Any], wanted: outcomes.Wanted) -> Panel:
    """Return what is so of learned dates; how good they were is of the promises the page shows."""
    settings: Settings = request.app.state.services.settings
    found = await learned_state.state_of(tx, by_setting=settings.learned_promises)
    good = await outcomes.kept_learned(tx, wanted)
    caller = web.caller_of(request)
    return Panel(
        state=found.state.value,
        sign=SIGNS[found.state],
        sentence=_sentence(found),
        facts=_facts(found, good),
        may_turn=found.state is not State.OFF_BY_SETTING and shell.scope_of(caller) is None,
        on=found.state is not State.OFF,
    )


def _sentence(found: LearnedState) -> str:
    match found.state:
        case State.IN_FORCE:
            return _(
                "Dates are promised by when goods left each location and how long they travelled before, instead of "
                "by the days of the tariff."
            )
        case State.TOO_FEW:
            return _(
                "Dates go by the tariff until {needed} deliveries of the last weeks are known; {known} are.",
                needed=i18n.number(found.needed),
                known=i18n.number(found.known),
            )
        case State.SOON:
            return _("Enough deliveries are known; the worker learns from them at its next look. Until then dates go "
                     "by the tariff.")  # fmt: skip
        case State.OFF:
            return _("A person turned learned dates off. Dates go by the tariff.")
        case State.OFF_BY_SETTING:
            return _("The setting MALHA_LEARNED_PROMISES says false. Dates go by the tariff.")


def _facts(found: LearnedState, good: KeptLearned) -> list[tuple[str, str, str]]:
    facts = []
    standing = found.standing
    if standing is not None:
        if standing.worth is None:
            note = _("of promises to be kept; no costs are stated")
        else:
            note = n_(
                "by costs: a broken promise is worth {n} day longer",
                "by costs: a broken promise is worth {n} days longer",
                round(standing.worth),
            )
        facts += [
            (
                _("In force since"),
                i18n.day_of(standing.since),
                _("learned anew {time}", time=render.moment(standing.made_at)),
            ),
            (_("Level"), i18n.percent(standing.level, decimals=1), note),
            (
                _("Learned from"),
                n_("{n} delivery", "{n} deliveries", standing.outcomes),
                n_("{n} lane", "{n} lanes", standing.lanes),
            ),
        ]
    if good.share is not None and good.said is not None:
        facts += [
            (_("Kept"), i18n.percent(good.share, decimals=1), n_("of {n} promise", "of {n} promises", good.due)),
            (_("Expected"), i18n.percent(good.said, decimals=1), _("the chance they were made with, mean")),
        ]
    return facts


@post(PATH, opt={"permission": CHANGE}, status_code=200)
async def turn_learned(request: Request[Any, Any, Any]) -> Response[Any]:
    """Turn learned dates on or off.

    Raises:
        SharedByAll: the caller is limited to some locations.
    """
    on = filling.filled(await request.form()).text("on", 1) == "1"
    async with web.writing(request) as tx:
        await keeping.turn(tx, on=on)
    told = _("Learned dates are turned on.") if on else _("Learned dates are turned off: dates go by the tariff.")
    return web.go_on(request, "/promises", told)


HANDLERS = [turn_learned]

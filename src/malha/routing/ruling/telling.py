"""What a routing rule had to do with a decision, in the reader's words. No I/O."""

from collections.abc import Mapping

import msgspec

from malha.platform.i18n import N_, _, n_
from malha.platform.money import Money
from malha.routing.ruling.model import Bound, Unfilled


class RuleTold(msgspec.Struct, frozen=True, kw_only=True):
    """The run and rule that decided. `rule` None: no rule could fill the order, and any location counted."""

    number: int  # of the rule set
    run: str
    rule: str | None
    tried: list[str]  # rules before, which could not fill the order
    keep: int
    complete: bool
    max_packages: int | None
    preferred: bool  # some locations came before others, whatever they cost
    rows: list[int]  # of the decision table that counted, from 1 on
    ending: Unfilled | None  # what came of what the rule could not place
    cancel_after_days: int | None


ENDINGS: dict[Unfilled, str] = {
    Unfilled.QUEUE: N_("The rule says that what it cannot place waits for a person."),
    Unfilled.BACKORDER: N_("The rule says that what it cannot place is sold ahead, or waits for a person."),
    Unfilled.DROP_SHIP: N_("The rule says that a vendor sends what it cannot place, or it waits for a person."),
}


def rule_told(bound: Bound) -> RuleTold:
    """Return a rule's part in a decision."""
    return RuleTold(
        number=bound.number,
        run=bound.run,
        rule=bound.rule,
        tried=bound.tried,
        keep=bound.keep,
        complete=bound.complete,
        max_packages=bound.packages,
        preferred=bool(bound.tiers),
        rows=bound.rows,
        ending=bound.ending,
        cancel_after_days=bound.cancel_after_days,
    )


def rule_sentences(bound: Bound, vendors: Mapping[int, str]) -> list[str]:
    """Return which run and rule decided, which could not before, and what the rule said of what is left.

    `vendors` are their names by location id; those whom the reader does not see are left out.
    """
    run, number = bound.run, bound.number or _("(draft)")
    if bound.rule is not None:
        said = [
            _("Rule “{rule}” of the run “{run}” decided, rule set {number}.", rule=bound.rule, run=run, number=number)
        ]
    elif bound.tried:
        said = [
            _(
                "No rule of the run “{run}” could fill the order, so any location counted; rule set {number}.",
                run=run,
                number=number,
            )
        ]
    else:
        said = [_("The run “{run}” has no rules: any location counted; rule set {number}.", run=run, number=number)]
    if bound.rows:
        numbers = ", ".join(str(n) for n in bound.rows)
        said.insert(
            0,
            n_(
                "Row {numbers} of the decision table fitted the order.",
                "Rows {numbers} of the decision table fitted the order.",
                len(bound.rows),
                numbers=numbers,
            ),
        )
    if bound.tried:
        names = ", ".join(f"“{name}”" for name in bound.tried)
        said.append(n_("{names} could not fill it.", "{names} could not fill it.", len(bound.tried), names=names))
    if bound.packages is not None:
        said.append(n_("The rule allows {n} package at most.", "The rule allows {n} packages at most.", bound.packages))
    if bound.ending is not None:
        if bound.complete:
            said.append(_("The rule sends the order complete or not at all."))
        said.append(_(ENDINGS[bound.ending]))
        said += [
            n_(
                "{vendor} is asked to send {n} unit: {cost} each, {days} working days until it is there.",
                "{vendor} is asked to send {n} units: {cost} each, {days} working days until they are there.",
                one.units,
                vendor=vendors[one.location],
                cost=Money(one.cost),
                days=one.lead_days + one.days,
            )
            for one in bound.dropped
            if one.location in vendors
        ]
    return said

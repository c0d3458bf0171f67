"""What cannot be in a rule set, field by field. Pure."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from malha.network.model import LocationKind
from malha.network.snapshot import NetworkSnapshot
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.routing.ruling.model import Content, Row, Rule, Run, Unfilled, When, Where

MOST_FLAWS = 1_000
NO_CHANNEL = N_("There is no channel {code}.")
NO_GROUP = N_("There is no group of locations {code}.")
NO_LOCATION = N_("There is no location {code}.")
NO_CATEGORY = N_("There is no category {code}.")
CHECK_CODE = N_("Check the code; case counts.")
TWICE = N_("The name {name} is there twice.")
OTHER_NAME = N_("Give each its own name: explanations name it.")
EMPTY = N_("It must not be empty.")
NO_RUN = N_("These rules have no run {name}.")
CHECK_RUN = N_("Write the name of a run as it stands there, or leave it empty.")
NOTHING_WAITS = N_("Nothing waits for a person after this rule.")
EMPTY_OR_WAIT = N_("Leave it empty, or let the order wait.")
NO_VENDOR = N_("The location {code} is no vendor.")
CHECK_VENDOR = N_("Name a location of the kind vendor.")
NO_DROP_SHIP = N_("No vendor is asked by this rule.")
EMPTY_OR_DROP_SHIP = N_("Leave it empty, or let a vendor send what the rule cannot place.")
NOT_SHIPPED = N_("The location {code} does not ship.")
CHECK_HUB = N_("Name a location that ships, and state on its page from where goods are brought to it.")
NOTHING_BROUGHT = N_("Goods are brought to {code} from nowhere.")
ONE_ANYWAY = N_("What comes together leaves in one shipment anyway.")
LEAVE_EMPTY = N_("Leave it empty.")
BACKWARDS = N_("The least is more than the most.")
SWAP = N_("Swap the two.")


def flaws_of(
    content: Content, known: NetworkSnapshot, groups: Collection[str], no_categories: Collection[str]
) -> list[Flaw]:
    """Return what is wrong, the first `MOST_FLAWS` of it: nobody mends more at once, and a table may have 100,000.

    `no_categories` are codes the conditions name that no category has.
    """
    return list(islice(_flaws(content, known, groups, no_categories), MOST_FLAWS))


def _flaws(
    content: Content, known: NetworkSnapshot, groups: Collection[str], no_categories: Collection[str]
) -> Iterator[Flaw]:
    names: set[str] = set()
    for n, run in enumerate(content.runs):
        at = f"runs/{n}"
        yield from _name(f"{at}/name", run.name, names)
        yield from _when(f"{at}/when", run.when, known, no_categories)
        yield from _rules(at, run, known, groups)
    runs = {run.name for run in content.runs}
    for n, row in enumerate(content.table.rows):
        yield from _when(f"table/rows/{n}/when", row.when, known, no_categories)
        yield from _row(f"table/rows/{n}/then", row, runs, groups)
        yield from _vendors(f"table/rows/{n}/then", row.then.vendors, row.then.unfilled, known)


def _row(at: str, row: Row, runs: Collection[str], groups: Collection[str]) -> Iterator[Flaw]:
    then = row.then
    if then.run is not None and then.run not in runs:
        yield Flaw(f"{at}/run", NO_RUN, CHECK_RUN, {"name": then.run})
    for field, codes in (("groups", then.groups), ("prefer", then.prefer)):
        for n, code in enumerate(codes):
            if code not in groups:
                yield Flaw(f"{at}/{field}/{n}", NO_GROUP, CHECK_CODE, {"code": code})
    if then.cancel_after_days is not None and then.unfilled in {None, Unfilled.NEXT}:
        yield Flaw(f"{at}/cancel_after_days", NOTHING_WAITS, EMPTY_OR_WAIT)


def _name(at: str, name: str, taken: set[str]) -> Iterator[Flaw]:
    key = " ".join(name.split()).casefold()
    if not key:
        yield Flaw(at, EMPTY)
    elif key in taken:
        yield Flaw(at, TWICE, OTHER_NAME, {"name": name})
    taken.add(key)


def _when(at: str, when: When, known: NetworkSnapshot, no_categories: Collection[str]) -> Iterator[Flaw]:
    for n, code in enumerate(when.channels):
        if known.channel(code) is None:
            yield Flaw(f"{at}/channels/{n}", NO_CHANNEL, CHECK_CODE, {"code": code})
    for n, code in enumerate(when.categories):
        if code in no_categories:
            yield Flaw(f"{at}/categories/{n}", NO_CATEGORY, CHECK_CODE, {"code": code})
    for name in ("value", "units", "grams"):
        least, most = getattr(when, f"min_{name}"), getattr(when, f"max_{name}")
        if least is not None and most is not None and least > most:
            yield Flaw(f"{at}/max_{name}", BACKWARDS, SWAP)
    for name, values in when.attributes.items():
        if not values:
            yield Flaw(f"{at}/attributes/{name}", EMPTY)


def _rules(at: str, run: Run, known: NetworkSnapshot, groups: Collection[str]) -> Iterator[Flaw]:
    names: set[str] = set()
    for n, rule in enumerate(run.rules):
        here = f"{at}/rules/{n}"
        yield from _name(f"{here}/name", rule.name, names)
        yield from _where(f"{here}/where", rule.where, known, groups)
        for tier, where in enumerate(rule.prefer):
            yield from _where(f"{here}/prefer/{tier}", where, known, groups)
        yield from _vendors(here, rule.vendors, rule.unfilled, known)
        yield from _hub(here, rule, known)
        yield from _ending(here, rule, last=n == len(run.rules) - 1)


def _vendors(at: str, vendors: Sequence[str], unfilled: Unfilled | None, known: NetworkSnapshot) -> Iterator[Flaw]:
    if vendors and unfilled is not Unfilled.DROP_SHIP:
        yield Flaw(f"{at}/vendors", NO_DROP_SHIP, EMPTY_OR_DROP_SHIP)
    for n, code in enumerate(vendors):
        location = known.location(code)
        if location is None:
            yield Flaw(f"{at}/vendors/{n}", NO_LOCATION, CHECK_CODE, {"code": code})
        elif location.kind is not LocationKind.VENDOR:
            yield Flaw(f"{at}/vendors/{n}", NO_VENDOR, CHECK_VENDOR, {"code": code})


def _hub(at: str, rule: Rule, known: NetworkSnapshot) -> Iterator[Flaw]:
    code = rule.merge_at
    if code is None:
        return
    location = known.location(code)
    if location is None:
        yield Flaw(f"{at}/merge_at", NO_LOCATION, CHECK_CODE, {"code": code})
    elif not location.can_ship:
        yield Flaw(f"{at}/merge_at", NOT_SHIPPED, CHECK_HUB, {"code": code})
    elif location.home not in known.brought_to():
        yield Flaw(f"{at}/merge_at", NOTHING_BROUGHT, CHECK_HUB, {"code": code})
    if rule.max_packages is not None:
        yield Flaw(f"{at}/max_packages", ONE_ANYWAY, LEAVE_EMPTY)


def _ending(at: str, rule: Rule, *, last: bool) -> Iterator[Flaw]:
    if rule.cancel_after_days is not None and rule.unfilled is Unfilled.NEXT:
        yield Flaw(f"{at}/cancel_after_days", NOTHING_WAITS, EMPTY_OR_WAIT)
    if not last and rule.unfilled not in {Unfilled.NEXT, Unfilled.DROP_SHIP}:
        yield Flaw(
            f"{at}/unfilled",
            N_("The rules after this one would never be tried."),
            N_("Let it go on with the next rule, or remove those after it."),
        )


def _where(at: str, where: Where, known: NetworkSnapshot, groups: Collection[str]) -> Iterator[Flaw]:
    for n, code in enumerate(where.groups):
        if code not in groups:
            yield Flaw(f"{at}/groups/{n}", NO_GROUP, CHECK_CODE, {"code": code})
    for n, code in enumerate(where.locations):
        if known.location(code) is None:
            yield Flaw(f"{at}/locations/{n}", NO_LOCATION, CHECK_CODE, {"code": code})

"""The forms of routing rules: a run with its conditions, a rule with its locations; read back as what they say."""

from malha.console.filling import Filled
from malha.network.model import LocationKind, Method
from malha.platform.brazil import STATES
from malha.platform.i18n import N_
from malha.routing.ruling.model import MAX_TIERS, Rule, Run, Unfilled, When, Where

SPARE_TIERS = 1  # empty rows beyond those that are filled in
FIRST_TIERS = 2
OUT_OF_RANGE = N_("This number is out of range."), N_("Write one from {least} to {most}.")


def tiers_of(rule: Rule | None) -> list[Where]:
    """Return the rows of preferred locations that a form shows."""
    filled = [] if rule is None else list(rule.prefer)
    wanted = min(max(FIRST_TIERS, len(filled) + SPARE_TIERS), MAX_TIERS)
    return filled + [Where()] * (wanted - len(filled))


def run_of(read: Filled, before: Run | None) -> Run:
    """Return the run a form describes; its rules are those it had."""
    attributes: dict[str, list[str]] = {}
    for n, line in enumerate(read.text("attributes", 4_000).splitlines()):
        name, sign, values = line.partition(":")
        if not line.strip():
            continue
        if not sign or not name.strip() or not _codes(values):
            read.wrong(
                "attributes", N_("Line {n} is no attribute."), N_("Write one a line, like class: fragile."), n=n + 1
            )
            continue
        attributes[name.strip()[:80]] = _codes(values)
    states = [state.upper() for state in _codes(read.text("states", 400))]
    for state in states:
        if state not in STATES:
            read.wrong(
                "states", N_("There is no state {state}."), N_("Write two letters each, like SP, RJ."), state=state
            )
    when = When(
        channels=_ticked(read, "channels"),
        methods=[method for method in Method if method.value in _ticked(read, "methods")],
        states=[state for state in states if state in STATES],
        customer_groups=_codes(read.text("customer_groups", 2_000)),
        min_value=_amount(read, "min_value"),
        max_value=_amount(read, "max_value"),
        min_units=_whole(read, "min_units", 0, 10**9),
        max_units=_whole(read, "max_units", 0, 10**9),
        min_grams=_whole(read, "min_grams", 0, 10**9),
        max_grams=_whole(read, "max_grams", 0, 10**9),
        brands=_codes(read.text("brands", 4_000)),
        categories=_codes(read.text("categories", 4_000)),
        attributes=attributes,
        goods="all" if read.text("goods") == "all" else "any",
        weekdays=[day for day in range(1, 8) if str(day) in _ticked(read, "weekdays")],
        from_hour=_whole(read, "from_hour", 0, 24),
        to_hour=_whole(read, "to_hour", 0, 24),
    )
    return Run(name=_name(read), when=when, rules=[] if before is None else before.rules)


def rule_of(read: Filled) -> Rule:
    """Return the rule a form describes."""
    prefer = [_where(read, f"prefer/{n}/") for n in range(MAX_TIERS)]
    return Rule(
        name=_name(read),
        where=_where(read, "where/"),
        prefer=[where for where in prefer if where != Where()],
        keep=_whole(read, "keep", 0, 1_000_000) or 0,
        complete=read.flag("complete"),
        max_packages=_whole(read, "max_packages", 1, 100),
        unfilled=read.choice("unfilled", Unfilled),
        vendors=_codes(read.text("vendors", 1_700))[:20],
        cancel_after_days=_whole(read, "cancel_after_days", 1, 365),
        merge_at=read.text("merge_at", 80) or None,
    )


def _name(read: Filled) -> str:
    name = read.text("name", 80)
    if not name:
        read.wrong("name", N_("This field is empty."), N_("Fill it in."))
    return name or "-"


def _where(read: Filled, at: str) -> Where:
    kinds = _ticked(read, f"{at}kinds")
    return Where(
        groups=_codes(read.text(f"{at}groups", 8_000)),
        locations=_codes(read.text(f"{at}locations", 40_000)),
        kinds=[kind for kind in LocationKind if kind.value in kinds],
        same_state=read.flag(f"{at}same_state"),
        max_km=_whole(read, f"{at}max_km", 1, 20_000),
    )


def _ticked(read: Filled, name: str) -> list[str]:
    return [str(value)[:80] for value in read.form.getall(name, [])]


def _codes(text: str) -> list[str]:
    """Return codes that were written with commas or on lines, each once."""
    parts = text.replace("\n", ",").replace(";", ",").split(",")
    return list(dict.fromkeys(part.strip()[:80] for part in parts if part.strip()))


def _whole(read: Filled, name: str, least: int, most: int) -> int | None:
    found = read.maybe_whole(name)
    if found is not None and not least <= found <= most:
        read.wrong(name, *OUT_OF_RANGE, least=least, most=most)
        return None
    return found


def _amount(read: Filled, name: str) -> int | None:
    found = read.maybe_scaled(name, 2)
    if found is not None and not 0 <= found <= 10**12:
        read.wrong(name, *OUT_OF_RANGE, least=0, most="10.000.000.000,00")
        return None
    return found

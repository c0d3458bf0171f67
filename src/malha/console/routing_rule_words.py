"""Routing rules in the reader's words: conditions, locations, what follows, and what differs between two sets."""

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from malha.console import network_words as say
from malha.network.model import Method
from malha.platform import i18n
from malha.platform.i18n import N_, _, n_
from malha.routing.ruling.model import Content, Rule, Run, Then, Unfilled, When, Where

METHODS = {Method.SHIP: N_("Delivery"), Method.PICKUP: N_("Pickup")}
DAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
UNFILLED = {
    Unfilled.NEXT: N_("Go on with the next rule; after the last, any location"),
    Unfilled.QUEUE: N_("Wait for a person"),
    Unfilled.BACKORDER: N_("Sell ahead where the goods may be, else wait for a person"),
    Unfilled.DROP_SHIP: N_("Have a vendor send it; if none can, the next rule, after the last wait for a person"),
}
Names = Mapping[str, Mapping[str, str]]  # kind of code -> code -> name


class Change(NamedTuple):
    """One line of a comparison. `sign` is "+", "-" or empty."""

    sign: str
    text: str
    deep: bool  # a rule, under its run


def when_says(when: When, names: Names) -> list[str]:
    """Return the conditions of a run, one a phrase; none: every order."""

    def named(kind: str, codes: Sequence[str]) -> str:
        return _list([names.get(kind, {}).get(code, code) for code in codes])

    said = []
    if when.channels:
        said.append(_("channel {names}", names=named("channels", when.channels)))
    if when.methods:
        said.append(_list([_(METHODS[method]) for method in when.methods]).lower())
    if when.states:
        said.append(_("to {states}", states=_list(when.states)))
    if when.customer_groups:
        said.append(_("customers of {names}", names=_list(when.customer_groups)))
    said += _range(when)
    if when.brands:
        said.append(_("brand {names}", names=_list(when.brands)))
    if when.categories:
        said.append(_("category {names}", names=named("categories", when.categories)))
    said += [f"{name}: {_list(values)}" for name, values in when.attributes.items()]
    said += _time(when)
    if when.asks_goods:
        said.append(_("every line of it") if when.goods == "all" else _("at least one line of it"))
    return said


def _time(when: When) -> list[str]:
    said = []
    if when.weekdays:
        said.append(_list([_(DAYS[day - 1]) for day in when.weekdays]))
    if when.from_hour is not None or when.to_hour is not None:
        least, most = when.from_hour or 0, 24 if when.to_hour is None else when.to_hour
        said.append(_("{least}:00 to {most}:00", least=least, most=most))
    return said


def then_says(then: Then, names: Names) -> list[str]:
    """Return what a row of the table says, one a phrase; none: what the runs say."""

    def groups(codes: Sequence[str]) -> str:
        return _list([names.get("groups", {}).get(code, code) for code in codes])

    said = []
    if then.run is not None:
        said.append(_("run {name}", name=then.run))
    if then.groups:
        said.append(_("only from {names}", names=groups(then.groups)))
    if then.prefer:
        said.append(_("first from {names}", names=groups(then.prefer)))
    if then.keep is not None:
        said.append(n_("keeps {n} unit back", "keeps {n} units back", then.keep))
    if then.complete is not None:
        said.append(_("complete or nothing") if then.complete else _("in parts, if need be"))
    if then.max_packages is not None:
        said.append(n_("{n} package at most", "{n} packages at most", then.max_packages))
    if then.unfilled is not None:
        said.append(_(UNFILLED[then.unfilled]) + _vendors(then.vendors, names))
    if then.cancel_after_days is not None:
        said.append(n_("cancel after {n} day", "cancel after {n} days", then.cancel_after_days))
    return said


def _range(when: When) -> list[str]:
    said = []
    for name, word, show in (
        ("value", N_("worth {range}"), i18n.money),
        ("units", N_("{range} units"), i18n.number),
        ("grams", N_("{range} g"), i18n.number),
    ):
        least, most = getattr(when, f"min_{name}"), getattr(when, f"max_{name}")
        if least is not None and most is not None:
            said.append(_(word, range=_("{least} to {most}", least=show(least), most=show(most))))
        elif least is not None:
            said.append(_(word, range=_("from {least}", least=show(least))))
        elif most is not None:
            said.append(_(word, range=_("up to {most}", most=show(most))))
    return said


def where_says(where: Where, names: Names) -> str:
    """Return which locations, in words."""
    said = []
    if where.kinds:
        said.append(_list([_(say.LOCATION_KIND[kind]) for kind in where.kinds]))
    if where.groups:
        said.append(_("group {names}", names=_list([names.get("groups", {}).get(c, c) for c in where.groups])))
    if where.locations:
        said.append(_list([names.get("locations", {}).get(c, c) for c in where.locations]))
    if where.same_state:
        said.append(_("same state"))
    if where.max_km is not None:
        said.append(_("up to {n} km", n=i18n.number(where.max_km)))
    return ", ".join(said) or _("any location")


def order_says(rule: Rule, names: Names) -> str:
    """Return in what order locations are taken."""
    steps = [where_says(where, names) for where in rule.prefer]
    return " → ".join([*steps, _("then the cheapest") if steps else _("the cheapest")])


def limits_say(rule: Rule, names: Names) -> list[str]:
    """Return what else a rule asks."""
    said = []
    if rule.merge_at is not None:
        place = names.get("locations", {}).get(rule.merge_at, rule.merge_at)
        said.append(_("in one shipment from {place}", place=place))
    if rule.keep:
        said.append(n_("keeps {n} unit back", "keeps {n} units back", rule.keep))
    if rule.complete:
        said.append(_("complete or nothing"))
    if rule.max_packages is not None:
        said.append(n_("{n} package at most", "{n} packages at most", rule.max_packages))
    return said


def _vendors(codes: Sequence[str], names: Names) -> str:
    """Return who is asked to send what is left, where that is said."""
    if not codes:
        return ""
    return " (" + " → ".join(names.get("locations", {}).get(code, code) for code in codes) + ")"


def ending_says(rule: Rule, names: Names) -> str:
    """Return what happens where the rule cannot fill an order."""
    said = _(UNFILLED[rule.unfilled]) + _vendors(rule.vendors, names)
    if rule.cancel_after_days is None:
        return said
    return said + "; " + n_("cancel after {n} day", "cancel after {n} days", rule.cancel_after_days)


def lines_of(content: Content, names: Names) -> list[tuple[str, bool]]:
    """Return a rule set as lines that can be compared: runs, and their rules under them."""
    found: list[tuple[str, bool]] = []
    for row in content.table.rows:
        when = ", ".join(when_says(row.when, names)) or _("every order")
        then = ", ".join(then_says(row.then, names)) or _("as the runs say")
        found.append((f"{row.name or _('Row')}: {when} → {then}", False))
    for run in content.runs:
        found.append((_run_line(run, names), False))
        found += [(_rule_line(rule, names), True) for rule in run.rules]
    return found


def _run_line(run: Run, names: Names) -> str:
    return f"{run.name}: " + (", ".join(when_says(run.when, names)) or _("every order"))


def _rule_line(rule: Rule, names: Names) -> str:
    parts = [where_says(rule.where, names), order_says(rule, names), *limits_say(rule, names), ending_says(rule, names)]
    return f"{rule.name}: " + " · ".join(parts)


def changes(before: Content, after: Content, names: Names) -> list[Change]:
    """Return what differs, with what stands around it; nothing where both are alike."""
    old, new = lines_of(before, names), lines_of(after, names)
    if old == new:
        return []
    found: list[Change] = []
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            found += [Change("", *line) for line in old[a:b]]
        else:
            found += [Change("-", *line) for line in old[a:b]] + [Change("+", *line) for line in new[c:d]]
    return found


def _list(values: Sequence[str]) -> str:
    return ", ".join(values)

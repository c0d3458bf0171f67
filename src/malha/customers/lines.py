"""Rows of a table against the profiles there are: what an address becomes, and which rows contradict one another.

A row states what its filled cells say; an empty cell, or a column that is not there, leaves what is stored. So an
address changes part by part. What is stored in another spelling than a row's, like a CEP with its dash, is not changed.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from zlib import crc32

import msgspec

from malha.customers.model import Customer, CustomerDraft
from malha.network.places import locate, locate_city
from malha.platform.address import Address, check_parts
from malha.platform.brazil import STATES, normalise_cep, normalise_state
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.text import fold

PARTS = ("postal_code", "street", "number", "complement", "district", "city", "state")
MAX_SEEN = 200_000  # customers of one file who are remembered
_FIELDS = ("name", "document", "email", "phone", *PARTS)


class Line(msgspec.Struct, frozen=True):
    """A row: the profile it states, tidied, without an address; and the filled cells of the address as they stand."""

    line: int
    draft: CustomerDraft
    address: Mapping[str, str]


def _form(part: str, text: str) -> str:
    """Return the one form of a part of an address in Brazil."""
    text = " ".join(text.split())
    if part == "postal_code":
        return normalise_cep(text, restore_zeros=True) or text
    if part == "state":
        return normalise_state(text) or text.upper()
    return text


def merged_address(before: Address, said: Mapping[str, str]) -> Address:
    """Return an address with the parts that a row states, and the others as they are.

    Another CEP tells city and state where the row does not. The municipality's code follows city and state.
    """
    at_home = before.country == "BR"
    new = {
        part: _form(part, text) if at_home else " ".join(text.split())
        for part, text in said.items()
        if _form(part, text) != _form(part, getattr(before, part))
    }
    if not new:
        return before
    place = locate(new["postal_code"]) if at_home and "postal_code" in new else None
    for part in ("city", "state") if place else ():
        if part not in said and fold(getattr(before, part)) != fold(getattr(place, part)):
            new[part] = getattr(place, part)
    after = msgspec.structs.replace(before, **new)
    if before.ibge and not _is_one_city(before, after):
        found = locate_city(after.city, after.state)
        after = msgspec.structs.replace(after, ibge=found.ibge if found else "")
    return after


def _is_one_city(one: Address, other: Address) -> bool:
    return (fold(one.city), one.state) == (fold(other.city), other.state)


def stated_address(before: Address, after: Address) -> Address:
    """Return an address that a person states, with the municipality's code of the one before it in the same city."""
    keeps = bool(after.city) and not after.ibge and _is_one_city(before, after)
    return msgspec.structs.replace(after, ibge=before.ibge) if keeps else after


def check_merged(before: Address, after: Address, said: Mapping[str, str]) -> Iterator[Flaw]:
    """Yield what is wrong with the parts of an address that a row changes, `at` the name of a column.

    What was stored and is not named in the row is not told: whoever imports may not be allowed to see it.
    """
    new = {part for part in PARTS if getattr(after, part) != getattr(before, part)}
    for flaw in check_parts(Address(**{part: getattr(after, part) for part in new})):
        yield Flaw(flaw.at.removeprefix("address/"), flaw.says, flaw.mend, flaw.facts)
    if after.country != "BR":
        return
    if "postal_code" in new and normalise_cep(after.postal_code) is None:
        facts = {"value": after.postal_code[:100]}
        yield Flaw("postal_code", N_("{value} is no CEP."), N_("A CEP has eight digits."), facts)
    elif "state" in new and after.state not in STATES:
        says, mend = N_("{value} is no Brazilian state."), N_("Use the two letters of the state, like SP.")
        yield Flaw("state", says, mend, {"value": after.state[:100]})
    elif after.state and new & {"postal_code", "state"}:
        yield from _check_place(before, after, said)


def _check_place(before: Address, after: Address, said: Mapping[str, str]) -> Iterator[Flaw]:
    place = locate(after.postal_code) if after.postal_code else None
    if place is not None and place.state != after.state:
        if "postal_code" in said:
            says = N_("The CEP {value} lies in {city} ({found}), not in {stated}.")
            facts = {"value": after.postal_code, "city": place.city, "found": place.state, "stated": after.state}
            yield Flaw("postal_code", says, N_("Correct the CEP or the state."), facts)
        else:
            says = N_("The CEP that is stored lies in {found}, not in {stated}.")
            facts = {"found": place.state, "stated": after.state}
            yield Flaw("state", says, N_("Give the CEP too, or correct the state."), facts)
        return
    was, now = locate_city(before.city, before.state), locate_city(after.city, after.state)
    if place is None and "city" not in said and was is not None and now is None:
        says = N_("The city that is stored, {city}, is not in {stated}.")
        facts = {"city": before.city, "stated": after.state}
        yield Flaw("state", says, N_("Give the city too, or correct the state."), facts)


def warn_merged(before: Address, after: Address, said: Mapping[str, str]) -> Iterator[Flaw]:
    """Yield what is odd about it: a number or complement that belonged to another street."""
    kept = any(getattr(before, part) and part not in said for part in ("number", "complement"))
    if before.street and fold(after.street) != fold(before.street) and kept:
        says = N_("The row names another street, but not its number or complement: what is stored of them stays.")
        yield Flaw("street", says, N_("Fill both in, or correct the customer."))


def stated(line: Line) -> dict[str, str]:
    """Return what a row says, by column, in a form that is the same for all spellings of one thing."""
    fields = {name: getattr(line.draft, name) for name in ("name", "document", "email", "phone")}
    fields |= {part: _form(part, text) for part, text in line.address.items()}
    return {name: fold(text) for name, text in fields.items() if text}


def _numbers(line: Line) -> Sequence[int]:
    """Return what a row says as a number for each column, 0 where it says nothing."""
    mine = stated(line)
    return array("I", [crc32(mine[name].encode()) or 1 if name in mine else 0 for name in _FIELDS])


class Seen:
    """What the rows of one file said so far, by customer; and in a preview the customers that rows would make.

    Of each row a few numbers are kept. Customers after the first `MAX_SEEN` are not remembered: of their rows the
    later one has the last word.
    """

    def __init__(self) -> None:
        self._rows: dict[UUID, list[tuple[int, Sequence[int]]]] = {}
        self._made: dict[UUID, Customer] = {}
        self._named: dict[str, list[UUID]] = defaultdict(list)

    def made(self, drafts: Iterable[CustomerDraft]) -> list[Customer]:
        """Return the customers that earlier rows would make and one of these drafts may mean."""
        said = {value for d in drafts for value in (d.document, d.email, d.phone) if value and value in self._named}
        return [self._made[id_] for id_ in dict.fromkeys(id_ for value in said for id_ in self._named[value])]

    def keep(self, customers: Iterable[Customer]) -> None:
        """Remember customers that rows would make, without their addresses."""
        for customer in customers:
            known = customer.id in self._made
            if not known and len(self._made) >= MAX_SEEN:
                continue
            number = self._made[customer.id].number if known else 2**61 + len(self._made)
            self._made[customer.id] = msgspec.structs.replace(customer, number=number, address=Address())
            for value in filter(None, (customer.document, customer.email, customer.phone)):
                if customer.id not in self._named[value]:
                    self._named[value].append(customer.id)

    def contradicted(self, customer_id: UUID, line: Line) -> Flaw | None:
        """Return what a row says otherwise than an earlier one of the same customer."""
        numbers = _numbers(line)
        # A chunk may come a second time, after the database refused a row of it.
        for number, others in (row for row in self._rows.get(customer_id, ()) if row[0] < line.line):
            for name, one, other in zip(_FIELDS, numbers, others, strict=True):
                if one and other and one != other:
                    says = N_("Line {line} says something else of the same customer.")
                    mend = N_("Keep one of the two. Two people are told apart by their CPF or CNPJ.")
                    return Flaw(name, says, mend, {"line": number})
        return None

    def note(self, customer_id: UUID, line: Line) -> None:
        """Remember what a row says, unless an earlier one said as much."""
        numbers = _numbers(line)
        rows = self._rows.get(customer_id, [])
        told = any(all(not one or one == o for one, o in zip(numbers, others, strict=True)) for _, others in rows)
        if not told and (rows or len(self._rows) < MAX_SEEN):
            self._rows[customer_id] = [*rows, (line.line, numbers)]

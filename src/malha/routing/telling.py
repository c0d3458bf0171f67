"""Decisions in the reader's words: what `reads.explanation` returns, and how it is put together. No I/O."""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from malha.catalog.model import VariantCard
from malha.network.model import Service
from malha.network.places import Place
from malha.platform import i18n
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID
from malha.platform.money import Money
from malha.routing.explaining import Explained, Load, Obstacle, Option
from malha.routing.model import Reason
from malha.routing.records import Record
from malha.routing.ruling.telling import RuleTold, rule_sentences, rule_told

CLOSED_SAYS: dict[Reason, str] = {
    Reason.PAUSED: N_("It is paused."),
    Reason.CLOSED: N_("It is closed."),
    Reason.CHANNEL: N_("It does not serve the channel {channel}."),
    Reason.ISSUER: N_("Its stock belongs to a company the channel {channel} cannot sell for."),
    Reason.OWNER: N_("Its goods belong to a company whose goods the channel {channel} does not sell."),
    Reason.METHOD: N_("It does not ship."),
    Reason.ELSEWHERE: N_("The customer collects at {pickup}."),
    Reason.NO_SERVICE: N_("No service goes from {origin} to {state}."),
    Reason.DISTANCE: N_(
        "It is farther from the destination than it, or the channel {channel}, may ship: {distance} km."
    ),
    Reason.RULE: N_("It is not in the rule “{rule}”."),
    Reason.RULE_DISTANCE: N_("It is farther than the rule “{rule}” allows, or nobody knows how far."),
}
NO_PICKUP = N_("It hands nothing over to customers.")
NOT_BROUGHT = N_("Nothing is brought from there to {pickup}, where the order comes together.")
SERVICE_DOES_NOT_GO = N_("{service} does not go from {origin} to {state}.")
LINE_SAYS: dict[Reason, str] = {
    Reason.CAPACITY: N_("The capacity of its day is used up: {taken} of {capacity}."),
    Reason.EXCLUDED: N_("It gave {item} back before."),
    Reason.NO_SERVICE: N_("One unit of {item} is too heavy for every service."),
    Reason.STOCK: N_("Has {free} of {asked} units of {item}."),
    Reason.PRODUCT: N_("It does not serve goods like {item}."),
    Reason.KEPT: N_("Has {free} of {asked} units of {item} beyond what the rule keeps back."),
}
TERMS = (
    "split",
    "same_site",
    "onward",
    "carton",
    "rejection",
    "lateness",
    "tax",
    "busy",
    "credit",
)  # what the retailer's terms make
FROM_ELSEWHERE = N_("The order's delivery slot is of another location.")
HAS_NONE = N_("It has none of {item}.")
HAS_NOTHING = N_("It has none of what was ordered.")


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """A location as it is shown. `distance_km` is to the destination's city, None when either is unknown."""

    id: int
    code: str
    name: str
    kind: str
    state: str
    city: str
    latitude: float | None
    longitude: float | None
    distance_km: int | None = None


class ParcelRow(msgspec.Struct, frozen=True, kw_only=True):
    """What leaves one location together. Amounts in minor units; `service` is known of the chosen plan only."""

    location: str
    lines: list[tuple[int, int]]  # (line, quantity)
    packages: int
    service: str | None
    freight: int
    handling: int
    picking: int
    worth: int  # the price of the stock it takes: compared, never paid
    carton: int = 0
    rejection: int = 0  # the risk that the location gives it back
    lateness: int = 0  # the risk that its promise is broken
    tax: int = 0
    busy: int = 0  # the price of the location's capacity
    credit: int = 0  # for aged stock: below zero
    # Working days until its goods are where the order is fetched, or they come together; None: not brought.
    brought_days: int | None = None


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """Why a location could not serve a line in full. `says` is in the reader's language.

    `why` is the reason it gave when it gave the line back.
    """

    line: int
    sku: str
    reason: Reason
    says: str
    why: str | None = None


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """One plan, amounts in minor units. Terms and packages are None where only the whole cost was kept.

    `cost` is what was compared: `worth`, the price of the stock it takes, is in it and is not paid.
    """

    rank: int
    chosen: bool
    locations: list[Spot]
    cost: int
    difference: int  # to the chosen plan
    packages: int | None
    freight: int | None
    handling: int | None
    picking: int | None
    worth: int | None
    parcels: list[ParcelRow]
    split: int | None = 0  # parcels beyond the first
    carton: int | None = 0
    rejection: int | None = 0
    lateness: int | None = 0
    tax: int | None = 0
    busy: int | None = 0
    credit: int | None = 0
    same_site: int | None = 0  # parcels of several owners from one site: not above zero
    onward: int | None = 0  # what came together goes on to the customer
    lacks: dict[str, list[Lack]]  # by location code: lines it could not have served


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A location that could serve nothing, and why. `says` is in the reader's language."""

    location: Spot
    reason: Reason
    says: str
    lacks: list[Lack]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was to be placed."""

    line: int
    sku: str
    name: str
    quantity: int
    grams: int  # billable, per unit
    unplaced: int


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One decision with everything it came from, in the reader's words. Amounts in minor units of `currency`."""

    order_id: UUID
    number: int
    attempt: int
    attempts: int
    decided_at: datetime
    rules: int
    network: int
    currency: str
    channel: str
    method: str
    service: str | None
    to_state: str | None
    to_city: str | None
    to_latitude: float | None
    to_longitude: float | None
    lines: list[Asked]
    cost: int  # without the price of stock
    worth: int  # the price of the stock it took, in every comparison
    prices: int | None  # version of the prices of stock; None: none were in force
    packages: int
    lead_days: int | None
    exact: bool
    runner_up: int | None  # how much more the next alternative costs
    headline: str
    sentences: list[str]
    alternatives: list[Alternative]
    rejected: list[Rejected]
    considered: int  # locations looked at
    possible: int  # locations that could serve something
    rule: RuleTold | None = None  # the routing rule that decided; None: no run of rules took the order


def within(told: Explanation, locations: Collection[int]) -> Explanation:
    """Return what concerns some locations only: costs and stock of others are not for those who work there."""
    alternatives = [a for a in told.alternatives if all(spot.id in locations for spot in a.locations)]
    rejected = [r for r in told.rejected if r.location.id in locations]
    return msgspec.structs.replace(
        told,
        cost=sum(a.cost - (a.worth or 0) for a in alternatives if a.chosen),
        worth=sum(a.worth or 0 for a in alternatives if a.chosen),
        runner_up=None,
        headline=_("Other locations are not shown."),
        sentences=[],
        alternatives=alternatives,
        rejected=rejected,
        considered=len({spot.id for a in alternatives for spot in a.locations} | {r.location.id for r in rejected}),
        possible=len({spot.id for a in alternatives for spot in a.locations}),
    )


class Decision(msgspec.Struct, frozen=True):
    """One stored decision, with what its order calls things."""

    order_id: UUID
    number: int
    attempt: int
    decided_at: datetime
    record: str
    currency: str
    cep: str | None
    channel: str
    attempts: int


class Teller:
    """Puts one decision into words."""

    def __init__(
        self,
        row: Decision,
        record: Record,
        explained: Explained,
        spots: Mapping[int, Spot],
        cards: Mapping[int, VariantCard],
        services: Mapping[int, Service],
        gave_back: Mapping[tuple[int, int], str],
        vendors: Mapping[int, str],
    ) -> None:
        self.row = row
        self.record = record
        self.explained = explained
        self.spots = spots
        self.lines = {line.line: line for line in record.lines}
        self.cards = cards
        self.services = services
        self.gave_back = gave_back
        self._days = dict(zip(record.location_ids(), record.days_brought(), strict=True))
        self.vendors = vendors  # names of those who are asked to send something, by location id

    def tell(self, target: Place | None) -> Explanation:
        """Return the explanation; `target` is the destination's city."""
        record, row = self.record, self.row
        options = self.explained.options
        possible = {id_ for option in options for id_ in option.location_ids}
        unplaced = dict(record.unplaced)
        runner_up = next((option for option in options if not option.chosen), None)
        headline, sentences = self._words(runner_up)
        return Explanation(
            order_id=row.order_id,
            number=row.number,
            attempt=row.attempt,
            attempts=row.attempts,
            decided_at=row.decided_at,
            rules=record.rules,
            network=record.network,
            currency=row.currency,
            channel=row.channel,
            method=record.method,
            service=self._service(record.service),
            to_state=record.to,
            to_city=None if target is None else target.city,
            to_latitude=None if target is None else target.latitude,
            to_longitude=None if target is None else target.longitude,
            lines=[
                Asked(
                    line=line.line,
                    sku=self._sku(line.line),
                    name=self._item(line.line),
                    quantity=line.quantity,
                    grams=line.grams,
                    unplaced=unplaced.get(line.line, 0),
                )
                for line in record.lines
            ],
            cost=record.cost,
            worth=record.worth,
            prices=record.version,
            packages=sum(packages for *_, packages, _lines in record.parcels)
            if record.onward is None
            else record.onward.packages,
            lead_days=record.lead_days,
            exact=record.exact,
            runner_up=None if runner_up is None else runner_up.cost - self._compared,
            headline=headline,
            sentences=sentences,
            alternatives=[self._alternative(rank, option) for rank, option in enumerate(options, 1)],
            rejected=[
                self._rejected(self.spots[id_], obstacles)
                for id_, obstacles in self.explained.obstacles.items()
                if id_ not in possible and id_ in self.spots
            ],
            considered=len(possible | set(self.explained.obstacles)),
            possible=len(possible),
            rule=None if record.bound is None else rule_told(record.bound),
        )

    @property
    def _compared(self) -> int:
        """Return what the chosen plan was compared by."""
        return self.record.cost + self.record.worth

    def _service(self, id_: int | None) -> str | None:
        return None if id_ is None or id_ not in self.services else self.services[id_].name

    def _sku(self, line: int) -> str:
        card = self.cards.get(self.lines[line].sku_id)
        return "" if card is None else card.sku

    def _item(self, line: int) -> str:
        card = self.cards.get(self.lines[line].sku_id)
        return "" if card is None else card.name

    def _alternative(self, rank: int, option: Option) -> Alternative:
        return Alternative(
            rank=rank,
            chosen=option.chosen,
            locations=[self.spots[id_] for id_ in option.location_ids],
            cost=option.cost,
            difference=option.cost - self._compared,
            packages=option.packages,
            freight=option.term("freight"),
            handling=option.term("handling"),
            picking=option.term("picking"),
            worth=option.term("worth"),
            **{name: option.term(name) for name in TERMS},
            parcels=[self._parcel(load) for load in option.loads or ()],
            lacks={
                self.spots[id_].code: self._lacks(self.explained.obstacles[id_])
                for id_ in option.location_ids
                if id_ in self.explained.obstacles
            },
        )

    def _parcel(self, load: Load) -> ParcelRow:
        return ParcelRow(
            location=self.spots[load.location_id].code,
            lines=load.lines,
            packages=load.packages,
            service=self._service(load.service_id),
            freight=load.freight,
            handling=load.handling,
            picking=load.picking,
            worth=load.worth,
            brought_days=self._days.get(load.location_id),
            carton=load.carton,
            rejection=load.rejection,
            lateness=load.lateness,
            tax=load.tax,
            busy=load.busy,
            credit=load.credit,
        )

    def _lacks(self, obstacles: list[Obstacle]) -> list[Lack]:
        return [
            Lack(
                line=x.line,
                sku=self._sku(x.line),
                reason=x.reason,
                says=self._line_says(x),
                why=self.gave_back.get((x.line, x.location_id)) if x.reason is Reason.EXCLUDED else None,
            )
            for x in obstacles
            if x.line is not None
        ]

    def _line_says(self, x: Obstacle) -> str:
        item = "" if x.line is None else self._item(x.line)
        if x.reason is Reason.STOCK and not x.free:
            return _(HAS_NONE, item=item)
        facts = {"item": item, "free": x.free, "asked": x.asked, "taken": x.taken, "capacity": x.capacity}
        if x.reason is Reason.EXCLUDED and (x.line, x.location_id) not in self.gave_back:
            return _(FROM_ELSEWHERE)
        return _(LINE_SAYS[x.reason], **facts)

    def _rejected(self, spot: Spot, obstacles: list[Obstacle]) -> Rejected:
        head = obstacles[0]
        if head.line is None and head.reason is not Reason.CAPACITY:
            says = self._closed_says(head.reason, spot)
        elif len(obstacles) > 1 and all(x.reason is Reason.STOCK and not x.free for x in obstacles):
            says = _(HAS_NOTHING)
        else:
            says = " ".join(self._line_says(x) for x in obstacles)
        return Rejected(location=spot, reason=head.reason, says=says, lacks=self._lacks(obstacles))

    def _closed_says(self, reason: Reason, spot: Spot) -> str:
        says = CLOSED_SAYS[reason]
        if reason is Reason.METHOD and self.record.method == "pickup":
            says = NO_PICKUP
        if reason is Reason.ELSEWHERE and self.record.method == "ship":
            says = NOT_BROUGHT
        if reason is Reason.NO_SERVICE and self.record.service is not None:
            says = SERVICE_DOES_NOT_GO
        pickup = self.spots.get(self.record.pickup or 0)
        return _(
            says,
            channel=self.row.channel,
            pickup="" if pickup is None else pickup.name,
            origin=spot.state,
            state=self.record.to or "",
            distance="?" if spot.distance_km is None else i18n.number(spot.distance_km),
            service=self._service(self.record.service) or "",
            rule="" if self.record.bound is None else self.record.bound.rule or "",
        )

    def _words(self, runner_up: Option | None) -> tuple[str, list[str]]:
        """Return the headline and what follows it."""
        record, currency = self.record, self.row.currency
        chosen = next((option for option in self.explained.options if option.chosen), None)
        dropped = 0 if record.bound is None else sum(one.units for one in record.bound.dropped)
        missing = sum(quantity for _line, quantity in record.unplaced) - dropped
        short = [n_("{n} unit found no location.", "{n} units found no location.", missing)] if missing else []
        ruled = [] if record.bound is None else rule_sentences(record.bound, self.vendors)
        if chosen is None:
            unruled = record.bound is None or record.bound.ending is None
            says = N_("No location can serve this order.") if unruled else N_("The rule places nothing of this order.")
            if dropped and not missing:
                says = N_("No location has it in stock: a vendor sends it.")
            return _(says), short + ruled
        names = " + ".join(self.spots[id_].name for id_ in chosen.location_ids)
        sentences: list[str] = []
        several = len(chosen.location_ids) > 1
        if record.bound is not None and record.bound.tiers and runner_up is not None:
            headline = _("{location} comes first in the rule.", location=names)
        elif runner_up is None:
            headline = _("Only {location} can serve this order.", location=names)
        elif runner_up.cost > self._compared:
            difference = Money(runner_up.cost - self._compared, currency)
            if several:
                headline = _("{location} cost {difference} less than the next.", location=names, difference=difference)
            else:
                headline = _("{location} costs {difference} less than the next.", location=names, difference=difference)
            sentences += self._because(chosen, runner_up)
        else:
            headline = _(
                "{location} costs the same as the next and comes first in the order of locations.", location=names
            )
        count = len(record.lines)
        missing += dropped
        if several and not missing:
            alone = any(len(option.location_ids) == 1 and option.loads for option in self.explained.options)
            says = N_("Splitting it is cheaper than any location that has everything.")
            sentences.insert(0, _(says if alone else N_("No location has everything.")))
        elif not missing and count > 1:
            sentences.insert(0, n_("It has {n} line.", "It has all {n} lines.", count))
        sentences += self._later()
        return headline, sentences + self._brought(chosen) + self._onward() + short + ruled

    def _brought(self, chosen: Option) -> list[str]:
        """Say from where goods are brought to the place where the order is fetched, or they come together."""
        pickup = self.spots.get(self.record.pickup or 0)
        return [
            n_(
                "{location} sends its goods to {pickup}: {n} working day on the way.",
                "{location} sends its goods to {pickup}: {n} working days on the way.",
                days,
                location=self.spots[id_].name,
                pickup="" if pickup is None else pickup.name,
            )
            for id_ in chosen.location_ids
            if (days := self._days.get(id_)) is not None
        ]

    def _onward(self) -> list[str]:
        """Say from where goods that come together reach the customer."""
        onward = self.record.onward
        if onward is None:
            return []
        hub = self.spots.get(onward.location)
        return [
            n_(
                "{location} sends it all in one: {n} package by {service} for {amount}.",
                "{location} sends it all in one: {n} packages by {service} for {amount}.",
                onward.packages,
                location="" if hub is None else hub.name,
                service=self._service(onward.service) or "",
                amount=Money(onward.cost, self.row.currency),
            )
        ]

    def _later(self) -> list[str]:
        """Say whose day was full: nobody else could serve, and the goods leave, or are ready, on the next with room."""
        return [
            _(
                "{location} is full that day ({taken} of {capacity}); the customer collects there, so it serves on its "
                "next."
                if id_ == self.record.pickup
                else "{location} is full that day ({taken} of {capacity}); others lack the goods, so it serves on its "
                "next.",
                location=self.spots[id_].name,
                taken=taken,
                capacity=capacity,
            )
            for id_, (taken, capacity) in self.explained.later.items()
        ]

    def _because(self, chosen: Option, runner_up: Option) -> list[str]:
        """Name the term that makes most of the difference."""
        says = {
            "freight": N_("Freight makes {amount} of the difference."),
            "handling": N_("Packing and handling make {amount} of the difference."),
            "picking": N_("Picking makes {amount} of the difference."),
            "worth": N_("The price of stock that others need more makes {amount} of the difference."),
            "split": N_("Goods that are handed over together make {amount} of the difference.")
            if self.record.brought
            else N_("More parcels make {amount} of the difference."),
            "onward": N_("The way from where goods come together makes {amount} of the difference."),
            "same_site": N_("Parcels that leave one site together make {amount} of the difference."),
            "carton": N_("Cartons make {amount} of the difference."),
            "rejection": N_("The risk that the work is given back makes {amount} of the difference."),
            "lateness": N_("The risk that it comes late makes {amount} of the difference."),
            "tax": N_("Tax makes {amount} of the difference."),
            "busy": N_("Capacity that is nearly used up makes {amount} of the difference."),
            "credit": N_("Aged stock that leaves makes {amount} of the difference."),
        }
        gains = [
            (theirs - ours, name)
            for name in says
            if (ours := chosen.term(name)) is not None and (theirs := runner_up.term(name)) is not None
        ]
        gain, name = max(gains, default=(0, ""))
        return [_(says[name], amount=Money(gain, self.row.currency))] if gain > 0 else []

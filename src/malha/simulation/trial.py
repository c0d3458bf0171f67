"""One order on paper: decided as it was, or the other way where a rule asks for it. Pure.

Each way is a form of the decision (`together`) with what is there for it on paper. Rules are asked in turn, as in life,
in whichever form each needs.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from malha.routing.lane_facts import LaneFacts, Onward
from malha.routing.model import Plan
from malha.routing.records import Record
from malha.routing.rules import decide, with_later
from malha.routing.ruling.bounded import Binding
from malha.routing.ruling.dropping import Destination
from malha.routing.ruling.model import Bound
from malha.routing.ruling.planning import PlaceUnknown, Under
from malha.routing.terms import OrderTerms, unfold
from malha.simulation.model import Decided, Unknown
from malha.simulation.together import Form, Untold, apart, gathered, gathers

if TYPE_CHECKING:
    from malha.simulation.rules import PaperLane, Replay

Full = list[tuple[int, int, int]]  # (position, taken, daily capacity)


class Stand(NamedTuple):
    """An order in one of its forms, and what is there for it on paper."""

    record: Record
    paper: "PaperLane"
    free: dict[int, list[int]]
    full: Full
    terms: OrderTerms | None
    onward: Onward | None
    head: bytes  # of a record of it


class Trial:
    """One order on paper: as it was decided, or the other way where a rule asks for it."""

    def __init__(self, replay: "Replay", record: Record, decided: Decided) -> None:
        self._replay = replay
        self._record = record
        self._decided = decided
        self._stands: dict[bytes, Stand] = {}
        self._forms: dict[int | None, tuple[Stand, Stand | None] | None] = {}
        self.asked_today = False
        self.own = self._stand(record)
        self._forms[record.pickup if gathers(record) else None] = self.own, None

    def planned(self, under: Under | None) -> Plan:
        """Return the plan by the rules on paper, or those that decided; full days wait where nobody else has the goods.

        Raises:
            Untold: what a rule asks for cannot be told.
        """

        def again(open_again: Collection[int]) -> Plan:
            return self._by_rules(under, open_again)

        return with_later(again(()), again, lambda made: self.ground_of(made).paper.ids)

    def _by_rules(self, under: Under | None, open_again: Collection[int]) -> Plan:
        record, replay = self._record, self._replay
        if under is not None:
            facts = self.own.paper.lane.facts
            to = Destination(facts.method, facts.to, facts.service)
            try:
                return under.by_rules(
                    lambda bind, hub: self._place(bind, hub, open_again),
                    lambda lane: self._stands[lane.head].paper.ids,
                    to,
                )
            except PlaceUnknown:
                raise Untold(Unknown.PLACE) from None
        if replay.tries_rules:
            plan = self._place(None, None, open_again)
        else:
            bound = None if record.bound is None else bound_on_paper(record.bound, self.own.paper)
            bind = None if bound is None else lambda _lane: bound
            plan = self._place(bind, record.pickup if gathers(record) else None, open_again)
            if plan is not None and plan.unplaced and gathers(record) and not record.unplaced:
                plan = None
        if plan is None:
            raise Untold(Unknown.NEXT)
        return plan

    def ground_of(self, plan: Plan) -> Stand:
        """Return the form in which a plan was made."""
        return self._stands[plan.head]

    def _place(self, bind: Binding | None, hub: int | None, open_again: Collection[int]) -> Plan | None:
        """Return the plan where goods come together at a location, or with None where they do not.

        None: the place was closed then. One that is closed on paper places nothing, and the rule's ending decides.
        Where stock that nobody looked at would make another one of it, nothing is told.
        """
        form = self._form(hub)
        if form is None:
            return None
        known, wide = form
        if hub is not None and self._replay.is_closed(hub):
            shut = [(position, 0, 0) for position in range(len(known.paper.ids))]
            return self._decide(known._replace(full=shut), bind, open_again)
        plan = self._decide(known, bind, open_again)
        if hub is not None and plan.parcels and known.onward is None:
            raise Untold(Unknown.CARRIAGE)
        if wide is not None:
            other = self._decide(wide, bind, open_again)
            same = _sent(plan, known) == _sent(other, wide) and plan.unplaced == other.unplaced
            # One that is not the cheapest for certain may be another one with some of it.
            if not same or (plan.parcels and not plan.basis.exact):
                raise Untold(Unknown.STOCK)
        return plan

    def _decide(self, stand: Stand, bind: Binding | None, open_again: Collection[int]) -> Plan:
        record, paper = stand.record, stand.paper
        return decide(
            paper.lane,
            record.lines,
            stand.free,
            [x for x in stand.full if not x[2] or paper.ids[x[0]] not in open_again],
            record.excluded,
            record.heavy,
            record.stock_prices(),
            record.version,
            costs=False,
            terms=stand.terms,
            bound=None if bind is None else bind(paper.lane),
            onward=stand.onward,
        )

    def _form(self, hub: int | None) -> tuple[Stand, Stand | None] | None:
        if hub not in self._forms:
            made = self._made(hub)
            self._forms[hub] = (
                None
                if made is None
                else (self._stand(made.record, hub), None if made.wide is None else self._stand(made.wide, hub, True))
            )
        return self._forms[hub]

    def _made(self, hub: int | None) -> Form | None:
        replay, record = self._replay, self._record
        ways = replay.ways
        if ways is None:
            raise Untold(Unknown.NETWORK)
        if gathers(record):
            alone = apart(record, ways)
            if hub is None:
                return alone
            if alone.wide is not None:
                raise Untold(Unknown.STOCK)
            record = alone.record
        assert hub is not None  # noqa: S101  (it is one that left apart)
        self.asked_today = True
        return gathered(record, hub, ways, *replay.carried(record, ways.home(hub)))

    def _stand(self, form: Record, hub: int | None = None, wide: bool = False) -> Stand:
        replay, record = self._replay, self._record
        true = record.network
        if form is not record:
            number = replay.number_of(
                true, record.channel, record.service, record.to, record.pickup, hub, wide, tuple(form.locations)
            )
            form = msgspec.structs.replace(form, network=number)
        stand = replay.stand(form, self._decided)
        if form is not record:
            facts = msgspec.structs.replace(stand.paper.lane.facts, network=true)
            stand = stand._replace(head=head_of(facts))
        self._stands[stand.paper.lane.head] = stand
        return stand


def _sent(plan: Plan, stand: Stand) -> list[tuple[int, list[tuple[int, int]]]]:
    return [(stand.paper.ids[parcel.index], parcel.units) for parcel in plan.parcels]


def bound_on_paper(bound: Bound, paper: "PaperLane") -> Bound:
    """Return what a rule asked, a location that was not there standing where the one its stock is from stands."""
    twins = [(position, source) for position, source, _ in paper.added]
    if not twins:
        return bound

    def grown(positions: Sequence[Any]) -> list[Any]:
        members = unfold(positions)
        return [*positions, *(position for position, source in twins if source in members)]

    return msgspec.structs.replace(
        bound,
        outside=grown(bound.outside),
        far=grown(bound.far),
        tiers=[grown(tier) for tier in bound.tiers],
    )


def head_of(facts: LaneFacts) -> bytes:
    """Return the beginning of a record of a lane."""
    return msgspec.json.encode(facts)[:-1] + b',"rates":['

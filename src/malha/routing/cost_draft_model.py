"""A draft of what routing compares: the parts that it changes, each as a whole; the others stay as they are."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.fiscal.tax_cost_reads import TaxCost
from malha.network.model import RateDraft
from malha.routing.cost_model import Costs, Markdown

Centavos = Annotated[int, Meta(ge=0, le=100_000_000)]
State = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Code = Annotated[str, Meta(min_length=1, max_length=80)]


class Labour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What work costs at a location: `handling` a parcel, `line` a line picked; None: as it is. Centavos."""

    location: Code
    handling: Centavos | None = None
    line: Centavos | None = None


class Carriage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Carriage from and to some states costs `percent` of what it does; None: any state. The last that fits counts."""

    percent: Annotated[int, Meta(ge=1, le=1_000)]
    from_state: State | None = None
    to_state: State | None = None


class Drafted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a draft changes. None, or an empty list of `labour` or `carriage`: that part stays as it is in force."""

    costs: Costs | None = None
    taxes: list[TaxCost] | None = None  # the whole table
    markdowns: list[Markdown] | None = None  # the same
    labour: Annotated[list[Labour], Meta(max_length=2_000)] = []
    carriage: Annotated[list[Carriage], Meta(max_length=800)] = []


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is in force of the parts that a draft changes."""

    costs: Costs | None = None
    taxes: list[TaxCost] | None = None
    markdowns: list[Markdown] | None = None
    labour: list[Labour] = []
    tariff: dict[str, list[RateDraft]] = {}  # by service


class CostDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A stored draft. `before` is what it replaced, once it was promoted."""

    id: int
    note: str
    content: Drafted
    version: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    promoted_at: datetime | None
    promoted_by: str | None
    before: Standing | None
    taken_back_at: datetime | None
    taken_back_by: str | None

    @property
    def in_force(self) -> bool:
        """Tell whether it was promoted and not taken back."""
        return self.promoted_at is not None and self.taken_back_at is None

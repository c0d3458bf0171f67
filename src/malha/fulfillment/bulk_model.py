"""One act on many orders: what is to be done with each of them."""

from datetime import date
from enum import StrEnum

import msgspec

from malha.ordering.model import PromiseReason


class Act(StrEnum):
    """What may be done with many orders at once."""

    RELEASE = "release"
    HOLD = "hold"
    RESOLVE = "resolve"  # the holds that a person may lift
    PROMISE = "promise"
    TAGS = "tags"
    CANCEL = "cancel"


# What somebody must be allowed, to do it.
PERMISSIONS = {
    Act.RELEASE: "orders:write",
    Act.HOLD: "orders:write",
    Act.RESOLVE: "orders:release_hold",
    Act.PROMISE: "orders:write",
    Act.TAGS: "orders:write",
    Act.CANCEL: "orders:cancel",
}
# Of these a list says which version of each order it showed: they cannot be taken back, let goods go, or are told to a
# customer. A hold stops goods whatever happened since, and tags add to what is there.
FINAL = frozenset({Act.CANCEL, Act.PROMISE, Act.RELEASE, Act.RESOLVE})


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An act, with what belongs to it.

    `reason` is of a hold or a cancel, `day` and `because` of a promise, with `note` for colleagues; `add` and `remove`
    are tags. `zone` is by whose days an order is promised that goes to no state.
    """

    act: Act
    reason: str = ""
    day: date | None = None
    because: PromiseReason | None = None
    note: str = ""
    zone: str = ""
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

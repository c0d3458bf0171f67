"""Refusals of counts."""

from malha.platform.errors import FieldError, MalhaError, NotFound


class UnknownCount(NotFound):
    """No count has this number, or it is at a location outside of one's scope."""

    code = "unknown_count"
    says = "There is no count {number}."
    mend = "Check the number, and that its location is one of yours."


class CountEnded(MalhaError):
    """The count takes nothing more."""

    status = 409
    code = "count_ended"
    says = "Count {number} is {state}: it takes no more entries."
    mend = "Ask for a new count."


class NotCountable(FieldError):
    """Some of what was counted is not to be counted now, or not by this person."""

    status = 409
    code = "not_countable"
    says = "Items that cannot be counted now: {count}."
    mend = "Read what is said about each."


class Undecided(MalhaError):
    """Lines wait for another count or for approval."""

    status = 409
    code = "count_undecided"
    says = "Lines of count {number} that wait for a recount or for approval: {lines}."
    mend = "Have them counted again, or approve them, before the count is closed."


class OwnCount(MalhaError):
    """A variance beyond the limits is approved by somebody who did not count it."""

    status = 403
    code = "own_count"
    says = "You counted {lines} of these lines yourself: somebody else has to approve them."
    mend = "Ask another person who may approve counts."


class CountedAgain(MalhaError):
    """What is to be approved is not what the approver saw."""

    status = 409
    code = "counted_again"
    says = "What waits in count {number} is not what you saw: it was counted again, or somebody else decided."
    mend = "Look at it again, then approve it."


class LocationFrozen(MalhaError):
    """Nothing leaves a location while everything in it is counted."""

    status = 409
    code = "location_frozen"
    says = "Location {location} is frozen for count {number}: nothing may leave it."
    mend = "Finish or cancel the count, then try again."


class ZoneFrozen(MalhaError):
    """Goods do not leave while their zone is counted."""

    status = 409
    code = "zone_frozen"
    says = "{sku} at {location} is frozen for count {number} of its zone: it may not leave."
    mend = "Finish or cancel the count, then try again. The rest of the location goes on."


class AlreadyFrozen(MalhaError):
    """One freeze at a time."""

    status = 409
    code = "already_frozen"
    says = "This location is frozen by another count already."
    mend = "Finish or cancel that count first."

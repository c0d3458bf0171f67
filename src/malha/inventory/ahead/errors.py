"""Refusals of selling ahead."""

from malha.platform.errors import Conflict, NotFound


class UnknownPolicy(NotFound):
    """No policy stands there."""

    code = "unknown_ahead_policy"
    says = "Nothing is stated about selling {key} ahead."
    mend = "Look at the product again: somebody may have removed it."


class PolicyChanged(Conflict):
    """Somebody else changed it meanwhile."""

    code = "ahead_policy_changed"
    says = "What may be sold ahead of {key} was changed meanwhile."
    mend = "Look at it again, then repeat your change."

"""Refusals of routing."""

from malha.platform.errors import NotFound


class NotDecided(NotFound):
    """Where this order goes was not decided, not that often, or is not for the asker to see."""

    code = "not_decided"
    says = "There is no such decision on where order {order} ships from."
    mend = "Check the order's identifier and the attempt, and that you may see the order."

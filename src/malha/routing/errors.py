"""Refusals of routing."""

from malha.platform.errors import MalhaError, NotFound


class NotDecided(NotFound):
    """Where this order goes was not decided, not that often, or is not for the asker to see."""

    code = "not_decided"
    says = "There is no such decision on where order {order} ships from."
    mend = "Check the order's identifier and the attempt, and that you may see the order."


class CostDraftNotFound(NotFound):
    """There is no such draft of costs."""

    code = "cost_draft_not_found"
    says = "There is no draft of costs {key}."
    mend = "Look at the list of drafts of costs."


class CostDraftPromoted(MalhaError):
    """What was put into force does not change any more."""

    status = 409
    code = "cost_draft_promoted"
    says = "The draft of costs {key} was put into force, so it does not change any more."
    mend = "Copy it and change the copy."


class CostsMovedOn(MalhaError):
    """The costs that were looked at are not those that are there now."""

    status = 409
    code = "costs_moved_on"
    says = "The draft, or the costs in force, changed since they were compared."
    mend = "Compare them again, and decide on what that says."


class CostsNotPromoted(MalhaError):
    """There is nothing to take back."""

    status = 409
    code = "costs_not_promoted"
    says = "The draft of costs {key} is not in force, or was taken back already."
    mend = "Look at the costs of routing for what is in force."


class PricesOff(MalhaError):
    """Prices of stock are turned off, so they are not worked out."""

    status = 409
    code = "prices_off"
    says = "Prices of stock are turned off."
    mend = "Turn them on first; where the setting MALHA_STOCK_PRICES says false, whoever runs the server does."

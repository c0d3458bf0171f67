"""Refusals of simulations."""

from malha.platform.errors import MalhaError, NotFound


class SimulationNotFound(NotFound):
    """There is no such simulation."""

    code = "simulation_not_found"
    says = "There is no simulation {key}."
    mend = "Look at the list of simulations."


class SimulationOver(MalhaError):
    """It has ended: it cannot be stopped."""

    status = 409
    code = "simulation_over"
    says = "The simulation {name} has ended already."
    mend = "Look at its result, or start another."


class SimulationRunning(MalhaError):
    """It still runs: it cannot be deleted."""

    status = 409
    code = "simulation_running"
    says = "The simulation {name} still runs."
    mend = "Stop it first."


class NoResult(MalhaError):
    """It has no result: it has not ended, or not well."""

    status = 409
    code = "simulation_without_result"
    says = "The simulation {name} has no result."
    mend = "Wait until it is done; one that failed or was stopped has none."


class TooManySimulations(MalhaError):
    """So many have not ended that another one would only wait behind them."""

    status = 409
    code = "too_many_simulations"
    says = "{most} simulations have not ended yet, and more than that may not wait."
    mend = "Wait until one is done, or stop one that nobody needs."


class NoRulesTried(MalhaError):
    """It tried neither other rules nor other costs: there is nothing to promote."""

    status = 409
    code = "no_rules_tried"
    says = "{name} tried no other routing rules or costs."
    mend = "Choose a draft of the rules or of the costs when you start one."


class NotOnlyRules(MalhaError):
    """It changed more than rules, or more than costs: they alone were not compared."""

    status = 409
    code = "not_only_rules"
    says = "{name} changed several things at once, so it does not say what the rules or the costs alone come to."
    mend = "Simulate the rules alone, or the costs alone, and promote that."


class CostsComeAtOnce(MalhaError):
    """Costs have no time from which on they count."""

    status = 422
    code = "costs_come_at_once"
    says = "Costs are in force as soon as they are promoted."
    mend = "Leave the time out, or promote them when it has come."


class AlreadyPromoted(MalhaError):
    """Its rules were promoted before."""

    status = 409
    code = "already_promoted"
    says = "The rules of {name} were promoted already, as rule set {number}."
    mend = "Take that back first, or simulate again."


class NotPromoted(MalhaError):
    """There is nothing to take back."""

    status = 409
    code = "not_promoted"
    says = "The rules of {name} are not promoted, or were taken back already."
    mend = "Look at the routing rules for what is in force."


class ShadowNotFound(NotFound):
    """There is no such draft beside the live network."""

    code = "shadow_not_found"
    says = "There is no draft {key}."
    mend = "Look at the list of drafts."


class ShadowOver(MalhaError):
    """It has ended: it cannot be stopped."""

    status = 409
    code = "shadow_over"
    says = "The draft {name} has ended already."
    mend = "Look at what it came to, or start another."


class ShadowRunning(MalhaError):
    """It still decides: it cannot be deleted."""

    status = 409
    code = "shadow_running"
    says = "The draft {name} still decides."
    mend = "Stop it first."


class TooManyShadows(MalhaError):
    """As many decide as may at a time."""

    status = 409
    code = "too_many_shadows"
    says = "{most} drafts decide already, and more than that would fall behind."
    mend = "Stop one first."

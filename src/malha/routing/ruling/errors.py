"""Refusals of routing rules."""

from malha.platform.errors import MalhaError, NotFound


class RuleSetNotFound(NotFound):
    """There is no such rule set."""

    code = "rule_set_not_found"
    says = "There is no set of routing rules {key}."
    mend = "Look at the list of rule sets."


class RuleSetPublished(MalhaError):
    """A rule set that was published never changes: decisions name it."""

    status = 409
    code = "rule_set_published"
    says = "The rule set {number} is published and cannot be changed."
    mend = "Start a draft from it, change that and publish it."


class RuleSetNotPublished(MalhaError):
    """Only what was published comes back into force."""

    status = 409
    code = "rule_set_not_published"
    says = "The draft {key} was never published."
    mend = "Publish the draft."


class RuleSetInForce(MalhaError):
    """What is or was in force cannot be withdrawn."""

    status = 409
    code = "rule_set_in_force"
    says = "The rule set {number} has come into force already."
    mend = "Publish an earlier one again, or an empty one."


class RuleSetEnded(MalhaError):
    """Its time is over."""

    status = 409
    code = "rule_set_ended"
    says = "The rule set {number} has ended, or was withdrawn."
    mend = "Bring it back: it is published again, with a new time."


class EndsBeforeItBegins(MalhaError):
    """It would never be in force, or have ended already."""

    status = 409
    code = "rule_set_ends_too_soon"
    says = "A rule set cannot end before now, nor before it begins."
    mend = "Choose a later end, or none."


class RulesMovedOn(MalhaError):
    """The rules that were looked at are not those that are there now."""

    status = 409
    code = "rules_moved_on"
    says = "The draft or the rules in force changed since they were compared."
    mend = "Compare them again, and decide on what that says."


class RulesStand(MalhaError):
    """It is in force already."""

    status = 409
    code = "rules_stand"
    says = "The rule set {number} is in force already."
    mend = "There is nothing to do."


class EffectiveInThePast(MalhaError):
    """Rules cannot have decided orders before they were published."""

    status = 409
    code = "effective_in_the_past"
    says = "A rule set cannot come into force before now."
    mend = "Choose a later time, or none for at once."


class GroupInRules(MalhaError):
    """Without the group, rules that decide or are to decide would send nothing where it was."""

    status = 409
    code = "location_group_in_routing_rules"
    says = "Group {key} cannot be deleted: the routing rules {numbers} name it."
    mend = "Publish rules that do not name it, or withdraw those that are to come."


class GroupGone(MalhaError):
    """What would decide again sends orders to places that nobody knows any more."""

    status = 409
    code = "rule_set_names_a_group_that_is_gone"
    says = "The rule set {number} would decide again then, and the location groups {codes} that it names are gone."
    mend = "Publish rules that are to decide afterwards, or make those groups again."

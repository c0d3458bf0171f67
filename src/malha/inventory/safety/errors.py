"""Refusals of safety rules."""

from malha.platform.errors import MalhaError, NotFound


class UnknownSafetyRule(NotFound):
    """There is no safety rule with this code."""

    code = "unknown_safety_rule"
    says = "There is no safety rule {key}."
    mend = "Check the code in the list of rules."


class SafetyRuleCodeTaken(MalhaError):
    """Two rules cannot have one code."""

    status = 409
    code = "safety_rule_code_taken"
    says = "There is already a safety rule {key}."
    mend = "Choose another code, or change that rule."

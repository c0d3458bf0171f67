"""Refusals of allotments."""

from malha.platform.errors import MalhaError, NotFound


class UnknownAllotment(NotFound):
    """There is no allotment with this code."""

    code = "unknown_allotment"
    says = "There is no allotment {key}."
    mend = "Check the code in the list of allotments."


class AllotmentCodeTaken(MalhaError):
    """Two allotments cannot have one code."""

    status = 409
    code = "allotment_code_taken"
    says = "There is already an allotment {key}."
    mend = "Choose another code, or change that allotment."


class FencesOverlap(MalhaError):
    """A channel would have two fences on one balance at one time: nobody could say which it draws from."""

    status = 409
    code = "fences_overlap"
    says = "Fence {other} already sets {count} of these SKUs and locations apart for the same channels at that time."
    mend = "Leave these channels, SKUs or locations out of one of the two, or move its dates."


class NotAFence(MalhaError):
    """A cap sets nothing apart."""

    status = 409
    code = "not_a_fence"
    says = "Allotment {key} is a cap: it has no stock of its own."
    mend = "Name a fence."


class AllotmentEnded(MalhaError):
    """An allotment that ended is history."""

    status = 409
    code = "allotment_ended"
    says = "Allotment {key} has ended and cannot be changed."
    mend = "Create a new allotment."


class UnknownCustomerGroup(NotFound):
    """There is no customer group with this code."""

    code = "unknown_customer_group"
    says = "There is no customer group {key}."
    mend = "Check the code in the list of customer groups."


class CustomerGroupTaken(MalhaError):
    """Two customer groups cannot have one code."""

    status = 409
    code = "customer_group_taken"
    says = "There is already a customer group {key}."
    mend = "Choose another code, or change that group."


class CustomerGroupInUse(MalhaError):
    """An allotment names it."""

    status = 409
    code = "customer_group_in_use"
    says = "Customer group {key} cannot be deleted: allotments name it ({allotments})."
    mend = "Take it out of them, or end them, first."

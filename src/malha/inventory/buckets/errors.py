"""Refusals of moves between buckets."""

from malha.platform.errors import MalhaError


class NotInBucket(MalhaError):
    """A bucket other than the sellable one has fewer units than are to be taken from it; nothing is changed."""

    status = 409
    code = "not_in_bucket"
    says = "There are only {there} units in this bucket, not the {asked} to be taken from it."
    mend = "Take fewer, or count what is there."


class NotConserved(MalhaError):
    """The sides of a move do not cancel out: a defect in the caller, nothing is changed."""

    status = 500
    code = "not_conserved"
    says = "A move of goods would make or lose {units} units."
    mend = "Tell whoever looks after Malha: this must not happen."

"""Refusals about customers."""

from malha.platform.errors import Conflict, NotFound


class UnknownCustomer(NotFound):
    """No customer has this identifier."""

    code = "unknown_customer"
    says = "There is no customer {key}."
    mend = "Check the number, or search by name, document, e-mail or telephone."


class CustomerExists(Conflict):
    """Another profile has this document."""

    code = "customer_exists"
    says = "Customer {key} already has this CPF or CNPJ."
    mend = "Open that profile, or correct the document."


class CustomerEmailExists(CustomerExists):
    """Another profile without a document has this e-mail: the two could not be told apart."""

    code = "customer_email_exists"
    says = "Customer {key} already has this e-mail address."
    mend = "Open that profile, or add the CPF or CNPJ that tells the two apart."


class SameCustomer(Conflict):
    """A profile was to be put together with itself."""

    code = "same_customer"
    says = "These are one and the same profile."
    mend = "Choose another one."


class CustomersDiffer(Conflict):
    """Two profiles have documents of their own: they are two people."""

    code = "customers_differ"
    says = "The profiles {one} and {other} have identities that belong to two people."
    mend = "Correct the CPF or CNPJ of one of them first, if it is wrong."


class UnknownMerge(NotFound):
    """There is no such merge."""

    code = "unknown_merge"
    says = "There is no merge {key}."
    mend = "Look at the timeline of the customer."


class MergeUndone(Conflict):
    """It was told apart already, or the profile that stayed is gone."""

    code = "merge_undone"
    says = "The profile {number} cannot be told apart from it any more."
    mend = "Tell later merges apart first."


class CustomerErased(Conflict):
    """Nothing of the person is here any more, for good: there is nothing to change or to put together."""

    code = "customer_erased"
    says = "The data of customer {number} were erased for good."
    mend = "Whoever orders again gets a new profile; add one where you need it."


class BeingErased(Conflict):
    """A worker looks for everything of the person, to erase it."""

    code = "being_erased"
    says = "Customer {number} is about to be erased for good."
    mend = "Wait for its end; who is erased is not put together with anybody."

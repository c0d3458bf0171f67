"""Refusals about customers."""

from malha.platform.errors import Conflict, NotFound


class UnknownCustomer(NotFound):
    """No customer has this identifier."""

    code = "unknown_customer"
    says = "There is no customer {key}."
    mend = "Check the number, or search by name, document, e-mail or telephone."


class CustomerExists(Conflict):
    """Another profile has this document, or this e-mail without a document."""

    code = "customer_exists"
    says = "Customer {key} already has this {field}."
    mend = "Open that profile, or correct the field."

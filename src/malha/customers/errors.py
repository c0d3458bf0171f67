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

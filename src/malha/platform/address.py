"""The one shape of an address, wherever it is stored: of a location, a customer, an order."""

import msgspec


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where something is or goes. `state` is the UF, `postal_code` the bare CEP, `ibge` the city's code."""

    postal_code: str = ""
    street: str = ""
    number: str = ""
    complement: str = ""
    district: str = ""
    city: str = ""
    state: str = ""
    country: str = "BR"
    ibge: str = ""

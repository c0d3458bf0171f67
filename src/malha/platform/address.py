"""The one shape of an address, wherever it is stored: of a location, a customer, an order."""

from collections.abc import Iterator

import msgspec

from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

LONGEST_PART = 200


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


def tidied(address: Address) -> Address:
    """Return the address with each part on one line, without spaces around it."""
    return Address(**{part: " ".join(getattr(address, part).split()) for part in address.__struct_fields__})


def check_parts(address: Address) -> Iterator[Flaw]:
    """Yield the parts of an address that are too long to be one, or hold what nobody can read."""
    for part in address.__struct_fields__:
        text = getattr(address, part)
        if len(text) > LONGEST_PART:
            facts = {"length": len(text), "longest": LONGEST_PART}
            says, mend = N_("The text has {length} characters."), N_("Use at most {longest}.")
            yield Flaw(f"address/{part}", says, mend, facts)
        if any(ord(c) < 32 for c in text):
            says, mend = N_("The text has control characters."), N_("Type it again without them.")
            yield Flaw(f"address/{part}", says, mend)

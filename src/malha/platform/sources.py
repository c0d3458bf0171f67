"""Network addresses of callers: in one form, and how much of one is a single caller's."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

_HOUSEHOLD = 64  # bits of an IPv6 address that a provider gives out; the other half its user chooses at will


@lru_cache(maxsize=4096)
def plain(address: str) -> str:
    """Return an address as it is told and compared: an IPv4 address also where an IPv6 socket says it (`::ffff:`)."""
    found = _read(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return address if mapped is None else str(mapped)


@lru_cache(maxsize=4096)
def neighbourhood(address: str) -> str:
    """Return whom tries from an address count against: itself, or of IPv6 the network its user has all to themselves.

    Whoever has one IPv6 address has 2^64 of them: counted one by one they would never be slowed down.
    """
    there = plain(address)
    found = _read(there)
    if not isinstance(found, IPv6Address):
        return there
    return str(IPv6Network((int(found), _HOUSEHOLD), strict=False))


def _read(address: str) -> object:
    try:
        return ip_address(address)
    except ValueError:
        return None

"""What there is to see and set of a connection, by task: where the page of a connection leads on to."""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

from malha.channels.connecting.model import Linked
from malha.channels.contract import Capability, Connector
from malha.channels.listings import making
from malha.platform.i18n import N_, _

CHANGE = "network:write"


class Way(NamedTuple):
    """A page of a connection; `says` is what is done there, `open` how many wait there for a person."""

    href: str
    icon: str
    word: str
    says: str
    open: int = 0


class Task(NamedTuple):
    """Pages for one task."""

    word: str
    ways: list[Way]


_PRODUCTS, _LISTINGS, _ORDERS, _RUNS = N_("Products"), N_("Listings"), N_("Orders and stock"), N_("How it runs")


def tasks_of(connection: Linked, connector: Connector | None, unmapped: int, may: Callable[[str], bool]) -> list[Task]:
    """Return the pages that a connection has for who looks at it; what its connector cannot do has none.

    `unmapped`: how many of the channel's variants are nobody's.
    """
    base = f"/connections/{quote(connection.code, safe='')}"
    able = frozenset() if connector is None else connector.capabilities

    def way(page: str, icon: str, word: str, says: str, waiting: int = 0) -> Way:
        return Way(f"{base}/{page}", icon, word, says, waiting)

    found = {
        _PRODUCTS: [
            way("mapping", "link", _("Mapping"), _("Which of its products is which SKU"), unmapped),
            way("products", "lock", _("Fields of products"), _("What it keeps here")),
        ],
        _LISTINGS: [],
        _ORDERS: [],
        _RUNS: [way("health", "history", _("Health"), _("Delays and errors over time"))],
    }
    if making.takes(connection.connector):
        found[_LISTINGS] += [way("listings", "tag", _("Listings"), _("What is sold there, and at what price"))]
        if may(CHANGE):
            says = _("What fills each field there")
            found[_LISTINGS] += [way("listing-fields", "adjustments", _("Listing fields"), says)]
    if Capability.ORDERS in able:
        says = _("What goes into which field of an order")
        found[_ORDERS] += [way("fields", "adjustments-horizontal", _("Field rules"), says)]
    found[_ORDERS] += [way("stock", "package", _("Stock"), _("What it shows there"))]
    if Capability.FULFILMENT in able:
        says = _("Its requests and files")
        found[_RUNS] += [way("partner", "truck", _("What the partner has"), says)]
    elif Capability.FILES in able:
        found[_RUNS] += [way("partner", "file-invoice", _("Files"), _("What was read and written"))]
    return [Task(_(word), ways) for word, ways in found.items() if ways]

"""The pages a person can go to: one literal table, from which the side bar and the command bar are built.

To add a page, add its row. `key` is what the page's handler gives to `shell.around(tx, request, key)`; the permission
is that of its route; the icon is a line of `icons.txt`. A page nobody navigates to (one order) has no row.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote

from malha.platform import i18n
from malha.platform.i18n import N_, _
from malha.platform.text import fold


class Section(StrEnum):
    """A group of the side bar, in its order; the value is its label, and the first group has none."""

    DAY = ""
    STOCK = N_("Stock")
    NETWORK = N_("Network")
    COMMERCE = N_("Commerce")
    GOVERNANCE = N_("Governance")


class Page(NamedTuple):
    """One page: its name as a message id, where it is, who may open it, and where it stands in the side bar."""

    key: str
    word: str
    href: str
    permission: str
    icon: str
    section: Section
    also: str = ""  # other words people look for it by, as a message id
    record: str = ""  # address of one of its records, like "/products/{key}": the command bar leads there
    shared: bool = False  # is about the whole retailer: refused to who is limited to some locations


class Group(NamedTuple):
    """The pages of one section that a person may open."""

    label: str
    pages: tuple[Page, ...]


PAGES = (
    Page("home", N_("Home"), "/", "orders:read", "home", Section.DAY, N_("start, overview, map, today")),
    Page("orders", N_("Orders"), "/orders", "orders:read", "shopping-bag", Section.DAY),
    Page("fulfillment", N_("Fulfillment"), "/fulfillment", "fulfillment:work", "package", Section.DAY,
         N_("queue, pick, pack, ship, pickup")),
    Page("shortages", N_("Missing goods"), "/shortages", "orders:read", "package-off", Section.DAY,
         N_("shortage, out of stock, short pick, substitute, split, exceptions")),
    Page("refunds_due", N_("Refunds due"), "/refunds-due", "orders:read", "receipt-refund", Section.DAY,
         N_("paid twice, overpaid, paid too much, cancelled after payment, give back")),
    Page("attention", N_("Needs attention"), "/attention", "doctor:read", "alert-triangle", Section.DAY,
         N_("errors, failures, try again")),
    Page("stock", N_("Stock"), "/stock", "stock:read", "stack-2", Section.STOCK,
         N_("balance, ledger, adjust, count, safety stock")),
    Page("allotments", N_("Allotments"), "/allotments", "stock:read", "bookmark", Section.STOCK,
         N_("fences, caps, campaigns, stock set apart"), "/allotments/{key}"),
    Page("holds", N_("Stock holds"), "/holds", "stock:read", "lock", Section.STOCK,
         N_("cart, payment, PIX, boleto, reserved, hold, release")),
    Page("safety", N_("Safety rules"), "/safety-rules", "stock:read", "adjustments-horizontal", Section.STOCK,
         N_("safety stock, buffer, threshold, not published")),
    Page("groups", N_("Groups"), "/location-groups", "network:read", "users", Section.STOCK,
         N_("groups of locations, customer groups, regions, segments"), "/location-groups/{key}"),
    Page("purchases", N_("Purchase orders"), "/purchase-orders", "stock:read", "clipboard-list", Section.STOCK,
         N_("supplier, incoming, factory, production, ETA"), "/purchase-orders/{key}"),
    Page("drop_ships", N_("Drop-ship orders"), "/drop-ships", "orders:read", "truck-delivery", Section.STOCK,
         N_("vendor, supplier sends to the customer, purchase order"), "/drop-ships/{key}"),
    Page("vendor_offers", N_("Vendors"), "/vendor-offers", "stock:read", "clipboard-list", Section.STOCK,
         N_("drop-ship, what a vendor supplies, cost, lead time")),
    Page("waiting", N_("Waiting list"), "/waiting", "orders:read", "clock", Section.STOCK,
         N_("pre-order, backorder, queue, sold ahead, supply")),
    Page("receipts", N_("Goods receipts"), "/receipts", "stock:read", "package-import", Section.STOCK,
         N_("receive goods, damaged, quality control")),
    Page("transfers", N_("Transfers"), "/transfers", "stock:read", "transfer", Section.STOCK,
         N_("in transit, between locations, missing, replenish")),
    Page("counts", N_("Counts"), "/counts", "stock:read", "checklist", Section.STOCK,
         N_("cycle count, physical inventory, variance, recount, scanner")),
    Page("suspicions", N_("Suspected stock"), "/suspicions", "stock:read", "zoom-question", Section.STOCK,
         N_("phantom stock, short picks, no sales")),
    Page("stock-sync", N_("Stock sync"), "/stock-sync", "stock:read", "refresh", Section.STOCK,
         N_("ERP, WMS, source of truth, snapshot, drift, disagreement")),
    Page("imports", N_("Import and export"), "/imports", "catalog:read", "table-import", Section.COMMERCE,
         N_("spreadsheet, CSV, Excel, upload")),
    Page("products", N_("Products"), "/products", "catalog:read", "tag", Section.COMMERCE,
         N_("catalogue, SKU, kit, GTIN, NCM"), "/products/{key}"),
    Page("customers", N_("Customers"), "/customers", "customers:read", "users", Section.COMMERCE,
         N_("profile, CPF, CNPJ, who bought"), "/customers/{key}"),
    Page("people", N_("People"), "/people", "identity:manage", "users", Section.GOVERNANCE,
         N_("users, team, invite, password")),
    Page("roles", N_("Roles"), "/roles", "identity:manage", "shield-lock", Section.GOVERNANCE,
         N_("permissions, rights, second factor")),
    Page("providers", N_("Log-in providers"), "/providers", "identity:manage", "login-2", Section.GOVERNANCE,
         N_("single sign-on, SSO, OpenID Connect, Keycloak, Entra, Google, Okta")),
    Page("keys", N_("API keys"), "/keys", "identity:manage", "key", Section.GOVERNANCE,
         N_("integration, token, program")),
    Page("webhooks", N_("Webhooks"), "/webhooks", "webhooks:manage", "broadcast", Section.GOVERNANCE,
         N_("events, integration, signed calls, deliveries, replay")),
    Page("locations", N_("Locations"), "/locations", "network:read", "building-store", Section.NETWORK,
         N_("stores, distribution centres, opening hours, capacity, pause"), "/locations/{key}"),
    Page("capacity", N_("Capacity"), "/capacity", "network:read", "clock", Section.NETWORK,
         N_("slots, appointments, delivery windows, times to collect, quota, full")),
    Page("companies", N_("Companies"), "/companies", "network:read", "building", Section.NETWORK,
         N_("legal entities, establishments, CNPJ, tax regime")),
    Page("owners", N_("Whose goods"), "/stock-owners", "network:read", "file-invoice", Section.NETWORK,
         N_("owner of stock, franchise, consignment, who invoices")),
    Page("services", N_("Shipping"), "/services", "network:read", "truck", Section.NETWORK,
         N_("shipping services, freight, tariff, prices, carriers")),
    Page("routing_costs", N_("Costs of routing"), "/routing-costs", "network:read", "adjustments", Section.NETWORK,
         N_("tax, cartons, split penalty, risk, capacity price, aged stock, markdown, max distance, licence")),
    Page("stock_prices", N_("Prices of stock"), "/stock-prices", "network:read", "cash", Section.NETWORK,
         N_("last units, scarce, run out, at risk, opportunity cost, linear programme"), shared=True),
    Page("routing_rules", N_("Routing rules"), "/routing-rules", "network:read", "adjustments-horizontal",
         Section.NETWORK, N_("sourcing, brokering, priority of locations, ship complete, split, preference"),
         shared=True),
    Page("simulations", N_("Simulations"), "/simulations", "network:read", "route", Section.NETWORK,
         N_("what if, scenario, close a store, freight, capacity, cost"), shared=True),
    Page("promises", N_("Promises"), "/promises", "orders:read", "calendar-event", Section.NETWORK,
         N_("promised dates, on time, kept, broken, late deliveries, punctuality")),
    Page("channels", N_("Sales channels"), "/channels", "network:read", "broadcast", Section.COMMERCE,
         N_("online shop, marketplace, till, payment policy, release delay")),
    Page("feeds", N_("Feeds"), "/channel-feeds", "network:read", "rss", Section.COMMERCE,
         N_("Google Merchant, Meta, Facebook, catalogue, XML, price comparison, local inventory"),
         "/channel-feeds/{key}", shared=True),
    Page("connections", N_("Connections"), "/connections", "network:read", "link", Section.COMMERCE,
         N_("connector, webhook, integration, marketplace, reconciliation"), "/connections/{key}", shared=True),
    Page("payment_terms", N_("Time to pay"), "/payment-terms", "network:read", "clock-dollar", Section.COMMERCE,
         N_("PIX, boleto, deadline, expiry, payment terms, stock held")),
    Page("audit", N_("Audit trail"), "/audit", "audit:read", "shield-check", Section.GOVERNANCE,
         N_("who changed what, history, log")),
    Page("settings", N_("Settings"), "/settings", "settings:manage", "settings", Section.GOVERNANCE,
         N_("logo, colour, languages, time zone, configuration")),
    Page("messages", N_("Messages"), "/messages", "orders:read", "mail", Section.COMMERCE,
         N_("e-mail, customer, texts, templates, bounced")),
)  # fmt: skip


def pages_for(may: Callable[[str], bool], *, limited: bool = False) -> tuple[Page, ...]:
    """Return the pages a person may open, in the order of the table. `limited`: to some locations."""
    return tuple(page for page in PAGES if may(page.permission) and not (limited and page.shared))


def groups_for(may: Callable[[str], bool], *, limited: bool = False) -> tuple[Group, ...]:
    """Return the same pages by section, in the order of the sections; a section without a page is absent."""
    pages = pages_for(may, limited=limited)
    groups = (Group(section, tuple(p for p in pages if p.section is section)) for section in Section)
    return tuple(group for group in groups if group.pages)


def record_address(page_key: str, key: str) -> str:
    """Return the address of a record on its page; nothing while no page has such records."""
    record = next((page.record for page in PAGES if page.key == page_key), "")
    return record.replace("{key}", quote(key, safe="")) if record else ""


# Lists that other pages lead to: the page whose readers they are for, and their name.
LISTS = {
    "/bulk-actions": ("orders", N_("Bulk actions")),
    "/cost-drafts": ("routing_costs", N_("Drafts of costs")),
    "/customer-groups": ("groups", N_("Customer groups")),
    "/shadows": ("simulations", N_("Drafts beside live")),
}


def page_of(path: str, may: Callable[[str], bool], *, limited: bool = False) -> Page | None:
    """Return the list that an address belongs to, so that somebody lost in it finds back; else the first page."""
    own = pages_for(may, limited=limited)
    at = "/" + re.split(r"[/:]", path.lstrip("/"), maxsplit=1)[0]
    key, word = LISTS.get(at, ("", ""))
    for page in own:
        if page.key == key:
            return page._replace(word=word, href=at)
        if at == page.href != "/":
            return page
    return next(iter(own), None)


def found(text: str, may: Callable[[str], bool], *, limited: bool = False) -> tuple[Page, ...]:
    """Return the pages a text begins a word of, in any language, those whose name begins with it first."""
    wanted = fold(text)
    ranked = []
    for rank, page in enumerate(pages_for(may, limited=limited)):
        names, others = _spoken(page)
        if any(name.startswith(wanted) for name in names):
            ranked.append((0, rank, page))
        elif any(f" {wanted}" in name for name in names):
            ranked.append((1, rank, page))
        elif any(f" {wanted}" in f" {other}" for other in others):
            ranked.append((2, rank, page))
    return tuple(page for *_rank, page in sorted(ranked))


def _spoken(page: Page) -> tuple[list[str], list[str]]:
    """Return a page's names and its other words, folded, in every language: people mix them."""
    names, others = [], []
    for language in i18n.LANGUAGES:
        with i18n.speaking(language):
            names.append(fold(_(page.word)))
            if page.also:
                others.append(fold(_(page.also)))
    return names, others

"""What a new retailer does first: the steps from an empty console to the first order, each ticked when it is done."""

from urllib.parse import quote

import msgspec

from malha.console import home_reads
from malha.console.home_facts import Facts
from malha.ordering.listing import View
from malha.platform.db import Tx
from malha.platform.i18n import N_, _


class FirstStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what it is, why it is needed, and where it is done."""

    title: str
    why: str
    act: str
    href: str
    done: bool


# What is there when it is done, what it is called, why, what its button says, where it leads, who may.
_STEPS = (
    ("company", N_("Register your company"), N_("Its CNPJ owns the goods and issues the documents."),
     N_("New establishment"), "/establishments:new", "network:write"),
    ("location", N_("Say where goods are"),
     N_("A store or a distribution centre: stock lies there, orders leave from there."),
     N_("New location"), "/locations:new", "network:write"),
    ("service", N_("Say how goods travel"), N_("A shipping service with its prices, or pickup at a store."),
     N_("New shipping service"), "/services:new", "network:write"),
    ("channel", N_("Add a sales channel"), N_("The online shop, the till or the marketplace that orders come from."),
     N_("New sales channel"), "/channels:new", "network:write"),
    ("product", N_("Bring your products"), N_("From a spreadsheet; columns with other names are fine. Or one by one."),
     N_("Import a table"), "/imports?kind=products", "catalog:write"),
    ("stock", N_("Bring your stock"),
     N_("How many units of each SKU lie where. Every later movement has a line in the ledger."),
     N_("Import a table"), "/imports?kind=stock", "stock:write"),
    ("order", N_("Let the first order come"),
     N_("An API key lets your shop send it, or you take it by hand under Orders. You see it here within a second."),
     N_("Create key"), "/keys/new", "identity:manage"),
)  # fmt: skip


async def first_steps(tx: Tx, facts: Facts) -> list[FirstStep]:
    """Return the steps while no order ever came, to whoever may take them; afterwards nothing is asked."""
    may = facts.caller.may
    if facts.scope is not None or not may("network:write") or facts.counts[View.OPEN] or facts.day.orders:
        return []
    begun = await home_reads.begun(tx)
    if begun.order:
        return []
    at_hand = {"service": (_("Enter its prices"), f"/services/{quote(begun.unpriced)}")} if begun.unpriced else {}
    return [
        FirstStep(
            title=_(title),
            why=_(why),
            act=at_hand.get(name, (_(act), href))[0],
            href=at_hand.get(name, (_(act), href))[1],
            done=getattr(begun, name),
        )
        for name, title, why, act, href, permission in _STEPS
        if may(permission)
    ]

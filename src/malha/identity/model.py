"""Who may do what: permissions, the roles that bundle them, and the caller of a request.

A person has one role and a location scope: all locations, or a list. An API key has permissions of its own and a
scope. The tables below are the whole truth; a test walks every route with every role against an expectation of its
own.
"""

from enum import StrEnum
from typing import Literal, NewType

import msgspec

from malha.platform.i18n import N_
from malha.platform.ids import UUID

PersonId = NewType("PersonId", UUID)

# What a route may ask for besides a permission.
PUBLIC = "public"  # anyone: health, log-in
SIGNED_IN = "signed_in"  # any person or key

PERMISSIONS: dict[str, str] = {
    "orders:read": N_("See orders"),
    "orders:write": N_("Change orders"),
    "orders:cancel": N_("Cancel orders and lines"),
    "orders:release_hold": N_("Lift holds"),
    "orders:override_hold": N_("Lift holds that only their cause lifts"),
    "intake:submit": N_("Submit orders"),
    "stock:read": N_("See stock"),
    "stock:write": N_("Change stock"),
    "stock:count": N_("Count, receive and send goods"),
    "stock:approve": N_("Approve counts and transfers"),
    "catalog:read": N_("See the catalogue"),
    "catalog:write": N_("Change the catalogue"),
    "customers:read": N_("See customers"),
    "customers:write": N_("Change customers"),
    "customers:reveal": N_("See personal data in full"),
    "customers:erase": N_("Erase personal data for good"),
    "network:read": N_("See locations, channels and services"),
    "network:write": N_("Change locations, channels and services"),
    "fulfillment:work": N_("Accept, pick, pack and hand over"),
    "payments:record": N_("Record payments"),
    "fiscal:record": N_("Record fiscal documents"),
    "identity:manage": N_("Manage people and keys"),
    "audit:read": N_("Read the audit trail"),
    "settings:manage": N_("Change settings"),
    "doctor:read": N_("See the health of the system"),
    "webhooks:manage": N_("Manage webhooks"),
}

# What these permit concerns all locations: whoever is limited to some holds them in vain. Of other permissions a part
# does, which a route says of itself (`everywhere`).
WHOLE = frozenset({"catalog:write", "customers:erase", "settings:manage"})


class Role(StrEnum):
    """What a person is in the retailer's organisation."""

    OWNER = "owner"
    MANAGER = "manager"
    CUSTOMER_SERVICE = "customer_service"
    PLANNER = "planner"
    STORE_LEAD = "store_lead"
    STORE_ASSOCIATE = "store_associate"
    INTEGRATOR = "integrator"
    AUDITOR = "auditor"


ROLE_NAMES: dict[Role, str] = {
    Role.OWNER: N_("Owner"),
    Role.MANAGER: N_("Manager"),
    Role.CUSTOMER_SERVICE: N_("Customer service"),
    Role.PLANNER: N_("Planner"),
    Role.STORE_LEAD: N_("Store lead"),
    Role.STORE_ASSOCIATE: N_("Store associate"),
    Role.INTEGRATOR: N_("Integrator"),
    Role.AUDITOR: N_("Auditor"),
}

_READ = frozenset({"orders:read", "stock:read", "catalog:read", "customers:read", "network:read"})

ROLES: dict[Role, frozenset[str]] = {
    Role.OWNER: frozenset(PERMISSIONS),
    Role.MANAGER: frozenset(PERMISSIONS) - {"identity:manage", "settings:manage"},
    Role.CUSTOMER_SERVICE: _READ
    | {
        "orders:write",
        "orders:cancel",
        "orders:release_hold",
        "intake:submit",
        "customers:write",
        "customers:reveal",
        "payments:record",
    },
    Role.PLANNER: _READ
    | {"stock:write", "stock:count", "stock:approve", "catalog:write", "network:write", "orders:release_hold"},
    Role.STORE_LEAD: _READ
    | {
        "orders:write",
        "orders:cancel",
        "intake:submit",
        "stock:write",
        "stock:count",
        "stock:approve",
        "customers:write",
        "fulfillment:work",
        "payments:record",
        "fiscal:record",
    },
    Role.STORE_ASSOCIATE: frozenset(
        {
            "orders:read",
            "stock:read",
            "catalog:read",
            "network:read",
            "intake:submit",
            "fulfillment:work",
            "stock:count",
        }
    ),
    Role.INTEGRATOR: _READ
    | {
        "orders:write",
        "orders:cancel",
        "intake:submit",
        "stock:write",
        "stock:count",
        "catalog:write",
        "customers:write",
        "fulfillment:work",
        "payments:record",
        "fiscal:record",
        "doctor:read",
        "webhooks:manage",
    },
    Role.AUDITOR: _READ | {"audit:read", "doctor:read"},
}


class Caller(msgspec.Struct, frozen=True):
    """Who makes a request: a signed-in person or an API key, with what it may do and where."""

    kind: Literal["person", "key"]
    id: str
    name: str
    permissions: frozenset[str]
    locations: frozenset[int] | None = None  # None: all of them
    role: Role | None = None  # of a person
    language: str | None = None  # the person's own choice
    timezone: str | None = None
    theme: str | None = None  # light or dark
    must_enrol: bool = False  # the role demands a second factor the person has not: until then there are no permissions

    def may(self, permission: str) -> bool:
        """Return whether the caller holds a permission; `signed_in` is held by every caller."""
        return permission in self.permissions or permission in {SIGNED_IN, PUBLIC}

    def can(self, permission: str) -> bool:
        """Return whether a permission is of use to the caller: what concerns all locations is not, to who has some."""
        return self.may(permission) and (self.locations is None or permission not in WHOLE)

    def sees(self, location_id: int | None) -> bool:
        """Return whether a location is in the caller's scope. What has no location yet is seen by all."""
        return self.locations is None or location_id is None or location_id in self.locations

"""Logging in by another house's word: identity providers (OpenID Connect), what they say of a person, what it gives."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from malha.identity.model import Role
from malha.platform.i18n import N_


class FactorPolicy(StrEnum):
    """Who answers for the second factor of people who come by a provider."""

    PROVIDER = "provider"  # the provider, whatever it says about it
    UNLESS_PROVED = "unless_proved"  # the provider when it says so, else the person's own app


FACTOR_POLICIES = {
    FactorPolicy.PROVIDER: N_("The provider answers for it"),
    FactorPolicy.UNLESS_PROVED: N_("Ask, unless the provider says it asked"),
}


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a value of the claim gives. `locations` are codes; None is everywhere."""

    value: str
    role: Role
    locations: Sequence[str] | None = None


class ProviderDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said about a provider. `locations` are codes; None is everywhere.

    Attributes:
        secret: a new client secret; None keeps the one there is, an empty one makes a public client.
        domains: of the e-mails that may come in; empty is any.
        creates: whether somebody new is added at their first log-in.
        links: whether an existing person is found by a verified e-mail.
        claim: which claim names groups or roles; a dot leads into an object, like `realm_access.roles`.
        rules: what each value gives. The first that fits says the role.
        role: of whoever fits no rule; None keeps them out.
        proofs: values of `amr` or `acr` that say that a second factor was used.
    """

    code: str
    name: str
    issuer: str
    client_id: str
    secret: str | None = None
    scopes: Sequence[str] = ("openid", "email", "profile")
    domains: Sequence[str] = ()
    creates: bool = False
    links: bool = False
    claim: str | None = None
    rules: Sequence[Rule] = ()
    role: Role | None = None
    locations: Sequence[str] | None = None
    second_factor: FactorPolicy = FactorPolicy.PROVIDER
    proofs: Sequence[str] = ("mfa",)
    active: bool = False


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said of a person, checked: who they are there, and what else it knows."""

    issuer: str
    subject: str
    email: str | None = None  # normal form
    email_verified: bool = False
    name: str = ""
    language: str | None = None
    proved: frozenset[str] = frozenset()  # amr and acr
    claims: dict[str, Any] = msgspec.field(default_factory=dict)


class Given(msgspec.Struct, frozen=True):
    """The role and the locations (codes, None is everywhere) that a log-in gives."""

    role: Role
    locations: tuple[str, ...] | None

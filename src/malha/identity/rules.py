"""Decisions about who someone is: normal forms, waiting after failed log-ins, what a key may be given."""

import hashlib
import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from zoneinfo import available_timezones

from malha.identity.easy_passwords import is_easy
from malha.identity.model import PERMISSIONS
from malha.platform.flaws import Flaw
from malha.platform.i18n import LANGUAGES, N_
from malha.platform.ids import UUID

KEY_FORM = re.compile(r"^mk_([a-z2-7]{8})_[A-Za-z0-9_-]{43}$")

# Failures that cost nothing, the first wait after them, and the longest. A network address may be a whole office.
# `password` counts those who are signed in and shall prove it, `code` codes of the second factor, `reset` asking for a
# new password by mail: no failure, but a nuisance.
FREE_TRIES = {
    "account": 5, "password": 5, "source": 30, "order": 5, "shopper": 15, "code": 5, "reset": 3, "reset-source": 30,
}  # fmt: skip
FIRST_WAIT = {"reset": timedelta(minutes=1)}
LONGEST_WAIT = timedelta(minutes=15)
FORGET_AFTER = timedelta(hours=12)


def is_last_owner(person_id: UUID, owners: Mapping[UUID, bool]) -> bool:
    """Return whether nobody else is left of the active owners of all places, each with whether they can come in.

    Who was invited and never came in is nobody, unless all of them are.
    """
    left = [owner for owner, comes_in in owners.items() if comes_in] or list(owners)
    return left == [person_id]


def normal_email(text: str) -> str:
    """Return an e-mail as it is stored and compared: trimmed, lower case."""
    return text.strip().lower()


def email_flaws(email: str, at: str = "email") -> list[Flaw]:
    """Return what is wrong with a normal e-mail."""
    local, separator, domain = email.rpartition("@")
    good = bool(separator and local and "." in domain) and len(email) <= 254 and not re.search(r"\s|\0", email)
    return [] if good else [Flaw(at, N_("This is not an e-mail address."), N_("Write it like ana@loja.com.br."))]


def password_flaws(password: str, email: str, minimum: int, maximum: int) -> list[Flaw]:
    """Return what is wrong with a new password: length counts, and it may not be one that everybody tries first."""
    if not minimum <= len(password) <= maximum:
        return [
            Flaw(
                "password",
                N_("A password has {least} to {most} characters."),
                facts={"least": minimum, "most": maximum},
            )
        ]
    if password.strip().lower() == email or len(set(password)) < 4 or is_easy(password, email):
        return [Flaw("password", N_("This password is too easy to guess."), N_("Use several unrelated words."))]
    return []


def permission_flaws(wanted: Collection[str], held: Collection[str]) -> list[Flaw]:
    """Return what is wrong with a key's permissions: unknown ones, and those its maker does not hold."""
    flaws = [
        Flaw("permissions", N_("There is no permission {permission}."), facts={"permission": name})
        for name in sorted(set(wanted) - set(PERMISSIONS))
    ]
    return flaws + [
        Flaw("permissions", N_("You do not hold {permission} yourself."), facts={"permission": name})
        for name in sorted((set(wanted) & set(PERMISSIONS)) - set(held))
    ]


def language_flaws(language: str | None) -> list[Flaw]:
    """Return what is wrong with a chosen language."""
    if language is None or language in LANGUAGES:
        return []
    return [Flaw("language", N_("Malha speaks {languages}."), facts={"languages": ", ".join(LANGUAGES)})]


def timezone_flaws(zone: str | None) -> list[Flaw]:
    """Return what is wrong with a chosen time zone."""
    if zone is None or zone in available_timezones():
        return []
    return [
        Flaw("timezone", N_("There is no time zone {zone}."), N_("Write it like America/Sao_Paulo."), {"zone": zone})
    ]


def wait_after(failures: int, kind: str) -> timedelta:
    """Return how long to wait after so many failures: nothing at first, then 2, 4, 8 seconds ... 15 minutes."""
    beyond = failures - FREE_TRIES[kind]
    first = FIRST_WAIT.get(kind, timedelta(seconds=2))
    return timedelta(0) if beyond < 0 else min(first * 2 ** min(beyond, 20), LONGEST_WAIT)


def account_subject(email: str, kind: str = "account") -> str:
    """Return the row that counts tries at an account, without holding the address of whoever has none."""
    return f"{kind}:" + hashlib.sha256(email.encode()).hexdigest()[:32]


def exceeds(
    permissions: Collection[str],
    locations: Collection[int] | None,
    held: Collection[str] | None,
    within: Collection[int] | None,
) -> bool:
    """Return whether rights go beyond those held: nobody gives, changes or takes over more than their own.

    `held` None is every permission, the system's own right; `locations` and `within` None are everywhere.
    """
    wider = within is not None and (locations is None or not set(locations) <= set(within))
    return wider or (held is not None and not set(permissions) <= set(held))


def digest(secret: str) -> bytes:
    """Return what is stored of a random secret. It has 80 bits or more of its own: a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).digest()

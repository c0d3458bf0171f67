"""Decisions about log-ins by a provider: is the ID token good, what does it give, is a provider set up in a usable way.

Pure: times and keys come in as values.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from malha.identity.errors import AnswerWrong
from malha.identity.model import Role
from malha.identity.provider_model import Given, ProviderDraft, Rule, Said
from malha.identity.rules import email_flaws, normal_email
from malha.platform.flaws import Flaw
from malha.platform.i18n import LANGUAGES, N_

# Signatures that a public key checks. `none` is no signature; with HS256 whoever knows the client secret, or takes a
# public key for one, could make tokens.
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
LEEWAY = timedelta(seconds=60)  # clocks differ
FRESH = timedelta(minutes=10)  # an ID token is made while the person waits
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MOST_RULES = 200


def check_token(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, at: datetime) -> None:
    """Refuse an ID token whose signature is right but which was not made for us, here and now.

    Raises:
        AnswerWrong: says which claim is wrong, never its value.
    """
    if claims.get("iss") != issuer:
        raise AnswerWrong(detail="iss")
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or client_id not in named:
        raise AnswerWrong(detail="aud")
    authorised = claims.get("azp")
    if (authorised is not None or len(named) > 1) and authorised != client_id:
        raise AnswerWrong(detail="azp")
    now, leeway = at.timestamp(), LEEWAY.total_seconds()
    if _seconds(claims, "exp") <= now - leeway:
        raise AnswerWrong(detail="exp")
    issued = _seconds(claims, "iat")
    if not now - FRESH.total_seconds() - leeway <= issued <= now + leeway:
        raise AnswerWrong(detail="iat")
    if "nbf" in claims and _seconds(claims, "nbf") > now + leeway:
        raise AnswerWrong(detail="nbf")
    if claims.get("nonce") != nonce:
        raise AnswerWrong(detail="nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or _CONTROL.search(subject):
        raise AnswerWrong(detail="sub")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise AnswerWrong(detail=name)
    return float(found)


def said_by(claims: Mapping[str, Any]) -> Said:
    """Return what checked claims say of a person. What has a strange form is as if it were not said."""
    email = claims.get("email")
    normal = normal_email(email) if isinstance(email, str) else None
    if normal is not None and email_flaws(normal):
        normal = None
    name = claims.get("name")
    if not isinstance(name, str) or not name.strip():
        parts = (claims.get("given_name"), claims.get("family_name"))
        name = " ".join(part.strip() for part in parts if isinstance(part, str))
    proved = {claims.get("acr")} | set(_texts(claims.get("amr")))
    return Said(
        issuer=str(claims["iss"]),
        subject=str(claims["sub"]),
        email=normal,
        email_verified=normal is not None and _is_verified(claims),
        name=" ".join(_CONTROL.sub(" ", name).split())[:120],
        language=_language(claims.get("locale")),
        proved=frozenset(found for found in proved if isinstance(found, str)),
        claims=dict(claims),
    )


def _is_verified(claims: Mapping[str, Any]) -> bool:
    """Return whether the provider says the e-mail is the person's. Entra ID says so of the domain, in `xms_edov`."""
    if "email_verified" in claims:
        return claims["email_verified"] is True or claims["email_verified"] == "true"
    return claims.get("xms_edov") in (True, "true", "1")


def _language(locale: Any) -> str | None:
    said = str(locale).replace("_", "-").lower() if isinstance(locale, str) else ""
    exact = next((known for known in LANGUAGES if known.lower() == said), None)
    return exact or next(
        (known for known in LANGUAGES if said and known.lower().split("-")[0] == said.split("-")[0]), None
    )


def values_of(claims: Mapping[str, Any], claim: str | None) -> frozenset[str]:
    """Return the values of a claim. Its name is tried as it is first, because some names have dots of their own."""
    if not claim:
        return frozenset()
    found: Any = claims.get(claim)
    if found is None:
        found = claims
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    return frozenset(_texts(found))


def is_short_of(claims: Mapping[str, Any], claim: str | None) -> bool:
    """Return whether an ID token lacks what a log-in needs, which the provider may tell elsewhere (userinfo)."""
    return "email" not in claims or (bool(claim) and not values_of(claims, claim))


def _texts(found: Any) -> list[str]:
    if isinstance(found, str):
        return [found]
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def given_by(
    values: Collection[str], rules: Sequence[Rule], role: Role | None, locations: Sequence[str] | None
) -> Given | None:
    """Return what somebody gets: the first rule that fits says the role, all that fit with that role the locations.

    None: no rule fits, and whoever fits none stays out (`role` None).
    """
    fitting = [rule for rule in rules if rule.value in values]
    if not fitting:
        return None if role is None else Given(role, None if locations is None else tuple(sorted(set(locations))))
    same = [rule.locations for rule in fitting if rule.role is fitting[0].role]
    if any(places is None for places in same):
        return Given(fitting[0].role, None)
    return Given(fitting[0].role, tuple(sorted({code for places in same for code in places or ()})))


def is_of_domain(email: str, domains: Collection[str]) -> bool:
    """Return whether an e-mail may come in: one of exactly these domains, or any when there are none."""
    return not domains or email.rpartition("@")[2] in domains


def normal_issuer(text: str) -> str:
    """Return an issuer as it is compared: as it was typed, without the address of its document."""
    return text.strip().removesuffix("/.well-known/openid-configuration")


def draft_flaws(draft: ProviderDraft) -> list[Flaw]:
    """Return what is wrong with a provider, but for its address and its locations."""
    flaws = []
    if not _CODE.fullmatch(draft.code):
        says = N_("A code has small letters, digits and hyphens, at most 40.")
        flaws.append(Flaw("code", says, N_("Write it like entra or keycloak.")))
    flaws += [
        Flaw(at, N_("This field is empty."), N_("Fill it in."))
        for at, text in (("name", draft.name), ("client_id", draft.client_id), ("issuer", draft.issuer))
        if not text.strip()
    ]
    if "openid" not in draft.scopes:
        flaws.append(Flaw("scopes", N_("The scope openid is missing."), N_("Without it the provider says nothing.")))
    flaws += [
        Flaw("scopes", N_("{scope} is no scope."), facts={"scope": scope[:40]})
        for scope in draft.scopes
        if not _SCOPE.fullmatch(scope)
    ]
    flaws += [
        Flaw("domains", N_("{domain} is no domain."), N_("Write it like loja.com.br."), {"domain": domain[:60]})
        for domain in draft.domains
        if not _DOMAIN.fullmatch(domain)
    ]
    return flaws + _rule_flaws(draft)


def _rule_flaws(draft: ProviderDraft) -> list[Flaw]:
    flaws = []
    if draft.rules and not draft.claim:
        mend = N_("Name the claim, like groups.")
        flaws.append(Flaw("claim", N_("There are rules, but no claim to look at."), mend))
    if draft.claim and not draft.rules:
        flaws.append(Flaw("rules", N_("A claim is named, but no rule says what it gives."), N_("Add a rule.")))
    if draft.creates and draft.role is None and not draft.rules:
        says = N_("Whoever is new needs a role.")
        flaws.append(Flaw("role", says, N_("Choose one, or add rules.")))
    if len(draft.rules) > MOST_RULES:
        flaws.append(Flaw("rules", N_("There are more than {most} rules."), facts={"most": MOST_RULES}))
    seen: set[tuple[str, Role]] = set()
    for i, rule in enumerate(draft.rules):
        at = f"rules/{i}"
        if not rule.value.strip():
            flaws.append(Flaw(f"{at}/value", N_("This field is empty."), N_("Fill it in.")))
        if rule.locations is not None and not rule.locations:
            says = N_("Choose at least one location, or everywhere.")
            flaws.append(Flaw(f"{at}/locations", says))
        if (rule.value, rule.role) in seen:
            flaws.append(Flaw(f"{at}/value", N_("{value} is there twice."), facts={"value": rule.value[:60]}))
        seen.add((rule.value, rule.role))
    return flaws

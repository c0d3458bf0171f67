"""Administration of log-in providers and of how people may log in.

A provider gives roles to people, so whoever sets one up must hold every right it can give, and work everywhere. The
client secret is encrypted under the installation's key; it is never shown, logged or audited.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from malha.identity import oidc, provider_reads, provider_rules, provider_writes, reads, rules, service, ways
from malha.identity.errors import BeyondOwn, LastOwner, NeedsEverywhere, ProviderChanged, ProviderCodeTaken
from malha.identity.model import ROLES, Role
from malha.identity.provider_model import ProviderDraft
from malha.identity.provider_reads import Provider
from malha.platform import audit, sealing
from malha.platform.db import Tx
from malha.platform.errors import NotFound
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.outward import OutwardRefused, inward
from malha.platform.signing import Keys

SECRET = "login-provider"  # noqa: S105 -- the purpose of the seal


async def create_provider(tx: Tx, keys: Keys, draft: ProviderDraft, *, allowed: Sequence[str] | None = None) -> int:
    """Add a provider; return its version. `allowed`: see `outward.inward`.

    Raises:
        Invalid: a field is not acceptable.
        ProviderCodeTaken: another provider has the code.
        BeyondOwn: it could give rights that the actor does not hold.
        NeedsEverywhere: the actor is limited to locations.
    """
    places = await _checked(tx, draft, allowed)
    row = _columns(draft) | {"client_secret": _sealed(keys, draft.secret)}
    provider_id = await tx.value(provider_writes.INSERT_PROVIDER, row)
    if provider_id is None:
        raise ProviderCodeTaken(code=draft.code)
    await _write_rules(tx, provider_id, draft, places)
    await audit.record(tx, action="create", entity="login_provider", entity_id=draft.code, after=_audited(draft))
    return 1


async def change_provider(
    tx: Tx, keys: Keys, draft: ProviderDraft, version: int | None, *, allowed: Sequence[str] | None = None
) -> int:
    """Change a provider that nobody else changed since `version` (None: whatever it is); return the new version.

    Switching it off ends every session that was opened by it. `allowed`: see `outward.inward`.

    Raises:
        NotFound: there is no such provider.
        ProviderChanged: somebody changed it meanwhile.
        Invalid: a field is not acceptable.
        BeyondOwn: it could give, or could have given, rights that the actor does not hold.
        NeedsEverywhere: the actor is limited to locations.
        NoProviderInUse: passwords are off, and this is the last provider in use.
    """
    before = await lock_provider(tx, draft.code)
    if version is not None and before.version != version:
        raise ProviderChanged
    _within_own(tx, [rule.role for rule in before.rules] + [before.role])
    places = await _checked(tx, draft, allowed)
    row = _columns(draft) | {
        "id": before.id,
        "keep_secret": draft.secret is None,
        "client_secret": _sealed(keys, draft.secret),
    }
    new = int(await tx.value(provider_writes.UPDATE_PROVIDER, row))
    await tx.execute(provider_writes.DELETE_PROVIDER_LOCATIONS, {"id": before.id})
    await tx.execute(provider_writes.DELETE_RULES, {"id": before.id})
    await _write_rules(tx, before.id, draft, places)
    if before.active and not draft.active:
        await tx.execute(provider_writes.END_SESSIONS_BY, {"id": before.id})
        await ways.keep_way_back(tx)
    was, now = _audited(draft_of(before)), _audited(draft)
    await audit.record(tx, action="update", entity="login_provider", entity_id=draft.code, before=was, after=now)
    return new


async def delete_provider(tx: Tx, code: str) -> None:
    """Delete a provider. Sessions opened by it end; people stay, and are known again should it come back.

    Raises:
        NotFound: there is no such provider.
        BeyondOwn: it could give rights that the actor does not hold.
        NeedsEverywhere: the actor is limited to locations.
        NoProviderInUse: passwords are off, and this is the last provider in use.
    """
    before = await lock_provider(tx, code)
    _within_own(tx, [rule.role for rule in before.rules] + [before.role])
    await tx.execute(provider_writes.DELETE_PROVIDER, {"id": before.id})
    await ways.keep_way_back(tx)
    await audit.record(tx, action="delete", entity="login_provider", entity_id=code, before=_audited(draft_of(before)))


async def lock_provider(tx: Tx, code: str) -> Provider:
    """Lock a provider until the end of the transaction, and return it.

    Raises:
        NotFound: there is no such provider.
    """
    await tx.execute(provider_writes.LOCK_PROVIDER, {"code": code})
    return await provider_named(tx, code)


async def provider_named(tx: Tx, code: str) -> Provider:
    """Return a provider.

    Raises:
        NotFound: there is no such provider.
    """
    found = await provider_reads.provider(tx, code)
    if found is None:
        raise NotFound(what="login provider", key=code)
    return found


async def in_sight(tx: Tx, found: Sequence[Provider]) -> list[Provider]:
    """Return providers that name no locations but those the actor sees; `others` counts what was left out of each."""
    if tx.actor.locations is None:
        return list(found)
    named = {one.code: _named(one) for one in found}
    known = await reads.location_ids(tx, sorted(set().union(*named.values())))
    seen = {code for code, id_ in known.items() if tx.actor.sees(id_)}

    def kept(codes: Sequence[str] | None) -> list[str] | None:
        return None if codes is None else [code for code in codes if code in seen]

    return [
        msgspec.structs.replace(
            one,
            locations=kept(one.locations),
            rules=[msgspec.structs.replace(rule, locations=kept(rule.locations)) for rule in one.rules],
            others=len(named[one.code] - seen) or UNSET,
        )
        for one in found
    ]


def _named(provider: Provider) -> set[str]:
    return {code for codes in (provider.locations, *(r.locations for r in provider.rules)) for code in codes or ()}


async def secret_of(tx: Tx, keys: Keys, provider: Provider) -> str | None:
    """Return a provider's client secret, for the one request that needs it; None: a public client.

    Raises:
        SealBroken: it was encrypted with a key that is gone.
    """
    sealed = await tx.value(provider_writes.SEALED_FOR, {"id": provider.id})
    return None if sealed is None else sealing.unseal(keys, SECRET, bytes(sealed))


async def lock_policy(tx: Tx) -> int:
    """Let nobody else change how people may log in until the transaction ends, and return the policy's version.

    Raises:
        NeedsEverywhere: the actor is limited to locations.
    """
    _everywhere(tx)
    await tx.execute(provider_writes.LOCK_POLICY)
    return (await provider_reads.policy(tx)).version


async def set_policy(tx: Tx, *, provider_only: bool, version: int | None = None) -> int:
    """Say whether people log in by a provider only; return the policy's version. Owners with a second factor still can.

    Sessions that are open stay.

    Raises:
        ProviderChanged: somebody changed it meanwhile.
        NoWayBack: no owner could come in if the provider fails.
        NoProviderInUse: there is no provider to log in by.
        NeedsEverywhere: the actor is limited to locations.
    """
    _everywhere(tx)
    await tx.execute(provider_writes.LOCK_POLICY)
    before = await provider_reads.policy(tx)
    if version is not None and version != before.version:
        raise ProviderChanged
    if before.provider_only == provider_only:
        return before.version
    wanted = {"provider_only": provider_only, "version": before.version}
    new = await tx.value(provider_writes.PUT_POLICY_ROW, wanted)
    if new is None:
        raise ProviderChanged
    await ways.keep_way_back(tx)
    await audit.record(
        tx,
        action="update",
        entity="login_policy",
        entity_id="all",
        before={"provider_only": before.provider_only},
        after={"provider_only": provider_only},
    )
    return int(new)


async def unbind(tx: Tx, person_id: UUID, issuer: str, subject: str) -> None:
    """Take an account of a provider away from a person; their sessions end.

    Raises:
        NotFound: there is no such person, or the account is not bound to them.
        BeyondOwn: the person has rights that the actor does not hold.
        LastOwner: it is the only way in of the last who owns all places.
    """
    owners = await service.lock_owners(tx)
    await service.person_to_manage(tx, person_id)
    account = {"person_id": person_id, "issuer": issuer, "subject": subject}
    if not await tx.execute(provider_writes.UNBIND, account):
        raise NotFound(what="account", key=subject[:80])
    if rules.is_last_owner(person_id, owners) and not (await service.lock_owners(tx))[person_id]:
        raise LastOwner
    await service.end_sessions(tx, person_id)
    await audit.record(tx, action="unbind", entity="person", entity_id=person_id, before={"issuer": issuer})


def draft_of(provider: Provider) -> ProviderDraft:
    """Return a provider as it could be saved again: its secret stays."""
    return ProviderDraft(
        **{name: getattr(provider, name) for name in ProviderDraft.__struct_fields__ if name != "secret"}
    )


async def _checked(tx: Tx, draft: ProviderDraft, allowed: Sequence[str] | None) -> dict[str, int]:
    """Return the ids of the locations that the draft names, or refuse with every flaw."""
    _within_own(tx, [rule.role for rule in draft.rules] + [draft.role])
    flaws = provider_rules.draft_flaws(draft)
    if draft.issuer.strip():
        try:
            oidc.check_endpoint(draft.issuer)
            flaws += inward("issuer", draft.issuer, allowed)
        except OutwardRefused as error:
            flaws.append(Flaw("issuer", error.says, error.mend, error.facts))
    if draft.role is not None and draft.locations is not None and not draft.locations:
        flaws.append(Flaw("locations", N_("Choose at least one location, or everywhere.")))
    named = [("locations", draft.locations or ())]
    named += [(f"rules/{i}/locations", rule.locations or ()) for i, rule in enumerate(draft.rules)]
    known = await reads.location_ids(tx, sorted({code for _at, codes in named for code in codes}))
    flaws += [
        Flaw(at, service.UNKNOWN_LOCATION, facts={"location": code})
        for at, codes in named
        for code in codes
        if code not in known
    ]
    refuse(flaws)
    return known


def _within_own(tx: Tx, roles: Sequence[Role | None]) -> None:
    _everywhere(tx)
    for role in roles:
        if role is not None and rules.exceeds(ROLES[role], None, tx.actor.permissions, None):
            raise BeyondOwn


def _everywhere(tx: Tx) -> None:
    if tx.actor.locations is not None:
        raise NeedsEverywhere


def _sealed(keys: Keys, secret: str | None) -> bytes | None:
    return sealing.seal(keys, SECRET, secret) if secret else None


async def _write_rules(tx: Tx, provider_id: int, draft: ProviderDraft, places: dict[str, int]) -> None:
    own = [places[code] for code in sorted(set(draft.locations or ()))]
    await tx.execute(provider_writes.INSERT_PROVIDER_LOCATIONS, {"id": provider_id, "locations": own})
    await tx.execute(
        provider_writes.INSERT_RULES,
        {
            "id": provider_id,
            "places": list(range(len(draft.rules))),
            "values": [rule.value.strip() for rule in draft.rules],
            "roles": [rule.role.value for rule in draft.rules],
            "everywhere": [rule.locations is None for rule in draft.rules],
        },
    )
    pairs = [(i, places[code]) for i, rule in enumerate(draft.rules) for code in sorted(set(rule.locations or ()))]
    await tx.execute(
        provider_writes.INSERT_RULE_LOCATIONS,
        {"id": provider_id, "places": [i for i, _id in pairs], "locations": [id_ for _i, id_ in pairs]},
    )


def _columns(draft: ProviderDraft) -> dict[str, Any]:
    return {
        "code": draft.code,
        "name": draft.name.strip(),
        "issuer": draft.issuer,
        "client_id": draft.client_id.strip(),
        "scopes": list(dict.fromkeys(draft.scopes)),
        "domains": sorted(set(draft.domains)),
        "creates": draft.creates,
        "links": draft.links,
        "claim": draft.claim or None,
        "role": None if draft.role is None else draft.role.value,
        "everywhere": draft.locations is None,
        "second_factor": draft.second_factor.value,
        "proofs": list(dict.fromkeys(draft.proofs)),
        "active": draft.active,
    }


def _audited(draft: ProviderDraft) -> dict[str, Any]:
    """Return what the trail keeps: of the secret only that it changed."""
    given = ["*" if rule.locations is None else ",".join(sorted(rule.locations)) for rule in draft.rules]
    return {
        **_columns(draft),
        "locations": sorted(draft.locations or ()),
        "rules": [f"{rule.value}={rule.role.value}@{where}" for rule, where in zip(draft.rules, given, strict=True)],
        **({"secret": draft.secret} if draft.secret is not None else {}),
    }

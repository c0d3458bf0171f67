"""Trying a provider out: what its documents say, whether it takes our client, what is wrong and how to mend it."""

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from malha.identity import oidc
from malha.identity.errors import AnswerWrong
from malha.identity.oidc import Client, Directory, Metadata
from malha.identity.provider_reads import Provider
from malha.identity.provider_rules import ALGORITHMS
from malha.platform.errors import MalhaError
from malha.platform.i18n import _, n_

State = Literal["good", "warn", "bad"]
MADE_UP = "a-code-that-nobody-gave-out"


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at, in the reader's language."""

    state: State
    says: str
    mend: str = ""


async def check(directory: Directory, provider: Provider, client: Client) -> list[Check]:
    """Ask a provider everything a log-in would ask, but for a person. Call it outside any transaction."""
    try:
        metadata = await directory.metadata(provider.issuer, fresh=True)
    except AnswerWrong as error:
        return [_no_document(provider, error)]
    except MalhaError as error:
        return [_refused(error)]
    host = urlsplit(metadata.authorization_endpoint).hostname or ""
    return [
        Check("good", _("The provider answers, and people log in at {host}.", host=host)),
        *_looked_at(metadata, provider),
        await _keys(directory, metadata),
        await _client(directory, metadata, client),
    ]


def _no_document(provider: Provider, error: AnswerWrong) -> Check:
    found = str(error.facts.get("found", ""))
    if error.facts.get("detail") == "issuer":
        return Check(
            "bad", _("The provider calls itself {found}.", found=found), _("Put exactly that into the field Issuer.")
        )
    return Check(
        "bad",
        _("There is no discovery document below {issuer} ({found}).", issuer=provider.issuer, found=found),
        _("Check the issuer: with /.well-known/openid-configuration behind it, a browser shows the document."),
    )


def _refused(error: MalhaError) -> Check:
    return Check("bad", _(error.says, **error.facts), _(error.mend, **error.facts) if error.mend else "")


def _looked_at(metadata: Metadata, provider: Provider) -> list[Check]:
    """Return what the document alone tells."""
    found = []
    if "code" not in metadata.response_types_supported:
        found.append(Check("bad", _("It does not offer the authorization code flow."), _("Allow it for this client.")))
    methods = metadata.code_challenge_methods_supported
    if methods is None:
        found.append(Check("warn", _("It does not say whether it checks PKCE; it is sent all the same.")))
    elif "S256" in methods:
        found.append(Check("good", _("It checks PKCE (S256).")))
    else:
        found.append(Check("warn", _("It does not check PKCE (S256); it is sent all the same.")))
    signed = [name for name in metadata.id_token_signing_alg_values_supported if name in ALGORITHMS]
    if not signed:
        found.append(
            Check(
                "bad",
                _("It signs with nothing that is believed here."),
                _("Let it sign ID tokens with RS256 or ES256 for this client."),
            )
        )
    unknown = [scope for scope in provider.scopes if scope not in (metadata.scopes_supported or provider.scopes)]
    if unknown:
        found.append(
            Check("warn", _("It does not know the scopes {scopes}.", scopes=", ".join(unknown)), _("Remove them."))
        )
    return [*found, *_person_claims(metadata, provider), _end_of_session(metadata)]


def _person_claims(metadata: Metadata, provider: Provider) -> list[Check]:
    needs = provider.creates or provider.links or provider.domains
    claims = metadata.claims_supported
    if not needs or claims is None or {"email_verified", "xms_edov"} & set(claims):
        return []
    says = _("It does not say that it verifies e-mails (email_verified).")
    mend = _("Without that nobody is found by e-mail or added. In Entra ID add the optional claims email and xms_edov.")
    return [Check("warn", says, mend)]


def _end_of_session(metadata: Metadata) -> Check:
    if metadata.end_session_endpoint is None:
        return Check("warn", _("It cannot be asked to end its own session: logging out ends ours only."))
    return Check("good", _("Logging out ends its session too."))


async def _keys(directory: Directory, metadata: Metadata) -> Check:
    try:
        keys = await directory.keys(metadata, older_than=0)
    except AnswerWrong as error:
        found = str(error.facts.get("found", ""))
        return Check("bad", _("Its keys cannot be read ({found}).", found=found), _("Tell whoever runs it."))
    except MalhaError as error:
        return _refused(error)
    usable = [key for key in keys if key.get("kty") in {"RSA", "EC", "OKP"} and key.get("use", "sig") == "sig"]
    if not usable:
        return Check("bad", _("It publishes no key that signs."), _("Tell whoever runs it."))
    return Check("good", n_("It publishes {n} key that signs.", "It publishes {n} keys that sign.", len(usable)))


async def _client(directory: Directory, metadata: Metadata, client: Client) -> Check:
    """Ask for tokens with a code that does not exist: who is refused for the code was let in as a client."""
    try:
        answer = await oidc.ask_for_tokens(directory.out, metadata, client, code=MADE_UP, verifier=MADE_UP * 2)
    except AnswerWrong:
        return Check(
            "bad",
            _("It takes neither of the two ways in which a client secret is sent."),
            _("Allow client_secret_basic or client_secret_post for this client."),
        )
    except MalhaError as error:
        return _refused(error)
    said = oidc.error_in(answer)
    if said == "invalid_grant":
        return Check("good", _("It takes our client id and secret."))
    if said in {"invalid_client", "unauthorized_client"} or answer.status == 401:
        return Check(
            "bad",
            _("It does not take our client id and secret ({said}).", said=said),
            _("Copy both from the provider again; a secret may have run out."),
        )
    return Check("warn", _("Whether it takes our client cannot be told: it said {said}.", said=said))

"""What claims are worth, and what groups give."""

import pytest

from malha.identity import oidc, provider_rules
from malha.identity.errors import AnswerWrong
from malha.identity.model import Role
from malha.identity.oidc import Client, Metadata, Tokens
from malha.identity.provider_model import Given, ProviderDraft, Rule

LEAD_1 = Rule(value="lead-1", role=Role.STORE_LEAD, locations=["S1"])
LEAD_2 = Rule(value="lead-2", role=Role.STORE_LEAD, locations=["S2"])
LEADS = Rule(value="leads", role=Role.STORE_LEAD)
STAFF = Rule(value="staff", role=Role.STORE_ASSOCIATE, locations=["S1"])


@pytest.mark.parametrize(
    ("values", "rules", "given"),
    [
        ({"staff"}, [LEAD_1, STAFF], Given(Role.STORE_ASSOCIATE, ("S1",))),
        ({"staff", "lead-1"}, [LEAD_1, STAFF], Given(Role.STORE_LEAD, ("S1",))),
        ({"staff", "lead-1"}, [STAFF, LEAD_1], Given(Role.STORE_ASSOCIATE, ("S1",))),
        ({"lead-2", "lead-1"}, [LEAD_1, LEAD_2], Given(Role.STORE_LEAD, ("S1", "S2"))),
        ({"lead-2", "leads"}, [LEAD_2, LEADS], Given(Role.STORE_LEAD, None)),
        ({"Staff"}, [STAFF], None),  # as it is spelt
        (set(), [], None),
    ],
)
def test_the_first_group_that_fits_says_the_role_and_places_of_that_role_add_up(values, rules, given) -> None:
    assert provider_rules.given_by(values, rules, None, None) == given
    if given is None:
        assert provider_rules.given_by(values, rules, Role.AUDITOR, ["S2", "S1"]) == Given(Role.AUDITOR, ("S1", "S2"))


@pytest.mark.parametrize(
    ("claims", "claim", "values"),
    [
        ({"groups": ["a", "b", 7, None]}, "groups", {"a", "b"}),
        ({"groups": "a"}, "groups", {"a"}),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", {"a"}),
        ({"https://x.test/roles": ["a"]}, "https://x.test/roles", {"a"}),
        ({"realm_access": ["roles"]}, "realm_access.roles", set()),
        ({"groups": {"a": True}}, "groups", set()),
        ({}, "groups", set()),
        ({"groups": ["a"]}, None, set()),
    ],
)
def test_groups_are_found_where_the_claim_says(claims, claim, values) -> None:
    assert provider_rules.values_of(claims, claim) == values


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({"email_verified": True}, True),
        ({"email_verified": "true"}, True),
        ({"email_verified": False}, False),
        ({"email_verified": 1}, False),
        ({"email_verified": "false"}, False),
        ({"email_verified": False, "xms_edov": True}, False),
        ({"xms_edov": True}, True),
        ({"xms_edov": "1"}, True),
        ({"xms_edov": 1}, True),
        ({"xms_edov": "0"}, False),
        ({"xms_edov": []}, False),
        ({}, False),
    ],
)
def test_an_email_is_verified_when_the_provider_says_so_and_not_otherwise(claims, verified) -> None:
    said = provider_rules.said_by({"iss": "i", "sub": "s", "email": " Ana@Loja.test", **claims})
    assert (said.email, said.email_verified) == ("ana@loja.test", verified)
    assert not provider_rules.said_by({"iss": "i", "sub": "s", "email": "none", **claims}).email_verified


def test_names_and_languages_are_taken_as_they_come() -> None:
    said = provider_rules.said_by(
        {"iss": "i", "sub": "s", "given_name": "Ana", "family_name": "Lima", "locale": "pt_BR"}
    )
    assert (said.name, said.language) == ("Ana Lima", "pt-BR")
    said = provider_rules.said_by(
        {"iss": "i", "sub": "s", "name": "A\r\nB" + "x" * 300, "locale": "en-GB", "amr": "mfa"}
    )
    assert (said.name[:4], len(said.name), said.language, said.proved) == ("A Bx", 120, "en", {"mfa"})
    assert provider_rules.said_by({"iss": "i", "sub": "s", "name": 7, "locale": "xx"}).language is None


def test_the_flaws_of_a_provider_are_told_all_at_once() -> None:
    draft = ProviderDraft(
        code="Not a code", name=" ", issuer="", client_id="", scopes=["email", "a b"], domains=["loja", "@x.test"],
        creates=True, claim=None, rules=[], second_factor="provider",
    )  # fmt: skip
    ats = [flaw.at for flaw in provider_rules.draft_flaws(draft)]
    assert ats == ["code", "name", "client_id", "issuer", "scopes", "scopes", "domains", "domains", "role"]
    draft = ProviderDraft(
        code="x",
        name="x",
        issuer="x",
        client_id="x",
        rules=[LEAD_1, LEAD_1, Rule(value=" ", role=Role.OWNER, locations=[])],
    )
    assert [flaw.at for flaw in provider_rules.draft_flaws(draft)] == [
        "claim", "rules/1/value", "rules/2/value", "rules/2/locations",
    ]  # fmt: skip


def test_the_challenge_is_that_of_the_standard() -> None:
    assert (
        oidc.challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_secrets_and_tokens_do_not_show() -> None:
    client = Client(client_id="malha", secret="hush", redirect_uri="https://x.test")
    assert "hush" not in repr(client)
    assert "hush" not in repr(Tokens(id_token="hush", access_token="hush"))


def test_a_query_of_the_provider_stays_and_the_state_is_escaped() -> None:
    metadata = Metadata(
        issuer="i", authorization_endpoint="https://x.test/a?tenant=1#frag", token_endpoint="t", jwks_uri="j"
    )
    client = Client(client_id="a&b", secret=None, redirect_uri="https://x.test/login/back/x")
    address = oidc.authorization_address(metadata, client, scopes=["openid"], state="s&t", nonce="n", verifier="v")
    assert address.startswith("https://x.test/a?tenant=1&response_type=code&client_id=a%26b&")
    assert "state=s%26t" in address
    assert "#" not in address


def test_keys_of_the_wrong_kind_or_use_are_passed_over() -> None:
    metadata = Metadata(issuer="i", authorization_endpoint="a", token_endpoint="t", jwks_uri="j")
    keys = [
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC", "kid": "x"},
        {"kty": "RSA", "use": "enc"},
        {"kty": "RSA", "alg": "PS256"},
    ]
    with pytest.raises(AnswerWrong) as refused:
        oidc.verified_by(keys, metadata, "eyJhbGciOiJSUzI1NiJ9.e30.AAAA")
    assert refused.value.facts["detail"] == "kid"
    with pytest.raises(AnswerWrong) as refused:  # a key that cannot be read is no key
        oidc.verified_by([{"kty": "RSA", "n": "!", "e": 3}], metadata, "eyJhbGciOiJSUzI1NiJ9.e30.AAAA")
    assert refused.value.facts["detail"] == "signature"

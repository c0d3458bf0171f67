"""Who is the same person: what holds for all profiles, and the cases by name."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from malha.customers import rules
from malha.customers.model import Buyer, Customer, CustomerDraft, CustomerKind
from malha.platform.address import Address
from malha.platform.brazil import cpf_check_digits
from malha.platform.ids import new_id

AT = datetime(2026, 1, 1, tzinfo=UTC)
CPFS = [b + cpf_check_digits(b) for b in ("111444777", "123456789", "987654321")]
documents = st.none() | st.sampled_from(CPFS)
emails = st.none() | st.sampled_from(["a@x.com", "b@x.com"])
phones = st.none() | st.sampled_from(["+5511987654321", "+5521987654321"])
names = st.sampled_from(["", "Ana", "Bia"])


def a_customer(number: int, name: str, document: str | None, email: str | None, phone: str | None) -> Customer:
    return Customer(
        id=new_id(), number=number, kind=CustomerKind.PERSON, name=name, document=document, email=email, phone=phone,
        address=Address(), created_at=AT, updated_at=AT, version=1,
    )  # fmt: skip


customers = st.lists(st.tuples(names, documents, emails, phones), max_size=6).map(
    lambda rows: [a_customer(i, *row) for i, row in enumerate(rows, 1)]
)
buyers = st.builds(Buyer, name=names, document=documents, email=emails, phone=phones)


@given(buyers, customers)
def test_a_match_shares_an_identity_and_contradicts_no_document(buyer: Buyer, known: list[Customer]) -> None:
    match = rules.best_match(buyer, known)
    if match is None:
        assert not any(buyer.document and c.document == buyer.document for c in known)
        assert buyer.document or not any(buyer.email and c.email == buyer.email for c in known)
        return
    assert match.document is None or buyer.document is None or match.document == buyer.document
    shared = [(buyer.document, match.document), (buyer.email, match.email), (buyer.phone, match.phone)]
    assert any(mine and mine == theirs for mine, theirs in shared)


@given(buyers, customers, st.randoms())
def test_a_match_does_not_depend_on_the_order_of_the_candidates(buyer: Buyer, known: list[Customer], rng) -> None:
    shuffled = list(known)
    rng.shuffle(shuffled)
    assert rules.best_match(buyer, shuffled) == rules.best_match(buyer, known)


@given(buyers, customers)
def test_a_document_outweighs_everything_else(buyer: Buyer, known: list[Customer]) -> None:
    holders = [c for c in known if buyer.document and c.document == buyer.document]
    if holders:
        assert rules.best_match(buyer, known) == holders[0]


@given(buyers)
def test_people_who_share_an_identity_share_a_lock(buyer: Buyer) -> None:
    for identity in (buyer.document, buyer.email, buyer.phone):
        if identity:
            other = Buyer(email=identity, name="x")
            assert set(rules.buckets_of([other])) <= set(rules.buckets_of([buyer]))


def test_locks_are_taken_in_order_and_bounded() -> None:
    many = [Buyer(email=f"p{i}@x.com") for i in range(5_000)]
    buckets = rules.buckets_of(many)
    assert buckets == sorted(set(buckets))
    assert len(buckets) == rules.BUCKETS


@given(st.builds(CustomerDraft, name=st.text(max_size=10), document=st.none() | st.text(max_size=18), email=st.none() | st.text(max_size=12), phone=st.none() | st.text(max_size=16)))  # fmt: skip
def test_no_text_breaks_the_check_and_tidying_twice_is_tidying_once(draft: CustomerDraft) -> None:
    tidy = rules.tidy_customer(draft)
    assert rules.tidy_customer(tidy) == tidy
    for flaw in rules.check_customer(tidy):
        assert flaw.text()


def test_numbers_are_searched_without_their_punctuation_and_words_as_they_are() -> None:
    assert rules.search_words("111.444.777-35") == ["11144477735"]
    assert rules.search_words("(11) 98765-4321") == ["11", "987654321"]
    assert rules.search_words("12.ABC.345/01DE-35") == ["12abc34501de35"]
    assert rules.search_words("AB.CDE.FGH/IJKL-80") == ["abcdefghijkl80"]
    assert rules.search_words("João d'Ávila ana.1@x.com") == ["joao", "d'avila", "ana.1@x.com"]


@given(buyers, customers)
def test_of_equal_matches_the_one_with_just_these_identities_is_meant(buyer: Buyer, known: list[Customer]) -> None:
    said = (buyer.document, buyer.email, buyer.phone)
    same = [c for c in known if (c.document, c.email, c.phone) == said]
    holders = [c for c in known if buyer.document and c.document == buyer.document]  # one at most is stored
    if same and (buyer.document or buyer.email) and len(holders) <= 1:
        assert rules.best_match(buyer, known) == same[0]

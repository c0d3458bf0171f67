"""Brazilian identities: whatever is built has valid digits, whatever is damaged is refused, normal forms stay as they are."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from malha.platform import brazil
from malha.platform.brazil import AREA_CODES, STATES, AccessKey, build_access_key, parse_access_key

digits = st.sampled_from(string.digits)


def digit_text(n: int) -> st.SearchStrategy[str]:
    return st.text(string.digits, min_size=n, max_size=n)


cpfs = digit_text(9).map(lambda b: b + brazil.cpf_check_digits(b)).filter(lambda c: len(set(c)) > 1)
cnpj_bases = st.text(brazil.ALPHANUMERIC, min_size=12, max_size=12)
cnpjs = cnpj_bases.map(lambda b: b + brazil.cnpj_check_digits(b)).filter(lambda c: len(set(c)) > 1)


@given(cpfs)
def test_a_cpf_is_itself_formatted_bare_or_without_its_leading_zeros(cpf: str) -> None:
    assert brazil.normalise_cpf(brazil.format_cpf(cpf)) == cpf
    assert brazil.normalise_document(f" {cpf} ") == cpf
    if (short := cpf.lstrip("0")) != cpf and len(short) >= 9:
        assert brazil.normalise_cpf(short) is None
        assert brazil.normalise_cpf(short, restore_zeros=True) == cpf


@given(cpfs, st.integers(0, 10), digits)
def test_a_cpf_with_one_wrong_digit_is_refused(cpf: str, at: int, digit: str) -> None:
    assume(cpf[at] != digit)
    # The remainders 10 and 0 share a check digit, so a change of the base can go unseen there; of the check digits
    # never.
    wrong = cpf[:at] + digit + cpf[at + 1 :]
    if at >= 9:
        assert brazil.normalise_cpf(wrong) is None
    else:
        assert brazil.normalise_cpf(wrong) in {None, wrong}
        assert (brazil.normalise_cpf(wrong) is None) == (brazil.cpf_check_digits(wrong[:9]) != wrong[9:])


@given(cnpjs)
def test_a_cnpj_is_itself_formatted_in_lower_case_or_bare(cnpj: str) -> None:
    assert brazil.normalise_cnpj(brazil.format_cnpj(cnpj)) == cnpj
    assert brazil.normalise_cnpj(cnpj.lower()) == cnpj
    assert brazil.normalise_document(cnpj) == cnpj
    assert brazil.is_company(cnpj)


@given(st.text(max_size=20))
def test_no_text_breaks_a_normaliser_and_normal_forms_are_fixed_points(text: str) -> None:
    for normalise in (
        brazil.normalise_cpf,
        brazil.normalise_cnpj,
        brazil.normalise_document,
        brazil.normalise_cep,
        brazil.normalise_phone,
        brazil.normalise_email,
        brazil.normalise_gtin,
    ):
        normal = normalise(text)
        if normal is not None:
            assert normalise(normal) == normal
    assert parse_access_key(text) is None


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("111.444.777-35", "11144477735"),
        ("11.222.333/0001-81", "11222333000181"),
        ("12.ABC.345/01DE-35", "12ABC34501DE35"),  # the Receita's own example
        ("12abc34501de35", "12ABC34501DE35"),
        ("111.111.111-11", None),
        ("00000000000000", None),
        ("12.ABC.345/01DE-3A", None),
        ("11144477736", None),
        ("١١١٤٤٤٧٧٧٣٥", None),  # digits, but not ours
        ("", None),
    ],
)
def test_documents_known_by_heart(text: str, document: str | None) -> None:
    assert brazil.normalise_document(text) == document


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("(11) 98765-4321", "+5511987654321"),
        ("011 98765 4321", "+5511987654321"),
        ("+55 (11) 98765-4321", "+5511987654321"),
        ("5511987654321", "+5511987654321"),
        ("0055 11 987654321", "+5511987654321"),
        ("11 8765-4321", "+5511987654321"),  # eight digits of a mobile get their ninth
        ("(21) 3333-4444", "+552133334444"),
        ("(55) 3333-4444", "+555533334444"),  # area code 55, not the country
        ("55 55 99999-8888", "+5555999998888"),
        ("+1 (415) 555-2671", "+14155552671"),
        ("+351 912 345 678", "+351912345678"),
        ("98765-4321", None),
        ("(10) 98765-4321", None),
        ("(11) 18765-4321", None),
        ("(11) 1234-5678", None),
        ("11 87654-3210", None),
        ("+0 123 456 789", None),
        ("telefone", None),
        ("", None),
    ],
)
def test_telephones_as_people_write_them(text: str, phone: str | None) -> None:
    assert brazil.normalise_phone(text) == phone


@given(st.sampled_from(sorted(AREA_CODES)), digit_text(8))
def test_a_mobile_number_survives_being_shown(area: int, rest: str) -> None:
    phone = f"+55{area}9{rest}"
    assert brazil.normalise_phone(brazil.format_phone(phone)) == phone
    assert rest[:4] not in brazil.mask_phone(phone)[5:-4]
    assert brazil.mask_phone(phone).endswith(rest[-4:])


@pytest.mark.parametrize(
    ("text", "email"),
    [
        (" Ana.Silva+loja@Example.COM.br ", "ana.silva+loja@example.com.br"),
        ("joão@exemplo.com", "joão@exemplo.com"),
        ("ana@", None),
        ("@x.com", None),
        ("ana@x", None),
        ("ana@@x.com", None),
        ("ana silva@x.com", None),
        (".ana@x.com", None),
        ("ana@x..com", None),
        ("ana@-x.com", None),
        ("a" * 65 + "@x.com", None),
    ],
)
def test_emails_as_people_write_them(text: str, email: str | None) -> None:
    assert brazil.normalise_email(text) == email


def test_masks_leave_enough_to_recognise_and_no_more() -> None:
    assert brazil.mask_document("11144477735") == "•••.444.777-••"
    assert brazil.mask_document("12ABC34501DE35") == "12.ABC.345/01DE-35"
    assert brazil.mask_email("maria@gmail.com") == "m•••@gmail.com"
    assert brazil.mask_phone("+5511987654321") == "(11) •••••-4321"
    assert brazil.mask_phone("+14155552671") == "+14•••••2671"


def in_clear(text: str, masked: str) -> int:
    """Return how many characters of a text can be read in its mask, in their order: what it has in common with it."""
    best = [0] * (len(masked) + 1)
    for character in text:
        row = [0]
        for i, other in enumerate(masked):
            row.append(best[i] + 1 if other == character and character.isalnum() else max(best[i + 1], row[-1]))
        best = row
    return best[-1]


def as_typed(text: str) -> st.SearchStrategy[str]:
    """Return ways in which a text may be mistyped: a character lost, doubled or wrong, digits behind or before it."""
    places = st.integers(0, len(text) - 1)
    return st.one_of(
        places.map(lambda i: text[:i] + text[i + 1 :]),
        places.map(lambda i: text[:i] + text[i] + text[i:]),
        places.map(lambda i: f"{text[:i]}x{text[i + 1 :]}"),
        st.integers(0, 9).map(lambda n: f"{text}{n}"),
        st.integers(0, 9).map(lambda n: f"{n}{text}"),
        st.just(f"000{text}"),
    )


def is_no_company(text: str) -> bool:
    return brazil.normalise_cnpj(text) is None


@given((cpfs | cpfs.map(brazil.format_cpf)).flatmap(as_typed).filter(is_no_company))
def test_a_mistyped_cpf_is_masked(text: str) -> None:
    masked = brazil.mask_document(text)
    bare = brazil.bare(text)
    most = 6 if len(bare) == 11 and bare.isdigit() else 2
    assert in_clear(bare, masked) <= most
    assert text not in masked
    assert bare not in brazil.bare(masked)


@given(st.text(max_size=40).filter(is_no_company))
def test_what_is_no_cnpj_is_masked_whatever_it_is(text: str) -> None:
    masked = brazil.mask_document(text)
    assert in_clear(brazil.bare(text), masked) <= (6 if len(brazil.bare(text)) == 11 else 2)
    assert len(masked) <= 14


@given(st.text(max_size=40) | st.from_regex(r"\+?[0-9 ()-]{0,20}", fullmatch=True))
def test_a_telephone_shows_its_end_and_a_short_one_nothing(text: str) -> None:
    masked = brazil.mask_phone(text)
    shown = in_clear(text, masked)
    assert shown <= (2 if brazil.normalise_phone(text) != text or len(text) < 12 else 6)
    if len(text) < 6:
        assert shown == 0


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9.@ ]{0,30}", fullmatch=True))
def test_of_an_address_that_is_no_email_the_first_letter_is_shown(text: str) -> None:
    if brazil.normalise_email(text) is None:
        assert in_clear(text, brazil.mask_email(text)) <= 1


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("1114447773", "••••••••73"),
        ("111444777351", "••••••••••51"),
        ("111.444.777-36", "•••.444.777-••"),  # as long as a CPF is, whatever its digits prove
        ("12ABC34501DE36", "••••••••••••36"),  # as long as a CNPJ is, and none
        ("00011144477735", "••••••••••••35"),  # a CPF behind zeros
        ("12.ABC.345/01DE-35", "12.ABC.345/01DE-35"),
        ("12345", "•••••"),
        ("Ana Maria Souza da Silva Prado", "••••••••••••DO"),
        ("", ""),
    ],
)
def test_documents_that_are_none_are_masked(text: str, masked: str) -> None:
    assert brazil.mask_document(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("98765-4321", "••••••••21"),
        ("4321", "••••"),
        ("+49123456", "•••••••56"),
        ("11 98765-4321 ramal 22", "••••••••••••22"),
        ("", ""),
    ],
)
def test_telephones_that_are_short_or_none_are_masked(text: str, masked: str) -> None:
    assert brazil.mask_phone(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("@maria.silva", "•••"),
        ("maria@silva@gmail.com", "m•••"),
        ("maria silva@gmail.com", "m•••"),
        ("maria.silva", "m•••"),
        ("ana", "•••"),
        ("Maria@Gmail.com", "M•••@Gmail.com"),
    ],
)
def test_emails_that_are_none_are_masked(text: str, masked: str) -> None:
    assert brazil.mask_email(text) == masked


@given(digit_text(8))
def test_a_cep_is_itself_with_its_dash_or_without_its_zero(cep: str) -> None:
    assume(cep >= "01000000")
    assert brazil.normalise_cep(brazil.format_cep(cep)) == cep
    if cep.startswith("0"):
        assert brazil.normalise_cep(cep[1:]) is None
        assert brazil.normalise_cep(cep[1:], restore_zeros=True) == cep


@given(st.sampled_from([7, 11, 12, 13]).flatmap(digit_text), st.integers(1, 9))
def test_a_gtin_proves_itself_and_any_wrong_digit_shows(base: str, shift: int) -> None:
    assume(base.strip("0"))
    gtin = f"{base}{brazil.gtin_check_digit(base)}"
    assert brazil.normalise_gtin(f" {gtin[:4]}-{gtin[4:]}") == gtin
    for at in range(len(gtin)):
        wrong = gtin[:at] + str((int(gtin[at]) + shift) % 10) + gtin[at + 1 :]
        assert brazil.normalise_gtin(wrong) is None


def test_gtins_known_by_heart() -> None:
    for gtin in ("7891000315507", "96385074", "036000291452", "17891000315504"):
        assert brazil.normalise_gtin(gtin) == gtin
    assert brazil.normalise_gtin("0000000000000") is None


keys = st.builds(
    build_access_key,
    state=st.sampled_from(sorted(STATES)),
    year=st.integers(2006, 2099),
    month=st.integers(1, 12),
    issuer=st.one_of(cpfs, cnpjs),
    model=st.sampled_from(["55", "65"]),
    series=st.integers(0, 999),
    number=st.integers(1, 999_999_999),
    emission_type=st.integers(1, 9),
    code=digit_text(8),
)


@given(keys)
def test_an_access_key_comes_apart_into_what_it_was_built_of(key: str) -> None:
    parts = parse_access_key(brazil.format_access_key(key))
    assert parts is not None
    assert parts == parse_access_key(f"NFe{key.lower()}")
    rebuilt = build_access_key(
        state=parts.state,
        year=parts.year,
        month=parts.month,
        issuer=parts.issuer,
        model=parts.model,
        series=parts.series,
        number=parts.number,
        emission_type=parts.emission_type,
        code=parts.code,
    )
    assert rebuilt == key == parts.text


@given(keys, st.integers(1, 9))
def test_an_access_key_with_a_wrong_check_digit_is_refused(key: str, shift: int) -> None:
    assert parse_access_key(key[:43] + str((int(key[43]) + shift) % 10)) is None


def test_an_access_key_known_by_heart() -> None:
    # From the NF-e manual's worked example of the check digit (MOC, annex I).
    key = "52060433009911002506550120000007800267301615"
    assert brazil._modulo_11(key[:43], 9) == 5
    parts = parse_access_key(key)
    assert parts == AccessKey(
        text=key,
        state="GO",
        year=2006,
        month=4,
        issuer="33009911002506",
        model="55",
        series=12,
        number=780,
        emission_type=0,
        code="26730161",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "XX"}, {"issuer": "123"}, {"month": 13}, {"year": 1999}, {"series": 1000}, {"number": 0},
        {"model": "5"}, {"code": "1234567a"}, {"emission_type": 10},
    ],
)  # fmt: skip
def test_a_key_is_not_built_of_parts_that_do_not_fit(wrong: dict[str, object]) -> None:
    parts = {
        "state": "SP", "year": 2026, "month": 11, "issuer": "11222333000181", "model": "55", "series": 1, "number": 1,
        "code": "12345678", **wrong,
    }  # fmt: skip
    with pytest.raises(ValueError):
        build_access_key(**parts)

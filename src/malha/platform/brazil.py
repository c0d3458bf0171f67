"""Brazilian identities: CPF, CNPJ, CEP, telephone, GTIN, fiscal access key; and e-mail, which travels with them.

Pure. `normalise_*` returns the one stored form, or None when the text cannot be it: refusing is the caller's
business, because only the caller knows the field. `format_*` is for screens, `mask_*` for lists where the reader
needs no more than recognition.

Since July 2026 a CNPJ may hold letters in its first twelve places; its check digits weigh `ord(character) - 48`,
which for digits is the digit, so one computation serves old and new (Nota Técnica Conjunta 2025.001).
"""

import re
import string

import msgspec

from malha.platform.text import fold

STATE_CODES: dict[str, str] = {
    "11": "RO", "12": "AC", "13": "AM", "14": "RR", "15": "PA", "16": "AP", "17": "TO",
    "21": "MA", "22": "PI", "23": "CE", "24": "RN", "25": "PB", "26": "PE", "27": "AL", "28": "SE", "29": "BA",
    "31": "MG", "32": "ES", "33": "RJ", "35": "SP",
    "41": "PR", "42": "SC", "43": "RS",
    "50": "MS", "51": "MT", "52": "GO", "53": "DF",
}  # fmt: skip
STATES = frozenset(STATE_CODES.values())
STATE_NAMES: dict[str, str] = {
    "AC": "Acre", "AL": "Alagoas", "AM": "Amazonas", "AP": "Amapá", "BA": "Bahia", "CE": "Ceará",
    "DF": "Distrito Federal", "ES": "Espírito Santo", "GO": "Goiás", "MA": "Maranhão", "MG": "Minas Gerais",
    "MS": "Mato Grosso do Sul", "MT": "Mato Grosso", "PA": "Pará", "PB": "Paraíba", "PE": "Pernambuco", "PI": "Piauí",
    "PR": "Paraná", "RJ": "Rio de Janeiro", "RN": "Rio Grande do Norte", "RO": "Rondônia", "RR": "Roraima",
    "RS": "Rio Grande do Sul", "SC": "Santa Catarina", "SE": "Sergipe", "SP": "São Paulo", "TO": "Tocantins",
}  # fmt: skip
_STATE_BY_NAME = {fold(name): state for state, name in STATE_NAMES.items()}
CODE_OF_STATE = {state: code for code, state in STATE_CODES.items()}

# Area codes in use (Anatel's numbering plan).
AREA_CODES = frozenset(
    {
        *range(11, 20), 21, 22, 24, 27, 28, 31, 32, 33, 34, 35, 37, 38, *range(41, 50), 51, 53, 54, 55,
        *range(61, 70), 71, 73, 74, 75, 77, 79, *range(81, 90), *range(91, 100),
    }
)  # fmt: skip

_PUNCTUATION = re.compile(r"[\s./\-\u2010-\u2015\u00a0]+")
_NOT_DIGIT = re.compile(r"[^0-9]+")
_CNPJ = re.compile(r"[0-9A-Z]{12}[0-9]{2}")
_ACCESS_KEY = re.compile(r"[0-9]{6}[0-9A-Z]{12}[0-9]{26}")
_PHONE = re.compile(r"\+?[0-9\s().\-/]+")
_EMAIL = re.compile(r"[^\s@,;:<>()\[\]\\\"]+@[^\s@,;:<>()\[\]\\\"_]+\.[^\s@.,;:<>()\[\]\\\"_0-9]{2,}")
_MASK = "•"


def bare(text: str) -> str:
    """Return the text without spaces, dots, slashes and dashes, in upper case."""
    return _PUNCTUATION.sub("", text).upper()


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _modulo_11(values: str, heaviest: int) -> int:
    """Return the modulo 11 check digit: weights 2 to `heaviest` from the right, repeated; remainders 0, 1 give 0."""
    total = 0
    weight = 2
    for character in reversed(values):
        total += (ord(character) - 48) * weight
        weight = 2 if weight == heaviest else weight + 1
    rest = total % 11
    return 0 if rest < 2 else 11 - rest


# --- CPF and CNPJ ---


def cpf_check_digits(base: str) -> str:
    """Return the two check digits of nine CPF digits."""
    first = _modulo_11(base, 11)
    return f"{first}{_modulo_11(f'{base}{first}', 11)}"


def cnpj_check_digits(base: str) -> str:
    """Return the two check digits of twelve CNPJ characters, digits or capital letters."""
    first = _modulo_11(base, 9)
    return f"{first}{_modulo_11(f'{base}{first}', 9)}"


def normalise_cpf(text: str, *, restore_zeros: bool = False) -> str | None:
    """Return eleven digits, or None when the text is no CPF.

    Eleven equal digits pass the arithmetic but belong to nobody. `restore_zeros` accepts nine or ten digits, what a
    spreadsheet leaves of a CPF that began with zeros.
    """
    digits = bare(text)
    if restore_zeros and _is_digits(digits) and 9 <= len(digits) < 11:
        digits = digits.zfill(11)
    if len(digits) != 11 or not _is_digits(digits) or len(set(digits)) == 1:
        return None
    return digits if cpf_check_digits(digits[:9]) == digits[9:] else None


def normalise_cnpj(text: str, *, restore_zeros: bool = False) -> str | None:
    """Return fourteen characters (the first twelve digits or capital letters), or None when the text is no CNPJ.

    `restore_zeros` accepts twelve or thirteen digits, what a spreadsheet leaves of a CNPJ that began with zeros.
    """
    value = bare(text)
    if restore_zeros and _is_digits(value) and 12 <= len(value) < 14:
        value = value.zfill(14)
    if not _CNPJ.fullmatch(value) or len(set(value)) == 1:
        return None
    return value if cnpj_check_digits(value[:12]) == value[12:] else None


def normalise_document(text: str, *, restore_zeros: bool = False) -> str | None:
    """Return a CPF (11 digits) or a CNPJ (14 characters), or None when it is neither."""
    return normalise_cpf(text, restore_zeros=restore_zeros) or normalise_cnpj(text, restore_zeros=restore_zeros)


def is_company(document: str) -> bool:
    """Tell whether a normalised document is a CNPJ."""
    return len(document) == 14


def format_cpf(cpf: str) -> str:
    """Return `123.456.789-09`."""
    return f"{cpf[:3]}.{cpf[3:6]}.{cpf[6:9]}-{cpf[9:]}"


def format_cnpj(cnpj: str) -> str:
    """Return `12.ABC.345/01DE-35`."""
    return f"{cnpj[:2]}.{cnpj[2:5]}.{cnpj[5:8]}/{cnpj[8:12]}-{cnpj[12:]}"


def format_document(document: str) -> str:
    """Return a normalised CPF or CNPJ with its punctuation; anything else as it is."""
    if len(document) == 11:
        return format_cpf(document)
    return format_cnpj(document) if len(document) == 14 else document


def _hidden(text: str) -> str:
    """Return dots with the last two characters of a text behind them; of fewer than six nothing is shown."""
    shown = text[-2:] if len(text) >= 6 else ""
    return _MASK * min(len(text) - len(shown), 12) + shown


def mask_document(document: str) -> str:
    """Return a CPF as `•••.456.789-••`. A company's CNPJ is public and stays readable.

    What is neither is a CPF that somebody mistyped, as likely as not: its last two characters are shown.
    """
    if company := normalise_cnpj(document):
        return format_cnpj(company)
    text = bare(document)
    if len(text) == 11 and _is_digits(text):
        return f"{_MASK * 3}.{text[3:6]}.{text[6:9]}-{_MASK * 2}"
    return _hidden(text)


# --- CEP ---


def normalise_cep(text: str, *, restore_zeros: bool = False) -> str | None:
    """Return eight digits, or None when the text is no CEP. `restore_zeros` accepts seven (a leading zero lost)."""
    digits = bare(text)
    if restore_zeros and len(digits) == 7:
        digits = "0" + digits
    if len(digits) != 8 or not _is_digits(digits) or digits < "01000000":
        return None
    return digits


def format_cep(cep: str) -> str:
    """Return `01310-100`."""
    return f"{cep[:5]}-{cep[5:]}" if len(cep) == 8 else cep


def normalise_state(text: str) -> str | None:
    """Return the two letters of a state given by them or by its name, or None."""
    short = text.strip().upper()
    return short if short in STATES else _STATE_BY_NAME.get(fold(text))


# --- telephone and e-mail ---


def normalise_phone(text: str) -> str | None:
    """Return the number in E.164, or None when it cannot be dialled.

    Without `+` the number is Brazilian: area code and eight or nine digits, with or without 55, a trunk 0 or 00. A
    mobile number of eight digits gets the ninth one in front, compulsory in the whole country since November 2016.
    Other countries need the `+`.
    """
    trimmed = text.strip()
    if not _PHONE.fullmatch(trimmed):
        return None
    digits = _NOT_DIGIT.sub("", trimmed)
    if trimmed.startswith("+") and not digits.startswith("55"):
        return f"+{digits}" if 8 <= len(digits) <= 15 and digits[0] != "0" else None
    digits = digits.lstrip("0")
    if len(digits) in {12, 13} and digits.startswith("55"):
        digits = digits[2:].lstrip("0")
    if len(digits) not in {10, 11} or int(digits[:2]) not in AREA_CODES:
        return None
    area, subscriber = digits[:2], digits[2:]
    if len(subscriber) == 8:
        if subscriber[0] in "01":
            return None
        if subscriber[0] in "6789":
            subscriber = "9" + subscriber
    elif subscriber[0] != "9":
        return None
    return f"+55{area}{subscriber}"


def format_phone(phone: str) -> str:
    """Return a Brazilian E.164 number as `(11) 98765-4321`, another as it is."""
    if not phone.startswith("+55") or len(phone) not in {13, 14}:
        return phone
    return f"({phone[3:5]}) {phone[5:-4]}-{phone[-4:]}"


def mask_phone(phone: str) -> str:
    """Return `(11) •••••-4321`, area code and the last four digits; of a short number, or of none, the last two."""
    if normalise_phone(phone) != phone or len(phone) < 12:
        return _hidden(phone)
    if phone.startswith("+55"):
        return f"({phone[3:5]}) {_MASK * (len(phone) - 9)}-{phone[-4:]}"
    return phone[:3] + _MASK * (len(phone) - 7) + phone[-4:]


def normalise_email(text: str) -> str | None:
    """Return the address trimmed and in lower case, or None when no mail could reach it."""
    address = text.strip().lower()
    if len(address) > 254 or not _EMAIL.fullmatch(address) or ".." in address:
        return None
    local, _, domain = address.partition("@")
    if len(local) > 64 or local[0] == "." or local[-1] == "." or domain[0] in ".-":
        return None
    return address


def mask_email(email: str) -> str:
    """Return `m•••@gmail.com`; of what is no e-mail address the first letter, `m•••`."""
    local, at, domain = email.strip().partition("@")
    if normalise_email(email) is not None:
        return f"{local[:1]}{_MASK * 3}{at}{domain}"
    first = email[:1] if len(email) >= 6 and email[0] != "@" else ""
    return f"{first}{_MASK * 3}"


# --- GTIN ---


def gtin_check_digit(base: str) -> int:
    """Return the check digit of a GTIN's other digits: weights 3, 1, 3 ... from the right (GS1)."""
    digits = base.encode("ascii")
    heavy, light = digits[::-2], digits[-2::-2]
    return (48 * (3 * len(heavy) + len(light)) - 3 * sum(heavy) - sum(light)) % 10  # the digit 0 is byte 48


def normalise_gtin(text: str) -> str | None:
    """Return a GTIN of 8, 12, 13 or 14 digits, or None when length or check digit are wrong, or it is all zeros."""
    digits = text if _is_digits(text) else bare(text)
    if len(digits) not in {8, 12, 13, 14} or not _is_digits(digits) or not digits.strip("0"):
        return None
    return digits if gtin_check_digit(digits[:-1]) == int(digits[-1]) else None


# --- the access key of a fiscal document ---


class AccessKey(msgspec.Struct, frozen=True):
    """The parts of the 44 characters that name a Brazilian electronic fiscal document."""

    text: str
    state: str  # UF of the issuer
    year: int
    month: int
    issuer: str  # CNPJ (14 characters), or CPF (11 digits) of a natural person
    model: str  # "55" NF-e, "65" NFC-e
    series: int
    number: int
    emission_type: int  # tpEmis: 1 normal, 9 offline, ...
    code: str  # cNF, eight digits without meaning


def parse_access_key(text: str) -> AccessKey | None:
    """Take an access key apart, or return None when length, alphabet, check digit, state, month or issuer are wrong.

    Spaces between its groups of four, as printed, and the `NFe` prefix of the XML's Id are accepted.
    """
    key = bare(text)
    if len(key) == 47 and key.startswith("NFE"):
        key = key[3:]
    if not _ACCESS_KEY.fullmatch(key) or _modulo_11(key[:43], 9) != int(key[43]):
        return None
    state = STATE_CODES.get(key[:2])
    month = int(key[4:6])
    holder = key[6:20]
    # A natural person's CPF stands behind three zeros (series 910 to 969, rural producers).
    issuer = normalise_cnpj(holder) or (normalise_cpf(holder[3:]) if holder.startswith("000") else None)
    number = int(key[25:34])
    if state is None or not 1 <= month <= 12 or issuer is None or number == 0:
        return None
    return AccessKey(
        text=key,
        state=state,
        year=2000 + int(key[2:4]),
        month=month,
        issuer=issuer,
        model=key[20:22],
        series=int(key[22:25]),
        number=number,
        emission_type=int(key[34]),
        code=key[35:43],
    )


def build_access_key(
    *,
    state: str,
    year: int,
    month: int,
    issuer: str,
    model: str,
    series: int,
    number: int,
    code: str,
    emission_type: int = 1,
) -> str:
    """Return the 44 characters of a document's key, check digit included.

    Raises:
        ValueError: a part is outside its range; the message names it.
    """
    if state not in CODE_OF_STATE:
        raise ValueError(f"{state!r} is no Brazilian state")
    if normalise_document(issuer) != issuer:
        raise ValueError("the issuer is neither a CNPJ nor a CPF")
    if not 2000 <= year <= 2099 or not 1 <= month <= 12:
        raise ValueError("year and month are outside the key's range")
    if not 0 <= series <= 999 or not 1 <= number <= 999_999_999 or not 0 <= emission_type <= 9:
        raise ValueError("series, number or emission type is outside the key's range")
    if len(model) != 2 or len(code) != 8 or not _is_digits(model + code):
        raise ValueError("the model has two digits and the code eight")
    parts = CODE_OF_STATE[state], f"{year % 100:02}{month:02}", issuer.zfill(14), model
    base = "".join(parts) + f"{series:03}{number:09}{emission_type}{code}"
    return f"{base}{_modulo_11(base, 9)}"


def format_access_key(key: str) -> str:
    """Return the key in groups of four, as documents print it."""
    return " ".join(key[i : i + 4] for i in range(0, len(key), 4))


ALPHANUMERIC = string.digits + string.ascii_uppercase
"""The alphabet of a CNPJ's first twelve characters."""

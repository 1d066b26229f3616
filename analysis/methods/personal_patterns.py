"""Rules for personal data: each takes a value and the words of the column's name."""

import re
from collections.abc import Callable
from ipaddress import ip_address

Rule = Callable[[str, frozenset[str]], bool]

_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}")
_CARD = re.compile(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{1,7}|3\d{3}[ -]?\d{6}[ -]?\d{5}")
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_SSN = re.compile(r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
_PHONE = re.compile(r"\+?\(?\d[\d\s().\-/]{5,18}\d(?: ?(?:x|ext\.?) ?\d{1,5})?")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")
_PHONE_WORDS = frozenset({"phone", "tel", "telephone", "mobile", "cell", "fax", "handy", "telefon"})


def is_email(value: str, _words: frozenset[str]) -> bool:
    """An address with a domain that could exist."""
    return bool(_EMAIL.fullmatch(value)) and ".." not in value


def is_card(value: str, _words: frozenset[str]) -> bool:
    """13 to 19 digits whose check digit (Luhn) is right."""
    if not _CARD.fullmatch(value):
        return False
    digits = [int(character) for character in value if character.isdigit()]
    doubled = [digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(reversed(digits))]
    return len(digits) >= 13 and digits[0] in (3, 4, 5, 6) and sum(doubled) % 10 == 0


def is_iban(value: str, _words: frozenset[str]) -> bool:
    """A bank account number whose remainder by 97 is right."""
    text = value.replace(" ", "").upper()
    if not _IBAN.fullmatch(text):
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def is_ip(value: str, _words: frozenset[str]) -> bool:
    """An address of a computer."""
    if value.count(".") != 3 and value.count(":") < 2:
        return False
    try:
        return bool(ip_address(value))
    except ValueError:
        return False


def is_ssn(value: str, _words: frozenset[str]) -> bool:
    """A US social security number in a range that is given out."""
    return bool(_SSN.fullmatch(value))


def is_phone(value: str, words: frozenset[str]) -> bool:
    """A phone number: with a plus, or in three groups, or in a column that is named so."""
    if not _PHONE.fullmatch(value) or _DATE.fullmatch(value):
        return False
    digits = sum(character.isdigit() for character in value)
    groups = len(re.findall(r"\d+", value))
    grouped = groups >= 3 and value.count(".") in (0, groups - 1)
    return 7 <= digits <= 15 and (value.startswith("+") or grouped or bool(words & _PHONE_WORDS))


PATTERNS: tuple[tuple[str, str, Rule], ...] = (
    ("email", "e-mail addresses", is_email),
    ("card", "payment card numbers", is_card),
    ("iban", "bank account numbers", is_iban),
    ("ip", "computer addresses", is_ip),
    ("ssn", "social security numbers", is_ssn),
    ("phone", "phone numbers", is_phone),
)


def mask(kind: str, value: str) -> str:
    """The first character and the shape, nothing that identifies a person."""
    if kind == "email":
        return value[:1] + "***@***." + value.rsplit(".", 1)[-1]
    return "".join("*" if character.isalnum() else character for character in value)

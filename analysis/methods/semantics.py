"""What a column is probably for, guessed from its name and its numbers; always called a guess."""

import re

from .tables import NUMERIC, TEMPORAL, ColumnProfile

MOST_LABELS = 50
LONG_TEXT = 40
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ID_WORDS = frozenset({"id", "uuid", "guid", "key", "code", "number", "no", "nr", "index", "rowid"})


def name_words(column: str) -> frozenset[str]:
    """The words of a column name in lower case: `CustomerAge` and `customer_age` give the same."""
    return frozenset(word.lower() for word in _PARTS.findall(column))


def guess_meaning(column: ColumnProfile) -> str:
    """One of: constant, id, flag, category, text, free text, measure, time."""
    if column.distinct == 1:
        return "constant"
    if column.type in TEMPORAL:
        return "time"
    if column.type == "boolean":
        return "flag"
    if is_identifier(column):
        return "id"
    return "measure" if column.type in NUMERIC else _kind_of_text(column)


def _kind_of_text(column: ColumnProfile) -> str:
    if column.distinct <= min(MOST_LABELS, max(column.present // 3, 2)):
        return "category"
    typical = sum(len(value) for value, _ in column.top) / max(len(column.top), 1)
    return "free text" if typical >= LONG_TEXT else "text"


def is_identifier(column: ColumnProfile) -> bool:
    """Nearly every value occurs once, and the name or the kind of value says "identifier"."""
    if column.present < 10 or column.distinct < 0.95 * column.present:
        return False
    named = bool(name_words(column.name) & _ID_WORDS)
    if column.type == "integer":
        return named or (isinstance(column.low, int) and isinstance(column.high, int)
                         and column.high - column.low + 1 == column.distinct == column.present)  # fmt: skip
    short = all(len(value) <= LONG_TEXT and " " not in value.strip() for value, _ in column.top)
    return column.type == "text" and short and (named or column.distinct == column.present)

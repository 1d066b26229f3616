"""Words that people and programs write when there is no value."""

MISSING_WORDS = frozenset({
    "-", "--", "---", ".", "?", "#n/a", "#na", "#null!", "n.a.", "n/a", "na", "nan", "nil", "none",
    "not available", "null", "tbd", "unknown", "missing", "(null)", "<na>", "(blank)",
})  # fmt: skip

# Numbers that stand for "missing" in old exports; each is checked against the other values first.
MISSING_NUMBERS = (-9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999)

"""Text columns that hold something else: numbers written for people, or numbers mixed with words."""

from analysis.methods.context import Context
from analysis.methods.findings import Finding, describe
from analysis.methods.identifiers import literal, name
from analysis.methods.missing_words import MISSING_WORDS
from analysis.methods.tables import ColumnProfile, LoadedColumn
from analysis.methods.wording import percent, quote, quote_all

# A sign or currency, digits with groups of three or a decimal comma, a currency or percent sign.
WRITTEN_NUMBER = (
    r"^\s*[-+]?\s*([$€£¥]|USD|EUR|GBP|CHF)?\s*[-+]?"
    r"([0-9]{1,3}([,. '][0-9]{3})+([.,][0-9]+)?|[0-9]+([.,][0-9]+)?)\s*([$€£¥%]|USD|EUR|GBP|CHF)?\s*$"
)
CODE = r"^\s*0[0-9]"
MOSTLY = 0.9
MIXED = 0.1


def numbers_as_text(context: Context) -> list[Finding]:
    """Columns of numbers with decimal commas, thousands marks, currencies or percent signs."""
    findings = []
    for column in context.profile.of("text"):
        context.check_cancelled()
        if any(character.isdigit() for value, _ in column.top for character in value):
            findings += _as_text(context, column)
    return findings


def _as_text(context: Context, column: ColumnProfile) -> list[Finding]:
    c = name(column.name)
    words = ", ".join(literal(word) for word in sorted(MISSING_WORDS))
    numeric = f"regexp_matches({c}, {literal(WRITTEN_NUMBER)}) AND NOT regexp_matches({c}, '{CODE}')"
    sql = f"SELECT count_if({numeric}), count_if(lower(trim({c})) NOT IN ({words})) FROM data"
    cells, filled = context.query(sql)[0]
    if not filled:
        return []
    share = cells / filled
    if share < MIXED:
        return []
    if share < MOSTLY:
        return [] if _is_code(context, column) else [_mixed(column, int(cells), int(filled), sql)]
    example = next((value for value, _ in column.top if any(ch.isdigit() for ch in value)), "")
    return [
        describe(
            "numbers_as_text",
            "{column} holds numbers written as text",
            "{column} has {cells} of {filled} filled cells ({share} %) that are numbers written as text,"
            " such as {example}; they cannot be added up as they are.",
            {"cells": int(cells), "filled": int(filled), "share": percent(cells, filled)},
            words={"column": quote(column.name), "example": quote(example)},
            columns=[column.name],
            method="Cells are compared with the ways people write numbers, amounts and percentages.",
            sql=sql,
            n=column.rows,
            severity="high",
            score=0.5 + 0.5 * share,
        )
    ]


def _is_code(context: Context, column: ColumnProfile) -> bool:
    """Numbers with leading zeros among the cells: an article number or the like."""
    c = name(column.name)
    return bool(context.query(f"SELECT count_if(regexp_matches({c}, '{CODE}')) FROM data")[0][0])


def _mixed(column: ColumnProfile, cells: int, filled: int, sql: str) -> Finding:
    return describe(
        "mixed_types",
        "{column} mixes numbers and words",
        "{column} has {cells} cells with numbers among {filled} filled cells ({share} %); the others are words.",
        {"cells": cells, "filled": filled, "share": percent(cells, filled)},
        words={"column": quote(column.name)},
        columns=[column.name],
        method="Cells are compared with the ways people write numbers.",
        sql=sql,
        n=column.rows,
        severity="medium",
        score=0.6,
    )


def mixed_types(context: Context) -> list[Finding]:
    """Columns of numbers or dates with a few cells that are neither, nor a word for "missing"."""
    return [found for column in context.loaded.columns if (found := _strange(context, column))]


def _strange(context: Context, column: LoadedColumn) -> Finding | None:
    strange = [(value, n) for value, n in column.unreadable if value.lower() not in MISSING_WORDS]
    if not strange:
        return None
    words = sum(n for value, n in column.unreadable if value.lower() in MISSING_WORDS)
    cells, rows = column.unreadable_cells - words, context.loaded.rows
    kind = {"integer": "numbers", "number": "numbers", "boolean": "true or false"}.get(column.type, "dates")
    return describe(
        "mixed_types",
        "{column} mixes {kind} with something else",
        "{column} holds {kind}, but {cells} of {rows} cells could not be read so, such as {examples}; they"
        " were treated as gaps.",
        {"cells": cells, "rows": rows},
        words={
            "column": quote(column.name),
            "kind": kind,
            "examples": quote_all([value for value, _ in strange[:3]]),
        },
        columns=[column.name],
        method="A column gets the type that at least nearly all of its filled cells fit; the others are counted.",
        n=rows,
        severity="medium",
        score=0.4 + 0.6 * percent(cells, rows) / 100,
    )

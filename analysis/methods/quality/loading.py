"""What happened while reading: rows left out, text decoded by guess, names made up."""

from pathlib import PurePath

from analysis.methods.context import Context
from analysis.methods.findings import Finding, describe
from analysis.methods.wording import percent, quote, quote_all

ENDINGS = {"csv": (".csv", ".tsv", ".txt", ".tab", ".dat"), "jsonl": (".jsonl", ".ndjson", ".json"),
           "json": (".json",), "parquet": (".parquet", ".pq")}  # fmt: skip
SHORT = {"csv": "delimited text", "jsonl": "JSON lines", "json": "JSON", "parquet": "Parquet"}
METHOD = "Noted while the file was read."


def loading_notes(context: Context) -> list[Finding]:
    """Findings about the file itself."""
    checks = (_rejected, _quote, _encoding, _nul_bytes, _ending, _header, _names, _truncated)
    return [found for check in checks if (found := check(context)) is not None]


def _rejected(context: Context) -> Finding | None:
    loaded = context.loaded
    if not loaded.rejected:
        return None
    seen = loaded.rows + loaded.rejected
    evidence = {"rejected": loaded.rejected, "seen": seen, "share": percent(loaded.rejected, seen)}
    evidence |= {f"line_{i}": line for i, line in enumerate(loaded.rejected_lines, start=1)}
    lines = ", ".join(f"{{line_{i}}}" for i in range(1, len(loaded.rejected_lines) + 1))
    return describe(
        "rejected_rows",
        "{rejected:row was|rows were} left out",
        "{rejected} of {seen} rows ({share} %) do not fit the columns and were left out; first on line "
        + lines + ".",
        evidence,
        method="A row is left out when its number of cells or its quote marks do not fit the other rows.",
        n=seen,
        severity="high" if evidence["share"] > 1 else "medium",
        score=loaded.rejected / seen,
    )  # fmt: skip


def _quote(context: Context) -> Finding | None:
    line = context.loaded.unclosed_quote
    return None if line is None else describe(
        "unclosed_quote",
        "A quote mark is never closed",
        "A quote mark opened on line {line} is not closed, so quote marks were read as plain characters.",
        {"line": line},
        method=METHOD, n=context.loaded.rows, severity="high", score=0.5,
    )  # fmt: skip


def _encoding(context: Context) -> Finding | None:
    source = context.source
    if source.encoding in ("", "utf-8", "utf-8-sig"):
        return None
    guess = "The encoding was guessed; look at letters with accents." if source.encoding_guessed else None
    return describe(
        "encoding",
        "The text is not in the usual encoding",
        "The file was read as {encoding} and not as {usual}, the usual encoding.",
        {}, words={"encoding": quote(source.encoding), "usual": quote("UTF-8")},
        method=METHOD, n=context.loaded.rows, severity="low", score=0.2, caveat=guess,
    )  # fmt: skip


def _nul_bytes(context: Context) -> Finding | None:
    count = context.source.nul_bytes
    return None if not count else describe(
        "nul_bytes",
        "The file holds empty bytes",
        "{count:byte|bytes} with the value zero were taken out; they often mean a broken export.",
        {"count": count}, method=METHOD, n=context.loaded.rows, severity="medium", score=0.3,
    )  # fmt: skip


def _ending(context: Context) -> Finding | None:
    ending, kind = PurePath(context.source.name).suffix.lower(), context.source.format
    known = {suffix for suffixes in ENDINGS.values() for suffix in suffixes}
    if ending not in known or ending in ENDINGS[kind]:
        return None
    return describe(
        "wrong_ending",
        "The name does not fit the content",
        "The file is named {ending} but holds {kind}; it was read by its content.",
        {}, words={"ending": quote(ending), "kind": SHORT[kind]},
        method="The first bytes of the file decide, not its name.",
        n=context.loaded.rows, severity="info", score=0.1,
    )  # fmt: skip


def _header(context: Context) -> Finding | None:
    loaded = context.loaded
    if context.source.format != "csv" or (loaded.has_header and not loaded.preamble):
        return None
    if not loaded.has_header:
        return describe(
            "no_header", "There is no row of column names",
            "The first row looks like data, so the columns were named {first} and so on.",
            {}, words={"first": quote(loaded.columns[0].name)},
            method="Cells of the first row are compared with the cells below.",
            n=loaded.rows, severity="low", score=0.2,
        )  # fmt: skip
    return describe(
        "preamble", "Lines before the table",
        "{lines:line|lines} before the column names were skipped.",
        {"lines": loaded.preamble}, method="Rows with fewer cells than the table has columns.",
        n=loaded.rows, severity="info", score=0.1,
    )  # fmt: skip


def _names(context: Context) -> Finding | None:
    changed = [c.name for c in context.loaded.columns if c.name != " ".join(c.original.split())]
    return None if not changed or not context.loaded.has_header else describe(
        "column_names",
        "Column names were empty or repeated",
        "{changed:column|columns} got a new name: {names}" + ("." if len(changed) <= 5 else " and others."),
        {"changed": len(changed)}, words={"names": quote_all(changed[:5])}, columns=changed[:5],
        method="Empty and repeated column names are replaced.", n=len(context.loaded.columns),
        severity="low", score=0.2,
    )  # fmt: skip


def _truncated(context: Context) -> Finding | None:
    return None if not context.loaded.truncated else describe(
        "row_limit", "Only the first rows were read",
        "The file has more than {limit} rows; only the first {limit} were read.",
        {"limit": context.limits.max_rows}, method=METHOD, n=context.limits.max_rows,
        severity="high", score=0.5, sampled=True,
    )  # fmt: skip

"""Tables too small to say much about: one honest sentence instead of many empty ones."""

from analysis.methods.context import Context
from analysis.methods.findings import Finding, describe

FEW_ROWS = 10


def small_table(context: Context) -> list[Finding]:
    """No rows, few rows, or nothing in any cell."""
    rows, columns = context.loaded.rows, len(context.loaded.columns)
    evidence = {"rows": rows, "columns": columns}
    if rows == 0:
        return [_finding("no_rows", "There are no rows",
                         "The file names {columns:column|columns} and holds no rows.", evidence)]  # fmt: skip
    if all(column.present == 0 for column in context.profile.columns):
        return [_finding("all_missing", "Every cell is empty",
                         "The file has {rows:row|rows} and {columns:column|columns}; no cell holds a value.",
                         evidence)]  # fmt: skip
    if rows < FEW_ROWS:
        return [_finding("few_rows", "There are very few rows",
                         "The file has {rows:row|rows}; that is too few to say what is usual.", evidence)]  # fmt: skip
    return []


def _finding(kind: str, title: str, sentence: str, evidence: dict[str, int]) -> Finding:
    return describe(kind, title, sentence, evidence, method="Rows, columns and filled cells are counted.",
                    n=evidence["rows"], severity="high", score=1.0, sql="SELECT count(*) FROM data")  # fmt: skip

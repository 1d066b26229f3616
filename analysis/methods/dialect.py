"""How a delimited text is laid out: its delimiter, its lead-in lines, its header. Content decides."""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

DELIMITERS = (",", "\t", ";", "|")
NO_DELIMITER = "\x1f"  # a character that text does not hold: the whole line is one cell
SAMPLE_ROWS = 200
LONGEST_PREAMBLE = 20
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*")
_DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")


@dataclass(frozen=True, slots=True)
class Dialect:
    """`skip` lines (lead-in and header) come before the data; `header` is None when there is none."""

    delimiter: str
    width: int
    header: tuple[str, ...] | None
    skip: int
    preamble: int


def find_dialect(sample: str) -> Dialect:
    """The layout that makes most rows equally wide. `sample` holds whole lines."""
    best = max((_rate(sample, delimiter) for delimiter in DELIMITERS), key=lambda rating: rating[0])
    delimiter = best[1] if best[0] > (0.5, 0) else NO_DELIMITER
    rows = _rows(sample, delimiter)
    width = _usual_width(rows)
    first = _first_row(rows, width)
    lead_in = rows[first - 1][1] if first else 0
    body = [cells for cells, _ in rows[first:]]
    if body and _has_header(body, width):
        return Dialect(delimiter, width, tuple(body[0]), rows[first][1], first)
    return Dialect(delimiter, width, None, lead_in, first)


def _rows(sample: str, delimiter: str) -> list[tuple[list[str], int]]:
    """Parsed rows with the line number each one ends on."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    rows: list[tuple[list[str], int]] = []
    try:
        for cells in reader:
            if cells or rows:
                rows.append((cells, reader.line_num))
            if len(rows) == SAMPLE_ROWS:
                break
    except csv.Error:  # a cell beyond the parser's limit; what was read so far is enough
        pass
    return rows


def _usual_width(rows: list[tuple[list[str], int]]) -> int:
    widths = Counter(len(cells) for cells, _ in rows if cells)
    return widths.most_common(1)[0][0] if widths else 0


def _rate(sample: str, delimiter: str) -> tuple[tuple[float, int], str]:
    rows = _rows(sample, delimiter)
    width = _usual_width(rows)
    if width < 2:
        return (0.0, 0), delimiter
    same = sum(len(cells) == width for cells, _ in rows)
    return (same / max(sum(bool(cells) for cells, _ in rows), 1), width), delimiter


def _first_row(rows: list[tuple[list[str], int]], width: int) -> int:
    """The first row of the table: narrow rows before it, such as a title, are a lead-in."""
    for index, (cells, _) in enumerate(rows[: LONGEST_PREAMBLE + 1]):
        if len(cells) == width:
            return index
    return 0


def _has_header(body: list[list[str]], width: int) -> bool:
    votes = 0
    for column in range(width):
        below = [row[column] for row in body[1:] if len(row) == width and row[column].strip()]
        if below and _is_value(below[0]) and sum(map(_is_value, below)) > 0.8 * len(below):
            votes += -1 if _is_value(body[0][column]) else 1
    return votes >= 0


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell))

"""Names for columns: never empty, never twice, whatever the header holds."""

LONGEST = 120


def unique_names(header: tuple[str, ...] | None, width: int) -> tuple[str, ...]:
    """One name per column: `column_3` for an empty one, `name_2` for a repeated one (case ignored)."""
    taken: set[str] = set()
    result: list[str] = []
    wanted = list(header or ())[:width]
    for position in range(1, width + 1):
        raw = wanted[position - 1] if position <= len(wanted) else ""
        result.append(_free(_clean(raw) or f"column_{position}", taken))
        taken.add(result[-1].casefold())
    return tuple(result)


def _clean(raw: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in raw)
    return " ".join(printable.split())[:LONGEST]


def _free(wanted: str, taken: set[str]) -> str:
    candidate, number = wanted, 2
    while candidate.casefold() in taken or candidate.casefold() == "rowid":
        candidate, number = f"{wanted}_{number}", number + 1
    return candidate

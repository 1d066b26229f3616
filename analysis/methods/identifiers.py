"""Names and text inside SQL. Column names come from strangers: nothing is put into SQL but through here."""


def name(text: str) -> str:
    """The text as a quoted SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as a quoted SQL string."""
    return "'" + text.replace("'", "''") + "'"


def names(texts: list[str] | tuple[str, ...]) -> str:
    """Several quoted identifiers with commas between."""
    return ", ".join(name(text) for text in texts)

"""What can be wrong with a file that a person hands in.

    InputError
    ├── EmptyFile           nothing in it, or only white space
    ├── UnsupportedFile     a kind of file that is not a table: PDF, picture, zip, unknown bytes
    ├── TooLarge            more bytes, columns or text in one cell than the limits allow
    ├── UndecodableFile     text in an encoding that could not be found out
    ├── DamagedFile         a Parquet file that is cut off or corrupted
    ├── TooManyBadRows      more than half of the rows do not fit the columns
    └── NoColumns           readable, but without a single column

All of them are final: reading the same bytes again gives the same answer, so a retry is useless.
"""


class InputError(Exception):
    """The file cannot be analysed; `what`, `where` and `hint` are written for the person who sent it."""

    code = "input"

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(" ".join(part for part in (what, where, hint) if part))


class EmptyFile(InputError):
    """The file is empty."""

    code = "empty"


class UnsupportedFile(InputError):
    """The file is not a table in a format that can be read."""

    code = "unsupported"


class TooLarge(InputError):
    """The file is larger than the limits allow."""

    code = "too_large"


class UndecodableFile(InputError):
    """The text of the file could not be decoded."""

    code = "undecodable"


class DamagedFile(InputError):
    """The file is cut off or corrupted."""

    code = "damaged"


class TooManyBadRows(InputError):
    """Most of the rows do not fit the columns."""

    code = "bad_rows"


class NoColumns(InputError):
    """The file has no columns."""

    code = "no_columns"

"""What a reader hands on: a table `raw` with columns c0, c1, … and what was noted on the way."""

from dataclasses import dataclass, field

from .context import Context
from .exceptions import TooLarge
from .tables import ColumnType, Loaded
from .wording import show


@dataclass(frozen=True, slots=True)
class Raw:
    """`names` are final, `originals` as in the file. `types` is None when every cell is still text."""

    names: tuple[str, ...]
    originals: tuple[str, ...]
    loaded: Loaded = field(default_factory=Loaded)
    types: tuple[ColumnType, ...] | None = None


def check_width(context: Context, width: int) -> None:
    """Raises TooLarge above the limit of columns."""
    if width > context.limits.max_columns:
        raise TooLarge(
            f"The file has {show(width)} columns; at most {show(context.limits.max_columns)} are read.",
            hint="Send only the columns that matter, or several files.",
        )


def raw_columns(width: int) -> str:
    """The column list of `raw` for the CSV reader: everything is text first."""
    return "{" + ", ".join(f"'c{index}': 'VARCHAR'" for index in range(width)) + "}"

"""How much a file may be, and what an analysis may be told."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; all sizes in bytes. A file above one of them is refused with the limit named."""

    max_bytes: int = 200 * MEGABYTE
    max_columns: int = 2_000
    max_rows: int = 20_000_000
    max_cell_bytes: int = MEGABYTE
    max_unpacked_bytes: int = 2_000 * MEGABYTE
    memory: str = "512MB"
    threads: int = 2


def _today() -> date:
    return datetime.now(tz=UTC).date()


@dataclass(frozen=True, slots=True)
class Options:
    """What the person may choose. `today` decides which dates lie in the future."""

    today: date = field(default_factory=_today)

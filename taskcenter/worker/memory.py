"""How much memory a process takes, as Linux tells it."""

from __future__ import annotations

import resource
from pathlib import Path

__all__ = ["memory_used"]


def memory_used(pid: int) -> int | None:
    """Bytes of memory that are the process's own now (resident set); None where /proc does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * resource.getpagesize()

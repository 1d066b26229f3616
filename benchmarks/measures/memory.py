"""What idle workers hold after they have worked."""

from __future__ import annotations

from benchmarks.processes import family
from benchmarks.processes import memory as memory_of
from benchmarks.stand import Stand

__all__ = ["memory"]


def memory(stand: Stand) -> dict[str, float]:
    """RSS and PSS in MB of all worker processes, and how many they are."""
    members = family(stand.worker_pids())
    rss, pss = memory_of(members)
    return {"processes": len(members), "rss": rss, "pss": pss}

"""What idle workers hold after they have worked."""

from __future__ import annotations

import psutil

from benchmarks.processes import family
from benchmarks.processes import memory as memory_of
from benchmarks.stand import Stand

__all__ = ["memory"]


def memory(stand: Stand) -> dict[str, float]:
    """RSS and PSS in MB of all worker processes, and how many they are."""
    while True:
        members = family(stand.worker_pids())
        try:
            rss, pss = memory_of(members)
        except psutil.NoSuchProcess:
            continue  # one that forks a process for each task had one left between the two looks
        return {"processes": len(members), "rss": rss, "pss": pss}

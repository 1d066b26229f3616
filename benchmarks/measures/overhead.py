"""What telling progress costs a task that does it ten thousand times a second, and how much of it leaves the task."""

from __future__ import annotations

from benchmarks.stand import Stand

__all__ = ["overhead"]

STEPS = 40_000

RESULT = "SELECT result FROM taskcenter_task WHERE definition LIKE '%.busy' AND state = 'completed'"


def overhead(stand: Stand) -> dict[str, float]:
    """By how many percent the same steps take longer, by the clock and in CPU time; messages and updates a second."""
    messages = _messages(stand)
    target = stand.done() + 1
    stand.ask("one", kind="busy", number=STEPS)
    stand.wait_done(target)
    took = stand.database.rows(RESULT)[-1][0]
    return {
        "calls": 1 / took["told"],
        "clock": 100 * (took["told"] / took["quiet"] - 1),
        "cpu": 100 * (took["told_cpu"] / took["quiet_cpu"] - 1),
        # Half of the time nothing new is told, but what was held back still leaves.
        "messages": (_messages(stand) - messages) / took["seconds"],
        "rows": took["statements"] / took["seconds"],
    }


def _messages(stand: Stand) -> int:
    """Scripts that Valkey has run; each writes and publishes progress once."""
    counted = stand.house.valkey.client.info("commandstats")
    return sum(int(counted.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval"))

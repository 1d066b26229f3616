"""The kernel's OOM killer takes a slot in the middle of an allocation, and nobody else."""

from __future__ import annotations

import psutil

from tests.faults.company import fresh
from tests.faults.stack import Stack, is_gone, require_fired, wait_until
from tests.ledger.tasks import hold
from tests.ledger.villains import glutton

MB = 1024 * 1024


def largest(slots: list[psutil.Process]) -> psutil.Process:
    """Whom the kernel would choose."""
    return max(slots, key=lambda slot: slot.memory_info().rss)


def test_only_the_task_in_it_counts_a_crash(stack: Stack) -> None:
    worker = stack.worker(concurrency=2)
    slots = wait_until(lambda: len(worker.slots()) == 2 and worker.slots(), "both slots are there")
    before = largest(slots).memory_info().rss
    neighbour = stack.enqueue(hold)
    stack.wait_begun(neighbour)
    greedy = stack.enqueue(glutton)
    stack.wait_begun(greedy)
    wait_until(lambda: largest(slots).memory_info().rss > before + 40 * MB, "it swells")
    victim = largest(slots)
    victim.kill()
    require_fired(wait_until(lambda: is_gone(victim), "the slot is gone"), "the slot lived on")
    wait_until(lambda: fresh(greedy).crashes, "the crash is on the row")
    stack.book.open_gate(1)
    stack.wait_final(greedy, neighbour)

    stack.assert_completed([greedy, neighbour])
    assert stack.book.begun(greedy) == [1, 2]
    assert stack.book.begun(neighbour) == [1]
    assert "signal SIGKILL" in worker.output()
    assert worker.popen.poll() is None

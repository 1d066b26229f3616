"""A thousand pages watch one task."""

from __future__ import annotations

from taskcenter.wire import progress_channel
from tests.faults.pages import Page, Readers, assert_true, watching
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold

WATCHERS = 1000
AT_ONCE = 50


def open_many(stack: Stack, readers: Readers, task_id: str) -> list[Page]:
    pages: list[Page] = []
    while len(pages) < WATCHERS:
        part = [Page(readers.site, stack.owner, [task_id], {}) for _ in range(AT_ONCE)]
        for page in part:
            readers.run(page.live())
        wait_until(lambda part=part: all(page.opened for page in part), "a wave has its snapshots")
        pages += part
    return pages


def test_all_of_them_end_with_the_databases_state_over_one_subscription(stack: Stack) -> None:
    # A thousand pages whose rights are looked at each second are not what is asked here.
    with watching(stack, "analysis.asgi:application") as readers:
        task_id = stack.enqueue(hold)
        pages = open_many(stack, readers, task_id)
        stack.worker()
        stack.wait_begun(task_id)
        with stack.redis() as client:
            assert client.pubsub_numsub(progress_channel(task_id)) == [(progress_channel(task_id).encode(), 1)]
        stack.book.open_gate(1)
        stack.wait_final(task_id)
        wait_until(
            lambda: all(page.state(task_id) == "completed" for page in pages),
            lambda: f"{sum(page.state(task_id) == 'completed' for page in pages)} of {WATCHERS} know the end",
        )
        require_fired(all(page.opened == 1 for page in pages), "they were not there at once")
        for page in pages:
            assert_true(page, task_id)

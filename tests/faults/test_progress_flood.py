"""A task tells its progress far more than ten thousand times a second."""

from __future__ import annotations

import threading
from typing import Any

from taskcenter.models import Task
from taskcenter.wire import progress_channel
from tests.faults.pages import assert_true, watching
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import chatter

CALLS = 400_000
A_SECOND = 4
EXTRA = 3
"""The first word, the last one, and that of the end."""


class Listener:
    """Counts what is told of a task."""

    def __init__(self, stack: Stack, task_id: str) -> None:
        self.count = 0
        self._client = stack.redis()
        pubsub: Any = self._client.pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(**{progress_channel(task_id): self._hear})
        self._thread = pubsub.run_in_thread(sleep_time=0.1)

    def _hear(self, message: dict[str, Any]) -> None:
        self.count += b'"attempt"' in message["data"]

    def close(self) -> None:
        self._thread.stop()
        self._thread.join()
        self._client.close()


def test_at_most_four_messages_a_second_leave_it_and_the_last_word_arrives(stack: Stack) -> None:
    with watching(stack) as readers:
        task_id = stack.enqueue(chatter, CALLS)
        page = readers.open(stack.owner, task_id)
        listener = Listener(stack, task_id)
        try:
            stack.worker()
            stack.wait_final(task_id)
            wait_until(lambda: page.state(task_id) == "completed", "the page knows the end")
        finally:
            listener.close()
        task = Task.objects.get(id=task_id)
        require_fired(CALLS / task.result["cpu"] > 10_000, "it did not tell ten thousand a second")
        require_fired(listener.count, "nothing was told")
        assert listener.count <= A_SECOND * task.result["seconds"] + EXTRA
        assert_true(page, task_id)
        assert (page.known[task_id]["progress"], page.known[task_id]["message"]) == (1.0, "talking")
        assert threading.active_count() < 20

"""Redis is killed while somebody watches a running task, and comes back before the end, after it, or with nothing."""

from __future__ import annotations

import pytest

from tests.faults.pages import assert_true, watching
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold


@pytest.mark.parametrize("is_back", [True, False], ids=["back before the end", "away at the end"])
def test_the_page_ends_with_the_databases_state(stack: Stack, is_back: bool) -> None:
    stack.worker()
    with watching(stack) as readers:
        task_id = stack.enqueue(hold)
        page = readers.open(stack.owner, task_id)
        stack.wait_begun(task_id)
        wait_until(lambda: page.state(task_id) == "processing", "the page sees it run")
        assert stack.valkey is not None
        stack.valkey.kill9()
        wait_until(lambda: "The relay lost Redis" in readers.site.process.output(), "the relay has noticed")
        if is_back:
            stack.valkey.restart()
            with stack.redis() as client:
                require_fired(client.dbsize() < 100, "it forgot nothing")
        stack.book.open_gate(1)
        wait_until(lambda: page.state(task_id) == "completed", "the page knows the end")
        stack.wait_final(task_id)

        assert_true(page, task_id)
        assert (page.opened, page.codes) == (1, []), "the socket was never cut"
        if not is_back:
            stack.valkey.restart()
        second = stack.enqueue(hold)
        stack.wait_final(second)
        assert readers.open(stack.owner, second).state(second) == "completed"

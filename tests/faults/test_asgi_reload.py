"""The web process is reloaded, or killed, while somebody watches."""

from __future__ import annotations

import pytest

from tests.faults.pages import assert_true, watching
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold


@pytest.mark.parametrize("how", ["reloaded", "killed"])
@pytest.mark.parametrize("when", ["before the end", "behind it"])
def test_the_page_comes_back_and_ends_with_the_databases_state(stack: Stack, how: str, when: str) -> None:
    stack.worker()
    with watching(stack) as readers:
        task_id = stack.enqueue(hold)
        page = readers.open(stack.owner, task_id)
        stack.wait_begun(task_id)
        wait_until(lambda: page.state(task_id) == "processing", "the page sees it run")
        process = readers.site.process
        if how == "reloaded":
            process.stop()
        else:
            process.kill9()
        wait_until(lambda: page.codes, "the socket is cut")
        require_fired(process.popen.poll() is not None, "the server lives")
        if when == "behind it":
            stack.book.open_gate(1)
            stack.wait_final(task_id)
        readers.site.start()
        wait_until(lambda: page.opened == 2, "the page is back")
        stack.book.open_gate(1)
        wait_until(lambda: page.state(task_id) == "completed", "the page knows the end")
        stack.wait_final(task_id)
        assert page.codes[0] == (1012 if how == "reloaded" else 1006)
        assert_true(page, task_id)
        stack.assert_completed([task_id])

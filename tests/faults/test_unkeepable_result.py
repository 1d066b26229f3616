"""A task returns what cannot be kept: it fails with a clear word, and nobody beside it suffers."""

from __future__ import annotations

import pytest
from django.db import connection

from tests.faults.company import assert_unharmed, begun_with
from tests.faults.stack import Stack
from tests.ledger.villains import bring

WORDS = {
    "object": "Object of type object is not JSON serializable",
    "nan": "Out of range float values are not JSON compliant",
    "nul": "NUL character",
    "surrogate": "surrogate",
    "large": "bytes as JSON",
}


@pytest.mark.parametrize("what", WORDS)
def test_it_fails_at_once_and_the_rest_of_its_batch_completes(stack: Stack, what: str) -> None:
    worker = stack.worker()
    bad, ids = begun_with(stack, bring, what)
    stack.wait_final(bad, *ids)

    task = stack.assert_failed(bad)
    assert WORDS[what] in task.error_message
    assert (task.failures, task.attempt, task.result) == (1, 1, None), "another try would not be better"
    assert_unharmed(ids)
    assert "died" not in worker.output()


def test_what_only_the_database_refuses_is_told_from_the_rest(stack: Stack) -> None:
    """Nested deeper than PostgreSQL reads; SQLite keeps or refuses it."""
    worker = stack.worker()
    bad, ids = begun_with(stack, bring, "deep")
    stack.wait_final(bad, *ids)

    assert_unharmed(ids)
    assert worker.popen.poll() is None
    assert "died" not in worker.output()
    if connection.vendor == "postgresql":
        task = stack.assert_failed(bad)
        assert "The database cannot keep the result" in task.error_message
        assert (task.failures, task.result) == (1, None)

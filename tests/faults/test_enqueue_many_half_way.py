"""The database refuses a row in the middle of a bulk enqueue."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction

from taskcenter.models import Task
from taskcenter.models.inserts import CHUNK
from tests.faults.stack import Stack
from tests.ledger.tasks import mark

BAD = CHUNK + CHUNK // 2
"""The number of the row that is refused: the first statement has gone well by then."""

REFUSE = {
    "postgresql": f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.kwargs ->> 'number' = '{BAD}' THEN RAISE EXCEPTION 'disk full'; END IF; RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON taskcenter_task FOR EACH ROW EXECUTE FUNCTION refuse();
    """,
    "sqlite": f"""
        CREATE TRIGGER refuse BEFORE INSERT ON taskcenter_task WHEN NEW.kwargs ->> 'number' = {BAD}
        BEGIN SELECT RAISE(ABORT, 'disk full'); END;
    """,
}
ALLOW = {"postgresql": "DROP FUNCTION refuse CASCADE", "sqlite": "DROP TRIGGER refuse"}


@pytest.fixture
def _refusing(stack: Stack) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(REFUSE[connection.vendor])
    yield
    with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute(ALLOW[connection.vendor])


@pytest.mark.usefixtures("_refusing")
def test_all_or_none_are_enqueued(stack: Stack) -> None:
    with pytest.raises(DatabaseError, match="disk full"):
        mark.enqueue_many([{"number": number} for number in range(2 * CHUNK)])
    assert not Task.objects.exists()
    assert stack.waiting_pointers() == 0


@pytest.mark.usefixtures("_refusing")
def test_a_caller_who_catches_it_keeps_what_it_did_before(stack: Stack) -> None:
    with transaction.atomic():
        before = stack.enqueue(mark)
        with pytest.raises(DatabaseError, match="disk full"):
            mark.enqueue_many([{"number": number} for number in range(2 * CHUNK)])
        after = stack.enqueue(mark)
    assert {str(task.id) for task in Task.objects.all()} == {before, after}
    assert stack.waiting_pointers() == 2
    stack.worker()
    stack.wait_final(before, after)
    stack.assert_completed([before, after])

"""Django's own tests of its dummy backend, run against ours. See tests/conformance and docs/conformance.md."""

from __future__ import annotations

import hashlib
import re
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import django
import pytest
from django.test import override_settings

from taskcenter.models import Task
from tests.conformance import loader
from tests.conformance.loader import BACKPORT, FILES, ORIGINALS, OURS, changed

IS_BACKPORT = django.VERSION < (6, 0)
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "conformance.md").read_text()

ORIGINAL = {
    "LICENSE": "b846415d1b514e9c1dff14a22deb906d794bc546ca6129f950a18cd091e2a669",
    "tasks.py": "24b3765b2e82736b2d02fdf581ad1119272cc16b74c76c4ae14473de81f91a9c",
    "test_tasks.py": "1ea9c6ec7d778dc936f423893fa752600bf8aa4f54cd701908700d78d15ee9a6",
    "test_dummy_backend.py": "6b2c41ab2a94d857bd88433cfdb6f6458f1ac735a8b91448d592d934b8e98f3c",
}
"""SHA-256 of the files in the source archive of Django 6.1.3."""

CHANGES = OURS + (BACKPORT if IS_BACKPORT else ())
LEFT_OUT = {
    "test_unpickle_arbitrary_string": "the backport's Task has no _reconstruct()",
    "test_unpickle_non_task_object": "the backport's Task has no _reconstruct()",
    "test_run_after_in_decorator": "the backport's decorator words it otherwise",
    "test_validate_disallowed_async_task": "the backport writes tasks with a small t",
}
"""On the backport alone: what neither its own dummy backend nor ours can pass."""
BEYOND_THE_DUMMY = {"test_pickle_task", "test_pickle_task_result"}
"""On the backport alone: what ours passes and its dummy backend does not."""


def _cases() -> dict[str, type[unittest.TestCase]]:
    found = {}
    for module in loader.load(CHANGES):
        own = [item for item in vars(module).values() if getattr(item, "__module__", "") == module.__name__]
        found.update({item.__name__: item for item in own if issubclass(item, unittest.TestCase)})
    return found


def _leave_out(reasons: dict[str, str]) -> None:
    for case in CASES.values():
        for name in reasons.keys() & vars(case).keys():
            setattr(case, name, unittest.skip(reasons[name])(getattr(case, name)))


CASES = _cases()
if IS_BACKPORT:
    _leave_out(LEFT_OUT)
globals().update(CASES)  # where pytest finds them


@pytest.fixture(autouse=True)
def _no_rows_stay(django_db_blocker: Any) -> Iterator[None]:
    """Django's cases say `available_apps = []` in one place: our tables are not flushed there."""
    yield
    with django_db_blocker.unblock():
        Task.objects.all().delete()


def _names(cases: Any) -> list[str]:
    return [f"{case.__name__}.{name}" for case in cases for name in vars(case) if name.startswith("test_")]


def test_all_of_django_s_tests_are_here() -> None:
    assert len(_names(CASES.values())) == 56
    assert {len(re.findall(r"    (?:async )?def test_", changed(name, ()))) for name in FILES[1:]} == {39, 17}


@pytest.mark.django_db(transaction=True)
def test_we_leave_out_nothing_that_the_dummy_backend_itself_passes() -> None:
    run, failed = _run_on_the_dummy_backend()
    assert run == 56
    assert failed == (LEFT_OUT.keys() | BEYOND_THE_DUMMY if IS_BACKPORT else set())


def _run_on_the_dummy_backend() -> tuple[int, set[str]]:
    """How many tests were run, and the names of those that did not pass."""
    package = "django_tasks" if IS_BACKPORT else "django.tasks"
    dummy = {"default": {"BACKEND": f"{package}.backends.dummy.DummyBackend"}}
    result = unittest.TestResult()
    with mock.patch.dict(sys.modules):
        with override_settings(TASKS=dummy):
            modules = loader.load(BACKPORT if IS_BACKPORT else ())
        load = unittest.defaultTestLoader.loadTestsFromModule
        unittest.TestSuite(load(module) for module in modules).run(result)
    bad = {test._testMethodName for test, _ in result.failures + result.errors}  # type: ignore[attr-defined]
    return result.testsRun, bad


@pytest.mark.parametrize(("name", "digest"), ORIGINAL.items())
def test_the_originals_are_unchanged(name: str, digest: str) -> None:
    assert hashlib.sha256((ORIGINALS / name).read_bytes()).hexdigest() == digest


def test_the_shim_has_fifteen_lines_at_most() -> None:
    text = (ORIGINALS.parent / "shim.py").read_text()
    shim = text[text.index("class WithResults") :]
    assert sum(bool(line.strip()) for line in shim.splitlines()) <= 15


@pytest.mark.parametrize("change", OURS + BACKPORT)
def test_every_change_happens_and_is_on_the_page(change: loader.Change) -> None:
    before = OURS if change in BACKPORT else ()
    assert any(change.old in changed(name, before) for name in FILES)
    for line in (change.old + "\n" + change.new).splitlines():
        assert line.strip(" ,(") in PAGE


def test_the_page_names_each_test_that_is_left_out_with_the_same_reason() -> None:
    for name, reason in LEFT_OUT.items():
        assert f"| {name} | {reason} |" in PAGE.replace("`", "")


def test_the_page_shows_the_shim_as_it_is() -> None:
    text = (ORIGINALS.parent / "shim.py").read_text()
    assert text[text.index("class WithResults") :] in PAGE

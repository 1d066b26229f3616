"""Django's own tests of `django.tasks`, loaded from the unchanged originals in `django_6_1/`.

Only what `Change` names is replaced, in the text, as it is loaded; docs/conformance.md gives the reasons.
The modules are called `tasks.…` as in Django's own suite: one of its tests looks at that name.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ORIGINALS = Path(__file__).with_name("django_6_1")
FILES = ("tasks", "test_tasks", "test_dummy_backend")


class Change(NamedTuple):
    old: str
    new: str


OURS = (
    # BACKEND
    Change('"django.tasks.backends.dummy.DummyBackend"', '"tests.conformance.shim.WithResults"'),
    # Imports
    Change(
        "from django.tasks.backends.dummy import DummyBackend",
        "from taskcenter.backend import TaskCenterBackend as DummyBackend",
    ),
    # Base class
    Change("import SimpleTestCase,", "import TransactionTestCase as SimpleTestCase,"),
)
"""Instead of Django's dummy backend, ours."""

BACKPORT = (
    # Imports, BACKEND, and the logger, which has the package's name
    Change("django.tasks", "django_tasks"),
    # Imports
    Change("import InvalidTask,", "import InvalidTaskError as InvalidTask,"),
    Change("import (\n    InvalidTask,", "import (\n    InvalidTaskError as InvalidTask,"),
    Change("    InvalidTaskBackend,\n    T", "    InvalidTaskBackendError as InvalidTaskBackend,\n    T"),
)
"""Instead of `django.tasks`, the backport that Django 5.2 needs."""


def changed(name: str, changes: tuple[Change, ...]) -> str:
    """The text of one of the files after the changes."""
    text = (ORIGINALS / f"{name}.py").read_text()
    for change in changes:
        text = text.replace(change.old, change.new)
    return text


def load(changes: tuple[Change, ...]) -> list[ModuleType]:
    """The modules of tests, importable by name from now on."""
    package = sys.modules["tasks"] = ModuleType("tasks")
    package.__path__ = []
    modules = []
    for name in FILES:
        module = sys.modules[f"tasks.{name}"] = ModuleType(f"tasks.{name}")
        setattr(package, name, module)
        path = ORIGINALS / f"{name}.py"
        module.__file__ = str(path)
        module.__package__ = "tasks"
        exec(compile(changed(name, changes), path, "exec"), vars(module))  # noqa: S102 Django's tests
        modules.append(module)
    return modules[1:]

"""The doors: what a public room says it offers is what it offers."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest

PACKAGES = [
    f"taskcenter{room}" for room in ("", ".models", ".progress", ".charts", ".lifecycle", ".testing", ".explain")
]
FILES = ["taskcenter.reports", "taskcenter.queues", "taskcenter.conf", "taskcenter.urls", "taskcenter.states"]


@pytest.mark.parametrize("room", PACKAGES)
def test_a_package_exports_exactly_what_it_names(room: str) -> None:
    module = import_module(room)
    members = {name for name, value in vars(module).items() if not isinstance(value, ModuleType)}
    public = {name for name in members if not name.startswith("_")} - {"annotations"}
    assert public == set(module.__all__)
    assert len(module.__all__) == len(set(module.__all__))


@pytest.mark.parametrize("room", FILES)
def test_a_file_names_each_of_its_own_public_functions_and_classes(room: str) -> None:
    module = import_module(room)
    own = {name for name, value in vars(module).items() if getattr(value, "__module__", "") == room}
    assert {name for name in own if not name.startswith("_")} <= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)

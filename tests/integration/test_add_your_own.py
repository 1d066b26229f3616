"""The code of docs/add-your-own.md, run as it is written there."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth import get_user_model

import analysis
from analysis import methods
from taskcenter.definitions import find
from taskcenter.models import Task

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-your-own.md"
BLOCKS = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE.read_text(), re.DOTALL))


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The page's files, importable under the names it gives them, and forgotten afterwards."""
    modules = {}
    for package in (analysis, methods):
        extra = tmp_path / package.__name__.replace(".", "/")
        extra.mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(extra)])
    for title, code in BLOCKS.items():
        if title.endswith(".py"):
            (tmp_path / title).write_text(code)
            name = title.removesuffix(".py").replace("/", ".")
            modules[title] = importlib.import_module(name)
    yield modules
    methods.unregister("round_numbers")
    for module in modules.values():
        del sys.modules[module.__name__]


def lines_of_code(code: str) -> int:
    return sum(bool(line.strip()) and not line.startswith(("from ", "import ")) for line in code.splitlines())


def test_the_page_keeps_its_word_about_the_number_of_lines() -> None:
    assert lines_of_code(BLOCKS["analysis/methods/round_numbers.py"]) <= 10
    assert lines_of_code(BLOCKS["analysis/tasks_of_yours.py"]) <= 5


def test_the_method_becomes_a_stage_and_finds_what_it_says(written: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "guesses.csv"
    path.write_text("person,amount,exact\n" + "".join(f"p{n},{n * 100},{n * 7 + 1}\n" for n in range(1, 81)))
    seen: list[str] = []
    report = methods.analyze_file(
        path, name="guesses.csv", workdir=tmp_path, on_progress=lambda stage, *_: seen.append(stage)
    )
    (found,) = [one for one in report.findings if one["kind"] == "round_numbers"]
    assert found["columns"] == ["amount"]
    assert found["sentence"].startswith("100 % of “amount” can be divided by 100")
    assert "round_numbers" in seen


def test_the_method_says_so_when_it_does_not_apply(written: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("word,other\n" + "".join(f"w{n % 9}x,v{n % 5}y\n" for n in range(60)))
    report = methods.analyze_file(path, name="words.csv", workdir=tmp_path)
    assert any("Round numbers" in line for line in report.as_dict()["not_checked"])


@pytest.mark.django_db
def test_the_task_is_known_enqueued_and_runs(written: dict[str, Any]) -> None:
    module = written["analysis/tasks_of_yours.py"]
    user = get_user_model().objects.create_user("ann")
    names = {"count_words": module.count_words, "user": user}
    exec(BLOCKS["anywhere"], names)  # noqa: S102 the page's own line
    row = Task.objects.get(pk=names["result"].id)
    assert (row.owner, row.title, row.kwargs) == (user, "Count words", {"text": "to be or not to be"})
    assert find(row.definition) is module.count_words

    class Context:
        class progress:  # noqa: N801 stands where an instance does
            @staticmethod
            def track(items: list[str], *_: Any, **__: Any) -> list[str]:
                return items

    assert module.count_words.call(Context(), **row.kwargs) == {"words": 6}

"""One way to analyse a few bytes."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from analysis.methods import Limits, Options, Report, analyze_file

TODAY = Options(today=date(2026, 1, 1))
Analyse = Callable[..., Report]


@pytest.fixture
def analyse(tmp_path: Path) -> Analyse:
    """Analyses bytes, text or a path under a given name."""
    workdir = tmp_path / "work"
    workdir.mkdir()

    def run(content: bytes | str | Path, name: str = "table.csv", limits: Limits | None = None, **more: Any) -> Report:
        path = content if isinstance(content, Path) else tmp_path / "upload"
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        return analyze_file(path, name=name, workdir=workdir, limits=limits, options=TODAY, **more)

    return run


@pytest.fixture
def leftovers(tmp_path: Path) -> Callable[[], list[str]]:
    """What is left in the work folder."""
    return lambda: [entry.name for entry in (tmp_path / "work").iterdir()]

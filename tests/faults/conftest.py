from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.stack import Stack


@pytest.fixture
def bare_stack(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Stack]:
    """A stack whose Redis has not been started."""
    stack = Stack(tmp_path, settings)
    yield stack
    stack.close()


@pytest.fixture
def stack(bare_stack: Stack) -> Stack:
    """A stack with its Redis up and no worker yet."""
    bare_stack.start_valkey()
    return bare_stack

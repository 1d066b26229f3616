from __future__ import annotations

import pytest

from taskcenter.enqueue import Built


def test_items_are_built_when_somebody_looks_and_kept() -> None:
    asked: list[int] = []

    def build(index: int) -> str:
        asked.append(index)
        return f"item {index}"

    items = Built(1000, build)
    assert len(items) == 1000
    assert asked == []
    assert (items[3], items[-1], items[3]) == ("item 3", "item 999", "item 3")
    assert asked == [3, 999]


def test_they_read_like_a_list() -> None:
    items, plain = Built(5, lambda index: index * index), [0, 1, 4, 9, 16]
    assert list(items) == plain
    assert list(reversed(items)) == plain[::-1]
    for part in (slice(None), slice(1, 3), slice(None, None, -2), slice(-2, None), slice(9, 12)):
        assert items[part] == plain[part]
    assert 9 in items
    assert items.index(9) == 3
    assert not Built(0, int)


@pytest.mark.parametrize("index", [5, -6])
def test_there_is_nothing_beyond_the_ends(index: int) -> None:
    with pytest.raises(IndexError):
        Built(5, int)[index]

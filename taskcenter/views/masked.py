"""Input, results and metadata as people may see them: values that look like secrets are masked.

What is masked goes by its key (`TASKCENTER["MASK"]`), and by its shape: the password within an address. What a
task was given by position has no key.
"""

from __future__ import annotations

import json
import re
from typing import Any

from taskcenter.conf import get_settings

__all__ = ["MASK", "as_text", "masked"]

MASK = "********"
_IN_ADDRESS = re.compile(r"(://[^/\s:@]*:)[^@\s/]+(?=@)")


def as_text(value: Any) -> str:
    """Indented JSON, masked."""
    return json.dumps(masked(value), ensure_ascii=False, indent=2)


def masked(value: Any) -> Any:
    """The same JSON with its secrets gone."""
    return _masked(value, [_plain(word) for word in get_settings().MASK])


def _masked(value: Any, words: list[str]) -> Any:
    match value:
        case dict():
            return {key: MASK if _is_secret(key, words) else _masked(one, words) for key, one in value.items()}
        case list():
            return [_masked(one, words) for one in value]
        case str():
            return _IN_ADDRESS.sub(rf"\g<1>{MASK}", value)
    return value


def _is_secret(key: str, words: list[str]) -> bool:
    plain = _plain(key)
    return any(word in plain for word in words)


def _plain(text: str) -> str:
    return text.lower().replace("_", "").replace("-", "").replace(" ", "")

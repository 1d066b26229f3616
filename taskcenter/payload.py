"""What may be kept with a task: JSON without NaN, without NUL, within a size."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from .exceptions import NotJSON, PayloadTooLarge

__all__ = ["checked", "packed", "packed_together"]

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of NUL in JSON: after an even number of backslashes, else it is only the letters of one."""

_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


def checked(value: Any, *, limit: int, what: str) -> Any:
    """`value` as it will come back from the database (tuples are lists then); see packed()."""
    return json.loads(packed(value, limit=limit, what=what))


def packed(value: Any, *, limit: int, what: str) -> str:
    """`value` as the JSON text that the database will keep.

    `limit` is in bytes of JSON; `what` names the value in messages. Raises NotJSON or PayloadTooLarge.
    """
    return packed_together((value,), limit=limit, what=what)[0]


def packed_together(values: Sequence[Any], *, limit: int, what: str) -> list[str]:
    """See packed(): several values that share one limit, a text for each."""
    texts = [_text(value, what) for value in values]
    # A text of ASCII alone has a byte per character, and nothing in it that is not Unicode.
    size = sum(len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) for text in texts)
    if size > limit:
        raise PayloadTooLarge(
            f"The {what} takes {size:,} bytes as JSON, and {limit:,} are allowed; store it elsewhere and pass its key."
        )
    for text in texts:
        _require_unicode(text, what)
    return texts


def _text(value: Any, what: str) -> str:
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJSON(f"The {what} cannot be kept as JSON: {error}.") from error
    if "\\u0000" in text and _NUL.search(text):
        raise NotJSON(f"The {what} holds a NUL character, which databases refuse in text.")
    return text


def _require_unicode(text: str, what: str) -> None:
    try:
        _ = text.isascii() or text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotJSON(f"The {what} holds text that is not Unicode: {error}.") from error

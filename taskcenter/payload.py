"""What may be kept with a task: JSON without NaN, without NUL, within a size."""

from __future__ import annotations

import json
import re
from typing import Any

from .exceptions import NotJSON, PayloadTooLarge

__all__ = ["checked"]

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of NUL in JSON: after an even number of backslashes, else it is only the letters of one."""


def checked(value: Any, *, limit: int, what: str) -> Any:
    """`value` as it will come back from the database (tuples are lists then).

    `limit` is in bytes of JSON; `what` names the value in messages. Raises NotJSON or PayloadTooLarge.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJSON(f"The {what} cannot be kept as JSON: {error}.") from error
    if _NUL.search(text):
        raise NotJSON(f"The {what} holds a NUL character, which databases refuse in text.")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise PayloadTooLarge(
            f"The {what} takes {size:,} bytes as JSON, and {limit:,} are allowed; store it elsewhere and pass its key."
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotJSON(f"The {what} holds text that is not Unicode: {error}.") from error
    return json.loads(text)

"""What may be kept with a task: JSON without NaN, without NUL, within a size."""

from __future__ import annotations

import json
from typing import Any

from .exceptions import NotJSON, PayloadTooLarge

__all__ = ["checked"]


def checked(value: Any, *, limit: int, what: str) -> Any:
    """`value` as it will come back from the database (tuples are lists then).

    `limit` is in bytes of JSON; `what` names the value in messages. Raises NotJSON or PayloadTooLarge.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJSON(f"The {what} cannot be kept as JSON: {error}.") from error
    if "\\u0000" in text:
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

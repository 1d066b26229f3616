"""What makes two failures the same: a fingerprint of definition, exception type, place and message.

    place     the innermost frame of the user's own code, as "module.function"; no line number, since lines
              move with every edit. Own is what neither Python nor a library brought: no file below
              `site-packages`, `dist-packages` or the standard library, and nothing of TaskCenter. If no
              frame is own, as for a task that a library brings, the innermost one of the definition's
              package counts, and else the innermost of all.
    message   without what differs from case to case: quoted values, numbers, dates, ids, UUIDs, hex,
              addresses and paths all become "#", and a row of them one "#". See normalised().

Nothing here reads or writes anything, and the same failure gives the same fingerprint on every machine.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from traceback import walk_tb
from types import FrameType, TracebackType

__all__ = ["LENGTH", "fingerprint", "is_own_file", "normalised", "place_of"]

LENGTH = 32
"""Characters of a fingerprint, all of them hex."""
READ = 4000
"""Characters of a message that are looked at: somebody may raise a megabyte."""
COMPARED = 300
"""Characters of a normalised message that count."""

_STDLIB = f"{Path(os.__file__).parent}{os.sep}"
_TASKCENTER = f"{Path(__file__).parent}{os.sep}"
# A traceback may come from another machine, whose Python lies elsewhere.
_LIBRARIES = re.compile(r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3\.\d+[/\\]")

_QUOTED = re.compile(
    r"""(?<![\w\\])'(?:\\.|[^'\\\n]|(?<=\w)'(?=\w))*'(?!\w)"""  # an apostrophe within a word is no quote
    r"""|"(?:\\.|[^"\\])*"|`[^`\n]*`"""
)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://\S+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:|~|\.{1,2})?(?:[/\\][\w.@%+~=-]+)+[/\\]?")
_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|\s?[+-]\d\d:?\d\d)?)?"
    rf"|\b{_DAY},? (?=\d|{_MONTH}\b)|\b{_MONTH}\.? (?=\d)|(?<=\d ){_MONTH}\b\.?(?= \d)",
    re.IGNORECASE,
)
_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
_HEX = re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b", re.IGNORECASE)
_FLOAT = re.compile(r"(?<![\w.])\d+(?:\.\d+)?e[+-]?\d+\b", re.IGNORECASE)
# Letters and digits by turns, as in base62: an id. Letters and then digits, or the reverse, may be a word.
_ID = re.compile(r"(?<![^\W_])(?:[^\W\d_]+\d+[^\W\d_]|\d+[^\W\d_]+\d)[^\W_]*")
_NUMBER = re.compile(r"\d+")
_ROW = re.compile(r"(?:(?<![\w)\]])[+-])?#(?:[\s,;.:/+_-]*#)*")  # with the sign of its first number

_KINDS = (_QUOTED, _ADDRESS, _DATE, _UUID, _PATH, _HEX, _FLOAT, _ID, _NUMBER)


def fingerprint(definition: str, error_type: str, place: str, message: str) -> str:
    """The same text for failures that are the same."""
    return _hashed(definition, error_type, place, message[:READ])


@lru_cache(maxsize=64)
def _hashed(*parts: str) -> str:
    """Remembered, since one failure is asked for several times: for its row, its event and its group."""
    text = "\0".join([*parts[:3], normalised(parts[3])])
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:LENGTH]


def normalised(message: str) -> str:
    """The message without what differs from case to case.

    >>> normalised("Order 4711 of 'Ann' was not found in /srv/orders/4711.json")
    'Order # of # was not found in #'
    """
    text = message[:READ]
    for kind in _KINDS:
        text = kind.sub("#", text)
    return " ".join(_ROW.sub("#", text).split())[:COMPARED]


def place_of(trace: TracebackType | None, definition: str = "") -> str:
    """Where it was raised, as "module.function" of the user's own code; empty without a traceback."""
    frames = [frame for frame, _ in walk_tb(trace)][::-1]
    package = definition.partition(".")[0]
    of_package = (frame for frame in frames if package and _module(frame).partition(".")[0] == package)
    found = next((frame for frame in frames if _is_own(frame)), None) or next(of_package, None)
    chosen = found or next(iter(frames), None)
    return f"{_module(chosen)}.{_function(chosen)}" if chosen else ""


def is_own_file(file: str) -> bool:
    """Whether neither Python nor a library nor TaskCenter brought it."""
    return not (file.startswith(("<", _STDLIB, _TASKCENTER)) or _LIBRARIES.search(file))


def _is_own(frame: FrameType) -> bool:
    return is_own_file(frame.f_code.co_filename) and _module(frame).partition(".")[0] != __name__.partition(".")[0]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "?")


def _function(frame: FrameType) -> str:
    """The function's qualified name; a comprehension is a frame of its own on Python 3.11 only."""
    return re.sub(r"(?:\.<locals>)?\.<(?:list|set|dict)comp>", "", frame.f_code.co_qualname)

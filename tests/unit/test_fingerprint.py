"""The fingerprint: what differs from case to case does not count, everything else does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcenter.exceptions import SoftTimeout
from taskcenter.fingerprint import COMPARED, LENGTH, fingerprint, normalised, place_of
from taskcenter.worker.story import failure_of

HERE = __name__


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("line 41 has 9 fields, expected 8", "line # has # fields, expected #"),
        ("Order 4711 of 'Ann' was not found in /srv/orders/4711.json", "Order # of # was not found in #"),
        ("could not convert string to float: 'abc'", "could not convert string to float: #"),
        ('Key "a" (id)=(5)\nalready exists.', "Key # (id)=(#) already exists."),
        ("<Shop object at 0x7f31c0ffee00>", "<Shop object at #>"),
        ("no row 0b7c9a52-1f1e-4c8e-9d3a-6a0f6b1c2d3e", "no row #"),
        ("due 2026-11-25T10:00:00.5+01:00, not 2026-11-26", "due #, not #"),
        ("expired Mon, 25 Nov 2026 10:00:00 GMT", "expired # GMT"),
        ("since 3 September 2026, Nov 5, 2025", "since #"),
        ("Friend not found at marker 5", "Friend not found at marker #"),
        ("10.0.0.7:5432 refused", "# refused"),
        ("GET https://api.example/v1/users/5?x=1 gave 503", "GET # gave #"),
        (r"cannot open C:\data\7.csv", "cannot open #"),
        ("no customer cus_9s6XKzkNRiz8i3", "no customer cus_#"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8 is gone", "commit # is gone"),
        ("got [1, 2, 3] of ['a', 'b']", "got [#] of [#]"),
        ("-5 is below 1e-9", "# is below #"),
        ("can't read Ann's file", "can't read Ann's file"),
        ("utf8 and/or S3", "utf# and/or S#"),
        ("", ""),
    ],
)
def test_a_message_is_left_with_what_every_case_shares(message: str, wanted: str) -> None:
    assert normalised(message) == wanted


def test_a_message_of_a_megabyte_is_cut_before_it_costs_anything() -> None:
    assert normalised("word " * 200_000) == normalised("word " * 100_000)


VALUES: dict[str, st.SearchStrategy[str]] = {
    "number": st.integers().map(str) | st.floats(allow_nan=False, allow_infinity=False).map(str),
    "uuid": st.uuids().map(str) | st.uuids().map(lambda one: one.hex),
    "hex": st.integers(min_value=0).map(hex),
    "quoted": st.text(st.characters(codec="utf-8", exclude_characters="'\"`\\\n"), max_size=40).map(repr),
    "date": st.datetimes().map(str) | st.dates().map(str),
    "path": st.lists(st.from_regex(r"[A-Za-z0-9_]{1,8}", fullmatch=True), min_size=1, max_size=5).map(
        lambda parts: "/" + "/".join(parts)
    ),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_whatever_the_value_the_fingerprint_is_the_same(kind: str, data: Any) -> None:
    words = data.draw(st.lists(st.sampled_from(["order", "was", "not", "found", "by"]), min_size=1, max_size=6))
    at = data.draw(st.integers(0, len(words)))

    def message() -> str:
        value = data.draw(VALUES[kind])
        return " ".join([*words[:at], value, *words[at:]])

    assert normalised(message()) == normalised(message()) == " ".join([*words[:at], "#", *words[at:]])


@given(st.text())
def test_any_text_gives_a_short_one_without_digits(message: str) -> None:
    text = normalised(message)
    assert len(text) <= COMPARED
    assert not re.search(r"\d", text)
    assert re.fullmatch(rf"[0-9a-f]{{{LENGTH}}}", fingerprint("a.b", "E", "a.c", message))


PARTS = st.tuples(*[st.text(st.characters(categories=["L"]), max_size=8)] * 4)


@given(PARTS, PARTS)
def test_each_of_the_four_parts_counts(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    same = one == other
    assert (fingerprint(*one) == fingerprint(*other)) is same


def test_it_is_the_same_in_every_process() -> None:
    code = "from taskcenter.fingerprint import fingerprint; print(fingerprint('a.b', 'E', 'a.c', 'no 5'))"
    answers = {subprocess.check_output([sys.executable, "-c", code], text=True).strip() for _ in range(2)}
    assert answers == {fingerprint("a.b", "E", "a.c", "no 6")}


# The place.


def trace_of(function: Callable[[], Any]) -> TracebackType | None:
    try:
        function()
    except Exception as error:  # noqa: BLE001 of any kind
        return error.__traceback__
    raise AssertionError("it raised nothing")


def reads_badly() -> Any:
    return json.loads("{")


class Shop:
    def order(self) -> Any:
        return [reads_badly() for _ in range(1)]


def test_the_place_is_the_innermost_function_of_ones_own() -> None:
    assert place_of(trace_of(reads_badly)) == f"{HERE}.reads_badly"
    assert place_of(trace_of(Shop().order)) == f"{HERE}.reads_badly"


def test_a_comprehension_is_no_place_of_its_own() -> None:
    def halves() -> Any:
        return [1 / number for number in (1, 0)]

    assert place_of(trace_of(halves)) == f"{HERE}.test_a_comprehension_is_no_place_of_its_own.<locals>.halves"


def run_as(file: str, module: str, body: str = "raise ValueError") -> Callable[[], Any]:
    """A function whose code says that it is in that file and module."""
    names: dict[str, Any] = {"__name__": module, "inner": reads_badly}
    exec(compile(f"def outer():\n    {body}", file, "exec"), names)  # noqa: S102 code that lies about its file
    return names["outer"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "file",
    [
        "/srv/.venv/lib/python3.12/site-packages/lib/a.py",
        "/usr/lib/python3/dist-packages/lib/a.py",
        r"C:\Python\Lib\site-packages\lib\a.py",
        "<frozen importlib._bootstrap>",
        json.__file__,
    ],
)
def test_a_library_is_no_place(file: str) -> None:
    def own() -> Any:
        return run_as(file, "lib.a")()

    assert place_of(trace_of(own)) == f"{HERE}.test_a_library_is_no_place.<locals>.own"


def test_a_task_that_a_library_brings_has_its_place_there() -> None:
    deep = "/x/site-packages/deep/a.py"
    shop = run_as("/x/site-packages/shop/tasks.py", "shop.tasks", "return inner()")
    shop.__globals__["inner"] = run_as(deep, "deep.a")
    trace = trace_of(shop)
    assert trace is not None
    library_only = trace.tb_next  # without this file, which is everybody's own
    assert place_of(library_only, "shop.tasks.sell") == "shop.tasks.outer"
    assert place_of(library_only, "other.tasks.sell") == "deep.a.outer"


def test_without_a_traceback_there_is_no_place() -> None:
    assert place_of(None, "a.b") == ""


def test_a_line_moved_is_the_same_failure_and_another_function_is_not() -> None:
    one, moved = (
        run_as("/srv/shop/tasks.py", "shop.tasks", "\n" * lines + "    raise ValueError(7)") for lines in (1, 9)
    )
    other = run_as("/srv/shop/other.py", "shop.other", "raise ValueError(8)")
    first, second, third = (place_of(trace_of(each)) for each in (one, moved, other))
    assert first == second == "shop.tasks.outer"
    assert third == "shop.other.outer"


def test_running_out_of_time_has_no_place_since_it_may_happen_anywhere() -> None:
    def slow() -> None:
        raise SoftTimeout("The task ran longer than its limit of 5 seconds.")

    with pytest.raises(SoftTimeout) as timed_out:
        slow()
    assert failure_of(timed_out.value, "shop.tasks.sell").place == ""
    with pytest.raises(ValueError, match="Expecting") as failed:
        reads_badly()
    assert failure_of(failed.value, "shop.tasks.sell").place == f"{HERE}.reads_badly"

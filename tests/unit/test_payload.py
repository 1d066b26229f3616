from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcenter import InvalidPayload
from taskcenter.exceptions import NotJSON, PayloadTooLarge
from taskcenter.payload import checked, packed, packed_together

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=20,
)


def keep(value: Any, limit: int = 10**6) -> Any:
    return checked(value, limit=limit, what="arguments")


@given(values)
def test_json_comes_back_as_it_went(value: Any) -> None:
    assert keep(value) == value


def test_tuples_come_back_as_the_lists_they_will_be() -> None:
    assert keep({"pair": (1, (2, 3))}) == {"pair": [1, [2, 3]]}


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, {"deep": [1, {"er": math.nan}]}, object(), {1, 2}, b"bytes", {(1, 2): 3}],
    ids=["nan", "inf", "minus inf", "deep nan", "object", "set", "bytes", "tuple key"],
)
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(NotJSON, match="arguments"):
        keep(value)


@pytest.mark.parametrize("value", ["a\x00b", ["\x00"], {"k\x00": 1}, {"k": {"deep": "\x00"}}, "\\\x00"], ids=repr)
def test_nul_is_refused_wherever_it_is(value: Any) -> None:
    with pytest.raises(NotJSON, match="NUL"):
        keep(value)


@pytest.mark.parametrize("value", [r"\u0000", r"\\u0000", {r"C:\u0000": r"\x00"}], ids=repr)
def test_the_letters_of_an_escape_are_not_nul(value: Any) -> None:
    assert keep(value) == value


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(NotJSON, match="Unicode"):
        keep("\ud800")


def test_a_value_in_itself_is_refused() -> None:
    knot: list[Any] = []
    knot.append(knot)
    with pytest.raises(NotJSON):
        keep(knot)


@given(st.text("aé€😀", min_size=1))
def test_the_limit_counts_bytes_and_is_itself_allowed(value: str) -> None:
    size = len(json.dumps(value, ensure_ascii=False).encode())
    assert keep(value, limit=size) == value
    with pytest.raises(PayloadTooLarge, match="store it elsewhere"):
        keep(value, limit=size - 1)


@given(values)
def test_the_packed_text_is_what_is_kept(value: Any) -> None:
    assert json.loads(packed(value, limit=10**6, what="arguments")) == keep(value)


def test_values_packed_together_share_the_limit() -> None:
    assert packed_together(("aé", [1]), limit=8, what="arguments") == ['"aé"', "[1]"]
    with pytest.raises(PayloadTooLarge, match="8 bytes as JSON, and 7 are allowed"):
        packed_together(("aé", [1]), limit=7, what="arguments")


def test_each_refusal_is_an_invalid_payload_and_python_s_own_kind() -> None:
    for kind in (NotJSON, PayloadTooLarge):
        assert issubclass(kind, InvalidPayload)
        assert issubclass(kind, ValueError)
    assert issubclass(NotJSON, TypeError)

"""Numbers and quotes in sentences."""

import pytest

from analysis.methods.wording import fill, percent, plain, quote, quote_all, show


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (0.58139, "0.581"), (3.1977, "3.2"), (1234.5, "1,234"),
     (-0.00012345, "-0.000123"), (99.999, "100"), (1e300, "1e+300"), (12.0, "12")],
)  # fmt: skip
def test_a_number_is_shown_by_one_rule(value: float, text: str) -> None:
    assert show(value) == text


def test_a_noun_fits_its_number() -> None:
    assert fill("{n:row|rows}", {"n": 1}, {}) == "1 row"
    assert fill("{n:row|rows}", {"n": 2000}, {}) == "2,000 rows"


def test_a_slot_without_evidence_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill("{invented}", {}, {})


def test_a_quoted_name_cannot_leave_its_quotes() -> None:
    assert quote("a” 17 “b\n\x00c") == '“a" 17 "b c”'
    assert len(plain("x" * 500)) == 60
    assert quote_all(["a", "b", "c"]) == "“a”, “b” and “c”"


def test_words_with_braces_are_left_alone() -> None:
    assert fill("{name}", {}, {"name": "{0.__class__}"}) == "{0.__class__}"


def test_nothing_of_nothing_is_zero_percent() -> None:
    assert percent(0, 0) == 0

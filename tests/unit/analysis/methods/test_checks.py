"""Single checks on tables made for them, and on tables that must stay silent."""

import random

import pytest

from analysis.methods.personal_patterns import PATTERNS, mask
from tests.unit.analysis.methods.conftest import Analyse

RULES = {kind: rule for kind, _, rule in PATTERNS}


def kinds(report: object) -> set[str]:
    return {finding["kind"] for finding in report.findings}  # type: ignore[attr-defined]


def table(header: str, *rows: str) -> str:
    return header + "\n" + "\n".join(rows) + "\n"


def test_equal_columns_are_found(analyse: Analyse) -> None:
    report = analyse(table("a,b,c", *(f"v{i * 7 % 50},v{i * 7 % 50},{i}" for i in range(100))))
    found = next(f for f in report.findings if f["kind"] == "duplicate_columns")
    assert (found["columns"], found["evidence"]) == (["a", "b"], {"rows": 100})


def test_columns_with_the_same_values_in_another_order_are_not_equal(analyse: Analyse) -> None:
    assert "duplicate_columns" not in kinds(analyse(table("a,b", *(f"v{i % 50},v{(i + 1) % 50}" for i in range(100)))))


def test_a_label_that_settles_another_is_found(analyse: Analyse) -> None:
    report = analyse(table("city,country,n", *(f"c{i % 6},l{i % 6 // 2},{i * 3 % 7}" for i in range(90))))
    found = next(f for f in report.findings if f["kind"] == "functional_dependency")
    assert (found["columns"], found["evidence"]) == (["city", "country"], {"labels": 6, "rows": 90})


def test_rare_labels_and_lopsided_outcomes_are_found(analyse: Analyse) -> None:
    rows = [f"{'odd' if i == 5 else 'abc'[i % 3]},{'yes' if i % 25 == 0 else 'no'}" for i in range(300)]
    report = analyse(table("group,churn", *rows))
    assert kinds(report) >= {"rare_categories", "class_imbalance"}


def test_a_nearly_constant_column_is_found(analyse: Analyse) -> None:
    report = analyse(table("a,b", *(f"{'x' if i else 'y'},{i * i % 17}" for i in range(100))))
    found = next(f for f in report.findings if f["kind"] == "near_constant")
    assert found["evidence"] == {"count": 99, "present": 100, "share": 99}


def test_zero_sizes_are_impossible(analyse: Analyse) -> None:
    report = analyse(table("length_mm,n", *(f"{0 if i == 4 else i + 1.5},{i % 9}" for i in range(60))))
    assert any(f["kind"] == "impossible" and f["evidence"]["cells"] == 1 for f in report.findings)


def test_random_numbers_give_no_correlation(analyse: Analyse) -> None:
    dice = random.Random(7)
    rows = (",".join(f"{dice.gauss(0, 1):.4f}" for _ in range(10)) for _ in range(400))
    report = analyse(table(",".join(f"v{i}" for i in range(10)), *rows))
    assert "strong_correlation" not in kinds(report)
    assert not [f for f in report.findings if f["severity"] in ("high", "medium")]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("email", "ann.b+c@mail.example.org"), ("card", "4111 1111 1111 1111"), ("iban", "DE89 3704 0044 0532 0130 00"),
     ("ip", "192.168.0.1"), ("ip", "2001:db8::1"), ("ssn", "123-45-6789"), ("phone", "+49 30 1234567"),
     ("phone", "555-123-4567")],
)  # fmt: skip
def test_personal_data_is_recognised(kind: str, value: str) -> None:
    assert RULES[kind](value, frozenset())
    assert value not in mask(kind, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("email", "a@b"), ("email", "no at all"), ("card", "4111 1111 1111 1112"), ("iban", "DE89370400440532013001"),
     ("ip", "1.2.3.400"), ("ssn", "000-12-3456"), ("phone", "2024-01-01"), ("phone", "1234567"), ("phone", "12.5"),
     ("phone", "2019")],
)  # fmt: skip
def test_what_only_looks_similar_is_not_personal_data(kind: str, value: str) -> None:
    assert not RULES[kind](value, frozenset())


def test_examples_of_personal_data_are_masked(analyse: Analyse) -> None:
    report = analyse(table("mail,n", *(f"secret{i}@example.com,{i % 4}" for i in range(60))))
    sentences = " ".join(f["sentence"] for f in report.findings)
    assert "pii" in kinds(report)
    assert "secret" not in sentences

"""The planted faults are found, every number is right, and every number in a sentence is in its evidence."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import analysis
from analysis.methods import Context, Finding, Options, Report, analyze_file, method, unregister
from tests.unit.analysis.methods.independent import Table, recompute

DATA = Path(analysis.__file__).parent / "data"
ANSWERS = json.loads((DATA / "orders.answers.json").read_text(encoding="utf-8"))
FIRST = 15
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
QUOTED = re.compile(r"“[^”]*”")


@pytest.fixture(scope="module", params=["penguins.csv", "orders.csv"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    path = DATA / request.param
    workdir = tmp_path_factory.mktemp("work")
    report = analyze_file(path, name=path.name, workdir=workdir, options=Options(today=date(2026, 1, 1)))
    return path, report


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Report:
    options = Options(today=date(2026, 1, 1))
    return analyze_file(DATA / "orders.csv", name="orders.csv", workdir=tmp_path_factory.mktemp("w"), options=options)


def numbers_in(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in NUMBER.findall(QUOTED.sub("", text))]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: "-".join([answer["kind"], *answer["columns"]]))
def test_each_planted_fault_is_among_the_first_findings(orders: Report, answer: dict[str, Any]) -> None:
    found = [f for f in orders.findings[:FIRST] if (f["kind"], f["columns"]) == (answer["kind"], answer["columns"])]
    assert len(found) == 1
    assert found[0]["evidence"].items() >= answer["evidence"].items()


def test_nothing_beside_the_planted_faults_is_called_urgent(orders: Report) -> None:
    planted = {(answer["kind"], *answer["columns"]) for answer in ANSWERS}
    urgent = {(f["kind"], *f["columns"]) for f in orders.findings if f["severity"] in ("high", "medium")}
    of_planted = {("missing", "courier"), ("missing", "courier_days"), ("impossible", "customer_age")}
    assert urgent - planted == of_planted


def test_the_data_set_is_what_its_script_makes(tmp_path: Path) -> None:
    source = (DATA / "make_orders.py").read_text(encoding="utf-8")
    made = tmp_path / "make_orders.py"
    made.write_text(source, encoding="utf-8")
    exec(compile(source, str(made), "exec"), {"__file__": str(made), "__name__": "__main__"})  # noqa: S102 - our own script
    for name in ("orders.csv", "orders.answers.json"):
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()


def test_every_number_is_right_by_an_independent_count(case: tuple[Path, Report]) -> None:
    path, report = case
    table = Table(path)
    assert report.findings
    for found in report.findings:
        assert recompute(table, found["kind"], found["columns"]) == found["evidence"], found["sentence"]


def test_every_number_in_a_sentence_is_in_its_evidence(case: tuple[Path, Report]) -> None:
    for found in case[1].findings:
        for text in (found["title"], found["sentence"]):
            assert set(numbers_in(text)) <= {float(value) for value in found["evidence"].values()}, text


def test_every_number_of_the_summary_is_in_its_evidence(case: tuple[Path, Report]) -> None:
    summary = case[1].data["summary"]
    known = {float(value) for value in summary["evidence"].values()}
    for text in (summary["headline"], *summary["paragraphs"]):
        assert set(numbers_in(text)) <= known, text


def test_the_columns_are_measured_right(case: tuple[Path, Report]) -> None:
    path, report = case
    table = Table(path)
    for column in report.data["columns"]:
        assert column["missing"] == sum(table.gaps(column["name"])), column["name"]
        if column["type"] in ("integer", "number"):
            values = [value for value in table.numbers(column["name"]) if value is not None]
            assert (column["low"], column["high"]) == (min(values), max(values))
            assert column["mean"] == pytest.approx(sum(values) / len(values))
            assert column["distinct"] == len(set(values))
            assert sum(column["chart"]["counts"]) == len(values)


def test_each_sql_gives_the_number_it_stands_for(tmp_path: Path) -> None:
    main = {"missing": "missing", "co_missing": "both", "disguised_missing": "cells", "duplicate_rows": "copies",
            "impossible": "cells", "future_dates": "cells", "linear_multiple": "fitting",
            "numbers_as_text": "cells", "id_like": "distinct"}  # fmt: skip
    answers: list[tuple[float, float]] = []

    def ask_again(context: Context) -> list[Finding]:
        checked = [found for found in context.findings if found.sql and found.kind in main]
        answers.extend((context.query(found.sql or "")[0][0], found.evidence[main[found.kind]]) for found in checked)
        return []

    method("ask again", title="Ask again")(ask_again)
    try:
        analyze_file(DATA / "orders.csv", name="orders.csv", workdir=tmp_path, options=Options(today=date(2026, 1, 1)))
    finally:
        unregister("ask again")
    assert len(answers) > 8
    assert all(asked == said for asked, said in answers)


def test_nobody_says_why(case: tuple[Path, Report]) -> None:
    causal = re.compile(r"\b(because|causes?|caused|due to|leads? to|impact|drives?)\b", re.IGNORECASE)
    for found in case[1].findings:
        assert not causal.search(QUOTED.sub("", found["title"] + found["sentence"]))


def test_no_check_breaks_on_real_data(case: tuple[Path, Report]) -> None:
    assert case[1].data["notes"] == []

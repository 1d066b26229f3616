"""Charts: hostile labels stay text, missing numbers stay missing, every drawing is well-formed."""

import json
import math
import re
import xml.etree.ElementTree as ET
from decimal import Decimal

import pytest

from taskcenter import charts
from taskcenter.charts import (
    Bar,
    Box,
    BoxRow,
    Chart,
    ChartError,
    Heat,
    Histogram,
    Line,
    Series,
    Spark,
    StackedBar,
    chart_from_dict,
    render,
)
from taskcenter.charts.scale import MISSING, number, tick_words, ticks
from taskcenter.charts.svg import cut, width

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></svg><style>*{display:none}</style>",
    "]]><![CDATA[ &amp; &#x3c;b onload=1",
    "nul\x00 bell\x07 \ufffe \ud800 \u202egnp.exe",
    "z\u0335" * 5000,
    "長い" * 500,
    "",
    " \n\t ",
]


def every_kind(label: str, numbers: list[float | None]) -> list[Chart]:
    """One chart of each kind (and both shapes of a stack) with this label everywhere and these values."""
    said = {"title": label, "finding": label, "unit": label[:40]}
    count = len(numbers)
    labels = [label] * count
    series = [Series(label, numbers), Series("other", numbers[::-1])]
    fives = [BoxRow(label, *(numbers[(at + step) % count] for step in range(5))) for at in range(count)]
    return [
        Bar(**said, labels=labels, values=numbers),
        StackedBar(**said, labels=labels, series=series),
        StackedBar(**said, labels=labels * 20, series=[Series(label, numbers * 20)]),
        Line(**said, x=labels, series=series),
        Line(**said, x=list(range(count)), series=series),
        Histogram(**said, edges=list(range(count + 1)), counts=numbers),
        Box(**said, rows=fives),
        Heat(**said, rows=labels, columns=labels, values=[numbers] * count),
        Spark(**said, values=numbers),
    ]


NUMBERS: dict[str, list[float | None]] = {
    "plain": [1, 2.5, 3],
    "one": [7],
    "zero": [0, 0],
    "negative": [-1, -200, -3.5],
    "mixed": [-5, 0, 5, None],
    "gaps": [None, 1, None, 2, None],
    "all missing": [None, None],
    "nan and infinities": [math.nan, math.inf, -math.inf, 3],
    "huge": [1e308, -1e308, 1e289, 10**400],
    "tiny": [5e-324, 1e-300, 0],
    "close together": [1e16, 1e16 + 2, 1e16 + 4],
    "many": [math.sin(at) for at in range(500)],
}

CASES = [
    *[
        pytest.param(chart, id=f"{name}-{chart.kind}")
        for name, values in NUMBERS.items()
        for chart in every_kind("x", values)
    ],
    *[
        pytest.param(chart, id=f"hostile{at}-{chart.kind}")
        for at, label in enumerate(HOSTILE)
        for chart in every_kind(label, [1, -2, 3])
    ],
]  # fmt: skip


@pytest.mark.parametrize("chart", CASES)
def test_every_chart_is_well_formed_and_inert(chart: Chart) -> None:
    tree = ET.fromstring(render(chart, prefix="p1"))  # noqa: S314 our own markup is what is tried
    for element in tree.iter():
        assert element.tag not in {"script", "style", "img", "b", "a", "image", "use", "foreignObject"}
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert name not in {"style", "href", "src"}
            assert not re.search(r"\b(nan|inf)\b", value, re.IGNORECASE) or name.startswith("aria-")


@pytest.mark.parametrize("chart", CASES)
def test_marks_stay_inside_the_picture(chart: Chart) -> None:
    svg = ET.fromstring(render(chart)).find("svg")  # noqa: S314
    if svg is None:
        return
    wide, high = (float(part) for part in svg.attrib["viewBox"].split()[2:])
    for rect in svg.iter("rect"):
        x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert w >= 0
        assert h >= 0
        assert -1 <= x <= x + w <= wide + 1
        assert -1 <= y <= y + h <= high + 1


@pytest.mark.parametrize("chart", every_kind("North", [1, 2, 3]), ids=lambda chart: chart.kind)
def test_a_chart_can_be_read_without_seeing_it(chart: Chart) -> None:
    tree = ET.fromstring(render(chart))  # noqa: S314
    svg = tree.find("svg")
    assert tree.tag == "figure"
    assert svg is not None
    assert svg.attrib["role"] == "img"
    assert svg.findtext("title") == "North"
    assert svg.findtext("desc") == "North"
    assert tree.find("details/div/table/tbody/tr") is not None
    assert any(mark.find("title") is not None for mark in svg.iter() if mark is not svg)
    assert " id=" not in render(chart)


@pytest.mark.parametrize("chart", every_kind("North", [1, None, -3]), ids=lambda chart: chart.kind)
def test_a_chart_survives_json(chart: Chart) -> None:
    stored = json.loads(json.dumps(chart.to_dict(), allow_nan=False))
    again = chart_from_dict(stored)
    assert type(again) is type(chart)
    assert render(again) == render(chart)
    assert again.to_dict() == stored


def test_what_json_cannot_hold_becomes_null() -> None:
    chart = Bar(title="t", labels=["a", "b", "c"], values=[math.nan, math.inf, Decimal("1.5")])
    assert chart.to_dict()["values"] == [None, None, 1.5]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "A chart is an object"),
        ({}, "Unknown kind of chart None"),
        ({"kind": "pie"}, "Unknown kind of chart 'pie'"),
        ({"kind": ["bar"]}, "Unknown kind of chart"),
        ({"kind": "bar"}, "A bar chart needs title, labels, values"),
        ({"kind": "bar", "title": "t", "labels": ["a"], "values": ["1"]}, r"values\[0\] must be a number"),
        ({"kind": "bar", "title": "t", "labels": ["a"], "values": [True]}, r"values\[0\] must be a number"),
        ({"kind": "bar", "title": "t", "labels": "ab", "values": [1, 2]}, "labels must be a list"),
        ({"kind": "bar", "title": "t", "labels": ["a"], "values": [1, 2]}, "got 1 and 2"),
        ({"kind": "line", "title": "t", "x": [1], "series": [[1]]}, r"series\[0\] must be an object"),
        ({"kind": "line", "title": "t", "x": [1], "series": [{"name": "s", "values": []}]}, "got 1 and 0"),
        ({"kind": "histogram", "title": "t", "edges": [1, 2], "counts": [1, 2]}, "one edge more"),
        ({"kind": "histogram", "title": "t", "edges": [2, 1], "counts": [1]}, "numbers that rise"),
        ({"kind": "histogram", "title": "t", "edges": [1, None], "counts": [1]}, "numbers that rise"),
        ({"kind": "box", "title": "t", "rows": [{"label": "a", "low": 1}]}, "needs q1, median, q3, high"),
        ({"kind": "box", "title": "t", "rows": [3]}, "needs label, low"),
        ({"kind": "heat", "title": "t", "rows": ["a"], "columns": ["b"], "values": [[1, 2]]}, "got 1 and 2"),
        (
            {"kind": "heat", "title": "t", "rows": ["a"], "columns": ["b"], "values": [1]},
            r"values\[0\] must be a",
        ),
    ],
)
def test_what_is_no_chart_is_refused_with_a_sentence(data: object, says: str) -> None:
    with pytest.raises(ChartError, match=says):
        chart_from_dict(data)


@pytest.mark.parametrize(
    "chart",
    [
        Bar(title="t", labels=[], values=[]),
        StackedBar(title="t", labels=[], series=[]),
        StackedBar(title="t", labels=["a"], series=[]),
        Line(title="t", x=[], series=[]),
        Line(title="t", x=[1], series=[Series("a", [None])]),
        Histogram(title="t", edges=[], counts=[]),
        Histogram(title="t", edges=[1], counts=[]),
        Box(title="t", rows=[]),
        Heat(title="t", rows=[], columns=[], values=[]),
        Heat(title="t", rows=["a"], columns=[], values=[[]]),
        Spark(title="t", values=[]),
        Spark(title="t", values=[None, math.nan]),
    ],
    ids=lambda chart: chart.kind,
)
def test_an_empty_chart_says_why(chart: Chart) -> None:
    html = render(chart)
    assert "Nothing to draw: " in html
    assert "<svg" not in html


def test_a_line_without_a_single_place_on_its_axis_says_so() -> None:
    chart = Line(title="t", x=[math.nan, math.inf], series=[Series("a", [1, 2])])
    assert "Nothing to draw" in render(chart)


def test_long_labels_are_cut_and_told_in_full() -> None:
    long = "The county beyond the hills and the river"
    html = render(Bar(title="t", labels=[long], values=[1]), table=False)
    assert f"<title>{long}</title>" in html
    assert "…" in html


def test_big_charts_draw_the_first_part_and_say_so() -> None:
    chart = Bar(title="t", labels=[str(at) for at in range(5000)], values=[1.0] * 5000)
    html = render(chart)
    assert "Drawn: the first 40 of 5,000 bars." in html
    assert "and 4,800 more rows" in html
    assert len(html) < 40_000


def test_a_long_line_stays_small_and_keeps_its_extremes() -> None:
    values = [0.0] * 20_000
    values[12_345] = 50.0
    html = render(Line(title="t", x=list(range(20_000)), series=[Series("a", values)]), table=False)
    path = re.search(r' d="(M[^"]*L[^"]*)"', html)
    assert path is not None
    heights = [float(pair.split()[1]) for pair in re.split("[ML]", path[1]) if pair]
    assert min(heights) < max(heights) - 50
    assert len(html) < 8_000


def test_a_small_chart_is_small() -> None:
    chart = Bar(title="Rows", finding="North leads.", labels=["North", "South", "West"], values=[3, 2, 1])
    assert len(render(chart)) < 3_000


def test_prefixes_keep_ids_apart_and_harmless() -> None:
    chart = Spark(title="t", values=[1, 2])
    assert 'id="a-title"' in render(chart, prefix="a")
    assert 'id="b--onload-1-title"' in render(chart, prefix='b" onload=1')


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (1204, "", "1,204"), (0.0371, "", "0.0371"), (12.345, "s", "12.3 s"), (62, "%", "62%"), (0, "", "0"),
        (1_234_567, "", "1.23M"), (-4.5e9, "€", "-4.5B €"), (1e-7, "", "1e-07"), (None, "s", MISSING),
        (math.nan, "", MISSING), (999.9, "", "1,000"), (100, "rows", "100 rows"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(value: float | None, unit: str, said: str) -> None:
    assert number(value, unit) == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0, 97, ["0", "25", "50", "75", "100"]),
        (-1, 1, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        (0, 3_900_000, ["0", "1M", "2M", "3M", "4M"]),
        (5, 5, ["2", "4", "6", "8"]),
    ],
)
def test_ticks_are_round(low: float, high: float, said: list[str]) -> None:
    assert tick_words(ticks(low, high)) == said


def test_cut_text_fits() -> None:
    for text in HOSTILE:
        assert width(cut(text, 60)) <= 60


def test_the_public_names_exist() -> None:
    assert sorted(charts.__all__) == charts.__all__
    assert all(hasattr(charts, name) for name in charts.__all__)

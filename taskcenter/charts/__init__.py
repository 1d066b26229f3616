"""Small charts, drawn on the server as SVG, for reports, dashboards and sparks.

A chart is plain data: a frozen dataclass, kept as JSON in a report and drawn when somebody looks, so that
the page, the dark theme and the printed sheet share it. Nothing here needs JavaScript, a style block or a
style attribute, so the strictest content security policy has nothing to refuse. Every label is taken for
hostile: it may come from an uploaded file.

    data     what a chart is, and its JSON
    scale    nice ticks, numbers as people write them
    svg, axes   elements, escaping, cutting text to a width
    rows     bar, stacked rows, box, heat: marks beside a label
    plots    line, histogram, stacked columns, spark: marks above an axis
    table    the data table below each drawing
    figure   the figure around it all: caption, accessible name, or why there is nothing to see
"""

from .data import (
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
)
from .figure import render
from .table import table_of

__all__ = [
    "Bar",
    "Box",
    "BoxRow",
    "Chart",
    "ChartError",
    "Heat",
    "Histogram",
    "Line",
    "Series",
    "Spark",
    "StackedBar",
    "chart_from_dict",
    "render",
    "table_of",
]

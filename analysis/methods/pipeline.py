"""The whole way from a file to a report: stages in order, one progress bar, everything cleaned up."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

from .context import Context
from .database import connect
from .interrupts import interruptible
from .limits import Limits, Options
from .load import load
from .measuring import profile
from .narrate import narrate
from .progress import OnProgress, Reporter, ignore_progress, never, never_stop
from .quality import quality
from .registry import Method, Stage, registered
from .render import render
from .report import Report
from .soft import run_softly
from .tables import Source
from .validate import validate

BEFORE = (
    Stage("validate", "Checking the file", 2, validate),
    Stage("load", "Reading the rows", 18, load),
    Stage("profile", "Measuring the columns", 15, profile),
    Stage("quality", "Looking for problems", 10, quality),
)
AFTER = (
    Stage("narrate", "Writing it down", 2, narrate),
    Stage("render", "Laying out the report", 2, render),
)


def stages() -> tuple[Stage, ...]:
    """All stages of the next analysis, added methods between quality and narrate."""
    return (*BEFORE, *(_as_stage(added) for added in registered()), *AFTER)


def analyze_file(
    path: Path,
    *,
    name: str,
    workdir: Path,
    limits: Limits | None = None,
    options: Options | None = None,
    on_progress: OnProgress = ignore_progress,
    check_cancelled: Callable[[], None] = never_stop,
    cancelled: Callable[[], bool] = never,
) -> Report:
    """Analyses the file at `path`, which its owner calls `name`, and returns the report.

    `on_progress(stage, fraction, message)`: `fraction` (0..1) is of the whole and never goes back.
    `check_cancelled()` is called often on this thread and raises what the caller wants; it passes
    through. `cancelled()` is asked on another thread and only interrupts a running query.
    Temporary files live in a folder inside `workdir` and are gone afterwards, whatever happens.
    Raises InputError when the file cannot be analysed.
    """
    reporter = Reporter(on_progress, check_cancelled)
    limits = limits or Limits()
    scratch = Path(tempfile.mkdtemp(prefix="analysis-", dir=workdir)).resolve()
    try:
        con = connect(scratch, limits)
        try:
            with interruptible(con, cancelled):
                source = Source(path=path, name=name)
                return _run(Context(con, scratch, source, reporter, limits, options or Options()))
        finally:
            con.close()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(context: Context) -> Report:
    planned = stages()
    total, done = sum(stage.weight for stage in planned), 0.0
    seconds: dict[str, float] = {}
    for stage in planned:
        context.check_cancelled()
        context.reporter.begin(stage.name, done / total, stage.weight / total)
        began = perf_counter()
        context = stage.function(context)
        seconds[stage.name] = round(perf_counter() - began, 3)
        done += stage.weight
    context.check_cancelled()
    context.progress(1.0, "Done")
    steps = [{"name": stage.name, "title": stage.title} for stage in planned]
    return Report({**context.report, "stages": steps, "run": {"seconds": seconds}})


def _as_stage(added: Method) -> Stage:
    return Stage(added.name, added.title, added.weight, partial(_run_method, added))


def _run_method(added: Method, context: Context) -> Context:
    if added.applies is not None and not added.applies(context):
        return replace(context, skipped=(*context.skipped, f"{added.title}: does not apply to this file."))
    found, note = run_softly(context, added.name, added.function)
    notes = context.notes if note is None else (*context.notes, note)
    return replace(context, findings=(*context.findings, *found), notes=notes)

"""Stage 4: what should be put right first. Each check is a function from the context to findings."""

from collections.abc import Callable
from dataclasses import replace

from analysis.methods.context import Context
from analysis.methods.findings import Finding
from analysis.methods.soft import run_softly

from .constants import constant_columns, identifiers
from .duplicates import duplicate_columns, duplicate_rows
from .impossible import future_dates, impossible_values
from .labels import class_imbalance, rare_categories, variants
from .loading import loading_notes
from .missing import co_missing, disguised_missing, missing
from .outliers import outliers
from .privacy import personal_data
from .relations import functional_dependencies, linear_multiples
from .shape import small_table
from .texts import mixed_types, numbers_as_text

CHECKS: tuple[Callable[[Context], list[Finding]], ...] = (
    loading_notes,
    small_table,
    missing,
    co_missing,
    disguised_missing,
    duplicate_rows,
    constant_columns,
    identifiers,
    mixed_types,
    numbers_as_text,
    variants,
    rare_categories,
    class_imbalance,
    impossible_values,
    future_dates,
    duplicate_columns,
    linear_multiples,
    functional_dependencies,
    outliers,
    personal_data,
)


def quality(context: Context) -> Context:
    """Adds the findings of all checks; a check that breaks leaves a note instead."""
    findings, notes = list(context.findings), list(context.notes)
    for position, check in enumerate(CHECKS):
        context.progress(position / len(CHECKS), check.__name__.replace("_", " ").capitalize())
        found, note = run_softly(context, check.__name__, check)
        findings += found
        notes += [note] if note else []
    return replace(context, findings=tuple(findings), notes=tuple(notes))

"""Analysis of one table: a file in, findings out. Knows neither Django nor the task machinery.

validate -> load -> profile -> quality -> (added methods) -> narrate -> render
"""

from . import correlation as _correlation  # registers itself
from .context import Context
from .exceptions import InputError
from .findings import Finding, describe
from .limits import Limits, Options
from .pipeline import analyze_file, stages
from .registry import Method, Stage, method, registered, unregister
from .report import SCHEMA, Report

__all__ = [
    "SCHEMA",
    "Context",
    "Finding",
    "InputError",
    "Limits",
    "Method",
    "Options",
    "Report",
    "Stage",
    "analyze_file",
    "describe",
    "method",
    "registered",
    "stages",
    "unregister",
]

del _correlation

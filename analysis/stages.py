"""The stages of an analysis in words for people."""

from __future__ import annotations

from . import methods


def stage_titles() -> dict[str, str]:
    """Name in the pipeline to words for people, in order; added methods included."""
    return {stage.name: stage.title for stage in methods.stages()}

"""What the upload form takes and refuses, before anything is stored."""

from __future__ import annotations

import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from analysis.forms import OnceForm, UploadForm
from analysis.models import Dataset, stored_path


def sent(name: str, content: bytes = b"a,b\n1,2\n", **options: bool) -> UploadForm:
    return UploadForm({"token": str(uuid.uuid4())}, {"file": SimpleUploadedFile(name, content)}, **options)


@pytest.mark.parametrize("name", ["a.csv", "A.CSV", "b.tsv", "c.jsonl", "d.ndjson", "e.parquet", "a.b.txt"])
def test_known_endings_are_taken_whatever_their_case(name: str) -> None:
    assert sent(name).is_valid()


@pytest.mark.parametrize("name", ["a.xlsx", "a.pdf", "a", "a.csv.exe", "csv"])
def test_other_endings_are_refused_with_what_is_read_instead(name: str) -> None:
    (error,) = sent(name).errors["file"]
    assert "CSV, TSV, JSON lines or Parquet" in error


def test_an_empty_file_is_refused_in_words() -> None:
    assert sent("a.csv", b"").errors["file"] == ["This file is empty: it has 0 bytes."]


def test_no_file_asks_for_one() -> None:
    form = UploadForm({"token": str(uuid.uuid4())}, {})
    assert form.errors["file"] == ["Choose a file first."]


def test_a_file_over_the_limit_is_refused_with_the_limit(settings) -> None:
    settings.ANALYSIS_MAX_UPLOAD_BYTES = 1024
    assert sent("a.csv", b"x" * 1024).is_valid()
    (error,) = sent("a.csv", b"x" * 1025).errors["file"]
    assert "too large" in error
    assert "1.0" in error


def test_a_file_thrown_away_on_arrival_is_called_too_large_not_missing() -> None:
    form = UploadForm({"token": str(uuid.uuid4())}, {}, too_large=True)
    (error,) = form.errors["file"]
    assert "too large" in error


def test_a_form_without_its_token_counts_for_nothing() -> None:
    assert not OnceForm({}).is_valid()
    assert not OnceForm({"token": "1"}).is_valid()
    assert OnceForm({"token": str(uuid.uuid4())}).is_valid()


def test_every_form_shown_has_a_token_of_its_own() -> None:
    assert OnceForm()["token"].value() != OnceForm()["token"].value()


@pytest.mark.parametrize("name", ["../../etc/passwd.csv", "=cmd().csv", "<b>.csv", "x.csv\0.html"])
def test_nothing_of_the_name_reaches_the_disk(name: str) -> None:
    dataset = Dataset()
    stem, _, ending = stored_path(dataset, name).partition(".")
    assert stem == f"datasets/{dataset.id}"
    assert ending in {"csv", ""}

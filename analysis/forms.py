"""What people send: a file to analyse, or the wish to analyse one that is there already."""

from __future__ import annotations

import uuid
from pathlib import PurePath
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.template.defaultfilters import filesizeformat

from .models import KNOWN_ENDINGS

ACCEPT = ",".join(KNOWN_ENDINGS)


def size_limit() -> int:
    """Bytes that an uploaded file may have."""
    return int(settings.ANALYSIS_MAX_UPLOAD_BYTES)


class QuotaHandler(FileUploadHandler):
    """Throws a file away while it still arrives, as soon as it is larger than allowed."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        if start + len(raw_data) > size_limit():
            if self.request is not None:
                self.request.META["analysis.upload_too_large"] = True
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the handlers that follow."""


class OnceForm(forms.Form):
    """A form that counts once, however often its button is pressed."""

    token = forms.UUIDField(widget=forms.HiddenInput, error_messages={"required": "Reload this page and try again."})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["token"].initial = uuid.uuid4


class UploadForm(OnceForm):
    """A data set to analyse. `too_large` says that the file was thrown away on arrival."""

    use_required_attribute = False

    file = forms.FileField(
        label="Data file",
        max_length=1000,
        error_messages={
            "required": "Choose a file first.",
            "empty": "This file is empty: it has 0 bytes.",
            "max_length": "The name of this file is longer than a file name may be.",
        },
        widget=forms.FileInput(attrs={"accept": ACCEPT, "aria-describedby": "upload-limits"}),
    )

    def __init__(self, *args: Any, too_large: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if too_large:
            self.fields["file"].error_messages["required"] = too_large_sentence()

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        ending = PurePath(file.name or "").suffix.lower()
        if ending not in KNOWN_ENDINGS:
            told = f"“{ending}” files" if ending else "files without an ending"
            raise forms.ValidationError(
                f"We cannot read {told}. Save your data as CSV, TSV, JSON lines or Parquet.", code="type"
            )
        if (file.size or 0) > size_limit():
            raise forms.ValidationError(too_large_sentence(file.size), code="size")
        return file


def too_large_sentence(size: int | None = None) -> str:
    told = f" ({filesizeformat(size)})" if size else ""
    return f"This file is too large{told}: at most {filesizeformat(size_limit())} can be uploaded."

"""Stage 1: is this a table at all? Looks at the bytes only; nothing is parsed yet."""

from dataclasses import replace
from pathlib import Path

from .context import Context
from .decoding import SAMPLE, detect
from .exceptions import DamagedFile, EmptyFile, TooLarge, UnsupportedFile
from .scanning import Scan, scan
from .signatures import HEAD_BYTES, describe_kind, is_parquet
from .wording import show

SUPPORTED = "CSV, TSV, JSON lines or Parquet"


def validate(context: Context) -> Context:
    """Fills in the source: size, hash, format and encoding. Raises InputError when it is no table."""
    size = context.source.path.stat().st_size
    _check_size(context, size)
    head = _head(context.source.path)
    _refuse_other_kinds(head, context.source.name)
    seen = scan(context)
    _refuse_blank(seen)
    source = replace(context.source, size=size, sha256=seen.sha256, lines=seen.lines)
    if is_parquet(head):
        _check_footer(context.source.path)
        return replace(context, source=replace(source, format="parquet"))
    encoding, guessed = detect(head, seen)
    return replace(context, source=replace(
        source,
        format=_text_format(head, encoding),
        encoding=encoding,
        encoding_guessed=guessed,
        nul_bytes=0 if encoding.startswith("utf-16") or encoding == "utf-32" else seen.nul_bytes,
        needs_transcoding=encoding != "utf-8" or seen.mixed_line_ends or seen.nul_bytes > 0,
    ))  # fmt: skip


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SAMPLE)


def _check_size(context: Context, size: int) -> None:
    if size == 0:
        raise EmptyFile("The file is empty.", hint="Check that the export finished, then send it again.")
    if size > context.limits.max_bytes:
        raise TooLarge(
            f"The file has {show(size)} bytes; at most {show(context.limits.max_bytes)} are read.",
            hint="Send fewer rows or columns, or save it as Parquet.",
        )


def _refuse_other_kinds(head: bytes, name: str) -> None:
    kind = describe_kind(head[:HEAD_BYTES])
    if kind:
        raise UnsupportedFile(
            f"This looks like {kind}, not a table.",
            where=f"The content decides, not the name “{name}”.",
            hint=f"Save the data as {SUPPORTED} and send that.",
        )


def _refuse_blank(seen: Scan) -> None:
    if seen.blank:
        raise EmptyFile("The file holds only white space.", hint="Check that the export finished.")


def _check_footer(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(-min(4, path.stat().st_size), 2)
        whole = file.read(4) == b"PAR1"
    if not whole:
        raise DamagedFile(
            "This Parquet file is cut off: its closing mark is missing.",
            where="At the end of the file.",
            hint="Send it again; the upload or the export may have stopped early.",
        )


def _text_format(head: bytes, encoding: str) -> str:
    start = head.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")
    if start.startswith("{") and ":" in start:
        return "jsonl"
    return "json" if start.startswith("[") and start[1:].lstrip()[:1] in ("{", "]") else "csv"

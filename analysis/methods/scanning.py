"""One pass over the bytes: size, hash, line ends, NUL bytes, and whether it is UTF-8."""

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .context import Context

CHUNK = 1 << 20


@dataclass(slots=True)
class Scan:
    """What one pass over a file saw; `bad_line` is the first line that is not UTF-8."""

    size: int = 0
    sha256: str = ""
    line_feeds: int = 0
    returns: int = 0
    pairs: int = 0
    nul_bytes: int = 0
    blank: bool = True
    utf8: bool = True
    bad_line: int = 0

    @property
    def lines(self) -> int:
        """How many lines, by the line end that is used."""
        return self.line_feeds + self.returns - self.pairs

    @property
    def mixed_line_ends(self) -> bool:
        """Whether carriage returns stand alone or line feeds stand alone among pairs."""
        return self.returns > self.pairs or 0 < self.pairs < self.line_feeds


def chunks(path: Path) -> Iterator[bytes]:
    """The file in pieces."""
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def scan(context: Context) -> Scan:
    """Reads the whole file once. Memory stays at one piece."""
    result, digest = Scan(), hashlib.sha256()
    decoder, last = codecs.getincrementaldecoder("utf-8")(), b""
    total = max(context.source.path.stat().st_size, 1)
    for piece in chunks(context.source.path):
        context.check_cancelled()
        digest.update(piece)
        _count(result, piece, last)
        _try_utf8(result, decoder, piece)
        last = piece[-1:]
        context.progress(result.size / total, "Reading the file")
    result.sha256 = digest.hexdigest()
    _finish_utf8(result, decoder)
    return result


def _count(result: Scan, piece: bytes, last: bytes) -> None:
    result.size += len(piece)
    result.line_feeds += piece.count(b"\n")
    result.returns += piece.count(b"\r")
    result.pairs += piece.count(b"\r\n") + (last == b"\r" and piece[:1] == b"\n")
    result.nul_bytes += piece.count(b"\x00")
    result.blank = result.blank and not piece.strip(b" \t\r\n\x0b\x0c\x00\xef\xbb\xbf\xff\xfe")


def _try_utf8(result: Scan, decoder: codecs.IncrementalDecoder, piece: bytes) -> None:
    if not result.utf8:
        return
    try:
        decoder.decode(piece)
    except UnicodeDecodeError as error:
        result.utf8 = False
        result.bad_line = result.line_feeds - piece[max(error.start, 0) :].count(b"\n") + 1


def _finish_utf8(result: Scan, decoder: codecs.IncrementalDecoder) -> None:
    try:
        if result.utf8:
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        result.utf8, result.bad_line = False, result.lines + 1

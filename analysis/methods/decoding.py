"""Finds out how text is encoded, and writes it as plain UTF-8 for the database, which reads nothing else."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from charset_normalizer import from_bytes

from .context import Context
from .exceptions import UndecodableFile
from .scanning import Scan, chunks
from .signatures import looks_like_utf16

SAMPLE = 256 * 1024
# Likely encodings only: among all that exist, short texts fit dozens by chance.
CANDIDATES = ["cp1252", "cp1250", "cp1251", "cp1253", "shift_jis", "gb18030", "big5", "euc_kr"]
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\xff\xfe", "utf-16"),
          (b"\xfe\xff", "utf-16"))  # fmt: skip


def detect(head: bytes, scan: Scan) -> tuple[str, bool]:
    """The encoding, and whether it is a guess: byte order mark, UTF-8, UTF-16 by its NULs, else guess."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, False
    if scan.nul_bytes and (encoding := looks_like_utf16(head) or ""):
        return encoding, True
    return ("utf-8", False) if scan.utf8 else (_guess(head), True)


def _guess(head: bytes) -> str:
    matches = from_bytes(head[:SAMPLE], cp_isolation=CANDIDATES)
    best = matches.best()
    if best is None or best.percent_coherence == 0 or "cp1252" in best.could_be_from_charset:
        return "cp1252"
    return best.encoding


def transcode(context: Context, target: Path) -> None:
    """Writes the file as UTF-8 with plain line ends and without NUL bytes.

    Raises UndecodableFile when the bytes do not fit the encoding; bytes that cp1252 leaves open
    become the replacement character.
    """
    source = context.source
    errors = "replace" if source.encoding == "cp1252" else "strict"
    decoder = codecs.getincrementaldecoder(source.encoding)(errors)
    with target.open("w", encoding="utf-8", newline="") as out:
        for text in _decoded(context, decoder):
            out.write(text.replace("\x00", ""))


def _decoded(context: Context, decoder: codecs.IncrementalDecoder) -> Iterator[str]:
    done, held = 0, ""
    try:
        for piece in chunks(context.source.path):
            context.check_cancelled()
            done += len(piece)
            text = held + decoder.decode(piece)
            held = "\r" if text.endswith("\r") else ""  # its line feed may open the next piece
            yield _plain_ends(text[: len(text) - len(held)])
            context.progress(0.2 * done / max(context.source.size, 1), "Converting the text")
        yield _plain_ends(held + decoder.decode(b"", final=True))
    except UnicodeDecodeError as error:
        raise UndecodableFile(
            f"The text does not fit its encoding ({context.source.encoding}).",
            where=f"The first bad place is near byte {done}.",
            hint="Save the file as UTF-8 and send it again.",
        ) from error


def _plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")

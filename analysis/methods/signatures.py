"""What a file is, told by its first bytes and never by its name."""

import re

HEAD_BYTES = 8_192
MOST_CONTROL_CHARACTERS = 0.05

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (such as .xls)"),
    (b"ARROW1", "an Arrow or Feather file"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"RIFF", "a sound or video file"),
    (b"{\\rtf", "a rich text document"),
)
_MARKUP = re.compile(rb"\s*<(\?xml|!doctype|html|svg)", re.IGNORECASE)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def describe_kind(head: bytes) -> str | None:
    """What the file looks like when it is not a table that can be read, else None."""
    if is_parquet(head):
        return None
    if head.startswith(b"PK\x03\x04"):
        return "an Excel workbook" if b"xl/" in head else "a zip archive"
    for magic, kind in _MAGIC:
        if head.startswith(magic) and (b"\x00" in head or len(magic) > len(b"RIFF") or _is_binary(head)):
            return kind
    if _MARKUP.match(head):
        return "a web page or an XML document"
    return "a file that is not text" if _is_binary(head) else None


def is_parquet(head: bytes) -> bool:
    """Whether the file starts as Parquet does."""
    return head.startswith(b"PAR1")


def looks_like_utf16(head: bytes) -> str | None:
    """The UTF-16 flavour of text without a byte order mark: every second byte is then NUL."""
    half = max(len(head) // 2, 1)
    if head[1::2].count(0) > half * 0.4:
        return "utf-16-le"
    return "utf-16-be" if head[0::2].count(0) > half * 0.4 else None


def _is_binary(head: bytes) -> bool:
    if not head or head.startswith(_MARKS) or looks_like_utf16(head):
        return False
    odd = sum(byte < 32 and byte not in b"\x00\t\n\r\x0b\x0c\x1b\x1c\x1d\x1e\x1f" for byte in head)
    return odd > len(head) * MOST_CONTROL_CHARACTERS or head.count(0) > len(head) * 0.3

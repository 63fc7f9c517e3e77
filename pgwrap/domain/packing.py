"""How an archived WAL file is packed, told by its first bytes: its name does not say. It reads no file.

Sources: the magic numbers of each format, and PostgreSQL's XLOG_PAGE_MAGIC (src/include/access/xlog_internal.h).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

HEAD: Final = 16
"""Bytes that tell it."""
_MAGIC: Final = {
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
_PAGE: Final = 0xD1
"""The high byte of every WAL page magic since PostgreSQL 12, on a machine that puts the low one first."""
_TEXTS: Final = (".history", ".backup")


class Packing(StrEnum):
    """The formats that can be told; `other` is left to whoever packed it (encrypted, snappy, a program's own)."""

    NONE = "none"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"
    LZ4 = "lz4"
    OTHER = "other"


def packing_of(head: bytes, name: str) -> Packing:
    """The packing of the file `name` that begins with `head`; what is neither known nor plain is `other`."""
    known = next((format_ for magic, format_ in _MAGIC.items() if head.startswith(magic)), None)
    if known is not None:
        return Packing(known)
    plain = _is_text(head) if name.endswith(_TEXTS) else head[1:2] == bytes((_PAGE,))
    return Packing.NONE if plain else Packing.OTHER


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\n\r" or 0x20 <= byte < 0x7F for byte in head)

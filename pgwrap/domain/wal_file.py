"""The files of a WAL archive besides complete segments, by their names: partial ones, histories, backup labels."""

from __future__ import annotations

import re
from typing import Final

from pgwrap.domain.wal import is_segment_name
from pgwrap.records import dataclass

_ANY: Final = re.compile(r"[0-9A-F]{24}(?:\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalFile:
    """A file of an archive on disk; `bytes` as it lies there, packed or not."""

    name: str
    path: str
    bytes: int

    @property
    def is_segment(self) -> bool:
        """Whether it is a complete segment."""
        return is_segment_name(self.name)


def is_wal_name(text: str) -> bool:
    """Whether `text` is the name of a file that PostgreSQL archives (src/include/access/xlog_internal.h)."""
    return _ANY.fullmatch(text) is not None

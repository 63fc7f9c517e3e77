"""Remembers which files pgwrap wrote, so that an edit by hand is noticed. It keeps digests, never a file's text.

A file that holds secrets is remembered by a slow, salted digest: the rest of it is known, so a fast one would let a
short passphrase be guessed.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import secrets
from collections.abc import Mapping
from dataclasses import field
from typing import Final, Literal, TypeAlias

from pgwrap.domain.plan import WriteFile
from pgwrap.ops.drift import is_ours
from pgwrap.records import dataclass
from pgwrap.system.port import Files

Authorship: TypeAlias = Literal["ours", "edited", "foreign"]
_KEPT: Final = 2
"""Digests of a path: what is being written, and what stood there before, in case of a kill between the two."""
_FAST, _SLOW = "sha256", "scrypt"


@dataclass(slots=True, kw_only=True)
class Records:
    """The digests of what was written, in the state directory."""

    files: Files
    path: str
    digests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    engines: dict[str, str] = field(default_factory=dict)
    """The engine that each cluster was last configured for."""

    def authorship(self, path: str, content: bytes) -> Authorship:
        """Who made a file as it is now; without a record its header decides."""
        known = self.digests.get(path)
        if known is not None:
            return "ours" if any(_matches(digest, content) for digest in known) else "edited"
        return "ours" if is_ours(content.decode(errors="replace")) else "foreign"

    def intend(self, file: WriteFile) -> None:
        """Remember what is about to be written, beside what was; on disk before the file changes."""
        fresh = _digest(file.text.encode(), _SLOW if file.secrets else _FAST)
        before = tuple(one for one in self.digests.get(file.path, ()) if not _matches(one, file.text.encode()))
        self.digests[file.path] = (fresh, *before)[:_KEPT]
        self._save()

    def forget(self, path: str) -> None:
        """A file is pgwrap's no more."""
        if self.digests.pop(path, None) is not None:
            self._save()

    def note_engines(self, engines: Mapping[str, str]) -> None:
        """Remember which engine each of some clusters is configured for."""
        if any(self.engines.get(name) != engine for name, engine in engines.items()):
            self.engines |= engines
            self._save()

    def _save(self) -> None:
        files = {path: list(known) for path, known in self.digests.items()}
        text = json.dumps({"version": 1, "files": files, "engines": self.engines}, indent=1)
        self.files.write(WriteFile(path=self.path, text=f"{text}\n", mode=0o600))


def read_records(files: Files, state: str) -> Records:
    """What is remembered; a record that cannot be read is none, and headers decide."""
    path = posixpath.join(state, "apply", "written.json")
    text = files.read(path)
    if text is None:
        return Records(files=files, path=path)
    return Records(files=files, path=path, digests=_parsed(text), engines=_engines(text))


def _parsed(text: str) -> dict[str, tuple[str, ...]]:
    try:
        found = json.loads(text)["files"]
        return {str(path): tuple(str(digest) for digest in known) for path, known in _items(found)}
    except (ValueError, KeyError, TypeError):
        return {}


def _engines(text: str) -> dict[str, str]:
    try:
        return {str(name): str(engine) for name, engine in json.loads(text).get("engines", {}).items()}
    except (ValueError, AttributeError):
        return {}


def _items(found: object) -> list[tuple[object, list[object]]]:
    if not isinstance(found, Mapping):
        raise TypeError("not an object")
    return list(found.items())


def _digest(content: bytes, kind: str, salt: str = "") -> str:
    if kind == _FAST:
        return f"{_FAST}:{hashlib.sha256(content).hexdigest()}"
    salt = salt or secrets.token_hex(16)
    slow = hashlib.scrypt(content, salt=bytes.fromhex(salt), n=1 << 14, r=8, p=1, maxmem=64 << 20)
    return f"{_SLOW}:{salt}:{slow.hex()}"


def _matches(digest: str, content: bytes) -> bool:
    kind, _, rest = digest.partition(":")
    salt = rest.partition(":")[0] if kind == _SLOW else ""
    try:
        return secrets.compare_digest(digest, _digest(content, kind, salt))
    except ValueError:  # a record of another kind: it vouches for nothing
        return False

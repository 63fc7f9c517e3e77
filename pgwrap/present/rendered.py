"""Rendered native files and the settings PostgreSQL needs, shown without their secrets. It writes no file."""

from __future__ import annotations

from collections.abc import Sequence

from pgwrap.domain.plan import ClusterSettings, WriteFile
from pgwrap.present.encode import Json, encode
from pgwrap.present.harmless import harmless

MASK = "********"


def rendered_text(files: Sequence[WriteFile]) -> str:
    """Each file under a `# ==> path` line; secrets are masked."""
    return "\n".join(f"# ==> {harmless(file.path)} ({_attributes(file)})\n{_ended(masked(file))}" for file in files)


def rendered_data(files: Sequence[WriteFile], needs: Sequence[ClusterSettings]) -> Json:
    """The `result` of `pgwrap render -o json`: files with masked text, and what each server needs."""
    return {
        "files": [
            {
                "path": file.path,
                "mode": f"{file.mode:04o}",
                "owner": file.owner,
                "group": file.group,
                "text": masked(file),
            }
            for file in files
        ],
        "postgres": encode(tuple(needs)),
    }


def masked(file: WriteFile) -> str:
    """The file's text with each of its secrets replaced, the longest first as one may hold another."""
    text = file.text
    for secret in sorted(filter(None, file.secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _attributes(file: WriteFile) -> str:
    owner = ":".join(name for name in (file.owner, file.group) if name)
    return f"mode {file.mode:04o}, owner {owner}" if owner else f"mode {file.mode:04o}"


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"

"""Rendered native files and the settings PostgreSQL needs, shown without their secrets. It writes no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgwrap.domain.plan import PostgresSetting, Slot, WriteFile
from pgwrap.present.encode import Json, encode
from pgwrap.present.harmless import harmless

MASK = "********"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerNeeds:
    """What the PostgreSQL of one cluster needs."""

    cluster: str
    settings: tuple[PostgresSetting, ...]
    slots: tuple[Slot, ...] = ()


def rendered_text(files: Sequence[WriteFile], needs: Sequence[ServerNeeds] = ()) -> str:
    """Each file under a `# ==> path` line, then each cluster's settings as comments; secrets are masked."""
    blocks = [f"# ==> {harmless(file.path)} ({_attributes(file)})\n{_ended(masked(file))}" for file in files]
    blocks += [_needs(need) for need in needs if need.settings or need.slots]
    return "\n".join(blocks)


def rendered_data(files: Sequence[WriteFile], needs: Sequence[ServerNeeds] = ()) -> Json:
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


def _needs(need: ServerNeeds) -> str:
    lines = [*map(_setting, need.settings), *(f"slot {slot.name}, created by {slot.created_by}" for slot in need.slots)]
    told = "".join(f"#   {harmless(line)}\n" for line in lines)
    return f"# ==> PostgreSQL of {harmless(need.cluster)}\n{told}"


def _setting(setting: PostgresSetting) -> str:
    bound = " or more" if setting.minimum else ""
    restart = "; takes a restart" if setting.restart else ""
    return f"{setting.name} = {_quoted(setting.value)}{bound} ({setting.reason}{restart})"


def _quoted(value: str) -> str:
    """As postgresql.conf takes it: quotes doubled, and backslashes, which begin an escape there."""
    doubled = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"

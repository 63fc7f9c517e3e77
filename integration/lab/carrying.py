"""Carries Barman backups into a pgBackRest stanza by hand, as somebody without `pgwrap migrate` would."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from integration.lab.estate import Estate
from integration.lab.process import Ran
from pgwrap.domain.facts import Backup, Tablespace
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.engines.pgbackrest.carried import annotations_for


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """From a Barman server of an estate to a stanza beside that of its pgBackRest cluster."""

    made: Estate
    server: str
    stanza: str
    tablespaces: tuple[Tablespace, ...]

    def carry(self, original: dict[str, Any], *, kind: str = "full") -> None:
        """Restore to where it is consistent, stop there, and store that offline."""
        scratch = self.made.room.path / f"scratch-{original['id']}"
        moved = self.made.room.path / f"scratch-{original['id']}-tablespaces"
        self._recover(original, scratch, moved)
        self._settle(scratch)
        self._store(original, scratch, kind)
        self.push_wal(scratch)
        shutil.rmtree(scratch)
        shutil.rmtree(moved, ignore_errors=True)

    def push_wal(self, scratch: Path) -> None:
        """Archive every WAL file that Barman has and the stanza has not."""
        present = self.pgbackrest("--output=json", "--recurse", "repo-ls", f"archive/{self.stanza}").stdout
        for path in sorted((self.made.barman.home / self.server / "wals").glob("*/*")):
            if path.name not in present and path.parent.name != "xlog.db":
                self.pgbackrest(f"--pg1-path={scratch}", "archive-push", str(path))

    def pgbackrest(self, *arguments: str, check: bool = True) -> Ran:
        """Run pgBackRest on the stanza."""
        return self.made.pgbackrest.run(f"--stanza={self.stanza}", *arguments, check=check)

    def _recover(self, original: dict[str, Any], scratch: Path, moved: Path) -> None:
        maps = [f"{one.name}:{moved / one.name}" for one in self.tablespaces]
        words = [word for one in maps for word in ("--tablespace", one)]
        target = ("--target-immediate", "--target-action", "shutdown")
        self.made.barman.run("recover", *words, *target, self.server, original["id"], str(scratch))

    def _settle(self, scratch: Path) -> None:
        """Let it come to its consistency point, and make it the original's files again."""
        room, binaries = self.made.room, self.made.room.machine.postgres_bin
        words = ("archive_mode=off", "listen_addresses=", f"unix_socket_directories={scratch}")
        alone = " ".join(f"-c {word}" for word in (*words, "recovery_target_timeline=current"))
        start = (str(binaries / "pg_ctl"), "-D", str(scratch), "-o", alone, "-l", f"{scratch}.log", "start")
        room.run(*start, check=False)
        limit = time.monotonic() + 60
        while (scratch / "postmaster.pid").exists() and time.monotonic() < limit:
            time.sleep(0.05)
        state = room.run(str(binaries / "pg_controldata"), str(scratch)).stdout
        assert "shut down in recovery" in state, Path(f"{scratch}.log").read_text()
        for path in _left_by_barman(scratch):
            path.unlink()
        for path in scratch.glob("*.origin"):
            path.replace(path.with_suffix(""))
        shutil.rmtree(scratch / "barman_wal", ignore_errors=True)

    def _store(self, original: dict[str, Any], scratch: Path, kind: str) -> None:
        offline = (f"--pg1-path={scratch}", "--no-online")
        if not (self.made.pgbackrest.repository / "backup" / self.stanza).exists():
            self.pgbackrest(*offline, "stanza-create")
        said = annotations_for(backup_of(original, self.server), self.tablespaces)
        noted = [f"--annotation={key}={value}" for key, value in said]
        self.pgbackrest(*offline, f"--type={kind}", "--delta", "--no-expire-auto", *noted, "backup")


def _left_by_barman(scratch: Path) -> Iterator[Path]:
    for pattern in ("recovery.signal", "backup_manifest*", "backup_label.old", "tablespace_map.old"):
        yield from scratch.glob(pattern)


def backup_of(told: dict[str, Any], server: str) -> Backup:
    """A backup as `pgwrap status -o json` tells it."""
    return Backup(
        engine="barman",
        engine_name=server,
        id=told["id"],
        repository=None,
        type=told["type"],
        state=told["state"],
        started_at=datetime.fromisoformat(told["started_at"]),
        stopped_at=datetime.fromisoformat(told["stopped_at"]),
        lsn_start=Lsn.parse(told["lsn_start"]),
        lsn_stop=Lsn.parse(told["lsn_stop"]),
        wal_start=told["wal_start"],
        wal_stop=told["wal_stop"],
        timeline=Timeline(told["timeline"]),
    )

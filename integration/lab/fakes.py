"""Stand-ins for an engine's program, to be put first on PATH: broken ones, and one that replays what the real one said.

They are /bin/sh scripts: the engines' unprivileged user need not be able to read this checkout.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from integration.lab.room import Room

HANG = "exec sleep 4713.5\n"
"""Never answers; the odd number makes it easy to find."""
KILLED = "kill -9 $$\n"
GARBAGE = "printf 'Segmentation \\377\\376 fault, core dumped\\n'\n"
TRUNCATED = 'printf \'[{"archive":[{"database":{"id":1,\'\n'
SILENT = "exit 0\n"
FAILS = "echo 'ERROR: [037]: something broke' >&2\nexit 37\n"

RECORD = """\
key=$(printf '%s\\n' "$@" | cksum | tr ' ' -)
{real} "$@" >{directory}/$key.out 2>{directory}/$key.err
code=$?
echo $code >{directory}/$key.code
printf '%s\\n' "$*" >{directory}/$key.argv
cat {directory}/$key.err >&2
cat {directory}/$key.out
exit $code
"""
REPLAY = """\
key=$(printf '%s\\n' "$@" | cksum | tr ' ' -)
if [ ! -f {directory}/$key.code ]; then
    echo "this stand-in was never asked: $*" >&2
    exit 99
fi
cat {directory}/$key.err >&2
cat {directory}/$key.out
exit $(cat {directory}/$key.code)
"""


def fake(room: Room, engine: str, script: str, name: str) -> Path:
    """Make a program called as the engine that runs `script`; the directory to put first on PATH."""
    directory = room.directory("fakes", name, mode=0o755)
    room.write(f"fakes/{name}/{engine}", f"#!/bin/sh\n{script}", mode=0o755)
    return directory


def recorder(room: Room, engine: str, real: Path) -> Path:
    """Put a program before the real engine that keeps each answer by its argv."""
    directory = room.directory("recordings", engine, mode=0o777)
    script = RECORD.format(real=shlex.quote(str(real)), directory=shlex.quote(str(directory)))
    return fake(room, engine, script, f"record-{engine}")


def replayer(room: Room, engine: str) -> Path:
    """Put a program there that knows only what was recorded, and fails at anything else."""
    directory = room.path / "recordings" / engine
    return fake(room, engine, REPLAY.format(directory=shlex.quote(str(directory))), f"replay-{engine}")

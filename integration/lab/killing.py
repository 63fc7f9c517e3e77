"""Runs `pgwrap` and ends it with SIGKILL before its n-th effect: `python -m integration.lab.killing N ARGUMENTS…`.

An effect is a change of a file below the room or a program started, as Python's own audit events tell; pgwrap knows
nothing of this. The number of effects so far is written to the file that KILLING_COUNT names.
"""

from __future__ import annotations

import os
import signal
import sys

from pgwrap.cli.app import main

_CHANGES = frozenset(
    {"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.symlink"}
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_QUIET = ("/dev/", "/proc/")


def watch(limit: int, count_file: str) -> None:
    """Kill this process before the effect number `limit`; 0 kills never and counts."""
    seen = 0
    busy = False

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen, busy
        if busy or not _is_effect(event, arguments):
            return
        busy = True
        seen += 1
        with open(count_file, "w") as file:  # noqa: PTH123 - plain, for the hook sees what pathlib does
            file.write(f"{seen} {event} {arguments[:2]}\n")
        if seen == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        busy = False

    sys.addaudithook(hook)


def _is_effect(event: str, arguments: tuple[object, ...]) -> bool:
    if event in _CHANGES or event == "subprocess.Popen":
        return True
    if event != "open" or not isinstance(arguments[2], int) or not arguments[2] & _WRITES:
        return False
    path = str(arguments[0])
    return not path.startswith(_QUIET) and not path.endswith((".pyc", ".log")) and "__pycache__" not in path


if __name__ == "__main__":
    watch(int(sys.argv[1]), os.environ["KILLING_COUNT"])
    sys.argv[:] = ["pgwrap", *sys.argv[2:]]
    main()

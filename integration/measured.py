"""Runs pgwrap in this process and writes what the process itself took; its children are not counted."""

from __future__ import annotations

import atexit
import os
import re
import sys
from pathlib import Path

from pgwrap.cli.app import main

# The peak is VmHWM: getrusage's ru_maxrss would start with the size of the process that forked this one.
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def write_figures(target: Path) -> None:
    """Write CPU seconds and peak memory in bytes, one figure a line."""
    times = os.times()
    found = _PEAK.search(Path("/proc/self/status").read_text())
    peak = int(found[1]) << 10 if found else 0
    target.write_text(f"{times.user + times.system}\n{peak}\n")


if __name__ == "__main__":
    atexit.register(write_figures, Path(sys.argv[1]))
    sys.argv = ["pgwrap", *sys.argv[2:]]
    main()

"""What holds for every test run: programs under test meet signals as they would in a terminal. It knows no test."""

from __future__ import annotations

import signal
from types import FrameType


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Ignore a signal here, but not in what is started: exec resets a handler to the default."""


# nohup, and a script that runs the tests in its background, have them ignore these signals; without this every program
# that a test starts would inherit that, and the tests of Ctrl-C would wait in vain.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _ignore)

"""What holds for every test run: signals reach programs as in a terminal; scenarios do not meet. It knows no test."""

from __future__ import annotations

import signal
from types import FrameType

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Ignore a signal here, but not in what is started: exec resets a handler to the default."""


# nohup, and a script that runs the tests in its background, have them ignore these signals; without this every program
# that a test starts would inherit that, and the tests of Ctrl-C would wait in vain.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _ignore)


class OneForTheEngines(LoadScopeScheduling):  # type: ignore[misc]
    """One worker runs the scenarios, one after the other, for they share the machine; the others run what is left."""

    def _split_scope(self, nodeid: str) -> str:
        return "engines" if nodeid.startswith("integration/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneForTheEngines:
    """Used with `--numprocesses`, as `make test` does."""
    return OneForTheEngines(config, log)

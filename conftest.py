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


class LanesForTheEngines(LoadScopeScheduling):  # type: ignore[misc]
    """The scenarios of a file stay together, one after the other; every other test goes wherever there is time."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::", 1)[0] if nodeid.startswith("integration/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LanesForTheEngines:
    """Used with `--numprocesses`, as `make test` does."""
    return LanesForTheEngines(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--thorough`, which `make matrix` says."""
    parser.addoption("--thorough", action="store_true", help="run the tests marked thorough, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, and say so, what is marked thorough, unless it is asked for or named; a mark with words means those
    variants of a test that have one of them in their name."""
    if config.getoption("thorough") or any("::" in argument for argument in config.args):
        return
    left_out = [item for item in items if any(_thorough(item, mark) for mark in item.iter_markers("thorough"))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _thorough(item: pytest.Item, mark: pytest.Mark) -> bool:
    return not mark.args or any(word in item.name for word in mark.args)

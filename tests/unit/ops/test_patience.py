"""Waiting with a deadline."""

from __future__ import annotations

from pgwrap.ops.patience import Patience


def test_patience_ends_at_its_deadline() -> None:
    """Pauses of at most so long, the last one cut short, and no further one."""
    at = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        at[0] += seconds

    patience = Patience(seconds=12, pause=5, clock=lambda: at[0], sleep=sleep)
    waited = [patience.wait() for _ in range(4)]
    assert ([True, True, True, False], [5, 5, 2], 12) == (waited, slept, patience.spent)


def test_no_patience_does_not_wait() -> None:
    """Zero seconds: once, and no more."""
    assert not Patience(seconds=0, sleep=lambda _: None).wait()

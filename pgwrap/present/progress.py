"""How far an operation is, on one line. It neither draws nor times: the cli rewrites the line and holds the clock."""

from __future__ import annotations

from pgwrap.domain.amounts import duration, size
from pgwrap.present.harmless import harmless
from pgwrap.text.columns import cut

_BAR = 20
_TELLING = 0.02
"""A smaller share says nothing of the pace."""


def progress_line(
    *,
    elapsed: float,
    fraction: float | None = None,
    done_bytes: int | None = None,
    total_bytes: int | None = None,
    message: str = "",
    width: int = 100,
) -> str:
    """Bar, share, bytes, rate, time taken and left, and what is going on, in at most `width` columns; what is not known
    is left out.

    Without `fraction` it is taken from the bytes when both are known. `elapsed` is seconds.
    """
    share = _share(fraction, done_bytes, total_bytes)
    parts = [
        "" if share is None else f"[{'#' * int(share * _BAR):<{_BAR}}] {int(share * 100):3d}%",
        _bytes(done_bytes, total_bytes),
        _rate(done_bytes, elapsed),
        duration(elapsed),
        _left(share, elapsed),
        harmless(message),
    ]
    return cut("  ".join(part for part in parts if part), width)


def _share(fraction: float | None, done: int | None, total: int | None) -> float | None:
    if fraction is None and done is not None and total:
        fraction = done / total
    return None if fraction is None else min(max(fraction, 0.0), 1.0)


def _bytes(done: int | None, total: int | None) -> str:
    if done is None:
        return ""
    return size(done) if total is None else f"{size(done)} of {size(total)}"


def _rate(done: int | None, elapsed: float) -> str:
    return f"{size(round(done / elapsed))}/s" if done and elapsed >= 1 else ""


def _left(share: float | None, elapsed: float) -> str:
    """What is left at the pace so far; nothing where that would be a guess."""
    if share is None or share < _TELLING or share >= 1 or elapsed < 1:
        return ""
    return f"about {duration(elapsed / share * (1 - share))} left"

"""What pg_controldata says of how a copy was left."""

from __future__ import annotations

import pytest

from pgwrap.domain.control_file import read_control_file

TEXT = """\
Database system identifier:           7712446197214858170
Database cluster state:               {state}
Latest checkpoint's TimeLineID:       {checkpoint}
Min recovery ending loc's timeline:   {minimum}
Bytes per WAL segment:                16777216
"""


@pytest.mark.parametrize(
    ("state", "checkpoint", "minimum", "rests_on"),
    [
        ("shut down in recovery", 2, 2, 2),
        ("shut down in recovery", 1, 0, 1),
        ("shut down in recovery", 1, 2, None),
        ("shut down", 1, 0, None),
        ("in archive recovery", 1, 1, None),
        ("in production", 1, 0, None),
    ],
)
def test_only_a_copy_that_was_stopped_in_recovery_rests(
    state: str, checkpoint: int, minimum: int, rests_on: int | None
) -> None:
    """On the one timeline that it speaks of."""
    control = read_control_file(TEXT.format(state=state, checkpoint=checkpoint, minimum=minimum))
    assert (control.state, control.rests_on) == (state, rests_on)

"""Problems, rendered files and progress as text and data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.plan import ClusterSettings, PostgresSetting, Slot, WriteFile
from pgwrap.errors import Location, Problem
from pgwrap.present.problems import problems_data, problems_text
from pgwrap.present.progress import progress_line
from pgwrap.present.rendered import MASK, rendered_data, rendered_text
from pgwrap.text.columns import columns

PROBLEM = Problem(
    message="unknown key 'retenton'",
    location=Location("pgwrap.yaml", 12, 5),
    path="clusters.orders",
    hint="did you mean 'retention'?",
)


def test_a_problem_is_a_line_that_editors_read() -> None:
    """File, line and column first."""
    assert problems_text((PROBLEM,)) == (
        "pgwrap.yaml:12:5: error: clusters.orders: unknown key 'retenton' (did you mean 'retention'?)\n"
    )


def test_problems_are_data() -> None:
    """A warning leaves the spec valid, an error does not."""
    warning = Problem(message="ignored", severity="warning")

    assert problems_data((warning,)) == {
        "valid": True,
        "problems": [
            {
                "severity": "warning",
                "message": "ignored",
                "hint": "",
                "path": "",
                "file": None,
                "line": None,
                "column": None,
            }
        ],
    }
    assert problems_data((PROBLEM,))["valid"] is False  # type: ignore[index,call-overload]


def test_rendered_files_show_no_secret() -> None:
    """Each file under its path, its secrets masked."""
    file = WriteFile(
        path="/etc/pgbackrest/pgbackrest.conf",
        text="[global]\nrepo1-cipher-pass=hunter2\nrepo2-s3-key=hunter22",
        owner="postgres",
        group="postgres",
        secrets=("hunter2", "hunter22", ""),
    )
    needs = ClusterSettings(
        cluster="orders",
        settings=(
            PostgresSetting(name="archive_mode", value="on", restart=True, reason="WAL is archived"),
            PostgresSetting(name="max_wal_senders", value="4", restart=True, reason="streams", minimum=True),
            PostgresSetting(name="archive_command", value="it's \\ %p", restart=False, reason="pushes WAL"),
        ),
        slots=(Slot(name="barman", created_by="barman"),),
    )

    assert rendered_text((file,)) == (
        "# ==> /etc/pgbackrest/pgbackrest.conf (mode 0640, owner postgres:postgres)\n"
        f"[global]\nrepo1-cipher-pass={MASK}\nrepo2-s3-key={MASK}\n"
    )
    data = rendered_data((file,), (needs,))
    assert [setting["name"] for setting in data["postgres"][0]["settings"]] == [  # type: ignore[index,call-overload,union-attr]
        "archive_mode",
        "max_wal_senders",
        "archive_command",
    ]
    assert "hunter" not in str(data)


@given(st.text(min_size=4), st.text(), st.text())
def test_a_secret_is_masked_wherever_it_stands(secret: str, before: str, after: str) -> None:
    """Whatever is around it, the secret itself is not in the text."""
    file = WriteFile(path="/f", text=f"{before}{secret}{after}", secrets=(secret,))

    assert rendered_data((file,), ())["files"][0]["text"].replace(MASK, "").count(secret) == 0  # type: ignore[index,call-overload,union-attr]


def test_progress_with_all_that_is_known() -> None:
    """Bar, share, bytes, rate, time, what is left, message."""
    line = progress_line(elapsed=65, done_bytes=10 << 20, total_bytes=40 << 20, message="base/1/2")

    assert line == "[#####               ]  25%  10.0 MiB of 40.0 MiB  157.5 KiB/s  1m5s  about 3m15s left  base/1/2"


def test_progress_with_nothing_known() -> None:
    """The time is always there, and nothing is made up."""
    assert progress_line(elapsed=3) == "3s"


@given(
    st.one_of(st.none(), st.floats(-1, 2)),
    st.one_of(st.none(), st.integers(0, 1 << 50)),
    st.one_of(st.none(), st.integers(0, 1 << 50)),
    st.text(),
    st.integers(10, 120),
)
def test_progress_is_one_line_that_fits(
    fraction: float | None, done: int | None, total: int | None, message: str, width: int
) -> None:
    """Whatever the engine says, the line can be rewritten in place."""
    line = progress_line(elapsed=1, fraction=fraction, done_bytes=done, total_bytes=total, message=message, width=width)

    assert line.isprintable()
    assert columns(line) <= width

"""What drift shows, what it hides, and what of it concerns which cluster."""

from __future__ import annotations

from pgwrap.domain.drift import MASK, FileDrift, InstallationDrift, OptionDrift, unified
from pgwrap.domain.facts import FindingCode as C
from pgwrap.domain.facts import Severity
from pgwrap.domain.plan import WriteFile
from pgwrap.domain.verdicts.drift import drift_finding

MAIN = "/etc/pgbackrest/pgbackrest.conf"


def installation(**fields: object) -> InstallationDrift:
    """The drift of an installation of two clusters."""
    return InstallationDrift(
        name="pgbackrest",
        engine="pgbackrest",
        host=None,
        clusters=("orders", "billing"),
        **fields,  # type: ignore[arg-type]
    )


def test_secrets_are_masked_on_both_sides_and_still_show_as_a_difference() -> None:
    """Neither passphrase can be read, and the line is there twice."""
    after = WriteFile(path=MAIN, text="[global]\nrepo1-cipher-pass=new-secret\n", secrets=("new-secret",))
    lines = unified("[global]\nrepo1-cipher-pass=old secret\n", after, ("old secret",))
    assert f"-repo1-cipher-pass={MASK}" in lines
    assert f"+repo1-cipher-pass={MASK}" in lines
    assert [line for line in lines if "secret" in line] == []


def test_an_option_that_means_something_else_is_a_warning_of_its_cluster() -> None:
    """The finding names it, and the other cluster of the same file has none."""
    option = OptionDrift(cluster="orders", option="compress-type", before="gz", after="zst", place=f"{MAIN}:4")
    file = FileDrift(path=MAIN, state="differs", clusters=("orders", "billing"))
    drift = installation(files=(file,), options=(option,), options_compared=9)
    finding = drift_finding("orders", drift)
    assert finding is not None
    assert (C.CONFIG_DRIFT, Severity.WARNING) == (finding.code, finding.severity)
    assert "compress-type: gz → zst" in finding.message
    assert "pgwrap diff orders" == finding.hint
    other = drift_finding("billing", drift)
    assert other is not None
    assert Severity.OK is other.severity


def test_another_text_of_the_same_meaning_is_a_note() -> None:
    """A comment in a file is no reason to wake anybody."""
    file = FileDrift(path=MAIN, state="differs", clusters=("orders",))
    finding = drift_finding("orders", installation(files=(file,), options_compared=9))
    assert finding is not None
    assert Severity.OK is finding.severity


def test_a_spec_that_was_never_applied_is_a_warning() -> None:
    """A file that is not there is named."""
    file = FileDrift(path=MAIN, state="missing", clusters=("orders",), detail="it is not there")
    finding = drift_finding("orders", installation(files=(file,)))
    assert finding is not None
    assert Severity.WARNING is finding.severity
    assert MAIN in finding.message


def test_files_that_could_not_be_read_are_unknown() -> None:
    """Never ok."""
    finding = drift_finding("orders", installation(unknown="permission denied"))
    assert finding is not None
    assert Severity.UNKNOWN is finding.severity


def test_nothing_is_said_where_nothing_differs() -> None:
    """No finding at all."""
    file = FileDrift(path=MAIN, state="same", clusters=("orders",))
    drift = installation(files=(file,), options_compared=9)
    assert drift.clean
    assert drift_finding("orders", drift) is None

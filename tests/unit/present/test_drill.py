"""A drill in its forms: each says every probe, escapes what it is given, and comes back from the journal unchanged."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

from pgwrap.domain.drill import Aim, Drill, DrillHistory, Phase, Probe, ProbeName, ProbeVerdict, Reached
from pgwrap.domain.drill_record import from_data, to_data
from pgwrap.domain.facts import Severity
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.present.drill import drill_json, drill_text, html, junit

AT = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
NASTY = '<b>]]>\x1b[31m & "it"'
DRILL = Drill(
    id="d1", cluster="orders", engine="pgbackrest", engine_name="orders", engine_version="2.45",
    severity=Severity.CRITICAL, message=NASTY, started_at=AT, ended_at=AT + timedelta(seconds=9), aim=Aim.MOMENT,
    target=AT - timedelta(hours=1), reason="named", backup="b1", backup_type="full", repository="local",
    timeline=Timeline(2), postgres_version="15", cluster_bytes=1 << 20,
    phases=(Phase(name="restore", seconds=1.5), Phase(name="replay", seconds=2.0)), rto_seconds=3.5, rpo_seconds=60.0,
    reached=Reached(lsn=Lsn.parse("0/5000110"), commit_at=AT, timeline=Timeline(3)),
    probes=(
        Probe(name=ProbeName.START, verdict=ProbeVerdict.PASSED, message="at its target", seconds=2.0),
        Probe(name=ProbeName.AMCHECK, verdict=ProbeVerdict.FAILED, message=NASTY),
        Probe(name=ProbeName.DUMP, verdict=ProbeVerdict.UNKNOWN, message="not reached"),
        Probe(name=ProbeName.CHECKSUMS, verdict=ProbeVerdict.ABSENT, message="off"),
    ),
    notes=("a note",), kept="/var/tmp/x",
)  # fmt: skip
HISTORY = DrillHistory(drills=(DRILL,))


def test_it_comes_back_from_json_as_it_went() -> None:
    """As the journal keeps it; fields that are missing or not known do no harm."""
    data = json.loads(json.dumps(to_data(DRILL)))
    assert DRILL == from_data(data)
    del data["notes"]
    assert from_data(data | {"added_later": 1}).notes == ()


def test_junit_has_a_case_for_each_probe() -> None:
    """Failed is a failure, unknown an error, absent skipped."""
    (suite,) = ET.fromstring(junit(HISTORY))  # noqa: S314 - our own
    assert ("4", "1", "1", "1") == tuple(suite.attrib[name] for name in ("tests", "failures", "errors", "skipped"))
    assert [[], ["failure"], ["error"], ["skipped"]] == [[child.tag for child in case] for case in suite]
    assert suite[1][0].attrib["message"] == '<b>]]>\\x1b[31m & "it"'


def test_the_page_escapes_what_it_is_given() -> None:
    """And loads nothing."""
    page = html(HISTORY, AT)
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert "\x1b" not in page
    assert "http" not in page
    assert "No drill is kept." in html(DrillHistory(drills=()), AT)


def test_text_says_every_probe_and_what_was_measured() -> None:
    """Without control characters."""
    text = drill_text(DRILL)
    assert "\x1b" not in text
    for said in ("failed   amcheck", "unknown  schema-dump", "absent   data-checksums", "restore 1.5s", "at most 1m"):
        assert said in text


def test_json_is_the_drill() -> None:
    """Names as the fields have them."""
    document = json.loads(drill_json(DRILL, AT))
    assert "pgwrap/drill/1" == document["schema"]
    assert ("critical", "0/5000110") == (document["result"]["severity"], document["result"]["reached"]["lsn"])

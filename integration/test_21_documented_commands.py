"""What the how-tos say, on real engines: the least privileges are enough, and the jq lines of the runbook answer."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping

import pytest

from integration.conftest import MakeEstate
from integration.lab.answers import Json, cluster, status
from integration.lab.estate import BILLING, ORDERS, Estate, search_path
from integration.lab.machine import CHECKOUT, Machine
from integration.lab.postgres import PostgresServer
from integration.lab.process import run

HOWTO = CHECKOUT / "docs/howto"
_SQL = re.compile(r"<!-- sql: ([\w-]+) -->\n```sql\n(.*?)```", re.DOTALL)
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def statements() -> Mapping[str, str]:
    """The SQL of the how-to, by engine and the oldest PostgreSQL version that it is for."""
    return dict(_SQL.findall((HOWTO / "least-privilege-role.md").read_text()))


def jq_lines() -> tuple[str, ...]:
    """The runbook's command lines that read the JSON."""
    blocks = _SHELL.findall((HOWTO / "status-in-a-runbook.md").read_text())
    return tuple(line for block in blocks for line in block.splitlines() if "| jq" in line)


@pytest.mark.parametrize(("name", "engine"), [(ORDERS, "pgbackrest"), (BILLING, "barman")])
def test_least_privileges_are_enough(make_estate: MakeEstate, machine: Machine, name: str, engine: str) -> None:
    """With the how-to's role a backup is taken, the cluster is ok, and the look sees what a superuser sees."""
    if machine.postgres_major < 15:
        pytest.skip("the how-to's statements are for PostgreSQL 15 and later")
    made = make_estate({name: engine})
    server = made.servers[name]
    _forget_roles(server)
    server.sql(statements()[f"{engine}-15"])
    made.spec.write_text(made.spec.read_text().replace("user: postgres\n", "user: pgbackrest\n"))
    made.render()
    backup_id = made.back_up(name)
    entry = cluster(status(made), name)
    assert (entry["severity"], [backup["id"] for backup in entry["backups"]]) == ("ok", [backup_id])
    assert entry["postgres"]["settings"].get("data_directory") == str(server.data)
    assert _without_positions(entry["postgres"]) == _without_positions(_as_superuser(made, name))


def _forget_roles(server: PostgresServer) -> None:
    """Drop what the laboratory made for Barman, so that the how-to's statements alone count."""
    for role in ("barman", "streaming_barman"):
        if server.sql(f"select 1 from pg_roles where rolname = '{role}'"):
            server.sql(f"drop owned by {role}; drop role {role}")


def _as_superuser(made: Estate, name: str) -> Json:
    """What pgwrap sees of the server when it looks as a superuser."""
    spec = made.room.path / "superuser.yaml"
    spec.write_text(re.sub(r"(?m)^(      user: ).*$", r"\1postgres", made.spec.read_text()))
    view: Json = cluster(status(made, "--config", str(spec)), name)["postgres"]
    return view


def _without_positions(view: Json) -> Json:
    """Between two looks WAL goes on."""
    moving = ("current_lsn", "archiver", "replication")
    still = {key: value for key, value in view.items() if key not in moving}
    names = ("name", "type", "active", "database", "wal_status")
    slots = [{name: slot[name] for name in names if name in slot} for slot in view["slots"] or ()]
    return still | {"slots": slots}


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize("line", jq_lines())
def test_jq_lines_answer(pair: Estate, machine: Machine, line: str) -> None:
    """Each of the runbook's jq lines works on two clusters that are ok."""
    ran = run(
        ("bash", "-o", "pipefail", "-c", line),
        environment={"PGWRAP_CONFIG": str(pair.spec), "PATH": search_path(machine)},
    )
    names = [name for name in (ORDERS, BILLING) if name in ran.stdout]
    expected = [] if "severity" in line else [ORDERS, BILLING]
    assert names == expected or ran.stdout.strip() == "true"

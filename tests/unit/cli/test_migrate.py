"""`pgwrap migrate` as it is typed, where no engine is needed: drafts, refusals, and what the journal knows."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.cli_desk import Desk

ONE = """\
version: 1
state: {state}
repositories: {{local: {{type: posix, path: {state}/repository}}}}
clusters:
  orders:
    engine: barman
    postgres: {{host: db1, user: barman}}
    retention: {{window: 7d}}
"""
TWO = (
    ONE
    + """\
  orders-new:
    engine: pgbackrest
    engine_name: orders
    replaces: orders
    history: orders-history
    postgres: {{data_directory: /data, host: db1}}
    repositories: [local]
"""
)


def write(desk: Desk, text: str) -> None:
    """The spec."""
    desk.spec.write_text(text.format(state=desk.path / "state"))


@pytest.mark.parametrize("command", [("migrate", "plan"), ("ready",)])
def test_where_no_entry_replaces_it_one_is_drafted(desk: Desk, command: tuple[str, ...]) -> None:
    """Exit 1, the draft alone on standard output."""
    write(desk, ONE)
    ran = desk.run(*command, "orders", "--to", "pgbackrest")
    assert ran.exit_code == 1
    assert ran.stdout.startswith("  orders-pgbackrest:\n    engine: pgbackrest\n")
    assert "replaces: orders" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("plan", "orders", "--to", "barman"), 2, "barman already"),
        (("run", "orders", "--yes"), 2, "replaces: orders"),
        (("status", "nothing"), 2, "no cluster is called"),
        (("rollback", "orders", "--yes"), 2, "no entry"),
    ],
)
def test_without_a_second_entry_nothing_moves(
    desk: Desk, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    """Each says what is missing."""
    write(desk, ONE)
    ran = desk.run("migrate", *arguments)
    assert (ran.exit_code, said in ran.stderr) == (exit_code, True), ran.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("plan", "orders", "--to", "barman"), 2, "to pgbackrest, not to barman"),
        (("run", "orders", "--without-history"), 8, "--yes"),
        (("run", "orders", "--yes", "--bases", "some"), 2, "--bases"),
        (("plan", "orders", "--bases", "some"), 2, "--bases"),
        (("pause", "orders-new"), 2, "no migration of orders-new is under way"),
        (("resume", "orders-new", "--yes"), 2, "no migration of orders-new is under way"),
        (("rollback", "orders", "--yes"), 2, "no migration of orders-new is under way"),
        (("prove", "orders"), 2, "no migration of orders-new is under way"),
    ],
)
def test_nothing_is_done_that_was_not_begun_or_not_confirmed(
    desk: Desk, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    """By either name; each with the way out."""
    write(desk, TWO)
    ran = desk.run("migrate", *arguments)
    assert (ran.exit_code, said in ran.stderr) == (exit_code, True), ran.stderr
    assert "hint: " in ran.stderr


def test_no_migration_is_an_answer(desk: Desk) -> None:
    """In text and in JSON, with exit 0."""
    write(desk, TWO)
    ran = desk.run("migrate", "status", "-o", "json")
    assert ran.exit_code == 0
    answer = json.loads(ran.stdout)
    assert (answer["schema"], answer["result"]) == ("pgwrap/migrate/1", {"migrations": []})
    assert desk.run("migrate", "status").stdout == "no migration was ever begun\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("  third: {{engine: pgbackrest, replaces: nobody, repositories: [local]}}\n", "no cluster is called 'nobody'"),
        ("  third: {{engine: barman, replaces: orders}}\n", "has the same engine"),
        (
            "  third: {{engine: pgbackrest, replaces: orders, repositories: [local]}}\n",
            "already replaced by 'orders-new'",
        ),
        ("  third: {{engine: barman, replaces: orders-new}}\n", "itself replaces 'orders'"),
        ("  third: {{engine: barman, history: x}}\n", "is a word for pgBackRest"),
        ("  third: {{engine: pgbackrest, history: orders, repositories: [local]}}\n", "already has another use"),
        ("  third: {{engine: pgbackrest, history: third, repositories: [local]}}\n", "already has another use"),
    ],
)
def test_entries_that_cannot_replace_are_spec_errors(desk: Desk, more: str, said: str) -> None:
    """With their place in the file."""
    write(desk, TWO + more)
    ran = desk.run("validate", "--offline")
    assert (ran.exit_code, said in ran.stdout) == (3, True), ran.stdout + ran.stderr

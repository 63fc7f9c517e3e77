"""A table, a schema or a database brought back from either engine into a running server, as of a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from integration.conftest import PAIR, MakeEstate
from integration.lab.estate import BILLING, ORDERS, Estate

TABLE = 'shop."Odd ""Schema"".v1"."Price.List"'
WAYS = {
    "table": TABLE,
    "schema": 'shop."Odd ""Schema"".v1"',
    "database": "shop",
}


@pytest.fixture(scope="module")
def estate(make_estate: MakeEstate) -> Estate:
    """Under each engine a database with a table of an odd name, which was emptied after the backup."""
    made = make_estate(PAIR)
    for name in PAIR:
        server = made.servers[name]
        server.sql("create database shop")
        server.sql('create schema "Odd ""Schema"".v1"', database="shop")
        server.sql('create table "Odd ""Schema"".v1"."Price.List" (id serial primary key, name text)', database="shop")
        server.sql('insert into "Odd ""Schema"".v1"."Price.List" (name) values (\'kept\')', database="shop")
        made.back_up(name)
    return made


@pytest.fixture(scope="module")
def moments(estate: Estate) -> Mapping[str, str]:
    """Just before each table was emptied, by mistake."""
    found = {}
    for name in PAIR:
        server = estate.servers[name]
        server.sql('insert into "Odd ""Schema"".v1"."Price.List" (name) values (\'later\')', database="shop")
        found[name] = server.sql("select pg_sleep(1.1); select clock_timestamp()").strip()
        server.sql("select pg_sleep(1.1)")
        server.sql('delete from "Odd ""Schema"".v1"."Price.List"', database="shop")
        estate.commit_and_archive(name)
    return found


def into(made: Estate, name: str, database: str) -> tuple[str, str]:
    """Where to load: a database of the cluster itself."""
    server = made.servers[name]
    return ("--load-into", f"host={server.sockets} port={server.port} user=postgres dbname={database}")


@pytest.mark.thorough("schema", "database")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_it_comes_back_as_of_the_moment(estate: Estate, moments: Mapping[str, str], name: str, way: str) -> None:
    """Both rows, in another database of the running server; the original's table stays empty; nothing is left over."""
    server = estate.servers[name]
    selection = WAYS[way]
    database = f"back_{way}"
    server.sql(f"create database {database}")
    if way == "table":
        server.sql('create schema "Odd ""Schema"".v1"', database=database)
    scratch = estate.room.directory("scratch", f"{name}-{way}")
    ran = estate.pgwrap(
        *("restore", name, "--only", selection, *into(estate, name, database), "--target-time", moments[name]),
        *("--directory", str(scratch), "--yes", "-o", "json"),
    )
    told = json.loads(ran.stdout)
    assert (told["schema"], told["outcome"]) == ("pgwrap/restore-only/1", "success")
    assert told["result"]["entries"] >= 1
    rows = 'select string_agg(name, \',\' order by id) from "Odd ""Schema"".v1"."Price.List"'
    assert server.sql(rows, database=database) == "kept,later"
    assert server.sql('select count(*) from "Odd ""Schema"".v1"."Price.List"', database="shop") == "0"
    assert list(scratch.iterdir()) == []


def test_what_is_there_is_not_replaced(estate: Estate, moments: Mapping[str, str]) -> None:
    """A table of that name stops the load, all of it, with the way out; the scratch copy is gone."""
    server = estate.servers[ORDERS]
    scratch = estate.room.directory("scratch", "in-the-way")
    ran = estate.pgwrap(
        *("restore", ORDERS, "--only", TABLE, *into(estate, ORDERS, "shop"), "--target-time", moments[ORDERS]),
        *("--directory", str(scratch), "--yes"),
        check=False,
    )
    assert ran.exit_code == 5, ran.stderr
    assert "already exists" in ran.stderr
    assert "nothing was loaded" in ran.stderr
    assert server.sql('select count(*) from "Odd ""Schema"".v1"."Price.List"', database="shop") == "0"
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "a.b.c.d", "--load-into", "dbname=x"), "is not DATABASE"),
        (("--only", "shop"), "--only needs --load-into"),
        (("--only", "shop", "--load-into", "postgresql://u:secret@h/x"), "holds a password"),
        (("--only", "shop", "--load-into", "dbname=x", "--delta"), "--delta does not go with --only"),
        (("--only", "shop", "--only", "other", "--load-into", "dbname=x"), "one database at a time"),
        (("--load-into", "dbname=x"), "--load-into goes with --only"),
        ((), "--directory is missing"),
    ],
)
def test_words_that_mean_nothing(estate: Estate, arguments: tuple[str, ...], said: str) -> None:
    """Exit 2 with what to say instead; the secret is not repeated."""
    ran = estate.pgwrap("restore", ORDERS, "--yes", *arguments, check=False)
    assert ran.exit_code == 2, ran.stderr
    assert said in ran.stderr
    assert "secret" not in ran.stderr


def test_nobody_answers_where_it_is_to_be_loaded(estate: Estate) -> None:
    """Refused before anything is restored."""
    ran = estate.pgwrap("restore", ORDERS, "--only", "shop", "--load-into", "host=/nowhere", "--yes", check=False)
    assert ran.exit_code == 8, ran.stderr
    assert "does not answer" in ran.stderr


def test_the_plan_alone_changes_nothing(estate: Estate, moments: Mapping[str, str]) -> None:
    """The backup, why, and where it would go."""
    arguments = ("--only", TABLE, *into(estate, BILLING, "shop"), "--target-time", moments[BILLING], "--dry-run")
    ran = estate.pgwrap("restore", BILLING, *arguments, "-o", "json")
    plan = json.loads(ran.stdout)["result"]
    assert plan["selections"] == [TABLE]
    assert plan["backup"]
    assert "as of" in estate.pgwrap("restore", BILLING, *arguments).stdout

"""`turnout db`: upgrading and rekeying from the command line."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.access.directory import KeyDirectory
from router.cli import main
from router.storage.api_keys import ApiKeys, KeyTerms, keys_into
from router.storage.migrate import HEAD
from router.storage.secret_key import read_file
from router.storage.users import Users
from tests.storage.opening import opened


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "turnout.json"
    file.write_text(json.dumps({"server": {"data_dir": str(tmp_path / "data")}}), encoding="utf-8")
    return str(file)


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["db", *words])
    return done.exit_code, done.output


def test_upgrade_makes_the_tables(config, tmp_path):
    assert run("upgrade", "--config", config) == (0, f"the database is at revision {HEAD}\n")
    with closing(sqlite3.connect(tmp_path / "data" / "turnout.db")) as file:
        assert file.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]


def test_upgrade_leaves_a_database_of_a_newer_version_alone(config, tmp_path):
    run("upgrade", "--config", config)
    with closing(sqlite3.connect(tmp_path / "data" / "turnout.db")) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
        file.commit()
    assert run("upgrade", "--config", config) == (1, "turnout: the database belongs to a newer version of Turnout\n")


@pytest.mark.anyio
async def test_after_a_rekey_the_old_key_is_gone_and_api_keys_go_on_working(config, tmp_path):
    url, file = f"sqlite:///{tmp_path / 'data' / 'turnout.db'}", tmp_path / "data" / "secret.key"
    (before,) = read_file(file)
    async with opened(url, before) as database:
        user = await Users(database).add("ada")
        made = await ApiKeys(database).create(user.id, KeyTerms(name="laptop"))
    assert (await asyncio.to_thread(run, "rekey", "--config", config))[0] == 0
    (after,) = read_file(file)
    assert after != before
    directory = KeyDirectory()
    async with opened(url, after, listeners=[keys_into(directory)]) as database:
        assert directory.principal(made.secret, now=0).user_id == user.id


def test_settings_without_a_database_are_told_so(tmp_path):
    file = tmp_path / "turnout.json"
    file.write_text(json.dumps({"database": {"enabled": False}}), encoding="utf-8")
    status, said = run("upgrade", "--config", str(file))
    assert (status, "no database" in said) == (1, True)

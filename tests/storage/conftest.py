"""Databases to test on: a SQLite file, and a PostgreSQL where there is one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.postgres import Cluster, binaries


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    folder = binaries()
    if folder is None:
        reason = "no PostgreSQL on this machine: apt-get install postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with Cluster(folder) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that is still empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'turnout.db'}"
    return request.getfixturevalue("cluster").new_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'turnout.db'}"


@pytest.fixture
def postgres_url(cluster: Cluster) -> str:
    return cluster.new_database()

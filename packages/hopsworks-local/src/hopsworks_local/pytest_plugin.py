"""Fixtures for tests of programs that use Hopsworks; pytest finds them by the package's entry point.

def test_training(hopsworks_project):
    feature_store = hopsworks_project.get_feature_store()
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from . import Server, start


@pytest.fixture(scope="session")
def hopsworks_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a local Hopsworks with an empty temporary data folder; it ends with the tests."""
    with start(tmp_path_factory.mktemp("hopsworks"), "local") as server:
        yield server


@pytest.fixture(scope="session")
def hopsworks_project(hopsworks_server: Server) -> Iterator[Any]:
    """Log in to the local Hopsworks; return its project. The variables are set, so that the tested
    program may call `hopsworks.login()` itself."""
    import hopsworks

    with pytest.MonkeyPatch.context() as patch:
        for name, value in hopsworks_server.env.items():
            patch.setenv(name, value)
        yield hopsworks.login()
        hopsworks.logout()

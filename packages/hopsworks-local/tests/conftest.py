"""One server and one login for a whole run; names that never collide; everything cleaned up.

The contract tests take the fixture `project`. They run against hopsworks_local and, with
`pytest -m live` and the HOPSWORKS_* variables set, unchanged against a real cluster.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch  # for the environment only; the client is never replaced

import pandas as pd
import pytest
import requests
from starlette.testclient import TestClient

import hopsworks_local
from hopsworks_local.app import App
from hopsworks_local.state import Folder
from hopsworks_local.web import application

TAG_SCHEMAS = {"owner": {"type": "string"}, "limits": {"type": "object", "required": ["low"]}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the session's server; a test that starts one by itself has the mark already."""
    for item in items:
        if {"server", "project"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker(pytest.mark.system)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Modules with LIVE run against the local server, or a cluster when that is asked for."""
    if "backend" in metafunc.fixturenames:
        live = getattr(metafunc.module, "LIVE", False) and "live" in (
            metafunc.config.getoption("-m") or ""
        ).replace("not live", "")
        one = pytest.param("live", marks=pytest.mark.live) if live else "local"
        metafunc.parametrize("backend", [one], scope="session", indirect=True)


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """`local` or `live`."""
    if request.param == "live" and not os.environ.get("HOPSWORKS_API_KEY"):
        pytest.fail("-m live needs HOPSWORKS_HOST, HOPSWORKS_PROJECT and HOPSWORKS_API_KEY")
    return request.param


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the session's server."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def server(root: Path) -> Iterator[hopsworks_local.Server]:
    """The session's server, with two tag schemas."""
    with hopsworks_local.start(root) as running:
        (root / "local" / "tag_schemas.json").write_text(json.dumps(TAG_SCHEMAS))
        yield running


@contextlib.contextmanager
def _logged_in(env: dict[str, str]) -> Iterator[Any]:
    """A project of the client, which keeps its one connection in globals."""
    import hopsworks

    with patch.dict(os.environ, env), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in [name for name in os.environ if name.startswith("HOPSWORKS_")]:
            if not os.environ[name]:  # a variable that nobody defined, as GitHub passes it
                del os.environ[name]
        project = hopsworks.login()
        yield project
        hopsworks.logout()


@pytest.fixture(scope="session")
def logged_in() -> Callable[[dict[str, str]], Any]:
    """A context in which the client is logged in with other settings than the session's."""
    return _logged_in


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    """A server's app in this process, with a data folder of its own and nobody who listens."""
    folder = tmp_path_factory.mktemp("app")
    app = App(Folder(folder, "local"), "local", say=lambda text: None)
    (folder / "local" / "tag_schemas.json").write_text(json.dumps(TAG_SCHEMAS))
    app.url = "https://127.0.0.1:1"
    return app


@pytest.fixture
def web(app: App) -> TestClient:
    """Return a client of the app without a socket and without a key; it keeps cookies."""
    return TestClient(application(app), "https://127.0.0.1", raise_server_exceptions=False)


@pytest.fixture
def api(app: App, web: TestClient) -> Callable[..., Any]:
    """Return a function that sends what the client never sends: method, path below the project, body."""

    def send(method: str, path: str, body: Any = None, **options: Any) -> Any:
        headers = {"Authorization": f"ApiKey {app.api_key}"}
        content = (
            body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        )
        if content is not None:
            options["content"] = content
        url = f"/hopsworks-api/api/project/1/{path}"
        return web.request(method, url, headers=headers, follow_redirects=False, **options)

    return send


@pytest.fixture
def rest(server: hopsworks_local.Server) -> Callable[..., requests.Response]:
    """Return a function that sends what the client never sends, below the feature store."""
    session = requests.Session()
    session.headers["Authorization"] = f"ApiKey {server.env['HOPSWORKS_API_KEY']}"
    session.verify, session.trust_env = False, False

    def send(method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        middle = "" if path.startswith(("modelregistries", "dataset")) else "featurestores/1/"
        url = f"{server.url}/hopsworks-api/api/project/1/{middle}{path}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
        return session.request(method, url, data=data, timeout=30, **options)

    return send


@pytest.fixture(scope="module")
def project(backend: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Log in for each module, as other tests may have logged in elsewhere; yield the project."""
    env = {} if backend == "live" else request.getfixturevalue("server").env
    with _logged_in(env) as result:
        yield result


@pytest.fixture(scope="module")
def fs(project: Any) -> Any:
    """The feature store."""
    return project.get_feature_store()


@pytest.fixture(scope="module")
def registry(project: Any) -> Any:
    """The model registry."""
    return project.get_model_registry()


@pytest.fixture(scope="module")
def datasets(project: Any) -> Any:
    """The dataset API."""
    return project.get_dataset_api()


@pytest.fixture
def name() -> str:
    """A name that nobody else uses."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def make_group(fs: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that makes a filled feature group; all are deleted at the end."""
    created = []

    def make(df: pd.DataFrame, primary_key: tuple[str, ...] = ("id",), **options: Any) -> Any:
        options.setdefault("name", f"t{secrets.token_hex(6)}")
        options.setdefault("version", 1)
        group = fs.create_feature_group(primary_key=list(primary_key), **options)
        group.insert(df)
        created.append(group)
        return group

    yield make
    for group in created:
        result = fs.get_feature_group(group.name, group.version)
        if result is not None:
            result.delete(force=True)


@pytest.fixture
def make_view(fs: Any, name: str) -> Iterator[Callable[..., Any]]:
    """Return a function that makes a feature view; all are deleted at the end."""
    created = []

    def make(query: Any, **options: Any) -> Any:
        view = fs.create_feature_view(name, query, **{"version": 1, **options})
        created.append(view)
        return view

    yield make
    for view in created:
        with contextlib.suppress(Exception):  # a test may have deleted it already
            view.delete()


@pytest.fixture
def make_model(registry: Any, name: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that saves a model (the client sleeps for five seconds); all are deleted at the end."""
    created = []

    def make(**options: Any) -> Any:
        folder = tmp_path / "model"
        (folder / "sub").mkdir(parents=True, exist_ok=True)
        (folder / "weights.bin").write_bytes(bytes(range(256)) * 64)
        (folder / "sub" / "notes.txt").write_text("nested")
        model = registry.python.create_model(name, **options)
        model.save(str(folder))
        created.append(model)
        return model

    yield make
    for model in created:
        with contextlib.suppress(Exception):
            model.delete()


@pytest.fixture(scope="session")
def rows() -> Callable[[Any], pd.DataFrame]:
    """Return a function that reads a query, without the half second of animation in `read()`."""
    import pyarrow as pa

    def read(query: Any) -> pd.DataFrame:
        with query.read_batches() as batches:
            result = list(batches)
        return pa.Table.from_batches(result).to_pandas() if result else pd.DataFrame()

    return read

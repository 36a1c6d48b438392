"""The package from outside: its wheel and its fixture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
PROGRAM = """
import hopsworks_local, os, pandas as pd, requests
with hopsworks_local.start() as server:
    os.environ.update(server.env)
    import hopsworks
    store = hopsworks.login().get_feature_store()
    group = store.create_feature_group("g", 1, primary_key=["id"])
    group.insert(pd.DataFrame({"id": [1, 2], "x": [0.5, 1.5]}))
    assert sorted(group.read().x) == [0.5, 1.5]
    assert "Project local" in requests.get(server.pages, verify=False).text
print("served")
"""


def run(*command: str | Path, **options: object) -> str:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(
        [str(c) for c in command],
        capture_output=True,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return str(done.stdout)


@pytest.mark.slow
def test_the_wheel_alone_serves(tmp_path: Path) -> None:
    uv = [sys.executable, "-m", "uv"]
    run(*uv, "build", "--wheel", "--out-dir", tmp_path, PACKAGE)
    (wheel,) = tmp_path.glob("*.whl")
    run(*uv, "venv", "--python", sys.executable, tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    run(*uv, "pip", "install", "--python", python, wheel)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    output = run(python, "-W", "ignore", "-c", PROGRAM, cwd=tmp_path, env=environment)
    assert output.splitlines()[-1] == "served"
    version = run(tmp_path / "env" / "bin" / "hopsworks-local", "--version")
    assert version == "hopsworks-local, version 0.1.0\n"


@pytest.mark.system
def test_the_fixture_gives_a_project(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        "import hopsworks\n"
        "def test_one(hopsworks_project, hopsworks_server):\n"
        "    assert hopsworks_project.name == 'local'\n"
        "    assert hopsworks.login().id == hopsworks_project.id\n"
        "    assert hopsworks_server.pages.startswith('https://127.0.0.1:')\n"
    )
    output = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "1 passed" in output

"""Short runs of the campaigns in `benchmarks/`, and the results of the whole ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(folder: Path, name: str, *options: str) -> dict[str, Any]:
    """Run a campaign, which must find nothing; return its result."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--results", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    result: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    assert result["failures"] == []
    return result


@pytest.mark.slow
def test_killing_server_and_client_loses_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, "faults", "--kills=6", "--seed=3")
    assert result["kills"] == 6
    assert result["checks"] > 0
    assert result["checks at the end"] > 0, "the whole history once more"


@pytest.mark.slow
def test_nonsense_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path, "fuzz", "--inputs=1500", "--seed=9")
    assert result["answers"]["200"] > 100, "the rest of the requests were valid enough to matter"


@pytest.mark.parametrize(
    ("name", "count", "least"), [("faults", "kills", 300), ("fuzz", "inputs", 40_000)]
)
def test_the_committed_results_are_whole(name: str, count: str, least: int) -> None:
    result = json.loads((BENCHMARKS / "results" / f"{name}.json").read_text())
    assert result[count] >= least
    assert result["failures"] == []

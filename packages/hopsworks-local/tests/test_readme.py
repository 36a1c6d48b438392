"""The README promises no call that the contract suite does not make."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import hopsworks_local

CONTRACT = ("test_contract.py", "test_storage.py", "conftest.py")
NO_CALLS = {"start_time", "end_time", "logging_enabled"}
TABLE = re.compile(r"\| part \| calls \|\n(.+?)\n\n", re.DOTALL)


def test_every_supported_call_is_made_in_the_contract_suite() -> None:
    readme = Path(hopsworks_local.__file__).parents[2].joinpath("README.md").read_text()
    promised = set(re.findall(r"`([a-z_]+)`", TABLE.search(readme)[1])) - NO_CALLS
    sources = [Path(__file__).with_name(n).read_text() for n in CONTRACT]
    created = {
        node.func.attr
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert promised - created == set()
    assert len(promised) > 70


def test_every_capability_names_its_tests() -> None:
    package, here = Path(hopsworks_local.__file__).parents[2], Path(__file__).parent
    page = (package / "docs/programs.md").read_text()
    rows = re.findall(r"^\|.*\| (`test_.*) \|$", page, re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    sources = "".join(path.read_text() for path in here.glob("test_*.py"))
    assert {name for name in named if f"def {name}(" not in sources} == set()
    refused = len(re.findall(r"^\|.*\| refused", page, re.M))
    count = f"{len(rows) - refused} of {len(rows)} work"
    assert count in page


def test_the_figures_are_those_of_the_result_files() -> None:
    package = Path(hopsworks_local.__file__).parents[2]
    page = re.sub(r"\s+", " ", package.joinpath("README.md").read_text())
    speed, faults, fuzz = (
        json.loads((package / f"benchmarks/results/{name}.json").read_text())
        for name in ("speed", "faults", "fuzz")
    )
    rows, peak = speed["rows"]["1000000"], speed["server_peak_mb"]
    for claim in (
        f"columns takes {rows['insert']['ratio']:.1f} times as long",
        f"`read_batches()` takes {rows['read_batches']['ratio']:.1f} times as long",
        f"`read()` takes at least {min(r['read']['seconds'] for r in speed['rows'].values()):.1f} s",
        f"ready in {speed['process']['server start']:.1f} s",
        f"takes {peak['idle']:.0f} MB",
        f"at most {peak['1,000,000 rows']:.0f} MB while it streams",
        f"`kill -9` of server, client or both, {faults['kills']} times",
        f"{faults['checks']:,} checks of acknowledged and interrupted calls",
        f"{fuzz['inputs']:,} altered REST and Flight requests",
    ):
        assert claim in page, claim

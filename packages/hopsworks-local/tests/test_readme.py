"""The README promises no call that the contract suite does not make."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import hopsworks_local

CONTRACT = ("test_contract.py", "test_storage.py", "conftest.py")
TABLE = re.compile(r"\| part \| calls \|\n(.+?)\n\n", re.DOTALL)


def test_every_supported_call_is_made_in_the_contract_suite() -> None:
    readme = Path(hopsworks_local.__file__).parents[2].joinpath("README.md").read_text()
    promised = set(re.findall(r"`([a-z_]+)`", TABLE.search(readme)[1])) - {"start_time", "end_time"}
    sources = [Path(__file__).with_name(n).read_text() for n in CONTRACT]
    made = {
        node.func.attr
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert promised - made == set()
    assert len(promised) > 70

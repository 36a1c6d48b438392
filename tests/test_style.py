"""A function can be read at a glance; ruff's C901 holds its complexity at 10."""

import ast

from tests.processes import REPOSITORY

MAX_LINES = 50


def test_no_function_is_longer_than_a_screen():
    files = [*REPOSITORY.glob("*.py"), *(REPOSITORY / "wine").glob("*.py")]
    files += [*(REPOSITORY / "tests").glob("*.py"), *(REPOSITORY / "tests/workflows").glob("*.py")]
    functions = {
        f"{file.name}: {node.name}": node.end_lineno - node.lineno + 1
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert len(functions) > 200
    assert {name: lines for name, lines in functions.items() if lines > MAX_LINES} == {}

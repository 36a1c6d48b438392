"""A function can be read at a glance; ruff's C901 holds its complexity at 10."""

import ast

from tests.processes import REPOSITORY

MAX_LINES = 50


def test_no_function_is_longer_than_a_screen():
    folders = ("wine", "tests", "apps", "benchmarks", "packages")
    files = [file for folder in folders for file in (REPOSITORY / folder).rglob("*.py")]
    files += REPOSITORY.glob("*.py")
    functions = [
        (node.end_lineno - node.lineno + 1, f"{file.relative_to(REPOSITORY)}: {node.name}")
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]
    assert len(functions) > 1000
    assert [function for function in functions if function[0] > MAX_LINES] == []

"""Imports go one way: dags -> plugins -> include. import-linter checks the packages; this checks the DAG files."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def imported_packages(file: Path) -> set[str]:
    """The top-level packages that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else (node.module or "").partition(".")[0])
    return found - sys.stdlib_module_names


@pytest.mark.parametrize("file", sorted((ROOT / "dags").glob("*.py")), ids=lambda file: file.name)
def test_a_dag_only_wires(file: Path) -> None:
    assert imported_packages(file) <= {"airflow", "backup_airflow", "include"}


@pytest.mark.parametrize("folder", ["include", "plugins"])
def test_nothing_imports_dags_or_tests(folder: str) -> None:
    offenders = {
        str(file.relative_to(ROOT))
        for file in (ROOT / folder).rglob("*.py")
        if imported_packages(file) & {"dags", "tests", "benchmarks"}
    }
    assert offenders == set()

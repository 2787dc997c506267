"""docs/pitfalls.md leaves no pitfall out: each is there once, with tests that exist and carry its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "pitfalls.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\| P(\d\d) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", TEXT, re.MULTILINE)
DEFINED = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def numbers(test: str) -> set[str]:
    """The numbers at the head of a test's name: ``test_p02_p11_…``."""
    [head] = re.findall(r"\Atest_((?:p\d\d_)*)", test)
    return set(re.findall(r"\d\d", head))


def test_all_forty_are_there_in_their_order() -> None:
    assert [number for number, *_ in LINES] == [f"{number:02}" for number in range(1, 41)]


@pytest.mark.parametrize(("number", "tests"), [(line[0], line[3]) for line in LINES])
def test_each_names_tests_that_exist_and_carry_its_number(number: str, tests: str) -> None:
    named = re.findall(r"`(\w+)`", tests)
    assert named
    assert set(named) <= DEFINED
    assert all(number in numbers(test) for test in named)


def test_no_number_is_used_that_the_page_does_not_have() -> None:
    assert {number for test in DEFINED for number in numbers(test)} == {number for number, *_ in LINES}

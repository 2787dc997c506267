"""docs/command_line.md and the program are one: every command, option, exit code and field, and no other."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from include.backup_engine import __main__ as command_line
from include.backup_engine import errors
from include.backup_engine.commands import answers
from include.backup_engine.key_report import KeyReport
from include.backup_engine.listing import Listed
from include.backup_engine.verify import Verification

TEXT = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text(encoding="utf-8")
DOCUMENTS = (
    Listed, Verification, answers.RecoverDryRun, answers.RecoverRestore, answers.RetentionAnswer, answers.RewrapAnswer,
    KeyReport, answers.KeyLoss, answers.AccountsAnswer,
)  # fmt: skip
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", datetime: "time"}


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def parts(title: str) -> dict[str, str]:
    """The text under each heading of a section."""
    _, *found = re.split(r"^### (.*)$", section(title), flags=re.MULTILINE)
    return dict(zip(found[::2], found[1::2], strict=True))


def table(text: str) -> list[list[str]]:
    """The cells of each row whose first cell is code or a number."""
    return [row.strip("|").split(" | ") for row in re.findall(r"^\| (?=[`\d]).*\|$", text, re.MULTILINE)]


def commands() -> dict[str, argparse.ArgumentParser]:
    [found] = [a for a in command_line.command_parser()._actions if isinstance(a.choices, dict)]
    return dict(found.choices or {})


def test_every_command_and_option_is_explained_and_no_other() -> None:
    there = {
        name: {a.option_strings[-1] if a.option_strings else a.dest for a in parser._actions} - {"--help", "--source"}
        for name, parser in commands().items()
    }
    told = {name: {row[0].strip(" `") for row in table(text)} for name, text in parts("Commands").items()}
    assert told == there
    assert sum(map(len, told.values())) > 20


@pytest.mark.parametrize("name", commands())
def test_its_example_is_right(name: str) -> None:
    [example] = re.findall(r"```console\n(.*?)```", parts("Commands")[name], re.DOTALL)
    prefix = "python -m include.backup_engine "
    assert example.startswith(f"{prefix}{name} ")
    assert command_line.command_parser().parse_args(shlex.split(example.removeprefix(prefix))).command


def test_the_exit_codes_are_those_in_force() -> None:
    told = {row[1].strip("` "): int(row[0].strip()) for row in table(section("Exit codes"))}
    assert told == {name: code for name, code in vars(command_line).items() if isinstance(code, int) and name.isupper()}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.BackupError)]
    for code in (3, 5):
        [listed] = re.findall(rf"^Code {code}: (.*?)\.$", section("Exit codes"), re.MULTILINE | re.DOTALL)
        expected = {kind.__name__ for kind in kinds if command_line.exit_code(kind("-", "-")) == code}
        assert set(re.findall(r"`(\w+)`", listed)) == expected


def models(kinds: Any) -> Iterator[type[BaseModel]]:
    """These documents and the records in them."""
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
            yield from models(field.annotation for field in kind.model_fields.values())
        else:
            yield from models(get_args(kind))


def words(kind: Any) -> str:
    """A type, as the page tells it."""
    arguments = get_args(kind)
    if NoneType in arguments:
        return f"{words(next(each for each in arguments if each is not NoneType))} or null"
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in arguments) if len(arguments) < 3 else "string"
    if get_origin(kind) in (list, tuple):
        return f"list of {words(arguments[0])}"
    if get_origin(kind) is dict:
        return f"object of {words(arguments[1])}"
    return PLAIN.get(kind) or f"[{kind.__name__}](#{kind.__name__.lower()})"


def test_every_field_of_every_document_is_explained_and_no_other() -> None:
    expected = {
        model.__name__: {name: words(field.annotation) for name, field in model.model_fields.items()}
        for model in models(DOCUMENTS)
    }
    told = {name: {row[0].strip(" `"): row[1].strip() for row in table(text)} for name, text in parts("JSON").items()}
    assert told == expected


def test_the_values_of_a_field_that_has_several_are_explained() -> None:
    for model in models(DOCUMENTS):
        rows = {row[0].strip(" `"): " ".join(row[1:]) for row in table(parts("JSON")[model.__name__])}
        for name, field in model.model_fields.items():
            for value in get_args(field.annotation):
                if isinstance(value, str):
                    assert f"`{value}`" in rows[name]


def test_each_document_is_linked_from_its_command() -> None:
    for model in DOCUMENTS:
        assert f"(#{model.__name__.lower()})" in section("Commands")

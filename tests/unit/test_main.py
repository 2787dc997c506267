"""The command line's manners: exit codes, and errors without tracebacks.

What the commands do is shown on real servers: tests/integration/test_command_line.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.backup_engine import __main__ as command_line
from include.backup_engine.commands import desk
from include.backup_engine.errors import BackupError
from include.backup_engine.policy import DEFAULT_PATH


@pytest.fixture(autouse=True)
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW_CONN_AWS_BACKUP_READER", "AIRFLOW_CONN_SURGICASE_MYSQL", "BACKUP_POLICY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["show"],
        ["verify"],
        ["decrypt", "latest"],
        ["recover"],
        ["list", "--unknown"],
        ["list", "latest"],
        ["decrypt", "latest", "--output", "x", "--json"],
        ["recover", "latest", "--restore", "yes"],
        ["rewrap", "--to", "alias/x"],
        ["rewrap", "latest"],
        ["rewrap", "latest", "--all", "--to", "alias/x"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m include.backup_engine" in capsys.readouterr().err


def test_help_names_every_command() -> None:
    command = [sys.executable, "-m", "include.backup_engine", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in ("list", "show", "verify", "decrypt", "recover", "retention", "rewrap", "keys"):
        assert re.search(rf"^    {name}\b", done.stdout, re.MULTILINE)
    assert done.stderr == ""


@pytest.mark.parametrize("command", [["list"], ["show", "latest"], ["recover", "latest", "--restore"]])
def test_an_expected_error_is_two_sentences_and_exits_with_1(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(command) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "ConnectionMissing: The connection aws_backup_reader is not defined.\n"
        "Remedy: Set AIRFLOW_CONN_AWS_BACKUP_READER to its JSON or URI form, as in an Airflow deployment.\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "key (top level)"),
        ("version: 2", "key version, value 2"),
        ("{", "is not valid YAML"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_policy_is_told(
    text: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.yaml"
    if text is not None:
        policy.write_text(text)
    monkeypatch.setenv("BACKUP_POLICY", str(policy))
    assert command_line.main(["list", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert [line.split(":")[0] for line in err.splitlines()] == ["PolicyError", "Remedy"]


def test_an_interrupt_exits_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk, "load_policy", interrupted)
    assert command_line.main(["list"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_an_unexpected_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(desk, "load_policy", broken)
    with pytest.raises(ZeroDivisionError):
        command_line.main(["list"])


def test_with_several_sources_one_must_be_named_where_one_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = DEFAULT_PATH.read_text(encoding="utf-8")
    policy = tmp_path / "policy.yaml"
    policy.write_text(text.replace("sources:\n", "sources:\n  billing: {conn_id: b, database: b}\n"))
    monkeypatch.setenv("BACKUP_POLICY", str(policy))
    endpoint = '{"login": "x", "password": "x", "extra": {"endpoint_url": "http://127.0.0.1:1"}}'
    monkeypatch.setenv("AIRFLOW_CONN_AWS_BACKUP_READER", endpoint)
    monkeypatch.setattr(desk, "with_sse_key_arn", lambda policy, keyring: policy)
    with pytest.raises(BackupError, match="several sources") as caught:
        desk.Desk(None).stored("latest")
    assert "billing, surgicase" in caught.value.remedy
    assert desk.Desk("billing").source == "billing"

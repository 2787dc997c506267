"""Python environments of their own, for what must or must not share the repository's; made as by `make setup`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.servers.processes import ROOT

_AWS_CLI = "awscli==1.46.3"
_UV = ROOT / ".tools" / "uv" / "bin" / "uv"
# A company network may re-sign traffic with an authority that only the system knows.
_SETTINGS = {"UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "1"}


def make_environment(folder: Path, *packages: str) -> Path:
    """Make a Python environment with these packages; returns its interpreter.

    :param packages: what ``pip install`` takes, options included.
    """
    python = folder / "bin" / "python"
    for command in (
        ["venv", "-q", "--clear", "--python", str(ROOT / ".venv" / "bin" / "python"), str(folder)],
        ["pip", "install", "-q", "--python", str(python), *packages],
    ):
        done = subprocess.run(
            [str(_UV), *command], env=os.environ | _SETTINGS, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
    return python


def aws_command_line() -> Path:
    """The environment of AWS's command line, which cannot share the package's; made once."""
    folder = ROOT / ".tools" / "aws-cli"
    if not (folder / _AWS_CLI).exists():
        make_environment(folder, _AWS_CLI)
        (folder / _AWS_CLI).touch()
    return folder

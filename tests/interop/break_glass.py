"""The break-glass file as its users run it: in a Python environment that holds what it asks for and nothing of ours."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
from pathlib import Path

from tests.servers.environments import make_environment
from tests.servers.processes import ROOT

PROGRAM = ROOT / "include" / "break_glass" / "decrypt_backup.py"
_FOLDER = ROOT / ".tools" / "break-glass"


def environment() -> Path:
    """The interpreter of an environment with cryptography and boto3 as requirements.lock pins them; made once."""
    python = _FOLDER / "bin" / "python"
    lock = ROOT / "requirements.lock"
    stamp = f"{_FOLDER} {hashlib.sha256(lock.read_bytes()).hexdigest()}"
    with _FOLDER.with_suffix(".lock").open("w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)  # another worker of pytest may want it at the same time
        if not (_FOLDER / "stamp").exists() or (_FOLDER / "stamp").read_text() != stamp:
            pins = re.findall(r"^(?:boto3|cryptography)==\S+", lock.read_text(), re.MULTILINE)
            assert len(pins) == 2
            make_environment(_FOLDER, "--constraint", str(lock), *pins)
            (_FOLDER / "stamp").write_text(stamp)
    return python


def run_python(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run that interpreter in a folder of its own, where nothing of this repository can be imported."""
    return subprocess.run(
        [str(environment()), *map(str, arguments)],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key.startswith("AWS_")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def decrypt_backup(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the file."""
    return run_python(folder, PROGRAM, *arguments)

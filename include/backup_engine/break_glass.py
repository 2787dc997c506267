"""The other reader: every second drill also opens its backup with the break-glass file, as one would without us.

``include/break_glass/decrypt_backup.py`` runs as a program of its own, with the reading role's credentials and
nothing else of the task's environment, and says which bytes it would have written; they must be those that the
engine's reader releases. Nothing in clear touches a disk. A digest of a dump is a fingerprint of patient data, so
it is compared here and then forgotten: no log, XCom or evidence record holds it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from include.backup_engine import evidence
from include.backup_engine.cancel import Cancellation
from include.backup_engine.mysql.client import die_with_parent
from include.backup_engine.names import SIDECAR_SUFFIX
from include.backup_engine.records import Record
from include.backup_engine.report import Reporter, megabytes
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup

PROGRAM = Path(__file__).parents[1] / "break_glass" / "decrypt_backup.py"

_MEANINGS = {
    3: "cannot read the backup",
    4: "cannot have the data key opened by KMS",
    5: "finds that this is not the backup that was made",
}
_PASSED_ON = (  # where Python finds packages, and how this machine reaches AWS
    *("HOME", "PATH", "PYTHONPATH", "PYTHONUSERBASE"),
    *("AWS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


class BreakGlass(Record):
    """What the break-glass file made of a drill's backup.

    :param due: whether it was this drill's turn.
    :param matched: whether it released the very bytes that the engine's reader releases.
    :param problem: why not, when it was due.
    """

    due: bool
    matched: bool = False
    problem: str | None = None
    seconds: float = 0.0


NOT_DUE = BreakGlass(due=False)


def is_due(reader: Vault, source: str) -> bool:
    """Whether the break-glass file takes part in the source's next drill: it did not, or it failed, in the last one."""
    for _, _, record in evidence.records(reader, newest_first=True):
        if (record.kind, record.source) == ("drill", source):
            return record.facts.get("break_glass") is None
    return False


def open_with_break_glass(
    backup: StoredBackup,
    source: str,
    credentials: Mapping[str, str],
    reporter: Reporter,
    cancellation: Cancellation,
) -> BreakGlass:
    """Have both readers read the stored backup, side by side.

    :param credentials: of the reading role, as the variables that AWS's own tools read.
    :raises IntegrityError: the engine's own reader refuses the backup.
    """
    started = time.monotonic()
    place = f"s3://{backup.stored.bucket}/{backup.stored.key}"
    version = f"?versionId={backup.stored.version_id}" if backup.stored.version_id else ""
    argv = [sys.executable, str(PROGRAM), place + version, "--digest", "--source", source]
    argv += ["--sidecar", place + SIDECAR_SUFFIX, "--key-arn", backup.opened.opened_with.key_arn]
    with subprocess.Popen(
        argv, env=_environment(credentials), preexec_fn=die_with_parent,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        try:
            with cancellation.action(program.kill):
                ours = _digest(backup, reporter, cancellation)
                theirs, complaints = program.communicate()
        finally:
            program.kill()
    cancellation.check()
    problem = None
    if program.returncode:
        problem = _MEANINGS.get(program.returncode, f"ended with exit code {program.returncode}")
    elif theirs.strip() != ours:
        problem = "releases other bytes than the engine"
    for line in complaints.splitlines():
        if line.startswith("ERROR: "):  # its own sentences, which hold names and codes, no data
            reporter.warn(f"The break-glass file says: {line}")
    seconds = round(time.monotonic() - started, 3)
    reporter.line(
        f"The break-glass file {problem or 'releases the same bytes as the engine'}",
        compressed=megabytes(int(ours.split()[1])),
        seconds=seconds,
    )
    return BreakGlass(due=True, matched=problem is None, problem=problem, seconds=seconds)


def _digest(backup: StoredBackup, reporter: Reporter, cancellation: Cancellation) -> str:
    """As the program prints it."""
    digest, size = hashlib.sha256(), 0
    for chunk in reporter.watch(backup.compressed(), "Read by the engine"):
        cancellation.check()
        digest.update(chunk)
        size += len(chunk)
    return f"{digest.hexdigest()} {size}"


def _environment(credentials: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # No profile or instance role of this machine instead of the role that was given.
    nothing_else = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return inherited | nothing_else | dict(credentials)

"""The command line: the same backups, without Airflow.

``python -m include.backup_engine list | show NAME | verify NAME | decrypt FILE_OR_NAME --output FILE | recover NAME |
retention | rewrap NAME --to KEY | keys``

Policy as in the DAGs (``BACKUP_POLICY``), connections from ``AIRFLOW_CONN_*``. Exit codes: 0 done, 1 an
expected error (told in two sentences), 2 wrong usage, 130 interrupted. JSON output goes to stdout, the story
to stderr.
"""

from __future__ import annotations

import argparse
import logging
import sys

from include.backup_engine.commands import decrypt, keys, look, recover, retention, rewrap, verify
from include.backup_engine.commands.desk import Desk, Run
from include.backup_engine.errors import BackupError

_COMMANDS = (look, verify, decrypt, recover, retention, rewrap, keys)
"""In the order of the help."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    command: Run = options.command
    try:
        command(Desk(options.source), options)
    except BackupError as error:
        print(f"{type(error).__name__}: {error.cause}\nRemedy: {error.remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.backup_engine", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())

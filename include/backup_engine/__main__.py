"""The command line: the same backups, without Airflow. See docs/command_line.md.

Policy as in the DAGs (``BACKUP_POLICY``), connections from ``AIRFLOW_CONN_*``. Results go to stdout, the story to
stderr.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import NoReturn

from include.backup_engine.errors import BackupError, DrillFailed, IntegrityError, UnsupportedFormat

DONE, FAILED, USAGE, UNAVAILABLE, NOT_GOOD, INTERRUPTED, UNREAD = 0, 1, 2, 3, 5, 130, 141
_EXIT_CODES = f"""exit codes:
  {DONE}    done
  {FAILED}    an expected error, told in two sentences
  {USAGE}    wrong usage
  {UNAVAILABLE}    S3, KMS or a database did not answer, or not now: run it again
  {NOT_GOOD}    DO NOT USE IT: not the backup that was made, or not what the source held
  {INTERRUPTED}  interrupted (Ctrl-C, SIGTERM, SIGHUP); nothing half-made is left, or it is named
  {UNREAD}  nobody reads the output any more
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        _run(arguments)
        sys.stdout.flush()
    except BackupError as error:
        print(f"{type(error).__name__}: {error.cause}\nRemedy: {error.remedy}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        return UNREAD
    return DONE


def exit_code(error: BackupError) -> int:
    """What a script wants to tell apart: a backup that is not good, a service that does not answer, all the rest."""
    if isinstance(error, IntegrityError | DrillFailed) and not isinstance(error, UnsupportedFormat):
        return NOT_GOOD
    return UNAVAILABLE if error.retryable else FAILED


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def command_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    # Here and not above: they take a second, in which an interrupt is one, too.
    from include.backup_engine.commands import accounts, decrypt, keys, look, recover, retention, rewrap, verify

    parser = argparse.ArgumentParser(
        prog="python -m include.backup_engine",
        description=(__doc__ or "").split("\n\n")[0],
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (look, verify, decrypt, accounts, recover, retention, rewrap, keys):
        module.add(commands)
    return parser


def _run(arguments: list[str] | None) -> None:
    options = command_parser().parse_args(arguments)

    from include.backup_engine.commands.desk import Desk

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    options.command(Desk(options.source), options)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    sys.exit(main())

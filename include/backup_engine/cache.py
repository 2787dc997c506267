"""What was read before and has not changed since: small facts by object key, each with what tells that it is current.

A cache only ever saves a request. What it gives is shown, never opened: who opens a backup reads it from the bucket.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from include.backup_engine.records import Record

_FORMAT = 1
_Facts = TypeVar("_Facts", bound=Record)


class Cache:
    """Facts of one bucket, in memory, and in a file between two commands when there is one.

    A file that is missing, damaged, of another release or not writable is no error: everything is read anew.

    :param file: mode 0600, in a folder of mode 0700; None: memory only.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._facts: dict[str, list[Any]] = {}
        self._new = False
        with suppress(OSError, ValueError, KeyError, TypeError):
            document = json.loads(file.read_bytes()) if file else {}
            if document["format"] == _FORMAT:
                self._facts = {str(key): [seen, facts] for key, (seen, facts) in document["facts"].items()}

    @classmethod
    def of_bucket(cls, *identity: str | None) -> Cache:
        """The file of this user for one bucket: under ``XDG_CACHE_HOME``, else ``~/.cache`` (XDG Base Directory).

        :param identity: what tells this bucket from others of the same name: endpoint, region, prefix.
        """
        with suppress(RuntimeError):  # no home
            home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
            name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
            return cls(home / "airflow-mysql-backup" / f"{name}.json")
        return cls()

    def get(self, key: str, seen: str | None, kind: type[_Facts]) -> _Facts | None:
        """The facts that were kept about ``key`` when it looked as it does now; None: there are none."""
        known = self._facts.get(key)
        if not known or seen is None or known[0] != seen:
            return None
        with suppress(ValidationError):  # of another release
            return kind.model_validate(known[1])
        return None

    def keep(self, key: str, seen: str | None, facts: Record) -> None:
        """Keep facts.

        :param seen: what changes when the object does, such as its ETag.
        """
        self._facts[key] = [seen, facts.model_dump(mode="json", exclude_defaults=True)]
        self._new = True

    def save(self, wanted: Callable[[str], bool]) -> None:
        """Write the file, if anything is new.

        :param wanted: asked about each key: whether its facts may be needed again.
        """
        if self._file is None or not self._new:
            return
        facts = {key: known for key, known in self._facts.items() if wanted(key)}
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._file.parent, delete=False) as whole:  # of mode 0600
                json.dump({"format": _FORMAT, "facts": facts}, whole, separators=(",", ":"))
            Path(whole.name).replace(self._file)

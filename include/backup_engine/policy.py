"""The policy file: read, checked, and turned into typed settings.

One YAML file, ``include/policy.yaml`` or the one that ``BACKUP_POLICY`` names. An error names the key, the
value and what is allowed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from include.backup_engine.errors import PolicyError
from include.backup_engine.names import SAFETY_SUFFIX, Compression
from include.backup_engine.records import DumpAgain, Fingerprints, Verdict

DEFAULT_PATH = Path(__file__).resolve().parents[1] / "policy.yaml"
_SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_RESERVED_SOURCES = {"evidence"}
_KEY_ARN = r"^arn:[\w-]+:kms:[\w-]+:\d{12}:key/[\w-]+$"
"""An alias may lead elsewhere tomorrow, and an id does not say in which region to ask."""


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key that stands twice: plain YAML takes the last, and a source would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _folder(prefix: str) -> str:
    if prefix.startswith("/") or (prefix and not prefix.endswith("/")):
        raise ValueError("must be empty, or a key prefix that ends with / and does not start with it")
    return prefix


def _with_reasons(tables: object) -> object:
    """Tables without a reason are left out because the policy says so."""
    return dict.fromkeys(tables, "policy") if isinstance(tables, list | tuple) else tables


def _off(value: object) -> object:
    """YAML 1.1 reads ``off`` as false."""
    return "off" if value is False else value


def _few(connections: Literal["auto"] | int) -> Literal["auto"] | int:
    if connections != "auto" and not 1 <= connections <= 8:
        raise ValueError("must be auto, or a number from 1 to 8")
    return connections


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ObjectLock(_Section):
    """S3 Object Lock retention that every object of a backup gets."""

    mode: Literal["GOVERNANCE", "COMPLIANCE"]
    days: int = Field(ge=1)


class VaultPolicy(_Section):
    """Bucket, roles and keys."""

    bucket: str = Field(min_length=3, max_length=63)
    prefix: Annotated[str, AfterValidator(_folder)] = "private/db_backups/"
    region: str
    writer_conn_id: str = "aws_backup_writer"
    reader_conn_id: str = "aws_backup_reader"
    retention_conn_id: str = "aws_backup_retention"
    rewrap_conn_id: str = "aws_backup_rewrap"
    data_key_id: str
    further_data_key_ids: list[Annotated[str, Field(pattern=_KEY_ARN)]] = Field(default=[], max_length=15)
    allowed_data_keys: list[Annotated[str, Field(pattern=r"^arn:")]] = []
    sse_key_id: str
    object_lock: ObjectLock | None = None

    @model_validator(mode="after")
    def _two_keys(self) -> VaultPolicy:
        # A multipart upload under SSE-KMS needs kms:Decrypt on the SSE key, and the writer must not be able
        # to decrypt data keys (AWS docs, "Multipart upload API and permissions").
        if self.data_key_id == self.sse_key_id:
            raise ValueError("data_key_id and sse_key_id must be different KMS keys")
        keys = [self.data_key_id, self.sse_key_id, *self.further_data_key_ids]
        if len(set(keys)) < len(keys):
            raise ValueError("further_data_key_ids must be different KMS keys, and neither data_key_id nor sse_key_id")
        return self


class ThrottlePolicy(_Section):
    """When a backup holds itself back for its server's sake (throttle.py); nothing does unless it is set.

    :param megabytes_per_second: of SQL, in powers of ten.
    :param threads_running: at least 5: two more than a backup with ``parallel: 1`` runs itself.
    :param longest_wait_minutes: for the server, in all; then the backup goes on.
    """

    megabytes_per_second: float | None = Field(None, gt=0)
    threads_running: int | None = Field(None, ge=5)
    history_list_length: int | None = Field(None, ge=1)
    replication_lag_seconds: int | None = Field(None, ge=1)
    longest_wait_minutes: float = Field(30, gt=0)

    @property
    def most_connections(self) -> int:
        """So many may read for the dump, and as many for the fingerprints, that with the one which looks at the server,
        and two threads of others, the limit of running threads is not passed.
        """
        return sys.maxsize if self.threads_running is None else (self.threads_running - 3) // 2


class SourcePolicy(_Section):
    """One database to back up.

    :param exclude_tables: names, each with the reason; a list of names gives none.
    :param parallel: connections that read at the same time, for the dump and for the fingerprints each
        (mysql/parallel.py).
    :param consistency: the weakest verdict with which a backup is kept. Not ``exact`` by default: a view that someone
        creates in another database of the server costs that verdict, and should not cost the night's backup.
    :param accounts: whether the accounts of its server are kept with each backup.
    """

    conn_id: str
    database: str = Field(min_length=1, max_length=64)
    exclude_tables: Annotated[dict[str, str], BeforeValidator(_with_reasons)] = {}
    compression: Compression = "gzip"
    format: Literal["v2", "v1"] = "v2"
    parallel: Annotated[Literal["auto"] | int, AfterValidator(_few)] = "auto"
    consistency: Verdict = "ddl-checked"
    fingerprints: Annotated[Fingerprints, BeforeValidator(_off)] = "full"
    staging_dir: Path | None = None
    accounts: bool = False
    throttle: ThrottlePolicy = ThrottlePolicy()

    @model_validator(mode="after")
    def _original_is_gzip(self) -> SourcePolicy:
        if self.format == "v1" and self.compression != "gzip":
            raise ValueError("format v1 is the original's and always gzip")
        if self.format == "v1" and self.accounts:
            raise ValueError("format v1 is the original's and has no place for accounts")
        return self

    @model_validator(mode="after")
    def _not_throttled_by_itself(self) -> SourcePolicy:
        if self.parallel != "auto" and self.parallel > self.throttle.most_connections:
            raise ValueError(
                f"with parallel: {self.parallel}, throttle.threads_running must be at least {2 * self.parallel + 3},"
                " or the backup waits for itself"
            )
        return self


class SchedulePolicy(_Section):
    """When ``nightly_backup`` runs."""

    cron: str = "0 2 * * *"
    timezone: str = "UTC"


class RetentionPolicy(_Section):
    """How many backups to keep: grandfather, father, son, and never fewer than ``minimum``.

    :param safety_days: how long the backups stay that a recovery makes of what it overwrites. At least 35: a mistake
        in a recovery may show only when a month is closed.
    :param apply: whether ``nightly_backup`` deletes what is superfluous, or only says what it would delete.
    """

    daily: int = Field(7, ge=0)
    weekly: int = Field(5, ge=0)
    monthly: int = Field(12, ge=0)
    yearly: int = Field(6, ge=0)
    minimum: int = Field(3, ge=1)
    safety_days: int = Field(90, ge=35)
    apply: bool = False


class AnomalyPolicy(_Section):
    """How unlike the backups before it a backup may be (anomalies.py), and what happens when it is.

    :param action: ``warn``: it is told; ``fail``: the task fails, too. The backup is kept in any case.
    :param min_rows: tables that usually have fewer are only missed when they are empty or gone.
    """

    action: Literal["warn", "fail"] = "warn"
    shrink_percent: float = Field(20, ge=0, le=100)
    growth_percent: float = Field(100, ge=0)
    table_shrink_percent: float = Field(50, ge=0, le=100)
    table_growth_percent: float = Field(100, ge=0)
    min_rows: int = Field(1000, ge=0)
    compressibility_percent: float = Field(30, gt=0, lt=100)


class DrillPolicy(_Section):
    """When ``restore_drill`` runs, where it restores to, and which times it must meet.

    :param dump_again: tables of the copy that are dumped again (written.py).
    """

    cron: str = "0 5 * * 0"
    scratch_conn_id: str = "scratch_mysql"
    rto_target_minutes: float = Field(240, gt=0)
    rpo_target_hours: float = Field(26, gt=0)
    dump_again: DumpAgain = "all"


class RecoveryPolicy(_Section):
    """Who may approve that ``disaster_recovery`` overwrites something.

    :param approvers: ids of Airflow's users; empty: everybody whom Airflow lets answer.
    :param four_eyes: whether the one who asked for it may not approve it, too.
    """

    approvers: list[str] = []
    four_eyes: bool = False


class Policy(_Section):
    """The whole file."""

    version: Literal[1]
    vault: VaultPolicy
    sources: dict[str, SourcePolicy] = Field(min_length=1)
    schedule: SchedulePolicy = SchedulePolicy()
    retention: RetentionPolicy = RetentionPolicy()
    anomalies: AnomalyPolicy = AnomalyPolicy()
    drill: DrillPolicy = DrillPolicy()
    recovery: RecoveryPolicy = RecoveryPolicy()

    @field_validator("sources")
    @classmethod
    def _source_names(cls, sources: dict[str, SourcePolicy]) -> dict[str, SourcePolicy]:
        for name in sources:
            if not _SOURCE_NAME.fullmatch(name) or name in _RESERVED_SOURCES or name.endswith(SAFETY_SUFFIX):
                raise ValueError(
                    f"{name!r} is not a source name: lower-case letters, digits, _ and -, not 'evidence',"
                    f" and not with {SAFETY_SUFFIX} at its end"
                )
        return sources

    @model_validator(mode="after")
    def _original_has_one_key(self) -> Policy:
        originals = sorted(name for name, source in self.sources.items() if source.format == "v1")
        if originals and self.vault.further_data_key_ids:
            raise ValueError(
                f"format v1 has room for one wrapped key: with vault.further_data_key_ids, use v2 for {originals[0]}"
            )
        return self

    def source(self, name: str) -> SourcePolicy:
        """The source of that name.

        :raises PolicyError: when there is none.
        """
        if name not in self.sources:
            raise PolicyError(f"The policy has no source {name!r}.", f"Use one of: {', '.join(sorted(self.sources))}.")
        return self.sources[name]


def load_policy(path: Path | None = None) -> Policy:
    """Read and check the policy file.

    :param path: default: ``$BACKUP_POLICY``, else ``include/policy.yaml``.
    :raises PolicyError: naming the file, the key, the value and what is allowed.
    """
    path = path or Path(os.environ.get("BACKUP_POLICY") or DEFAULT_PATH)
    try:
        document = _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PolicyError(
            f"The policy file {path} cannot be read: {reason}.", "Set BACKUP_POLICY to a readable file."
        ) from None
    except yaml.YAMLError as error:
        where, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "unreadable"
        line = f", line {where.line + 1}" if where else ""
        raise PolicyError(f"The policy file {path}{line} is not valid YAML: {problem}.", "Correct it there.") from None
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "(top level)"
        value = "none" if first["type"] == "missing" else repr(first["input"])
        raise PolicyError(
            f"The policy file {path} is not valid: key {key}, value {value}: {first['msg']}.",
            "Correct that key; include/policy.yaml shows every key with its default.",
        ) from None

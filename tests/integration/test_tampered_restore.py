"""Nothing that was tampered with reaches a database: every case is refused by name before a statement runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import BackupError, IntegrityError, KeyRefused
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy, load_policy
from include.backup_engine.records import Chain
from include.backup_engine.report import Reporter
from include.backup_engine.restore import restore
from include.backup_engine.store.catalog import Catalog, Entry
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import open_stored
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB

FRAME = 1024 * 1024 + 32  # ciphertext bytes of a whole frame
DATABASE = "tampered"
TARGET = "drill_tampered"


@dataclass
class Bench:
    """Two genuine backups of a small database, and a second bucket to put forgeries of them into."""

    policy: Policy
    keyring: Keyring
    forgeries: Vault
    genuine: Entry
    ciphertext: bytes
    other: Entry
    other_ciphertext: bytes
    scratch: MariaDB

    def attempt(self, ciphertext: bytes, sidecar: bytes) -> BackupError | None:
        """Put a pair into the second bucket as a bucket's writer could, and restore it; what was refused."""
        key = self.genuine.key
        for suffix, body in (("", ciphertext), (".encryption_info", sidecar)):
            self.forgeries.client.put_object(
                Bucket=self.forgeries.bucket, Key=key + suffix, Body=body,
                ServerSideEncryption="aws:kms", SSEKMSKeyId=self.forgeries.policy.sse_key_id,
            )  # fmt: skip
        endpoint = Endpoint(unix_socket=str(self.scratch.endpoint.socket), user="root")
        self.scratch.sql(f"DROP DATABASE IF EXISTS {TARGET}; CREATE DATABASE {TARGET}")
        try:
            entry = Catalog(self.forgeries).find("bench", key.rsplit("/", 1)[-1])
            stored = open_stored(entry, "bench", self.policy, self.forgeries, self.keyring)
            restore(stored, endpoint, TARGET, self.policy, self.keyring, Reporter(), Cancellation())
        except BackupError as error:
            return error
        finally:
            tables = self.scratch.sql("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s", TARGET)
            self.tables = tables[0][0]
        return None

    tables: int = 0


@pytest.fixture(scope="module")
def bench(
    mariadb_source: MariaDB, mariadb_scratch: MariaDB, aws: Aws, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    mariadb_source.sql(f"CREATE DATABASE {DATABASE}; CREATE TABLE {DATABASE}.t (id INT PRIMARY KEY, b LONGBLOB)")
    for number in range(4):
        mariadb_source.sql(f"INSERT INTO {DATABASE}.t VALUES (%s, %s)", number, os.urandom(1_100_000))
    suffix = os.urandom(4).hex()
    document = {
        "version": 1,
        "vault": {
            "bucket": aws.seed(bucket=f"genuine-{suffix}").bucket,
            "region": aws.region,
            "data_key_id": "alias/surgicase-backup",
            "sse_key_id": "alias/surgicase-backup-sse",
        },
        "sources": {"bench": {"conn_id": "unused", "database": DATABASE}},
    }
    file = tmp_path_factory.mktemp("bench") / "policy.yaml"
    file.write_text(yaml.safe_dump(document))
    policy, keyring = load_policy(file), Keyring(aws.kms)
    resolved = with_sse_key_arn(policy.vault, keyring)
    vault = Vault(aws.s3, resolved)
    forgeries = Vault(aws.s3, resolved.model_copy(update={"bucket": aws.seed(bucket=f"forged-{suffix}").bucket}))
    endpoint = Endpoint(unix_socket=str(mariadb_source.endpoint.socket), user="root")
    entries: list[Entry] = []
    for minute in (0, 1):
        name = BackupName(datetime(2026, 11, 1, 2, minute, tzinfo=UTC) - timedelta(days=1))
        job = BackupJob(policy, "bench", name, Chain(sequence=1 + minute))
        back_up(job, endpoint, keyring, vault, Reporter(), Cancellation())
        entries.append(Catalog(vault).find("bench", name.object_name))
    bodies = [b"".join(vault.read(entry.key)) for entry in entries]
    yield Bench(policy, keyring, forgeries, entries[0], bodies[0], entries[1], bodies[1], mariadb_scratch)
    mariadb_source.sql(f"DROP DATABASE {DATABASE}")


def _raw(entry: Entry) -> bytes:
    assert entry.raw_sidecar is not None
    return entry.raw_sidecar


def _flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1 << (position % 8)
    return bytes(changed)


def _object_cases(bench: Bench) -> Iterator[tuple[str, bytes]]:
    body = bench.ciphertext
    sidecar = json.loads(_raw(bench.genuine))
    start = sidecar["header_length"]
    frames = [body[start + n * FRAME : start + (n + 1) * FRAME] for n in range(sidecar["frame_count"] - 1)]
    final = body[start + len(frames) * FRAME :]
    head = body[:start]
    for position in (0, 1, 2, 3, 40, start - 80, start - 1, *(start + n for n in (0, 4, 16, 17, FRAME - 1, FRAME)),
                     len(body) - 1, len(body) - 17, len(body) // 2):  # fmt: skip
        yield f"bit flipped at {position}", _flipped(body, position)
    for cut in (0, 1, start - 1, start, *(start + n * FRAME for n in range(1, len(frames) + 1)), len(body) - 1):
        yield f"cut to {cut} bytes", body[:cut]
    yield "two frames swapped", b"".join([head, frames[1], frames[0], *frames[2:], final])
    yield "a frame repeated", b"".join([head, frames[0], *frames, final])
    yield "a frame dropped", b"".join([head, *frames[1:], final])
    yield "the final frame dropped", b"".join([head, *frames])
    yield "the final frame twice", body + final
    yield "trailing byte", body + b"\0"
    yield "another backup's object", bench.other_ciphertext
    yield "another backup's frames", head + bench.other_ciphertext[start:]
    yield "empty", b""


def _leaves(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(document, dict):
        for key in document:
            yield from _leaves(document[key], (*path, key))
    elif isinstance(document, list):
        for index in range(len(document)):
            yield from _leaves(document[index], (*path, index))
    else:
        yield path


def _edited(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return ("A" if value[:1] != "A" else "B") + value[1:]
    return "edited"


def _sidecar_cases(bench: Bench) -> Iterator[tuple[str, bytes]]:
    raw = _raw(bench.genuine)
    for path in _leaves(json.loads(raw)):
        changed = json.loads(raw)
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = _edited(place[path[-1]])
        yield f"sidecar field {path} edited", json.dumps(changed).encode()
    added = json.loads(raw) | {"added": 1}
    yield "sidecar field added", json.dumps(added).encode()
    for field in json.loads(raw):
        removed = json.loads(raw)
        del removed[field]
        yield f"sidecar field {field} removed", json.dumps(removed).encode()
    yield "another backup's sidecar", _raw(bench.other)
    yield "not JSON", raw[:-1]


def test_a_genuine_copy_in_another_bucket_is_restored(bench: Bench) -> None:
    assert bench.attempt(bench.ciphertext, _raw(bench.genuine)) is None
    assert bench.tables == 1


def test_everything_else_is_refused_before_a_statement_runs(
    bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    cases = [(what, body, _raw(bench.genuine)) for what, body in _object_cases(bench)]
    cases += [(what, bench.ciphertext, sidecar) for what, sidecar in _sidecar_cases(bench)]
    cases.append(("both of another backup", bench.other_ciphertext, _raw(bench.other)))
    names: dict[str, int] = {}
    for what, body, sidecar in cases:
        refused = bench.attempt(body, sidecar)
        assert refused is not None, f"not refused: {what}"
        assert bench.tables == 0, f"a statement ran: {what}"
        names[type(refused).__name__] = names.get(type(refused).__name__, 0) + 1
    record_property("tampered restores refused", len(cases))
    print(f"tampered restores refused before a statement ran: {len(cases)}, as {names}")
    assert set(names) - {"BackupMissing"} != set()


def test_a_pair_made_under_another_kms_key_is_refused(bench: Bench, aws: Aws, mariadb_source: MariaDB) -> None:
    attacker = aws.kms.create_key(Description="not ours")["KeyMetadata"]["Arn"]
    policy = bench.policy.model_copy(
        update={
            "vault": bench.policy.vault.model_copy(
                update={"data_key_id": attacker, "bucket": aws.seed(bucket=f"attacker-{os.urandom(4).hex()}").bucket}
            )
        }
    )
    vault = Vault(aws.s3, with_sse_key_arn(policy.vault, bench.keyring))
    endpoint = Endpoint(unix_socket=str(mariadb_source.endpoint.socket), user="root")
    assert bench.genuine.name is not None
    job = BackupJob(policy, "bench", bench.genuine.name, Chain(sequence=1))
    sidecar = back_up(job, endpoint, bench.keyring, vault, Reporter(), Cancellation())
    body = b"".join(vault.read(job.key))
    refused = bench.attempt(body, sidecar)
    assert isinstance(refused, KeyRefused)
    assert bench.tables == 0


def test_a_downgrade_to_the_original_format_is_refused(bench: Bench) -> None:
    sidecar = json.loads(_raw(bench.genuine))
    original = {
        "kms_key_id": sidecar["kms_key_id"],
        "encrypted_data_key": sidecar["encrypted_data_key"],
        "iv": "AAAAAAAAAAAAAAAA",
        "auth_tag": "AAAAAAAAAAAAAAAAAAAAAA==",
        "algorithm": "AES-256-GCM",
        "encrypted_file_size": len(bench.ciphertext),
        "original_file_size": len(bench.ciphertext),
        "metadata": {"backup_date": "2026-01-01T00:00:00Z", "tables_count": 1, "backup_type": "database_dump"},
    }
    refused = bench.attempt(bench.ciphertext, json.dumps(original).encode())
    assert isinstance(refused, IntegrityError)
    assert bench.tables == 0

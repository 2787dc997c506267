"""Keys, messages and sidecars for the tests of the encryption, without KMS."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import DataKey, WrappedKey
from include.backup_engine.crypto.message import FRAME_LENGTH, Decryptor, Encryptor, Header
from include.backup_engine.crypto.original import OriginalEncryptor
from include.backup_engine.crypto.sidecar import BackupFacts, Metadata, OriginalSidecar, Sidecar
from include.backup_engine.names import BackupName, encryption_context
from include.backup_engine.records import (
    Census,
    Chain,
    Consistency,
    ObjectFacts,
    Section,
    ServerIdentity,
    StoredObject,
    StreamFacts,
    TableFacts,
    Timings,
)

NAME = BackupName(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
SOURCE = "surgicase"
BACKUP_ID = str(uuid.UUID(int=1))
CONTEXT = encryption_context(SOURCE, NAME, BACKUP_ID)
KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-0000-4000-8000-00000000abcd"


def data_key(fill: int = 7, arn: str = KEY_ARN) -> DataKey:
    """A data key that is not secret, with a wrapped copy that no KMS has made."""
    return DataKey(bytes([fill]) * 32, [WrappedKey(arn, b"wrapped" * 3)])


def encrypt(
    plaintext: bytes,
    key: DataKey,
    frame_length: int = FRAME_LENGTH,
    context: dict[str, str] = CONTEXT,
    message_id: bytes | None = None,
) -> bytes:
    """A whole message."""
    return b"".join(Encryptor(key, context, frame_length, message_id).encrypt([plaintext]))


def decrypt(chunks: Iterable[bytes], key: DataKey) -> Iterator[bytes]:
    """What is released of a message, frame by frame."""
    stream = ByteReader(chunks)
    yield from Decryptor(Header.read(stream), key).decrypt(stream)


def backup_facts(name: BackupName = NAME, source: str = SOURCE, compressed_bytes: int = 0) -> BackupFacts:
    """Facts of an imaginary backup, every optional field set, so that tampering finds something everywhere."""
    return BackupFacts(
        backup_id=BACKUP_ID,
        object_name=name.object_name,
        source=source,
        database="surgicase",
        s3=StoredObject(
            bucket="backups",
            key=f"private/db_backups/{source}/{name.object_name}",
            version_id="v1",
            size=1,
            etag='"e"',
            checksum="c2hh-1",
            sse="aws:kms",
            sse_kms_key_id=KEY_ARN,
            bucket_key=True,
            lock_mode="GOVERNANCE",
            retain_until=datetime(2026, 2, 1, tzinfo=UTC),
            last_modified=datetime(2026, 1, 2, tzinfo=UTC),
            request_id="r",
            parts=1,
        ),
        server=ServerIdentity(flavour="mariadb", version="10.11.6", instance_id="i", sql_mode="ANSI", time_zone="UTC"),
        consistency=Consistency(
            method="global_read_lock",
            verdict="exact",
            snapshot_at=name.taken_at,
            lock_seconds=0.25,
            definitions="quiet",
        ),
        census=Census(
            charset="utf8mb4",
            collation="utf8mb4_uca1400_ai_ci",
            tables=[TableFacts(name="pätient", rows=3, fingerprint="ab", definition_sha256="cd", engine="InnoDB")],
            objects=[ObjectFacts(kind="view", name="v", definition_sha256="ef", definer="a@%")],
            excluded_tables=["log"],
            excluded_because={"log": "policy"},
        ),
        stream=StreamFacts(
            sql_bytes=100,
            compressed_bytes=compressed_bytes,
            sections=[
                Section(
                    kind="table",
                    name="pätient",
                    sql_offset=0,
                    sql_length=100,
                    compressed_offset=0,
                    member_sql_offset=0,
                    rows=3,
                )
            ],
            views=["v"],
            routines=0,
            triggers=0,
            events=0,
        ),
        tools={"mariadb-dump": "10.11.6"},
        timings=Timings(total=1.5, stages={"dump": 0.1}, peak_memory_bytes=1000),
        chain=Chain(sequence=2, previous_backup_id="p", previous_sidecar_sha256="00"),
        attempt=1,
        airflow={"dag_id": "nightly_backup", "run_id": "r", "task_id": "backup"},
    )


def metadata(name: BackupName = NAME) -> Metadata:
    """Metadata of the same backup."""
    return Metadata(
        backup_date=name.taken_at,
        tables_count=1,
        compression="gzip",
        excluded_tables=["log"],
        sql_size=100,
        server_version="10.11.6",
        gtid_executed="0-1-2",
    )


def make_v2(
    plaintext: bytes, key: DataKey, context: dict[str, str] = CONTEXT, name: BackupName = NAME, frame_length: int = 64
) -> tuple[bytes, Sidecar]:
    """A message and its sidecar, not sealed yet."""
    encryptor = Encryptor(key, context, frame_length)
    message = b"".join(encryptor.encrypt([plaintext]))
    facts = backup_facts(name, compressed_bytes=encryptor.plaintext_bytes)
    facts = facts.model_copy(update={"backup_id": context["backup-id"]})
    return message, Sidecar.describe(encryptor.facts(), key.wrapped, context, metadata(name), facts)


def make_v1(plaintext: bytes, key: DataKey, name: BackupName = NAME) -> tuple[bytes, OriginalSidecar]:
    """A file in the original format and our sidecar for it, not sealed yet."""
    encryptor = OriginalEncryptor(key)
    ciphertext = b"".join(encryptor.encrypt([plaintext]))
    facts = backup_facts(name, compressed_bytes=encryptor.size)
    return ciphertext, OriginalSidecar.describe(encryptor, key, metadata(name), facts)

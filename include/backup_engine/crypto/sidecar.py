"""The sidecar: the JSON document beside an encrypted dump that says what it is and how to open it.

Its first fields are those of the original system, whose reader still finds what it needs. A v2 sidecar
describes the message (crypto/message.py) and what was backed up; a v1 sidecar describes a file in the original
format, with our additions when we wrote it. Ours are sealed by a MAC under a key that derives from the data
key, so that whoever can write the bucket but not unwrap the data key cannot change them.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NoReturn, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError

from include.backup_engine.crypto.data_key import DataKey, WrappedKey
from include.backup_engine.crypto.message import MAX_WRAPPED_KEYS
from include.backup_engine.crypto.original import OriginalEncryptor
from include.backup_engine.errors import SidecarMalformed, SidecarTampered, UnsupportedFormat
from include.backup_engine.names import Compression
from include.backup_engine.records import (
    AccountsFacts,
    Census,
    Chain,
    Consistency,
    Fingerprints,
    MessageFacts,
    Record,
    ServerIdentity,
    StoredObject,
    StreamFacts,
    Timings,
)

MAX_SIDECAR_BYTES = 16 * 1024**2
ORIGINAL_ALGORITHM = "AES-256-GCM"
MESSAGE_ALGORITHM = "AES-256-GCM-HKDF-SHA512-COMMIT-KEY"
_MAC_INFO = b"airflow-mysql-backup/sidecar-mac/1"
_REMEDY = "Use another version of the sidecar, or another backup; a v2 file can also be opened without its sidecar."


# Fields -----------------------------------------------------------------------------------------------------


def encode(data: bytes) -> str:
    """Base64 (RFC 4648, section 4), as everywhere in the sidecar."""
    return base64.b64encode(data).decode()


def decode(text: str) -> bytes:
    """The bytes of a base64 field; :class:`ValueError` when it is not base64."""
    return base64.b64decode(text, validate=True)


def _base64(text: str) -> str:
    try:
        decode(text)
    except ValueError:
        raise ValueError("is not base64") from None
    return text


def _utc(value: object) -> object:
    # The original wrote an offset and a Z: 2025-08-05T22:48:22.1+00:00Z.
    moment = datetime.fromisoformat(value.removesuffix("Z")) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _names(value: object) -> object:
    # The original may have written one string.
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Base64 = Annotated[str, AfterValidator(_base64)]


class Metadata(Record):
    """What the dump is; the first three are the original's.

    :param backup_date: UTC.
    :param sql_size: bytes of SQL before compression.
    """

    backup_date: Annotated[datetime, BeforeValidator(_utc)]
    tables_count: int
    backup_type: str = "database_dump"
    compression: Compression = "gzip"
    excluded_tables: Annotated[list[str], BeforeValidator(_names)] = Field(default_factory=list)
    sql_size: int | None = None
    server_version: str | None = None
    gtid_executed: str | None = None


class SidecarMac(Record):
    """Seal of the whole document but itself, and so the one part in which nothing unknown is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alg: Literal["HMAC-SHA256"]
    value: Base64


class EncryptedDataKey(Record):
    """A wrapped copy of the data key: one of the message header's, or a re-wrapped one."""

    provider: Literal["aws-kms"] = "aws-kms"
    key_arn: str
    ciphertext: Base64

    @classmethod
    def of(cls, key: WrappedKey) -> Self:
        """From the form that KMS and the message header use."""
        return cls(key_arn=key.key_arn, ciphertext=encode(key.ciphertext))

    def wrapped(self) -> WrappedKey:
        """In the form that KMS and the message header use."""
        return WrappedKey(self.key_arn, decode(self.ciphertext))


class BackupFacts(Record):
    """What we record about every backup that we make, in either format.

    :param source: the policy's name of the database server and schema.
    :param attempt: which try of the task made it.
    :param airflow: dag_id, run_id, task_id; empty when made without Airflow.
    :param accounts: ``None`` when the policy does not ask for them.
    :param s3: the stored object; ``None`` when the sidecar was sealed before the upload (staged.py).
    """

    backup_id: str = Field(min_length=1, max_length=64)
    object_name: str
    source: str
    database: str
    s3: StoredObject | None = None
    server: ServerIdentity
    consistency: Consistency
    census: Census
    stream: StreamFacts
    tools: dict[str, str]
    fingerprints: Fingerprints | None = None
    fingerprint_seconds: float = 0.0
    timings: Timings
    chain: Chain
    accounts: AccountsFacts | None = None
    attempt: int
    airflow: dict[str, str]


class _OriginalFields(Record):
    """The fields of the original system's sidecar.

    :param encrypted_file_size: bytes of the encrypted file.
    :param original_file_size: bytes of the compressed dump that was encrypted.
    """

    kms_key_id: str
    encrypted_data_key: Base64
    iv: Base64
    auth_tag: Base64
    algorithm: str
    encrypted_file_size: int | None = None
    original_file_size: int | None = None
    metadata: Metadata
    ciphertext_sha256: str | None = None
    sidecar_mac: SidecarMac | None = None


class OriginalSidecar(_OriginalFields):
    """Sidecar of a file in the original format (v1).

    :param kms_key_id: key id, alias or ARN.
    :param iv: 12 bytes.
    :param auth_tag: 16 bytes, of the whole file.
    :param facts: ours, when we wrote it; in the document they stand beside the other fields.
    """

    format_version: Literal[1] | None = None
    facts: BackupFacts | None = None

    @classmethod
    def describe(
        cls, encryptor: OriginalEncryptor, data_key: DataKey, metadata: Metadata, facts: BackupFacts
    ) -> OriginalSidecar:
        """The sidecar of what ``encryptor`` has made, to be sealed by :func:`seal`."""
        return cls(
            kms_key_id=data_key.wrapped[0].key_arn,
            encrypted_data_key=encode(data_key.wrapped[0].ciphertext),
            iv=encode(encryptor.iv),
            auth_tag=encode(encryptor.auth_tag),
            algorithm=ORIGINAL_ALGORITHM,
            encrypted_file_size=encryptor.size,
            original_file_size=encryptor.size,
            metadata=metadata,
            ciphertext_sha256=encryptor.ciphertext_sha256,
            format_version=1,
            facts=facts,
        )


class Sidecar(BackupFacts, _OriginalFields):
    """Sidecar of an encrypted message (v2).

    :param kms_key_id: ARN of the message header's first wrapped data key.
    :param iv: the 32-byte message id.
    :param auth_tag: the message header's 16-byte tag.
    :param header_length: bytes before the first frame.
    :param encrypted_data_keys: all wrapped copies: the header's, and re-wrapped ones.
    """

    encrypted_file_size: int
    original_file_size: int
    ciphertext_sha256: str
    format: Literal["aws-esdk"] = "aws-esdk"
    format_version: Literal[2] = 2
    encryption_context: dict[str, str]
    header_length: int
    frame_length: int
    frame_count: int
    key_commitment: Base64
    encrypted_data_keys: list[EncryptedDataKey] = Field(min_length=1, max_length=2 * MAX_WRAPPED_KEYS)

    @property
    def facts(self) -> BackupFacts:
        """The same as in an :class:`OriginalSidecar` that we wrote."""
        return self

    @property
    def message(self) -> MessageFacts:
        """Geometry and identity of the message."""
        return MessageFacts(
            message_id=self.iv,
            header_length=self.header_length,
            header_tag=self.auth_tag,
            frame_length=self.frame_length,
            frame_count=self.frame_count,
            key_commitment=self.key_commitment,
            ciphertext_bytes=self.encrypted_file_size,
            ciphertext_sha256=self.ciphertext_sha256,
        )

    @classmethod
    def describe(
        cls,
        message: MessageFacts,
        wrapped_keys: Sequence[WrappedKey],
        encryption_context: Mapping[str, str],
        metadata: Metadata,
        facts: BackupFacts,
    ) -> Sidecar:
        """The sidecar of an encrypted message, to be sealed by :func:`seal`."""
        keys = [EncryptedDataKey.of(key) for key in wrapped_keys]
        return cls(
            kms_key_id=keys[0].key_arn,
            encrypted_data_key=keys[0].ciphertext,
            iv=message.message_id,
            auth_tag=message.header_tag,
            algorithm=MESSAGE_ALGORITHM,
            encrypted_file_size=message.ciphertext_bytes,
            original_file_size=facts.stream.compressed_bytes,
            metadata=metadata,
            ciphertext_sha256=message.ciphertext_sha256,
            encryption_context=dict(encryption_context),
            header_length=message.header_length,
            frame_length=message.frame_length,
            frame_count=message.frame_count,
            key_commitment=message.key_commitment,
            encrypted_data_keys=keys,
            **dict(facts),
        )


# Reading ----------------------------------------------------------------------------------------------------


def parse(raw: bytes) -> Sidecar | OriginalSidecar:
    """Read a sidecar strictly. What it says is not authentic before :func:`check_mac`.

    :raises SidecarMalformed: when it is too large, not JSON, repeats a key, or lacks a field.
    :raises UnsupportedFormat: for an unknown ``format_version`` or another algorithm than its format's.
    """
    document = _load(raw)
    version = document.get("format_version", 1)
    algorithm = {1: ORIGINAL_ALGORITHM, 2: MESSAGE_ALGORITHM}.get(version) if type(version) is int else None
    if algorithm is None or document.get("algorithm") != algorithm:
        raise UnsupportedFormat(
            "The sidecar's format_version and algorithm are none of those that this reader knows.",
            "Read it with the release that wrote it, or a newer one.",
        )
    try:
        return Sidecar.model_validate(document) if version == 2 else _parse_original(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        _malformed(f"has a missing or invalid field {where[:100]}")


def _parse_original(document: dict[str, Any]) -> OriginalSidecar:
    # Ours carry both of these, the original's neither.
    ours = not document.keys().isdisjoint({"format_version", "sidecar_mac"})
    facts = BackupFacts.model_validate(document) if ours else None
    sidecar = OriginalSidecar.model_validate({**document, "facts": facts})
    if ours and (sidecar.format_version is None or sidecar.sidecar_mac is None):
        _malformed("has a format_version or a sidecar_mac, but not both")
    return sidecar


def _load(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_SIDECAR_BYTES:
        _malformed(f"is larger than {MAX_SIDECAR_BYTES} bytes")
    try:
        document = json.loads(raw.decode(), object_pairs_hook=_no_repeated_key)
    except (ValueError, RecursionError):
        _malformed("is not a JSON document without repeated keys")
    if not isinstance(document, dict):
        _malformed("is not a JSON object")
    return document


def _no_repeated_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("repeated key")
    return result


def _malformed(what: str) -> NoReturn:
    raise SidecarMalformed(f"The sidecar {what}.", _REMEDY)


# Sealing ----------------------------------------------------------------------------------------------------


def seal(sidecar: Sidecar | OriginalSidecar, data_key: DataKey) -> bytes:
    """The document to store, with its MAC, indented for people."""
    document = sidecar.model_dump(mode="json", exclude_none=True, exclude={"sidecar_mac"})
    document |= document.pop("facts", {})
    return _sealed(document, data_key, decode(sidecar.iv))


def _sealed(document: dict[str, Any], data_key: DataKey, message_id: bytes) -> bytes:
    rest = {key: value for key, value in document.items() if key != "sidecar_mac"}
    mac = SidecarMac(alg="HMAC-SHA256", value=encode(_mac(rest, data_key, message_id)))
    return json.dumps(rest | {"sidecar_mac": mac.model_dump()}, indent=2, ensure_ascii=False).encode()


def wrapped_copies(sidecar: Sidecar | OriginalSidecar) -> list[WrappedKey]:
    """The copies of the data key that a sidecar holds; v1 has room for one."""
    if isinstance(sidecar, Sidecar):
        return [key.wrapped() for key in sidecar.encrypted_data_keys]
    return [WrappedKey(sidecar.kms_key_id, decode(sidecar.encrypted_data_key))]


def with_copy(raw: bytes, copy: WrappedKey, data_key: DataKey) -> bytes:
    """A stored document with one more copy of its data key, sealed anew; in v1 that copy replaces the only one.

    All else stays as it is, fields that this release does not know included.

    :param raw: authentic (:func:`check_mac`).
    :raises SidecarMalformed: when it holds as many copies as a reader takes.
    """
    sidecar, document = parse(raw), _load(raw)
    if isinstance(sidecar, OriginalSidecar):
        document |= {"kms_key_id": copy.key_arn, "encrypted_data_key": encode(copy.ciphertext)}
    else:
        document["encrypted_data_keys"].append(EncryptedDataKey.of(copy).model_dump())
    sealed = _sealed(document, data_key, decode(sidecar.iv))
    parse(sealed)
    return sealed


def check_mac(raw: bytes, data_key: DataKey, message_id: bytes) -> None:
    """Check the seal of a stored document, fields that this release does not know included.

    :param message_id: of the authenticated message header; for v1 the IV.
    :raises SidecarTampered: when the MAC is wrong or missing.
    """
    document = _load(raw)
    try:
        claimed = decode(document.pop("sidecar_mac")["value"])
        genuine = hmac.compare_digest(claimed, _mac(document, data_key, message_id))
    except (KeyError, TypeError, ValueError, RecursionError):
        genuine = False
    if not genuine:
        raise SidecarTampered("The sidecar fails authentication: it was altered.", _REMEDY)


def _mac(document: Mapping[str, Any], data_key: DataKey, message_id: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) over the document as canonical JSON: sorted keys, no spaces, UTF-8."""
    key = HKDF(hashes.SHA512(), 32, salt=message_id, info=_MAC_INFO).derive(data_key.plaintext)
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hmac.digest(key, canonical.encode(), "sha256")

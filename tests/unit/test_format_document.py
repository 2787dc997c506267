"""docs/format.md says what the files are: a reader written from it alone opens its example, and no field is missing.

Nothing of the engine is used by ``Page``, ``read`` and what they call: they know what the page says.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import re
import struct
import uuid
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel

from include.backup_engine.crypto import data_key, message, original, sidecar
from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import DataKey
from include.backup_engine.evidence import EvidenceRecord
from include.backup_engine.mysql.stream import StreamScanner
from include.backup_engine.names import BackupName, encryption_context

DOCS = Path(__file__).parents[2] / "docs"
NAME = "db_backup_20260102_030405.sql.gz.encrypted"
MESSAGE = (DOCS / "example" / NAME).read_bytes()
SIDECAR = (DOCS / "example" / f"{NAME}.encryption_info").read_bytes()


class Page:
    """docs/format.md."""

    text = (DOCS / "format.md").read_text(encoding="utf-8")

    def section(self, number: int) -> str:
        return self.text.split(f"\n## {number}. ")[1].split("\n## ")[0]

    def block(self, kind: str) -> list[str]:
        return self.text.split(f"```{kind}\n")[1].split("```")[0].splitlines()

    def first_cells(self, number: int) -> set[str]:
        """What stands in code style in the first column of a section's tables."""
        rows = re.findall(r"^\| (.*?) \|", self.section(number), re.MULTILINE)
        return {name for cell in rows for name in re.findall(r"`([^`]+)`", cell)}

    @cached_property
    def keys(self) -> dict[str, bytes]:
        return {line[:14].strip(): bytes.fromhex(line[15:]) for line in self.block("text keys")}


PAGE = Page()
DATA_KEY = PAGE.keys["data key"]


# The reader, from the page ------------------------------------------------------------------------------------


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-512, for up to 64 bytes of output."""
    extracted = hmac.digest(salt, key, "sha512")
    return hmac.digest(extracted, info + b"\x01", "sha512")[:32]


class Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        assert len(piece) == size
        self.at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> str:
        return self.take(self.number(2)).decode()


def canonical(value: object) -> str:
    """Canonical JSON, of a document that was parsed with its numbers kept as they are written."""
    match value:
        case Number():
            return value
        case str():
            short = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
            return '"' + "".join(short.get(c) or (c if c >= " " else f"\\u{ord(c):04x}") for c in value) + '"'
        case dict():
            return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(canonical, value)) + "]"
        case _:
            return {None: "null", True: "true", False: "false"}[value]  # type: ignore[index]  # nothing else is left


class Number(str):
    """A number, as written."""

    __slots__ = ()


def frames(cursor: Cursor, gcm: AESGCM, message_id: bytes, frame_length: int, number: int) -> Iterator[bytes]:
    """The plaintext of frame ``number`` and of all after it."""
    final = False
    while not final:
        start = cursor.number(4)
        final = start == 0xFFFFFFFF
        assert (cursor.number(4) if final else start) == number
        iv = cursor.take(12)
        length = cursor.number(4) if final else frame_length
        assert length <= frame_length
        kind = b"AWSKMSEncryptionClient Final Frame" if final else b"AWSKMSEncryptionClient Frame"
        yield gcm.decrypt(iv, cursor.take(length + 16), message_id + kind + struct.pack(">IQ", number, length))
        number += 1


def read(encrypted: bytes, raw_sidecar: bytes, source: str, name: str, key: bytes) -> bytes:
    """Section 6, but for KMS, whose answer is ``key``. Returns the compressed dump."""
    document = json.loads(raw_sidecar, parse_int=Number, parse_float=Number)
    fields = json.loads(raw_sidecar)
    assert (fields["format_version"], fields["algorithm"]) == (2, "AES-256-GCM-HKDF-SHA512-COMMIT-KEY")
    namespace = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
    expected = {
        "purpose": "mysql-backup",
        "format": "2",
        "backup-id": fields["backup_id"],
        "object-name": name,
        "database-id": str(uuid.uuid5(namespace, f"mysql-backup/{source}")),
    }

    cursor = Cursor(encrypted)
    assert cursor.take(3) == b"\x02\x04\x78"
    message_id = cursor.take(32)
    context_end = cursor.number(2) + cursor.at
    pairs = [(cursor.text(), cursor.text()) for _ in range(cursor.number(2))]
    assert cursor.at == context_end
    wrapped = [(cursor.text(), cursor.text(), cursor.take(cursor.number(2))) for _ in range(cursor.number(2))]
    assert cursor.number(1) == 2
    frame_length = cursor.number(4)
    commitment = cursor.take(32)
    authenticated = encrypted[: cursor.at]
    tag = cursor.take(16)
    header_length = cursor.at

    assert hkdf(key, message_id, b"COMMITKEY") == commitment
    gcm = AESGCM(hkdf(key, message_id, b"\x04\x78DERIVEKEY"))
    gcm.decrypt(bytes(12), tag, authenticated)

    mac = base64.b64decode(document.pop("sidecar_mac")["value"])
    sidecar_key = hkdf(key, message_id, b"airflow-mysql-backup/sidecar-mac/1")
    assert mac == hmac.digest(sidecar_key, canonical(document).encode(), "sha256")

    assert dict(pairs) == fields["encryption_context"] == expected
    assert pairs == sorted(pairs)
    assert base64.b64decode(fields["iv"]) == message_id
    assert base64.b64decode(fields["auth_tag"]) == tag
    assert base64.b64decode(fields["key_commitment"]) == commitment
    assert (fields["header_length"], fields["frame_length"]) == (header_length, frame_length)
    copies = [(k["provider"], k["key_arn"], base64.b64decode(k["ciphertext"])) for k in fields["encrypted_data_keys"]]
    assert set(wrapped) <= set(copies)
    assert wrapped[0] == ("aws-kms", fields["kms_key_id"], base64.b64decode(fields["encrypted_data_key"]))
    assert (fields["object_name"], fields["source"]) == (name, source)

    pieces = list(frames(cursor, gcm, message_id, frame_length, 1))
    plaintext = b"".join(pieces)
    assert cursor.at == len(encrypted) == fields["encrypted_file_size"]
    assert hashlib.sha256(encrypted).hexdigest() == fields["ciphertext_sha256"]
    assert (len(pieces), len(plaintext)) == (fields["frame_count"], fields["original_file_size"])
    return plaintext


def read_section(encrypted: bytes, raw_sidecar: bytes, section: str, key: bytes) -> bytes:
    """Section 4: all pieces of one table."""
    fields = json.loads(raw_sidecar)
    places = [part for part in fields["stream"]["sections"] if part["name"] == section]
    return b"".join(read_piece(encrypted, fields, place, key) for place in places)


def read_piece(encrypted: bytes, fields: dict[str, Any], place: dict[str, Any], key: bytes) -> bytes:
    """From the frame on in which its member starts."""
    frame_length = fields["frame_length"]
    index = place["compressed_offset"] // frame_length
    message_id = base64.b64decode(fields["iv"])
    gcm = AESGCM(hkdf(key, message_id, b"\x04\x78DERIVEKEY"))
    cursor = Cursor(encrypted[fields["header_length"] + index * (frame_length + 32) :])
    compressed = b"".join(frames(cursor, gcm, message_id, frame_length, index + 1))
    member = zlib.decompressobj(wbits=31).decompress(compressed[place["compressed_offset"] % frame_length :])
    start = place["sql_offset"] - place["member_sql_offset"]
    return member[start : start + place["sql_length"]]


# The example --------------------------------------------------------------------------------------------------


def test_a_reader_written_from_the_page_opens_the_example() -> None:
    sql = gzip.decompress(read(MESSAGE, SIDECAR, "surgicase", NAME, DATA_KEY))
    assert len(sql) == json.loads(SIDECAR)["stream"]["sql_bytes"]
    assert sql.decode().endswith("-- Dump completed\n")


def test_that_reader_refuses_every_altered_byte() -> None:
    for position in range(len(MESSAGE)):
        altered = bytearray(MESSAGE)
        altered[position] ^= 1
        with pytest.raises((AssertionError, InvalidTag, UnicodeDecodeError)):
            read(bytes(altered), SIDECAR, "surgicase", NAME, DATA_KEY)


def test_that_reader_refuses_a_changed_sidecar() -> None:
    for field in json.loads(SIDECAR):
        with pytest.raises((AssertionError, KeyError)):
            altered = json.dumps({name: value for name, value in json.loads(SIDECAR).items() if name != field})
            read(MESSAGE, altered.encode(), "surgicase", NAME, DATA_KEY)


@pytest.mark.parametrize(("source", "name"), [("other", NAME), ("surgicase", NAME.replace("2026", "2027"))])
def test_that_reader_refuses_another_backup_than_the_one_asked_for(source: str, name: str) -> None:
    with pytest.raises(AssertionError):
        read(MESSAGE, SIDECAR, source, name, DATA_KEY)


def test_a_table_is_read_without_the_rest() -> None:
    sql = gzip.decompress(read(MESSAGE, SIDECAR, "surgicase", NAME, DATA_KEY))
    for place in json.loads(SIDECAR)["stream"]["sections"]:
        expected = sql[place["sql_offset"] :][: place["sql_length"]]
        assert read_section(MESSAGE, SIDECAR, place["name"], DATA_KEY) == expected
    table = read_section(MESSAGE, SIDECAR, "süd", DATA_KEY).decode()
    assert table.startswith("-- Table structure for table `süd`\n")


def test_our_reader_opens_the_example() -> None:
    key = DataKey(DATA_KEY, [])
    stream = ByteReader([MESSAGE])
    header = message.Header.read(stream)
    decryptor = message.Decryptor(header, key)
    sidecar.check_mac(SIDECAR, key, header.message_id)
    plaintext = b"".join(decryptor.decrypt(stream))
    assert plaintext == read(MESSAGE, SIDECAR, "surgicase", NAME, DATA_KEY)
    described = sidecar.parse(SIDECAR)
    assert isinstance(described, sidecar.Sidecar)
    scanner = StreamScanner()
    list(scanner.scan([gzip.decompress(plaintext)]))
    assert scanner.contents.tables == {table.name: table.rows for table in described.census.tables}
    assert scanner.contents.completed


def test_our_writer_writes_the_example() -> None:
    described = sidecar.parse(SIDECAR)
    assert isinstance(described, sidecar.Sidecar)
    wrapped = [copy.wrapped() for copy in described.encrypted_data_keys]
    context = encryption_context("surgicase", BackupName.parse(NAME), described.backup_id)
    encryptor = message.Encryptor(
        DataKey(DATA_KEY, wrapped), context, described.frame_length, sidecar.decode(described.iv)
    )
    assert b"".join(encryptor.encrypt([read(MESSAGE, SIDECAR, "surgicase", NAME, DATA_KEY)])) == MESSAGE
    assert encryptor.facts() == described.message
    assert json.loads(sidecar.seal(described, DataKey(DATA_KEY, wrapped))) == json.loads(SIDECAR)


# The page -----------------------------------------------------------------------------------------------------


def test_the_hex_on_the_page_is_the_file() -> None:
    shown = b""
    for line in PAGE.block("text message"):
        assert int(line[:4]) == len(shown)
        shown += bytes.fromhex(line[6:54])
    assert shown == MESSAGE


def test_the_keys_on_the_page_are_derived_as_it_says() -> None:
    infos = {
        "message key": b"\x04\x78DERIVEKEY",
        "key commitment": b"COMMITKEY",
        "sidecar key": b"airflow-mysql-backup/sidecar-mac/1",
    }
    message_id = MESSAGE[3:35]
    assert PAGE.keys == {"data key": DATA_KEY} | {name: hkdf(DATA_KEY, message_id, i) for name, i in infos.items()}
    assert (DATA_KEY, message_id) == (bytes(range(0x20)), bytes(range(0x40, 0x60)))


def test_the_sidecar_on_the_page_is_the_file_s() -> None:
    shown = json.loads("\n".join(PAGE.block("json")))
    stored = json.loads(SIDECAR)
    assert shown == {field: stored[field] for field in shown}
    place = next(part for part in stored["stream"]["sections"] if part["name"] == "süd")
    assert (place["compressed_offset"], place["sql_length"]) == (175, 158)
    assert f"`compressed_offset` {175}, so frame 2 at byte 400 + 1 · 128 = 528" in PAGE.text


def fields_of(model: Any, path: str = "") -> Iterator[str]:
    """The paths of all fields of a record: ``census.tables[].name``."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        records = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if records:
            step = "[]" if get_origin(field.annotation) is list else ""
            yield from fields_of(records[0], f"{path}{name}{step}.")
        else:
            yield path + name


def test_every_field_of_a_sidecar_is_on_the_page() -> None:
    assert PAGE.first_cells(5) == set(fields_of(sidecar.Sidecar))


def test_every_field_of_a_v1_sidecar_is_on_the_page() -> None:
    v1 = {name.removeprefix("facts.") for name in fields_of(sidecar.OriginalSidecar)}
    assert v1 <= PAGE.first_cells(5)
    assert {name.partition(".")[0] for name in fields_of(sidecar._OriginalFields)} <= set(
        re.findall(r"`([a-z_0-9]+)", PAGE.section(7))
    )


def test_every_field_of_an_evidence_record_is_on_the_page() -> None:
    assert PAGE.first_cells(8) == set(EvidenceRecord.model_fields)


def test_the_limits_on_the_page_are_those_in_force() -> None:
    limits = PAGE.section(3).split("### Limits")[1]
    for number in (
        message.MAX_HEADER_BYTES,
        message.MAX_FRAME_LENGTH,
        message.FRAME_LENGTH,
        data_key.MAX_CONTEXT_BYTES,
        data_key.MAX_WRAPPED_BYTES,
    ):
        assert f"{number:,}" in limits
    assert f"1 to {message.MAX_WRAPPED_KEYS} in the header" in limits
    assert f"up to {2 * message.MAX_WRAPPED_KEYS} in the sidecar" in limits
    assert f"| sidecar | {sidecar.MAX_SIDECAR_BYTES >> 20} MiB |" in limits
    assert f"| v1 file | {original.MAX_BYTES >> 30} GiB |" in limits
    assert message.MAX_FRAMES == 2**32 - 1


def test_the_files_that_the_page_names_exist() -> None:
    root = DOCS.parent
    named = re.findall(r"`((?:include|tests|docs|integration|unit)/[\w/.]+)`", PAGE.text)
    assert len(named) > 10
    missing = [name for name in named if not (root / name).exists() and not (root / "tests" / name).exists()]
    assert missing == []


def test_the_page_shows_the_stock_command_as_it_is_tested() -> None:
    [command] = re.findall(r"aws-encryption-cli (.*?)\n(?!  )", PAGE.text, re.DOTALL)
    tested = (DOCS.parent / "tests" / "interop" / "test_cli.py").read_text()
    for option in set(re.findall(r"--[a-z-]+", command)) - {"--no-overwrite"}:
        assert f'"{option}' in tested
    assert re.findall(r"--commitment-policy (\S+)", command)[0] in tested

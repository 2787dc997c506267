from __future__ import annotations

import base64
import hashlib
import os
import random
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.crypto import message
from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import WrappedKey
from include.backup_engine.crypto.message import (
    FRAME_LENGTH,
    MAX_FRAME_LENGTH,
    MAX_HEADER_BYTES,
    MAX_WRAPPED_KEYS,
    Decryptor,
    Encryptor,
    Header,
)
from include.backup_engine.errors import (
    CommitmentMismatch,
    HeaderTampered,
    IntegrityError,
    MessageTruncated,
    UnsupportedFormat,
)
from tests.unit.crypto.examples import CONTEXT, data_key, decrypt, encrypt

KEY = data_key()
F = FRAME_LENGTH


def cut(data: bytes, seed: int) -> Iterator[bytes]:
    """``data`` in chunks of random sizes, empty ones among them."""
    sizes, position = random.Random(seed), 0
    while position < len(data):
        size = sizes.choice([0, 1, 3, 17, 64, 1000, 70_000, 3_000_000])
        yield data[position : position + size]
        position += size


@given(frame_length=st.integers(1, 64), data=st.data())
def test_round_trip_at_every_frame_boundary(frame_length: int, data: st.DataObject) -> None:
    frames = data.draw(st.integers(0, 4))
    size = max(0, frames * frame_length + data.draw(st.integers(-1, 1)))
    plaintext = data.draw(st.binary(min_size=size, max_size=size))
    seed = data.draw(st.integers(0, 2**32))
    encryptor = Encryptor(KEY, CONTEXT, frame_length)
    encrypted = b"".join(encryptor.encrypt(cut(plaintext, seed)))

    assert b"".join(decrypt(cut(encrypted, seed + 1), KEY)) == plaintext
    # 32 bytes for each frame, 40 for the final one, which is always shorter than a frame
    assert len(encrypted) == encryptor.header.length + len(plaintext) + 32 * (size // frame_length) + 40
    assert encryptor.facts().frame_count == size // frame_length + 1


@pytest.mark.parametrize("size", [0, 1, F - 1, F, F + 1, 2 * F, 3 * F + 777])
def test_round_trip_with_frames_of_one_mebibyte(size: int) -> None:
    plaintext = os.urandom(size)
    encryptor = Encryptor(KEY, CONTEXT)
    encrypted = b"".join(encryptor.encrypt(cut(plaintext, size)))
    stream = ByteReader(cut(encrypted, size + 1))
    header = Header.read(stream)
    decryptor = Decryptor(header, KEY)

    assert b"".join(decryptor.decrypt(stream)) == plaintext
    facts = encryptor.facts()
    assert (decryptor.frame_count, decryptor.plaintext_bytes) == (facts.frame_count, encryptor.plaintext_bytes)
    assert facts.ciphertext_bytes == len(encrypted)
    assert facts.ciphertext_sha256 == hashlib.sha256(encrypted).hexdigest()
    assert facts.header_length == header.length
    assert base64.b64decode(facts.message_id) == header.message_id
    assert base64.b64decode(facts.header_tag) == header.tag
    assert header.context == CONTEXT
    assert header.wrapped_keys == KEY.wrapped


def test_a_final_frame_of_full_length_is_read() -> None:
    """Other writers make it, we do not."""
    encryptor = Encryptor(KEY, CONTEXT, frame_length=16)
    plaintext = bytes(range(16))
    head = b"\xff" * 4 + struct.pack(">I", 1) + struct.pack(">8xI", 1) + struct.pack(">I", 16)
    final = encryptor._sealed(message._FINAL_FRAME, 1, head, plaintext)
    assert b"".join(decrypt([encryptor.header.raw, encryptor.header.tag, final], KEY)) == plaintext


def test_nothing_is_held_back_but_the_open_frame() -> None:
    given_out: list[int] = []

    def source() -> Iterator[bytes]:
        for number in range(8):
            given_out.append(number)
            yield bytes(16)

    encrypted = Encryptor(KEY, CONTEXT, frame_length=16).encrypt(source())
    next(encrypted)
    assert given_out == []
    next(encrypted)
    assert given_out == [0]


def test_one_encryptor_makes_one_message() -> None:
    encryptor = Encryptor(KEY, CONTEXT)
    with pytest.raises(ValueError, match="not finished"):
        encryptor.facts()
    list(encryptor.encrypt([b"x"]))
    with pytest.raises(ValueError, match="one message only"):
        list(encryptor.encrypt([b"x"]))


def test_two_messages_share_neither_id_nor_ciphertext() -> None:
    first, second = encrypt(b"same", KEY), encrypt(b"same", KEY)
    assert Header.read(ByteReader([first])).message_id != Header.read(ByteReader([second])).message_id
    assert first[-20:] != second[-20:]


def test_more_frames_than_the_format_counts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert message.MAX_FRAMES == 2**32 - 1
    monkeypatch.setattr(message, "MAX_FRAMES", 3)
    assert b"".join(decrypt([encrypt(bytes(11), KEY, frame_length=4)], KEY)) == bytes(11)
    with pytest.raises(UnsupportedFormat, match="more than 3 frames"):
        encrypt(bytes(12), KEY, frame_length=4)


def test_another_data_key_is_told_apart_from_tampering() -> None:
    with pytest.raises(CommitmentMismatch):
        list(decrypt([encrypt(b"x", KEY)], data_key(8)))


def header_bytes(
    *,
    start: bytes = b"\x02\x04\x78",
    context: bytes = b"",
    keys: tuple[tuple[bytes, bytes, bytes], ...] = ((b"aws-kms", b"arn", b"blob"),),
    count: int | None = None,
    content_type: int = 2,
    frame_length: int = 16,
) -> bytes:
    """A header that is well-formed but for what a test gives."""
    parts = [
        start,
        bytes(32),
        struct.pack(">H", len(context)),
        context,
        struct.pack(">H", len(keys) if count is None else count),
    ]
    parts += [struct.pack(">H", len(field)) + field for key in keys for field in key]
    return b"".join([*parts, struct.pack(">BI", content_type, frame_length), bytes(32 + 16)])


def pair(key: bytes, value: bytes) -> bytes:
    return struct.pack(">H", len(key)) + key + struct.pack(">H", len(value)) + value


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"start": b"\x01\x80\x02"}, UnsupportedFormat),  # message format 1.0
        ({"start": b"\x02\x05\x78"}, UnsupportedFormat),  # the signing suite
        ({"content_type": 1}, UnsupportedFormat),  # not framed
        ({"frame_length": 0}, UnsupportedFormat),
        ({"frame_length": MAX_FRAME_LENGTH + 1}, UnsupportedFormat),
        ({"keys": ()}, HeaderTampered),
        ({"keys": ((b"aws-kms", b"arn", b"blob"),) * (MAX_WRAPPED_KEYS + 1)}, HeaderTampered),
        ({"keys": ((b"aws-kms", b"arn", bytes(65_535)),)}, HeaderTampered),  # exceeds MAX_HEADER_BYTES
        ({"keys": ((b"aws-kms", b"\xff", b"blob"),)}, HeaderTampered),
        ({"count": 2}, MessageTruncated),  # the second key would be what follows
        ({"context": struct.pack(">H", 1) + pair(b"k", b"x" * 8190)}, HeaderTampered),
        ({"context": struct.pack(">H", 0)}, HeaderTampered),
        ({"context": b"\0"}, HeaderTampered),
        ({"context": struct.pack(">H", 2) + pair(b"k", b"v")}, HeaderTampered),
        ({"context": struct.pack(">H", 1) + pair(b"k", b"v") + b"\0"}, HeaderTampered),
        ({"context": struct.pack(">H", 1) + pair(b"k", b"v")[:-1]}, HeaderTampered),
        ({"context": struct.pack(">H", 2) + pair(b"k", b"v") + pair(b"k", b"w")}, HeaderTampered),
        ({"context": struct.pack(">H", 1) + pair(b"k", b"\xff")}, HeaderTampered),
    ],
)
def test_a_malformed_header_is_refused(fields: dict[str, bytes], error: type[IntegrityError]) -> None:
    Header.read(ByteReader([header_bytes()]))
    with pytest.raises(error):
        Header.read(ByteReader([header_bytes(**fields)]))  # type: ignore[arg-type]  # mixed types, one per case


def test_keys_of_other_providers_are_passed_over() -> None:
    raw = header_bytes(keys=((b"raw-aes", b"\xff\xfe", b"blob"), (b"aws-kms", b"arn", b"blob")))
    assert Header.read(ByteReader([raw])).wrapped_keys == (WrappedKey("arn", b"blob"),)


def test_a_header_that_our_reader_would_refuse_is_not_written() -> None:
    key = data_key()
    key.wrapped = key.wrapped * (MAX_WRAPPED_KEYS + 1)
    with pytest.raises(HeaderTampered, match="17 wrapped data keys"):
        Encryptor(key, CONTEXT)
    with pytest.raises(UnsupportedFormat, match="longer than"):
        Encryptor(data_key(), CONTEXT, frame_length=MAX_FRAME_LENGTH + 1)
    with pytest.raises(ValueError, match="reserved"):
        Encryptor(data_key(), {"aws-crypto-x": "y"})


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_by_name(garbage: bytes) -> None:
    for data in (garbage, b"\x02\x04\x78" + garbage):
        with pytest.raises(IntegrityError):
            list(decrypt([data], KEY))


def test_the_largest_context_fits() -> None:
    context = {"k": "x" * (8192 - len('{"k":""}'))}
    encrypted = encrypt(b"x", KEY, context=context)
    header = Header.read(ByteReader([encrypted[:MAX_HEADER_BYTES]]))
    assert header.context == context

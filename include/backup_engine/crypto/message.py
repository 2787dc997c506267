"""The v2 file format: AWS Encryption SDK message format 2.0, algorithm suite 0x0478, framed.

A message is a header, frames of equal length, and a final frame that is shorter, possibly empty::

    header | frame 1 | frame 2 | ... | final frame

Everything is encrypted or authenticated by AES-256-GCM under a message key that HKDF-SHA512 (RFC 5869)
derives from the data key and a random message id. The header carries the wrapped data keys, the encryption
context and a commitment to the data key. Sequence numbers in the frames make truncation, reordering and
mixing fail. AWS's own tools read and write the same format.

Source: AWS Encryption SDK Developer Guide, "Message format reference" and "Algorithms reference"; the names
below are those of the guide.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import MAX_CONTEXT_BYTES, DataKey, WrappedKey, check_context
from include.backup_engine.errors import (
    CommitmentMismatch,
    FrameTampered,
    HeaderTampered,
    MessageTruncated,
    TrailingData,
    UnsupportedFormat,
)
from include.backup_engine.records import MessageFacts

FRAME_LENGTH = 1024 * 1024
"""Plaintext bytes per frame that we write."""
MAX_HEADER_BYTES = 64 * 1024
"""A reader that has so many first bytes of a message has its whole header."""
MAX_FRAME_LENGTH = 64 * 1024 * 1024
"""Longest frame that we read: a frame is held in memory until it is authenticated."""
MAX_WRAPPED_KEYS = 16
MAX_FRAMES = 2**32 - 1

_VERSION, _SUITE, _FRAMED = 2, 0x0478, 2
_VERSION_AND_SUITE = struct.pack(">BH", _VERSION, _SUITE)
_MESSAGE_ID_BYTES, _COMMITMENT_BYTES, _TAG_BYTES, _IV_BYTES = 32, 32, 16, 12
_KMS_PROVIDER = b"aws-kms"
_FINAL_HEAD_BYTES = 4 + 4 + _IV_BYTES + 4
_HEADER_IV = bytes(_IV_BYTES)
_FINAL_MARK = b"\xff\xff\xff\xff"
_FRAME, _FINAL_FRAME = b"AWSKMSEncryptionClient Frame", b"AWSKMSEncryptionClient Final Frame"
_REMEDY = "Do not restore from this object; use another of its versions, or another backup."


def _u16(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _with_length(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _message_key(data_key: DataKey, message_id: bytes) -> AESGCM:
    return AESGCM(_derive(data_key, message_id, struct.pack(">H", _SUITE) + b"DERIVEKEY"))


def _commitment(data_key: DataKey, message_id: bytes) -> bytes:
    return _derive(data_key, message_id, b"COMMITKEY")


def _derive(data_key: DataKey, message_id: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA512(), 32, salt=message_id, info=info).derive(data_key.plaintext)


# Header -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Header:
    """The header of a message. What :meth:`read` returns is well-formed, but authentic only to a Decryptor.

    :param wrapped_keys: the copies under AWS KMS keys; a message may hold others, of no use to us.
    :param frame_length: plaintext bytes of every frame but the last.
    :param raw: the bytes that ``tag`` authenticates: all of the header before it.
    """

    message_id: bytes
    context: Mapping[str, str]
    wrapped_keys: tuple[WrappedKey, ...]
    frame_length: int
    key_commitment: bytes
    raw: bytes
    tag: bytes

    @property
    def length(self) -> int:
        """Bytes before the first frame."""
        return len(self.raw) + len(self.tag)

    def frame_offset(self, sequence: int) -> int:
        """Where a frame starts in the message, in bytes; frames count from 1, and all but the last are equally long."""
        return self.length + (sequence - 1) * (4 + _IV_BYTES + self.frame_length + _TAG_BYTES)

    @classmethod
    def read(cls, stream: ByteReader) -> Self:
        """Parse a header and leave ``stream`` at the first frame.

        :raises UnsupportedFormat: for another version, suite or content type, or frames too long to hold.
        :raises HeaderTampered: when it is malformed or exceeds a limit.
        :raises MessageTruncated: when the stream ends within the header.
        """
        raw = bytearray()

        def take(size: int) -> bytes:
            if len(raw) + size + _TAG_BYTES > MAX_HEADER_BYTES:
                _malformed(f"is longer than {MAX_HEADER_BYTES} bytes")
            data = stream.exactly(size)
            raw.extend(data)
            return data

        if take(3) != _VERSION_AND_SUITE:
            raise UnsupportedFormat(
                "The object is not a message of format 2.0 with algorithm suite 0x0478.",
                "Check the sidecar's format; messages of other suites can be read with AWS's own tools.",
            )
        message_id = take(_MESSAGE_ID_BYTES)
        context = _parse_context(take(_u16(take(2))))
        count = _u16(take(2))
        if not 1 <= count <= MAX_WRAPPED_KEYS:
            _malformed(f"has {count} wrapped data keys, allowed are 1 to {MAX_WRAPPED_KEYS}")
        keys = [tuple(take(_u16(take(2))) for _ in ("provider", "key", "ciphertext")) for _ in range(count)]
        content_type, frame_length = struct.unpack(">BI", take(5))
        if content_type != _FRAMED or not 1 <= frame_length <= MAX_FRAME_LENGTH:
            raise UnsupportedFormat(
                f"The message is not framed, or its frames are longer than {MAX_FRAME_LENGTH} bytes.",
                "Read it with AWS's own tools, if it is authentic.",
            )
        key_commitment = take(_COMMITMENT_BYTES)
        wrapped = tuple(
            WrappedKey(_text(key), ciphertext) for provider, key, ciphertext in keys if provider == _KMS_PROVIDER
        )
        tag = stream.exactly(_TAG_BYTES)
        return cls(message_id, context, wrapped, frame_length, key_commitment, bytes(raw), tag)

    @classmethod
    def seal(cls, data_key: DataKey, context: Mapping[str, str], frame_length: int, message_id: bytes) -> Self:
        """Make the header of a new message. Never done twice for one message id: the tag's IV is constant."""
        check_context(context)
        keys = [
            _with_length(_KMS_PROVIDER) + _with_length(key.key_arn.encode()) + _with_length(key.ciphertext)
            for key in data_key.wrapped
        ]
        raw = b"".join(
            [
                _VERSION_AND_SUITE,
                message_id,
                _with_length(_format_context(context)),
                struct.pack(">H", len(keys)),
                *keys,
                struct.pack(">BI", _FRAMED, frame_length),
                _commitment(data_key, message_id),
            ]
        )
        tag = _message_key(data_key, message_id).encrypt(_HEADER_IV, b"", raw)
        # Read back, so that a header that our own reader would refuse is never written.
        return cls.read(ByteReader([raw, tag]))


def _format_context(context: Mapping[str, str]) -> bytes:
    pairs = sorted((key.encode(), value.encode()) for key, value in context.items())
    body = b"".join(_with_length(key) + _with_length(value) for key, value in pairs)
    return struct.pack(">H", len(pairs)) + body if pairs else b""


def _parse_context(data: bytes) -> dict[str, str]:
    if len(data) > MAX_CONTEXT_BYTES:
        _malformed(f"has an encryption context of more than {MAX_CONTEXT_BYTES} bytes")
    if not data:
        return {}
    rest = ByteReader([data])
    try:
        count = _u16(rest.exactly(2))
        pairs = [tuple(_text(rest.exactly(_u16(rest.exactly(2)))) for _ in ("key", "value")) for _ in range(count)]
    except MessageTruncated:
        _malformed("has an encryption context that is cut short")
    context = {key: value for key, value in pairs}
    if not 0 < len(context) == count or not rest.at_end():
        _malformed("has an encryption context with repeated keys, surplus bytes or nothing in it")
    return context


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        _malformed("holds text that is not UTF-8")


def _malformed(what: str) -> NoReturn:
    raise HeaderTampered(f"The message header {what}.", _REMEDY)


# Frames -----------------------------------------------------------------------------------------------------


def _frame_iv(sequence: int) -> bytes:
    return sequence.to_bytes(_IV_BYTES, "big")


def _frame_aad(message_id: bytes, kind: bytes, sequence: int, length: int) -> bytes:
    return message_id + kind + struct.pack(">IQ", sequence, length)


class Encryptor:
    """Encrypts one stream into one message.

    :param data_key: of this backup only; each attempt to make one takes a new one. Each message under it has a key of
        its own, which derives from its id.
    :param frame_length: plaintext bytes per frame.
    :param message_id: 32 bytes, random by default. A message id that was used before with this data key
        would repeat nonces and so disclose plaintext: give one only in a test.
    """

    def __init__(
        self,
        data_key: DataKey,
        context: Mapping[str, str],
        frame_length: int = FRAME_LENGTH,
        message_id: bytes | None = None,
    ) -> None:
        self.header = Header.seal(data_key, context, frame_length, message_id or os.urandom(_MESSAGE_ID_BYTES))
        self.plaintext_bytes = 0
        self._gcm = _message_key(data_key, self.header.message_id)
        # Reused: a new buffer for each frame costs more time than its encryption.
        self._buffer = memoryview(bytearray(frame_length + _FINAL_HEAD_BYTES + _TAG_BYTES))
        self._started = False
        self._frame_count = 0
        self._size = 0
        self._sha256 = hashlib.sha256()

    def encrypt(self, plaintext: Iterable[bytes]) -> Iterator[bytes]:
        """The message: its header, then frame after frame as ``plaintext`` arrives in chunks of any size.

        :raises ValueError: at the second call: one Encryptor makes one message.
        :raises UnsupportedFormat: for more than 2**32 - 1 frames (4 PiB with frames of 1 MiB).
        """
        if self._started:
            raise ValueError("an Encryptor encrypts one message only")
        self._started = True
        yield self._counted(self.header.raw + self.header.tag)
        stream = ByteReader(plaintext)
        sequence = 1
        while len(piece := stream.read(self.header.frame_length)) == self.header.frame_length:
            if sequence == MAX_FRAMES:
                raise UnsupportedFormat(
                    f"The backup has more than {MAX_FRAMES} frames.", "Split the database into several sources."
                )
            yield self._sealed(_FRAME, sequence, struct.pack(">I", sequence) + _frame_iv(sequence), piece)
            sequence += 1
        # Always shorter than a frame: some readers refuse a final frame of full length (SDK for Python 3).
        head = _FINAL_MARK + struct.pack(">I", sequence) + _frame_iv(sequence) + struct.pack(">I", len(piece))
        yield self._sealed(_FINAL_FRAME, sequence, head, piece)
        self._frame_count = sequence

    def _sealed(self, kind: bytes, sequence: int, head: bytes, piece: bytes) -> bytes:
        frame = self._buffer[: len(head) + len(piece) + _TAG_BYTES]
        frame[: len(head)] = head
        aad = _frame_aad(self.header.message_id, kind, sequence, len(piece))
        self._gcm.encrypt_into(_frame_iv(sequence), piece, aad, frame[len(head) :])
        self.plaintext_bytes += len(piece)
        return self._counted(bytes(frame))

    def _counted(self, data: bytes) -> bytes:
        self._size += len(data)
        self._sha256.update(data)
        return data

    def facts(self) -> MessageFacts:
        """What the sidecar says about the message.

        :raises ValueError: before the stream has ended.
        """
        if not self._frame_count:
            raise ValueError("the message is not finished")
        return MessageFacts(
            message_id=base64.b64encode(self.header.message_id).decode(),
            header_length=self.header.length,
            header_tag=base64.b64encode(self.header.tag).decode(),
            frame_length=self.header.frame_length,
            frame_count=self._frame_count,
            key_commitment=base64.b64encode(self.header.key_commitment).decode(),
            ciphertext_bytes=self._size,
            ciphertext_sha256=self._sha256.hexdigest(),
        )


class Decryptor:
    """Decrypts the frames of one message, whose header it authenticates first.

    :raises CommitmentMismatch: when ``data_key`` is not the one that the header commits to.
    :raises HeaderTampered: when the header's tag is wrong.
    """

    def __init__(self, header: Header, data_key: DataKey) -> None:
        if not hmac.compare_digest(_commitment(data_key, header.message_id), header.key_commitment):
            raise CommitmentMismatch("The data key is not the one that the message was encrypted with.", _REMEDY)
        self._gcm = _message_key(data_key, header.message_id)
        try:
            self._gcm.decrypt(_HEADER_IV, header.tag, header.raw)
        except InvalidTag:
            raise HeaderTampered("The message header fails authentication.", _REMEDY) from None
        self._header = header
        self.frame_count = 0
        self.plaintext_bytes = 0

    def decrypt(self, stream: ByteReader) -> Iterator[bytes]:
        """The plaintext, frame by frame, each authenticated before it is released.

        The last one is released only when the message ends where it says it does.

        :param stream: the message after its header.
        :raises FrameTampered: when a frame is not the next one, or fails authentication.
        :raises MessageTruncated: when the stream ends before the final frame is complete.
        :raises TrailingData: when anything follows the final frame.
        """
        self.frame_count = 0
        self.plaintext_bytes = 0
        while (number := stream.exactly(4)) != _FINAL_MARK:
            yield self._counted(self._opened(stream, _FRAME, number, self.frame_count + 1))
        last = self._opened(stream, _FINAL_FRAME, stream.exactly(4), self.frame_count + 1)
        if not stream.at_end():
            raise TrailingData("Bytes follow the end of the message.", _REMEDY)
        yield self._counted(last)

    def decrypt_frames(self, stream: ByteReader, first: int, last: int) -> Iterator[bytes]:
        """The plaintext of some frames, each authenticated as that very frame of this message.

        Whether the message is complete does not show; that frame ``last`` is there does.

        :param stream: the message from frame ``first`` on (see :meth:`Header.frame_offset`); frames count from 1.
        :raises FrameTampered: when a frame is not the one that belongs there, or fails authentication.
        :raises MessageTruncated: when the stream ends before frame ``last`` does.
        """
        for sequence in range(first, last + 1):
            number = stream.exactly(4)
            if number == _FINAL_MARK:
                yield self._opened(stream, _FINAL_FRAME, stream.exactly(4), sequence)
            else:
                yield self._opened(stream, _FRAME, number, sequence)

    def _counted(self, piece: bytes) -> bytes:
        self.frame_count += 1
        self.plaintext_bytes += len(piece)
        return piece

    def _opened(self, stream: ByteReader, kind: bytes, number: bytes, sequence: int) -> bytes:
        iv = stream.exactly(_IV_BYTES)  # ours is the sequence number; the format leaves it to the writer
        length = self._header.frame_length
        if kind == _FINAL_FRAME:
            length = int.from_bytes(stream.exactly(4), "big")
        if int.from_bytes(number, "big") != sequence or length > self._header.frame_length:
            raise FrameTampered(f"Frame {sequence} of the message is not what follows frame {sequence - 1}.", _REMEDY)
        sealed = stream.exactly(length + _TAG_BYTES)
        try:
            return self._gcm.decrypt(iv, sealed, _frame_aad(self._header.message_id, kind, sequence, length))
        except InvalidTag:
            raise FrameTampered(f"Frame {sequence} of the message fails authentication.", _REMEDY) from None

"""Opening a stored backup, whatever its format: the order of checks that every reader follows.

1. the sidecar is parsed strictly;
2. KMS unwraps the data key, with an allow-listed KMS key, and
3. with the encryption context of the backup that was *asked for*;
4. the message must commit to that data key, and
5. its header must be authentic;
6. the sidecar's MAC must be right, and the sidecar must agree with the header;
7. each frame is authenticated before it is released;
8. the message must end where it says, and size and digest must be those of the sidecar.

:func:`open_backup` does 1 to 6, :class:`OpenBackup` 7 and 8; whoever reads only some frames has no use for 8. For the
original format (v1), which has neither context nor commitment nor header, 7 is a first pass over the whole file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import Keyring, WrappedKey
from include.backup_engine.crypto.message import Decryptor, Header
from include.backup_engine.crypto.original import OriginalDecryptor
from include.backup_engine.crypto.sidecar import (
    EncryptedDataKey,
    OriginalSidecar,
    Sidecar,
    check_mac,
    decode,
    encode,
    parse,
)
from include.backup_engine.errors import HeaderTampered, SidecarTampered, StoredCopyDiffers, WrongBackup
from include.backup_engine.names import BackupName, encryption_context

_REMEDY = "Do not restore from this object; use another of its versions, or another backup."


@dataclass(frozen=True)
class Totals:
    """What one pass over a whole backup counted.

    :param frame_count: 0 for the original format, which has no frames.
    """

    ciphertext_bytes: int
    ciphertext_sha256: str
    plaintext_bytes: int
    frame_count: int


class OpenBackup:
    """A backup whose data key and sidecar are proven, ready to be read any number of times.

    Both methods take the whole stored object, from its first byte, in chunks of any size.

    :param opened_with: the wrapped copy of the data key that KMS opened.
    """

    def __init__(
        self,
        sidecar: Sidecar | OriginalSidecar,
        decryptor: Decryptor | OriginalDecryptor,
        opened_with: WrappedKey,
        header: Header | None = None,
    ) -> None:
        self.sidecar = sidecar
        self.opened_with = opened_with
        self._decryptor = decryptor
        self._header = header

    @property
    def needs_verify(self) -> bool:
        """Whether :meth:`plaintext` needs a successful :meth:`verify` before it: in the original format."""
        return isinstance(self._decryptor, OriginalDecryptor) and not self._decryptor.verified

    def verify(self, chunks: Iterable[bytes]) -> Totals:
        """Read and authenticate everything, release nothing.

        :raises IntegrityError: what :meth:`plaintext` raises.
        """
        counted = _Counted(chunks)
        if isinstance(self._decryptor, OriginalDecryptor):
            self._decryptor.verify(counted)
        else:
            for _ in self._plaintext(self._decryptor, counted):
                pass
        return self._checked(counted)

    def plaintext(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The compressed dump, nothing of it released before it is authentic.

        The end of the stream is reached only when the whole object is the one that the sidecar describes.

        :raises IntegrityError: by name what is wrong with the object (errors.py).
        :raises ValueError: when :attr:`needs_verify`.
        """
        counted = _Counted(chunks)
        if isinstance(self._decryptor, OriginalDecryptor):
            yield from self._decryptor.decrypt(counted)
        else:
            yield from self._plaintext(self._decryptor, counted)
        self._checked(counted)

    def plaintext_range(
        self, start: int, certain: int, end: int, fetch: Callable[[int, int], Iterable[bytes]]
    ) -> Iterator[bytes]:
        """Bytes ``start`` to ``end`` of the compressed dump, from no more frames than the reader asks for.

        :param certain: up to here the reader will read, so these frames are fetched at once; then one after the other.
        :param fetch: gives bytes of the stored object: offset, length.
        :raises FrameTampered, MessageTruncated: as :meth:`plaintext`, for the frames that are read.
        :raises ValueError: when it has no frames.
        """
        decryptor, header = self._decryptor, self._header
        if not isinstance(decryptor, Decryptor) or header is None or not isinstance(self.sidecar, Sidecar):
            raise ValueError("the original format has no frames")
        length = header.frame_length
        first, stop = start // length + 1, (end - 1) // length + 1
        at_once = max(first, (certain - 1) // length + 1)
        position = (first - 1) * length
        for begin, last in [(first, at_once), *((frame, frame) for frame in range(at_once + 1, stop + 1))]:
            offset = header.frame_offset(begin)
            is_final = last == self.sidecar.frame_count  # whose head is longer than the others'
            end_of_last = self.sidecar.encrypted_file_size if is_final else header.frame_offset(last + 1)
            stream = ByteReader(fetch(offset, end_of_last - offset))
            for piece in decryptor.decrypt_frames(stream, begin, last):
                yield piece[max(start - position, 0) : end - position]
                position += len(piece)

    def _plaintext(self, decryptor: Decryptor, chunks: Iterable[bytes]) -> Iterator[bytes]:
        stream = ByteReader(chunks)
        if Header.read(stream) != self._header:
            raise HeaderTampered("The object has changed since its header was read.", _REMEDY)
        yield from decryptor.decrypt(stream)

    def _checked(self, counted: _Counted) -> Totals:
        frames = self._decryptor.frame_count if isinstance(self._decryptor, Decryptor) else 0
        totals = Totals(counted.size, counted.sha256.hexdigest(), self._decryptor.plaintext_bytes, frames)
        recorded = {
            "encrypted_file_size": (totals.ciphertext_bytes, self.sidecar.encrypted_file_size),
            "ciphertext_sha256": (totals.ciphertext_sha256, self.sidecar.ciphertext_sha256),
            "original_file_size": (totals.plaintext_bytes, self.sidecar.original_file_size),
            "frame_count": (frames, self.sidecar.frame_count if isinstance(self.sidecar, Sidecar) else None),
        }
        for field, (actual, expected) in recorded.items():
            if expected is not None and actual != expected:
                raise StoredCopyDiffers(f"{field} is {actual}, recorded was {expected}.", _REMEDY)
        return totals


class _Counted:
    """Passes chunks on, and counts and hashes them."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.size = 0
        self.sha256 = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size += len(chunk)
            self.sha256.update(chunk)
            yield chunk


def open_backup(
    raw_sidecar: bytes,
    head: bytes,
    *,
    source: str,
    name: BackupName,
    keyring: Keyring,
    allowed_arns: Collection[str],
) -> OpenBackup:
    """Prove data key, header and sidecar of a stored backup.

    :param head: the object's first bytes, :data:`~.message.MAX_HEADER_BYTES` of them or all that it has.
    :param source: the source in the policy whose backup was asked for.
    :param name: the backup that was asked for.
    :param allowed_arns: ARNs of the KMS keys that may have wrapped the data key.
    :raises IntegrityError: by name what is wrong with sidecar or header (errors.py).
    :raises KeyRefused: when another KMS key wrapped the data key.
    :raises KeyUnavailable: when KMS does not serve the request.
    """
    sidecar = parse(raw_sidecar)
    if isinstance(sidecar, OriginalSidecar):
        return _open_original(raw_sidecar, sidecar, source, name, keyring, allowed_arns)

    header = Header.read(ByteReader([head]))
    context = encryption_context(source, name, sidecar.backup_id)
    copies = dict.fromkeys([*header.wrapped_keys, *(key.wrapped() for key in sidecar.encrypted_data_keys)])
    with keyring.unwrap(list(copies), context, allowed_arns) as data_key:
        decryptor = Decryptor(header, data_key)
        check_mac(raw_sidecar, data_key, header.message_id)
    _check_agreement(sidecar, header, source, name, context)
    return OpenBackup(sidecar, decryptor, data_key.wrapped[0], header)


def _open_original(
    raw_sidecar: bytes,
    sidecar: OriginalSidecar,
    source: str,
    name: BackupName,
    keyring: Keyring,
    allowed_arns: Collection[str],
) -> OpenBackup:
    ciphertext = decode(sidecar.encrypted_data_key)
    copies = [WrappedKey(arn, ciphertext) for arn in _key_arns(sidecar.kms_key_id, keyring, allowed_arns)]
    # No context: the original has none. So KMS refuses a v2 data key that a forged v1 sidecar presents.
    with keyring.unwrap(copies, {}, allowed_arns) as data_key:
        decryptor = OriginalDecryptor(data_key, decode(sidecar.iv), decode(sidecar.auth_tag))
        if sidecar.sidecar_mac is not None:
            check_mac(raw_sidecar, data_key, decode(sidecar.iv))
    facts = sidecar.facts
    if facts is not None and (facts.object_name, facts.source) != (name.object_name, source):
        raise WrongBackup(
            f"The sidecar of {name} describes {facts.object_name} of source {facts.source}.",
            "Look for the backup under its own name; someone has copied one over the other.",
        )
    return OpenBackup(sidecar, decryptor, data_key.wrapped[0])


def _key_arns(key_id: str, keyring: Keyring, allowed_arns: Collection[str]) -> list[str]:
    """The original wrote a bare key id; an alias is the only form that KMS must be asked about."""
    matching = [arn for arn in allowed_arns if arn == key_id or arn.endswith(f":key/{key_id}")]
    return matching or [keyring.resolve(key_id) if "alias/" in key_id else key_id]


def _check_agreement(sidecar: Sidecar, header: Header, source: str, name: BackupName, context: dict[str, str]) -> None:
    keys = [EncryptedDataKey.of(key) for key in header.wrapped_keys]
    agreement = {
        "iv": sidecar.iv == encode(header.message_id),
        "auth_tag": sidecar.auth_tag == encode(header.tag),
        "key_commitment": sidecar.key_commitment == encode(header.key_commitment),
        "header_length": sidecar.header_length == header.length,
        "frame_length": sidecar.frame_length == header.frame_length,
        "encryption_context": sidecar.encryption_context == header.context == context,
        "encrypted_data_key": (sidecar.kms_key_id, sidecar.encrypted_data_key)
        in [(key.key_arn, key.ciphertext) for key in keys[:1]],
        "encrypted_data_keys": all(key in sidecar.encrypted_data_keys for key in keys),
        "object_name": sidecar.object_name == name.object_name,
        "source": sidecar.source == source,
    }
    for field, agrees in agreement.items():
        if not agrees:
            raise SidecarTampered(f"The sidecar's {field} is not the message's, or not what was asked for.", _REMEDY)

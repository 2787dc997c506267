"""The v1 file format, the original system's: one AES-256-GCM message; IV and tag are in the sidecar.

The data key is used as it is, there are no associated data, and the file is the ciphertext alone, as long as
the plaintext. Its authenticity shows only at its end, so a reader goes through it twice: once to verify, once
to release what was verified. Source: NIST SP 800-38D.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import DataKey
from include.backup_engine.errors import FrameTampered, SidecarMalformed, UnsupportedFormat

MAX_BYTES = 16 * 1024**3
"""Largest file in this format, far below the 64 GiB at which GCM itself ends."""
IV_BYTES, TAG_BYTES = 12, 16
_BLOCK = 1024 * 1024
_REMEDY = "Do not restore from this object; use another of its versions, or another backup."


def _within_limit(size: int) -> None:
    if size > MAX_BYTES:
        raise UnsupportedFormat(
            f"The original format (v1) ends at {MAX_BYTES} bytes.", "Use format v2 for this source in the policy."
        )


class OriginalEncryptor:
    """Encrypts one stream into one file.

    :param data_key: used for this file only.
    """

    def __init__(self, data_key: DataKey) -> None:
        self.iv = os.urandom(IV_BYTES)
        self.size = 0
        """Bytes so far, of plaintext as of ciphertext."""
        self._gcm = Cipher(AES(data_key.plaintext), GCM(self.iv)).encryptor()
        self._sha256 = hashlib.sha256()

    def encrypt(self, plaintext: Iterable[bytes]) -> Iterator[bytes]:
        """The ciphertext, chunk by chunk. Can be called once.

        :raises UnsupportedFormat: above 16 GiB.
        """
        for chunk in plaintext:
            self.size += len(chunk)
            _within_limit(self.size)
            ciphertext = self._gcm.update(chunk)
            self._sha256.update(ciphertext)
            yield ciphertext
        self._gcm.finalize()

    @property
    def auth_tag(self) -> bytes:
        """The 16-byte tag; raises :class:`cryptography.exceptions.NotYetFinalized` before the stream has ended."""
        return self._gcm.tag

    @property
    def ciphertext_sha256(self) -> str:
        """Hex digest of the file."""
        return self._sha256.hexdigest()


class OriginalDecryptor:
    """Decrypts one file, and releases nothing of it before :meth:`verify` has gone through all of it.

    :raises SidecarMalformed: when IV or tag have the wrong length (a shorter tag would be easier to forge).
    """

    def __init__(self, data_key: DataKey, iv: bytes, auth_tag: bytes) -> None:
        if len(iv) != IV_BYTES or len(auth_tag) != TAG_BYTES:
            raise SidecarMalformed(
                f"The sidecar's iv must have {IV_BYTES} bytes and its auth_tag {TAG_BYTES}.", "Use another backup."
            )
        self._cipher = Cipher(AES(data_key.plaintext), GCM(iv, auth_tag))
        self._verified: list[bytes] | None = None
        self.plaintext_bytes = 0

    @property
    def verified(self) -> bool:
        """Whether :meth:`verify` has succeeded."""
        return self._verified is not None

    def verify(self, ciphertext: Iterable[bytes]) -> None:
        """Authenticate the whole file and remember what was authenticated.

        :raises FrameTampered: when the file was altered, cut short or extended.
        :raises UnsupportedFormat: above 16 GiB.
        """
        self._verified = None
        self.plaintext_bytes = 0
        gcm = self._cipher.decryptor()
        stream = ByteReader(ciphertext)
        digests: list[bytes] = []  # 32 bytes for each MiB: 512 KiB for the largest file
        while block := stream.read(_BLOCK):
            self.plaintext_bytes += len(block)
            _within_limit(self.plaintext_bytes)
            gcm.update(block)
            digests.append(hashlib.sha256(block).digest())
        try:
            gcm.finalize()
        except InvalidTag:
            raise FrameTampered(
                "The file fails authentication: it was altered, cut short or extended.", _REMEDY
            ) from None
        self._verified = digests

    def decrypt(self, ciphertext: Iterable[bytes]) -> Iterator[bytes]:
        """The plaintext of the verified file, which is read once more.

        Each block must be the one that was verified, so that a file exchanged in between releases nothing.

        :raises ValueError: before :meth:`verify`.
        :raises FrameTampered: when the file is not the one that was verified.
        """
        if self._verified is None:
            raise ValueError("verify first: this format shows at its end whether it is authentic")
        gcm = self._cipher.decryptor()
        stream = ByteReader(ciphertext)
        for digest in self._verified:
            block = stream.read(_BLOCK)
            if not hmac.compare_digest(hashlib.sha256(block).digest(), digest):
                raise FrameTampered("The file has changed since it was verified.", _REMEDY)
            yield gcm.update(block)
        if not stream.at_end():
            raise FrameTampered("The file has grown since it was verified.", _REMEDY)

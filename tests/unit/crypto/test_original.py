from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.crypto import original
from include.backup_engine.crypto.original import OriginalDecryptor, OriginalEncryptor
from include.backup_engine.errors import FrameTampered, SidecarMalformed, UnsupportedFormat
from tests.unit.crypto.examples import data_key

KEY = data_key()
PLAINTEXT = os.urandom(3 * 1024 * 1024 + 5)


def encrypt(plaintext: bytes) -> tuple[bytes, OriginalDecryptor]:
    encryptor = OriginalEncryptor(KEY)
    ciphertext = b"".join(encryptor.encrypt([plaintext]))
    return ciphertext, OriginalDecryptor(KEY, encryptor.iv, encryptor.auth_tag)


@given(chunks=st.lists(st.binary(max_size=50)), size=st.integers(1, 60))
def test_round_trip(chunks: list[bytes], size: int) -> None:
    encryptor = OriginalEncryptor(KEY)
    ciphertext = b"".join(encryptor.encrypt(chunks))
    assert encryptor.size == len(ciphertext) == sum(map(len, chunks))
    assert encryptor.ciphertext_sha256 == hashlib.sha256(ciphertext).hexdigest()
    decryptor = OriginalDecryptor(KEY, encryptor.iv, encryptor.auth_tag)
    pieces = [ciphertext[start : start + size] for start in range(0, len(ciphertext), size)]
    decryptor.verify(pieces)
    assert b"".join(decryptor.decrypt(pieces)) == b"".join(chunks)
    assert decryptor.plaintext_bytes == len(ciphertext)


def test_releases_nothing_unverified() -> None:
    ciphertext, decryptor = encrypt(PLAINTEXT)
    with pytest.raises(ValueError, match="verify first"):
        next(decryptor.decrypt([ciphertext]))
    with pytest.raises(FrameTampered):
        decryptor.verify([ciphertext, b"\0"])
    assert not decryptor.verified
    with pytest.raises(ValueError, match="verify first"):
        next(decryptor.decrypt([ciphertext]))


def test_every_bit_every_cut_and_any_extension_is_refused(record_property: Callable[[str, object], None]) -> None:
    ciphertext, decryptor = encrypt(b"a short backup")
    cases = [ciphertext[:length] for length in range(len(ciphertext))]
    cases += [ciphertext + b"\0", ciphertext + ciphertext]
    for position in range(len(ciphertext) * 8):
        flipped = bytearray(ciphertext)
        flipped[position // 8] ^= 1 << position % 8
        cases.append(bytes(flipped))
    for case in cases:
        with pytest.raises(FrameTampered):
            decryptor.verify([case])
    record_property("tamper_cases_refused", len(cases))
    print(f"tamper cases refused: {len(cases)}")


def test_a_failed_verification_takes_back_an_earlier_one() -> None:
    ciphertext, decryptor = encrypt(PLAINTEXT)
    decryptor.verify([ciphertext])
    with pytest.raises(FrameTampered):
        decryptor.verify([ciphertext[:-1]])
    assert not decryptor.verified


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024])
def test_a_file_that_grew_after_it_was_verified(size: int) -> None:
    ciphertext, decryptor = encrypt(bytes(size))
    decryptor.verify([ciphertext])
    with pytest.raises(FrameTampered, match="since it was verified"):
        list(decryptor.decrypt([ciphertext, b"\0"]))


@pytest.mark.parametrize("block", [0, 1, 3])
def test_a_file_exchanged_after_it_was_verified(block: int) -> None:
    ciphertext, decryptor = encrypt(PLAINTEXT)
    decryptor.verify([ciphertext])
    start = block * 1024 * 1024
    exchanged = bytearray(ciphertext)
    exchanged[start] ^= 1
    for forged in (bytes(exchanged), ciphertext[:start]):
        released: list[bytes] = []
        with pytest.raises(FrameTampered, match="changed since"):
            for piece in decryptor.decrypt([forged]):
                released.append(piece)
        assert b"".join(released) == PLAINTEXT[:start]


@pytest.mark.parametrize(("iv", "tag"), [(12, 15), (12, 4), (12, 17), (11, 16), (16, 16), (0, 16), (12, 0)])
def test_iv_and_tag_have_one_length(iv: int, tag: int) -> None:
    with pytest.raises(SidecarMalformed):
        OriginalDecryptor(KEY, bytes(iv), bytes(tag))


def test_the_cap_holds_for_writing_and_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    assert original.MAX_BYTES == 16 * 2**30
    ciphertext, decryptor = encrypt(bytes(101))
    monkeypatch.setattr(original, "MAX_BYTES", 100)
    assert len(b"".join(OriginalEncryptor(KEY).encrypt([bytes(60), bytes(40)]))) == 100
    with pytest.raises(UnsupportedFormat, match="ends at 100 bytes"):
        list(OriginalEncryptor(KEY).encrypt([bytes(60), bytes(41)]))
    with pytest.raises(UnsupportedFormat, match="ends at 100 bytes"):
        decryptor.verify([ciphertext])

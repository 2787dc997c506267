"""Everything that can be done to the bytes of a message is refused by name, and releases nothing forged."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.message import Header
from include.backup_engine.errors import (
    CommitmentMismatch,
    FrameTampered,
    HeaderTampered,
    IntegrityError,
    MessageTruncated,
    TrailingData,
    UnsupportedFormat,
)
from tests.unit.crypto.examples import data_key, decrypt, encrypt

KEY = data_key()
FRAME = 16
PLAINTEXT = bytes(range(3 * FRAME + 5))
MESSAGE = encrypt(PLAINTEXT, KEY, FRAME)
HEADER_LENGTH = Header.read(ByteReader([MESSAGE])).length

Record = Callable[[str, object], None]


def frames(message: bytes) -> list[bytes]:
    """Three regular frames and the final one."""
    cuts = [HEADER_LENGTH + number * (FRAME + 32) for number in range(4)]
    return [message[start:end] for start, end in itertools.pairwise([*cuts, len(message)])]


def refuse(message: bytes, expected: tuple[type[IntegrityError], ...], untouched: int) -> None:
    """``message`` is refused with one of ``expected``; at most frames that end before ``untouched`` are released."""
    released: list[bytes] = []
    with pytest.raises(IntegrityError) as caught:
        for piece in decrypt([message], KEY):
            released.append(piece)
    assert type(caught.value) in expected
    plaintext = b"".join(released)
    assert plaintext == PLAINTEXT[: len(plaintext)]
    assert len(plaintext) <= max(0, untouched - HEADER_LENGTH) // (FRAME + 32) * FRAME


def count(record_property: Record, cases: int) -> None:
    record_property("tamper_cases_refused", cases)
    print(f"tamper cases refused: {cases}")


def test_every_single_bit_flip(record_property: Record) -> None:
    in_header = (UnsupportedFormat, HeaderTampered, CommitmentMismatch, MessageTruncated)
    in_frames = (FrameTampered, MessageTruncated)
    for position, bit in itertools.product(range(len(MESSAGE)), range(8)):
        flipped = bytearray(MESSAGE)
        flipped[position] ^= 1 << bit
        refuse(bytes(flipped), in_header if position < HEADER_LENGTH else in_frames, position)
    count(record_property, len(MESSAGE) * 8)


def test_truncation_at_every_byte(record_property: Record) -> None:
    for length in range(len(MESSAGE)):
        refuse(MESSAGE[:length], (MessageTruncated,), length)
    count(record_property, len(MESSAGE))


def test_anything_after_the_end(record_property: Record) -> None:
    extras = [b"\0", b"\xff" * 4, MESSAGE, *frames(MESSAGE), MESSAGE[:HEADER_LENGTH]]
    for extra in extras:
        refuse(MESSAGE + extra, (TrailingData,), len(MESSAGE))
    count(record_property, len(extras))


def test_frames_reordered_repeated_or_dropped(record_property: Record) -> None:
    original = frames(MESSAGE)
    arrangements: Iterable[tuple[int, ...]] = itertools.chain.from_iterable(
        itertools.product(range(4), repeat=length) for length in range(6)
    )
    cases = 0
    for arrangement in arrangements:
        if arrangement[:4] == (0, 1, 2, 3):
            continue
        kept = next((i for i, number in enumerate(arrangement) if i != number), len(arrangement))
        tampered = MESSAGE[:HEADER_LENGTH] + b"".join(original[number] for number in arrangement)
        refuse(tampered, (FrameTampered, MessageTruncated), HEADER_LENGTH + kept * (FRAME + 32))
        cases += 1
    count(record_property, cases)


def test_frames_of_two_messages_mixed(record_property: Record) -> None:
    """Even with the same plaintext under the same data key."""
    ours, cases = frames(MESSAGE), 0
    for other_key in (KEY, data_key(8)):
        other = encrypt(PLAINTEXT, other_key, FRAME)
        theirs = frames(other)
        for choice in itertools.product((False, True), repeat=4):
            if any(choice):
                mixed = [b if foreign else a for a, b, foreign in zip(ours, theirs, choice, strict=True)]
                untouched = HEADER_LENGTH + choice.index(True) * (FRAME + 32)
                refuse(MESSAGE[:HEADER_LENGTH] + b"".join(mixed), (FrameTampered,), untouched)
                cases += 1
        if other_key is not KEY:
            refuse(other, (CommitmentMismatch,), 0)
            cases += 1
    count(record_property, cases)


def test_a_frame_passed_off_as_the_final_one(record_property: Record) -> None:
    """Truncation in disguise: the bytes of a regular frame in the layout of the final frame, at every length."""
    first = frames(MESSAGE)[0]
    cases = 0
    for length in range(2 * FRAME):
        final = b"\xff" * 4 + first[:16] + length.to_bytes(4, "big") + first[16 : 16 + length] + first[-16:]
        refuse(MESSAGE[:HEADER_LENGTH] + final, (FrameTampered,), HEADER_LENGTH)
        cases += 1
    count(record_property, cases)


def test_a_length_that_would_fill_the_memory() -> None:
    """A final frame that claims to be longer than a frame is refused before it is read."""
    head = b"\xff" * 4 + frames(MESSAGE)[0][:16] + (FRAME + 1).to_bytes(4, "big")
    rest = iter([bytes(FRAME + 1), bytes(16)])
    with pytest.raises(FrameTampered):
        list(decrypt(itertools.chain([MESSAGE[:HEADER_LENGTH], head], rest), KEY))
    assert len(list(rest)) == 2


def test_the_header_of_another_message(record_property: Record) -> None:
    other = encrypt(PLAINTEXT, KEY, FRAME)
    refuse(other[:HEADER_LENGTH] + MESSAGE[HEADER_LENGTH:], (FrameTampered,), HEADER_LENGTH)
    longer_frames = encrypt(PLAINTEXT, KEY, 2 * FRAME)
    refuse(longer_frames[:HEADER_LENGTH] + MESSAGE[HEADER_LENGTH:], (FrameTampered,), HEADER_LENGTH)
    count(record_property, 2)

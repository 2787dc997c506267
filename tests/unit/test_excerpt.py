"""Single tables out of a backup: their text is that of the whole, and nothing else is fetched than their frames."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.compression import Compressor, decompress
from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.envelope import OpenBackup
from include.backup_engine.crypto.message import Decryptor, Header
from include.backup_engine.crypto.original import OriginalDecryptor
from include.backup_engine.crypto.sidecar import Sidecar, decode
from include.backup_engine.errors import ContentIncomplete, FrameTampered, IntegrityError, RequestRefused
from include.backup_engine.excerpt import Excerpt, are_all, check_names, chosen_sections, cut, stretches
from include.backup_engine.names import Compression
from include.backup_engine.records import Census, ObjectFacts, Section, TableFacts
from tests.unit.crypto.examples import data_key, make_v1, make_v2

KEY = data_key()
FRAME_OVERHEAD = 32


@dataclass
class Dump:
    """A made-up dump in a message: settings, then one table after the other."""

    texts: dict[str, bytes]
    sections: list[Section]
    compression: Compression
    message: bytes
    opened: OpenBackup
    compressed_bytes: int
    frame_length: int
    fetched: list[tuple[int, int]] = field(default_factory=list)

    def fetch(self, offset: int, length: int) -> Iterator[bytes]:
        self.fetched.append((offset, length))
        assert 0 < length <= len(self.message) - offset
        yield self.message[offset : offset + length]

    def read(self, names: set[str]) -> bytes:
        return self.read_in(chosen_sections(self.sections, names))

    def read_in(self, chosen: list[Section]) -> bytes:
        text = b""
        for part in stretches(self.sections, chosen, self.compressed_bytes, self.frame_length):
            compressed = self.opened.plaintext_range(part.start, part.certain, part.end, self.fetch)
            text += b"".join(cut(decompress(compressed, self.compression), part.sql_start, part.sections))
        return text

    def frames_fetched(self) -> set[int]:
        header, whole = self.header_length, self.frame_length + FRAME_OVERHEAD
        frames: set[int] = set()
        for offset, length in self.fetched:
            assert (offset - header) % whole == 0
            frames |= set(range((offset - header) // whole + 1, (offset + length - 1 - header) // whole + 2))
        return frames

    @property
    def header_length(self) -> int:
        return Header.read(ByteReader([self.message])).length


def make(sizes: list[int], frame_length: int, member_bytes: int, compression: Compression, seed: int = 1) -> Dump:
    """As source.py writes it: a member ends at the start of a section, once it holds ``member_bytes``."""
    dice = random.Random(seed)
    compressor = Compressor(compression)
    texts: dict[str, bytes] = {}
    sections: list[Section] = []
    stream = b""
    for number, size in enumerate(sizes):
        if compressor.bytes_in - compressor.member_in >= member_bytes:
            stream += compressor.cut()
        name = f"t{number}" if number else ""
        texts[name] = bytes(dice.choices(b"abcdefgh\n", k=size))
        sections.append(
            Section(
                kind="table" if number else "settings", name=name, sql_offset=compressor.bytes_in, sql_length=size,
                compressed_offset=compressor.member_out, member_sql_offset=compressor.member_in,
            )
        )  # fmt: skip
        stream += compressor.compress(texts[name])
    stream += compressor.finish()
    message, sidecar = make_v2(stream, KEY, frame_length=frame_length)
    return Dump(texts, sections, compression, message, _opened(message, sidecar), len(stream), frame_length)


def _opened(message: bytes, sidecar: Sidecar) -> OpenBackup:
    header = Header.read(ByteReader([message]))
    return OpenBackup(sidecar, Decryptor(header, KEY), KEY.wrapped[0], header)


@given(
    sizes=st.lists(st.integers(0, 3000), min_size=2, max_size=12),
    frame_length=st.integers(16, 700),
    member_bytes=st.integers(1, 4000),
    compression=st.sampled_from(["gzip", "zstd"]),
    data=st.data(),
)
def test_the_text_of_any_tables_is_that_of_the_whole(
    sizes: list[int], frame_length: int, member_bytes: int, compression: Compression, data: st.DataObject
) -> None:
    dump = make(sizes, frame_length, member_bytes, compression)
    names = data.draw(st.sets(st.sampled_from(sorted(dump.texts)[1:])))
    assert dump.read(names) == b"".join(text for name, text in dump.texts.items() if not name or name in names)
    ends = [*sorted({section.compressed_offset for section in dump.sections}), dump.compressed_bytes]
    wanted = {section.compressed_offset for section in dump.sections if not section.name or section.name in names}
    inside: set[int] = set()
    for start, end in itertools.pairwise(ends):
        if start in wanted:
            inside |= set(range(start // frame_length + 1, (end - 1) // frame_length + 2))
    # Up to one frame's length between two stretches is read rather than asked around.
    assert all({frame - 1, frame, frame + 1} & inside for frame in dump.frames_fetched())


@given(
    sizes=st.lists(st.integers(0, 3000), min_size=2, max_size=12),
    frame_length=st.integers(16, 700),
    member_bytes=st.integers(1, 4000),
    data=st.data(),
)
def test_the_sections_can_be_read_in_any_order(
    sizes: list[int], frame_length: int, member_bytes: int, data: st.DataObject
) -> None:
    dump = make(sizes, frame_length, member_bytes, "gzip")
    order = data.draw(st.permutations(dump.sections))
    assert dump.read_in(order) == b"".join(dump.texts[section.name] for section in order)
    assert are_all(order, sum(sizes))


def test_sections_with_a_gap_or_less_than_the_text_are_not_all_of_it() -> None:
    dump = make([100, 200, 300], 1000, 5000, "gzip")
    assert not are_all(dump.sections[:2], 600)
    assert not are_all([dump.sections[0], dump.sections[2]], 600)
    assert not are_all(dump.sections, 601)


def test_a_small_table_before_a_large_one_is_read_without_it() -> None:
    dump = make([100, 200, 400_000, 300, 400_000], 1000, 5000, "gzip")
    assert dump.sections[2].compressed_offset == 0  # the large one began in the settings' member
    assert dump.read({"t1"}) == dump.texts[""] + dump.texts["t1"]
    assert len(dump.frames_fetched()) <= 40  # what the compressor holds back, not 200 kB
    dump.fetched.clear()
    assert dump.read({"t3"}) == dump.texts[""] + dump.texts["t3"]
    assert len(dump.frames_fetched()) < 100


def test_a_table_that_ends_its_member_is_fetched_in_one_request() -> None:
    dump = make([6000, 400_000, 300], 1000, 5000, "gzip")
    dump.read({"t1"})
    assert len(dump.fetched) == 1
    assert max(dump.frames_fetched()) == (dump.sections[2].compressed_offset - 1) // 1000 + 1


@pytest.mark.parametrize("position", [0, 3, 10, 19, 20, 500, -1])
def test_a_frame_that_is_read_must_be_authentic(position: int) -> None:
    dump = make([6000, 8000, 6000, 8000, 6000], 500, 5000, "gzip")
    dump.read({"t2"})
    whole, header = 500 + FRAME_OVERHEAD, dump.header_length
    read = dump.frames_fetched()
    unread = set(range(1, (dump.compressed_bytes // 500) + 2)) - read
    assert unread
    genuine = dump.message
    for frame in sorted(read | unread):
        at = header + (frame - 1) * whole + position % whole
        if at >= len(genuine):
            continue
        damaged = bytearray(genuine)
        damaged[at] ^= 1
        dump.message = bytes(damaged)
        if frame in read:
            with pytest.raises(IntegrityError):
                dump.read({"t2"})
        else:
            assert dump.read({"t2"}) == dump.texts[""] + dump.texts["t2"]


def test_a_frame_in_the_place_of_another_is_refused() -> None:
    dump = make([6000, 8000], 500, 5000, "gzip")
    whole, header = 500 + FRAME_OVERHEAD, dump.header_length
    first, second = (dump.message[header + n * whole : header + (n + 1) * whole] for n in (0, 1))
    dump.message = dump.message[:header] + second + first + dump.message[header + 2 * whole :]
    with pytest.raises(FrameTampered, match="Frame 1 of the message is not what follows frame 0"):
        dump.read({"t1"})


def test_an_index_that_promises_too_much_is_an_error_and_no_short_text() -> None:
    dump = make([100, 200], 1000, 5000, "gzip")
    dump.sections[1] = dump.sections[1].model_copy(update={"sql_length": 201})
    with pytest.raises(ContentIncomplete, match="ends before its table t1 does"):
        dump.read({"t1"})


def test_the_original_format_has_no_ranges() -> None:
    _, sidecar = make_v1(b"x" * 100, KEY)
    opened = OpenBackup(sidecar, OriginalDecryptor(KEY, decode(sidecar.iv), decode(sidecar.auth_tag)), KEY.wrapped[0])
    with pytest.raises(ValueError, match="no frames"):
        list(opened.plaintext_range(0, 10, 10, lambda offset, length: []))


CENSUS = Census(
    charset="utf8mb4",
    collation="utf8mb4_bin",
    tables=[
        TableFacts(name="patients", definition_sha256="a"),
        TableFacts(name="Payments", definition_sha256="b"),
        TableFacts(name="mrn_seq", kind="sequence", definition_sha256="c"),
    ],
    objects=[
        ObjectFacts(kind="view", name="v_open", definition_sha256="d"),
        ObjectFacts(kind="trigger", name="patients_check", definition_sha256="e"),
        ObjectFacts(kind="trigger", name="payments_check", definition_sha256="f"),
    ],
    excluded_tables=["sessions"],
)


@pytest.mark.parametrize(
    ("name", "said", "remedy"),
    [
        ("patient", "no table 'patient'", "Nearest are: patients"),
        ("payments", "no table 'payments'", "Nearest are: Payments"),
        ("xyzzy", "no table 'xyzzy'", "show"),
        ("v_open", "v_open is a view", "whole backup"),
        ("sessions", "the policy excluded it", ""),
    ],
)
def test_a_table_that_the_backup_does_not_hold_is_refused_with_what_comes_next_to_it(
    name: str, said: str, remedy: str
) -> None:
    with pytest.raises(RequestRefused) as refused:
        check_names(CENSUS, ["patients", name])
    assert said in refused.value.cause
    assert remedy in refused.value.remedy


def test_the_census_of_an_excerpt_holds_its_tables_and_their_triggers() -> None:
    excerpt = Excerpt(
        tables=["patients"], sequences=["mrn_seq"], triggers=["patients_check"], warnings=[],
        bytes_read=20_000, object_bytes=1_000_000, requests=1,
    )  # fmt: skip
    part = excerpt.part_of(CENSUS)
    assert [item.name for item in part.everything] == ["patients", "mrn_seq", "patients_check"]
    assert excerpt.absent_from(CENSUS) == {"Payments"}
    assert str(excerpt) == "20.0 kB of 1.0 MB (2.0 %) in 1 request"

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.crypto import sidecar as module
from include.backup_engine.crypto.sidecar import (
    MAX_SIDECAR_BYTES,
    Metadata,
    OriginalSidecar,
    Sidecar,
    check_mac,
    decode,
    parse,
    seal,
)
from include.backup_engine.errors import IntegrityError, SidecarMalformed, SidecarTampered, UnsupportedFormat
from tests.unit.crypto.examples import backup_facts, data_key, make_v1, make_v2

KEY = data_key()
V2 = seal(make_v2(b"dump", KEY)[1], KEY)
V1 = seal(make_v1(b"dump", KEY)[1], KEY)
ORIGINAL: dict[str, Any] = {
    "kms_key_id": "0a1b2c3d-0000-4000-8000-00000000abcd",
    "encrypted_data_key": "d3JhcHBlZA==",
    "iv": "AAAAAAAAAAAAAAAA",
    "auth_tag": "AAAAAAAAAAAAAAAAAAAAAA==",
    "algorithm": "AES-256-GCM",
    "metadata": {"backup_date": "2025-08-05T22:48:22.1+00:00Z", "tables_count": 45, "backup_type": "database_dump"},
    "encrypted_file_size": 4,
    "original_file_size": 4,
}


def edited(raw: bytes, **fields: object) -> bytes:
    return json.dumps(json.loads(raw) | fields).encode()


def without(raw: bytes, field: str) -> bytes:
    document = json.loads(raw)
    del document[field]
    return json.dumps(document).encode()


def test_v2_survives_the_journey() -> None:
    _, written = make_v2(b"dump", KEY)
    raw = seal(written, KEY)
    read = parse(raw)
    assert isinstance(read, Sidecar)
    assert read.model_copy(update={"sidecar_mac": None}) == written
    assert read.message == written.message
    assert read.facts.census.tables[0].name == "pätient"
    assert read.metadata.backup_date == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    check_mac(raw, KEY, decode(read.iv))


def test_v1_survives_the_journey() -> None:
    _, written = make_v1(b"dump", KEY)
    raw = seal(written, KEY)
    read = parse(raw)
    assert isinstance(read, OriginalSidecar)
    assert read.model_copy(update={"sidecar_mac": None}) == written
    assert read.facts == backup_facts(compressed_bytes=4)
    check_mac(raw, KEY, decode(read.iv))


def test_the_documents_hold_the_original_fields_and_ours_side_by_side() -> None:
    for raw in (V1, V2):
        document = json.loads(raw)
        assert document.keys() >= ORIGINAL.keys()
        assert document["metadata"]["backup_date"] == "2026-01-02T03:04:05Z"
        assert document.keys() >= {"backup_id", "census", "consistency", "stream", "chain", "s3", "sidecar_mac"}
        assert "facts" not in document
    assert json.loads(V1)["format_version"] == 1
    assert (json.loads(V2)["format"], json.loads(V2)["format_version"]) == ("aws-esdk", 2)
    assert len(decode(json.loads(V2)["iv"])) == 32


def test_the_original_system_s_sidecar_is_read() -> None:
    read = parse(json.dumps(ORIGINAL, indent=2).encode())
    assert isinstance(read, OriginalSidecar)
    assert (read.facts, read.sidecar_mac, read.format_version) == (None, None, None)
    assert read.metadata.backup_date == datetime(2025, 8, 5, 22, 48, 22, 100_000, tzinfo=UTC)
    # Nothing but a MAC makes facts trustworthy.
    smuggled = ORIGINAL | {"facts": backup_facts().model_dump(mode="json")}
    smuggler = parse(json.dumps(smuggled).encode())
    assert isinstance(smuggler, OriginalSidecar)
    assert smuggler.facts is None


@pytest.mark.parametrize(
    "text",
    ["2025-08-05T22:48:22Z", "2025-08-05T22:48:22", "2025-08-05T22:48:22+00:00Z", "2025-08-06T00:48:22+02:00"],
)
def test_dates_that_occur(text: str) -> None:
    read = Metadata(backup_date=text, tables_count=1)
    assert read.backup_date == datetime(2025, 8, 5, 22, 48, 22, tzinfo=UTC)
    assert '"2025-08-05T22:48:22Z"' in read.model_dump_json()


@pytest.mark.parametrize(("value", "expected"), [("a, b,", ["a", "b"]), ("", []), (["a"], ["a"])])
def test_excluded_tables_as_one_string(value: object, expected: list[str]) -> None:
    document = ORIGINAL | {"metadata": ORIGINAL["metadata"] | {"excluded_tables": value}}
    assert parse(json.dumps(document).encode()).metadata.excluded_tables == expected


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", SidecarMalformed),
        (b"[]", SidecarMalformed),
        (b"\xff{}", SidecarMalformed),
        ("\ufeff{}".encode(), SidecarMalformed),
        (V2.decode().encode("utf-16"), SidecarMalformed),
        (b"[" * 1_000_000, SidecarMalformed),
        (V2 + b" " * MAX_SIDECAR_BYTES, SidecarMalformed),
        (V2[:-1], SidecarMalformed),
        (V2 + b"{}", SidecarMalformed),
        (V2.replace(b'"iv"', b'"iv": "AAAA", "iv"'), SidecarMalformed),
        (V2.replace(b'"bucket"', b'"bucket": "a", "bucket"'), SidecarMalformed),
        (V2.replace(b'"attempt": 1', b'"attempt": NaN'), SidecarMalformed),
        (V2.replace(b'"attempt": 1', b'"attempt": ' + b"1" * 5000), SidecarMalformed),
        (edited(V2, iv="not base64!"), SidecarMalformed),
        (edited(V2, iv=5), SidecarMalformed),
        (edited(V2, backup_id="x" * 65), SidecarMalformed),
        (edited(V2, encrypted_data_keys=[]), SidecarMalformed),
        (edited(V2, format="zip"), SidecarMalformed),
        (edited(V2, sidecar_mac={"alg": "none", "value": ""}), SidecarMalformed),
        (edited(V2, metadata={"backup_date": "yesterday", "tables_count": 1}), SidecarMalformed),
        (edited(V2, format_version=3), UnsupportedFormat),
        (edited(V2, format_version="2"), UnsupportedFormat),
        (edited(V2, format_version=None), UnsupportedFormat),
        (edited(V1, format_version=True), UnsupportedFormat),
        (edited(V1, format_version=1.0), UnsupportedFormat),
        (edited(V2, format_version=1), UnsupportedFormat),
        (edited(V1, format_version=2), UnsupportedFormat),
        (without(V2, "format_version"), UnsupportedFormat),
        (edited(V2, algorithm="AES-256-GCM"), UnsupportedFormat),
        (without(V1, "algorithm"), UnsupportedFormat),
        (without(V1, "format_version"), SidecarMalformed),
        (without(V1, "sidecar_mac"), SidecarMalformed),
        (without(V1, "census"), SidecarMalformed),
        (without(V2, "census"), SidecarMalformed),
        (json.dumps(ORIGINAL | {"sidecar_mac": None}).encode(), SidecarMalformed),
    ],
)
def test_what_is_no_sidecar_is_refused(raw: bytes, error: type[IntegrityError]) -> None:
    with pytest.raises(IntegrityError) as caught:
        parse(raw)
    assert type(caught.value) is error


def test_the_mac_is_that_of_the_document_not_of_its_layout() -> None:
    for raw in (V1, V2):
        document = json.loads(raw)
        compact = json.dumps(dict(reversed(document.items()))).encode()
        check_mac(compact, KEY, decode(document["iv"]))


def test_the_mac_covers_fields_that_we_do_not_know() -> None:
    for raw in (V1, V2):
        with pytest.raises(SidecarTampered):
            check_mac(edited(raw, a_later_field=1), KEY, decode(json.loads(raw)["iv"]))


@pytest.mark.parametrize("mac", [None, [], "text", {}, {"value": 5}, {"value": "é"}, {"value": ""}])
def test_a_broken_or_missing_mac_is_wrong(mac: object) -> None:
    iv = decode(json.loads(V2)["iv"])
    with pytest.raises(SidecarTampered):
        check_mac(edited(V2, sidecar_mac=mac), KEY, iv)
    with pytest.raises(SidecarTampered):
        check_mac(without(V2, "sidecar_mac"), KEY, iv)


def test_the_mac_needs_data_key_and_message_id() -> None:
    iv = decode(json.loads(V2)["iv"])
    with pytest.raises(SidecarTampered):
        check_mac(V2, data_key(8), iv)
    with pytest.raises(SidecarTampered):
        check_mac(V2, KEY, bytes(32))
    with pytest.raises(SidecarTampered):
        check_mac(edited(V2, attempt="\ud800"), KEY, iv)


@pytest.mark.parametrize("depth", [100, 500, 980, 1000, 1500, 5000, 20_000, 200_000])
def test_nesting_of_any_depth_is_refused_by_name(depth: int) -> None:
    raw = V2.replace(b'"iv"', b'"x": ' + b"[" * depth + b"]" * depth + b', "iv"')
    with pytest.raises(IntegrityError):
        parse(raw)
        check_mac(raw, KEY, decode(json.loads(V2)["iv"]))


_SCALARS = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10))
def test_the_canonical_form_survives_json(value: object) -> None:
    document = {"field": value}
    mac = module._mac(document, KEY, bytes(32))
    for indent in (None, 2):
        again = module._load(json.dumps(document, indent=indent).encode())
        assert module._mac(again, KEY, bytes(32)) == mac

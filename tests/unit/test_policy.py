"""The policy file: what it may say, and that an error names the key, the value and what is allowed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.backup_engine.errors import PolicyError
from include.backup_engine.policy import DEFAULT_PATH, Policy, SourcePolicy, load_policy

MINIMAL: dict[str, Any] = {
    "version": 1,
    "vault": {"bucket": "backups", "region": "eu-central-1", "data_key_id": "alias/data", "sse_key_id": "alias/sse"},
    "sources": {"surgicase": {"conn_id": "surgicase_mysql", "database": "surgicase"}},
}
MISSING = object()
KEY_ARN = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-0000-4000-8000-00000000abcd"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def changed(key: str, value: object) -> dict[str, Any]:
    """The minimal policy with one key set, or left out."""
    document = copy.deepcopy(MINIMAL)
    *folders, last = key.split("/")
    section = document
    for folder in folders:
        section = section.setdefault(folder, {})
    if value is MISSING:
        del section[last]
    else:
        section[last] = value
    return document


def load(file: Path, document: object) -> Policy:
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return load_policy(file)


def test_the_shipped_policy_is_valid_and_shows_every_key() -> None:
    shipped = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))

    def same_keys(document: Any, known: Any) -> None:
        if isinstance(known, dict) and isinstance(document, dict):
            assert document.keys() == known.keys()
            for key in known:
                same_keys(document[key], known[key])

    same_keys(shipped, load_policy(DEFAULT_PATH).model_dump())


def test_what_is_left_out_has_the_shipped_value(file: Path) -> None:
    shipped, minimal = load_policy(DEFAULT_PATH), load(file, MINIMAL)
    assert minimal.schedule == shipped.schedule
    assert minimal.retention == shipped.retention
    assert minimal.drill == shipped.drill
    assert minimal.vault.prefix == shipped.vault.prefix
    source, shipped_source = minimal.sources["surgicase"], shipped.sources["surgicase"]
    assert source.model_copy(update={"conn_id": ""}) == shipped_source.model_copy(update={"conn_id": ""})


def test_where_the_policy_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKUP_POLICY", raising=False)
    assert load_policy().vault.bucket == "surgicase-backups"
    load(file, MINIMAL)
    monkeypatch.setenv("BACKUP_POLICY", str(file))
    assert load_policy().vault.bucket == "backups"
    assert load_policy(DEFAULT_PATH).vault.bucket == "surgicase-backups"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("version", 2, "Input should be 1"),
        ("version", MISSING, "Field required"),
        ("vault/bucket", "ab", "at least 3 characters"),
        ("vault/bucket", MISSING, "Field required"),
        ("vault/prefix", "backups", "ends with /"),
        ("vault/prefix", "/backups/", "does not start with it"),
        ("vault/buckets", "x", "Extra inputs are not permitted"),
        ("vault/allowed_data_keys", "arn:aws:kms:x", "valid list"),
        ("vault/object_lock", {"mode": "FOREVER", "days": 30}, "'GOVERNANCE' or 'COMPLIANCE'"),
        ("vault/object_lock", {"mode": "GOVERNANCE", "days": 0}, "greater than or equal to 1"),
        ("sources", {}, "at least 1 item"),
        ("sources/surgicase/database", "", "at least 1 character"),
        ("sources/surgicase/database", "d" * 65, "at most 64 characters"),
        ("sources/surgicase/compression", "lzma", "'gzip' or 'zstd'"),
        ("sources/surgicase/format", "v3", "'v2' or 'v1'"),
        ("sources/surgicase/parallel", 9, "auto, or a number from 1 to 8"),
        ("sources/surgicase/fingerprints", True, "'full', 'sampled' or 'off'"),
        ("sources/surgicase/exclude_tables", "cases", "valid dictionary"),
        ("sources/surgicase/conn_id", MISSING, "Field required"),
        ("sources/surgicase/throttle/megabytes_per_second", 0, "greater than 0"),
        ("sources/surgicase/throttle/threads_running", 4, "greater than or equal to 5"),
        ("sources/surgicase/throttle/mb_per_second", 40, "Extra inputs are not permitted"),
        ("retention/daily", -1, "greater than or equal to 0"),
        ("retention/minimum", 0, "greater than or equal to 1"),
        ("retention/safety_days", 34, "greater than or equal to 35"),
        ("retention/monthly", "many", "valid integer"),
        ("drill/rto_target_minutes", 0, "greater than 0"),
        ("drill/rpo_target_hours", "soon", "valid number"),
        ("schedule/cron", 5, "valid string"),
        ("schedules", {}, "Extra inputs are not permitted"),
    ],
)
def test_an_error_names_key_value_and_what_is_allowed(file: Path, key: str, value: object, allowed: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(file, changed(key, value))
    said = caught.value.cause
    shown = value
    if isinstance(value, dict) and "mode" in value:
        key, shown = ("vault/object_lock/mode", "FOREVER") if value["mode"] == "FOREVER" else (f"{key}/days", 0)
    assert str(file) in said
    assert f"key {key.replace('/', '.')}, value {'none' if value is MISSING else repr(shown)}:" in said
    assert allowed in said
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("written", ["full", "sampled", "off", '"off"'])
def test_off_is_a_word_although_yaml_takes_it_for_false(file: Path, written: str) -> None:
    text = yaml.safe_dump({key: MINIMAL[key] for key in ("version", "vault", "sources")}, sort_keys=False)
    file.write_text(f"{text}    fingerprints: {written}\n", encoding="utf-8")
    assert load_policy(file).sources["surgicase"].fingerprints == written.strip('"')


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("vault/sse_key_id", "alias/data", "data_key_id and sse_key_id must be different KMS keys"),
        ("sources/surgicase", {"conn_id": "c", "database": "d", "format": "v1", "compression": "zstd"}, "always gzip"),
        (
            "sources/surgicase",
            {"conn_id": "c", "database": "d", "parallel": 2, "throttle": {"threads_running": 6}},
            "with parallel: 2, throttle.threads_running must be at least 7",
        ),
        ("vault/allowed_data_keys", ["alias/data"], "should match pattern '^arn:'"),
        ("vault/further_data_key_ids", ["alias/data"], "should match pattern"),
        ("vault/further_data_key_ids", [KEY_ARN.replace("key/", "alias/")], "should match pattern"),
        ("vault/further_data_key_ids", [KEY_ARN, KEY_ARN], "must be different KMS keys"),
        ("vault/further_data_key_ids", [KEY_ARN + str(n) for n in range(16)], "at most 15 items"),
    ],
)
def test_contradictions_are_refused(file: Path, key: str, value: object, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(file, changed(key, value))
    assert said in caught.value.cause
    assert key.split("/")[0] in caught.value.cause


def test_the_original_format_has_room_for_one_key(file: Path) -> None:
    document = changed("vault/further_data_key_ids", [KEY_ARN])
    assert load(file, document).vault.further_data_key_ids == [KEY_ARN]
    document["sources"]["surgicase"]["format"] = "v1"
    with pytest.raises(PolicyError, match=r"room for one wrapped key.*use v2 for surgicase"):
        load(file, document)


@pytest.mark.parametrize("name", ["surgicase", "a", "0", "my-data_2", "x" * 63])
def test_names_of_sources(file: Path, name: str) -> None:
    policy = load(file, changed("sources", {name: MINIMAL["sources"]["surgicase"]}))
    assert policy.source(name).database == "surgicase"


@pytest.mark.parametrize(
    "name", ["evidence", "clinic-safety", "", "Surgicase", "a/b", "a.b", "-a", "_a", "ü", "a\n", "x" * 64, "a b"]
)
def test_names_that_would_not_be_a_folder_of_their_own(file: Path, name: str) -> None:
    with pytest.raises(PolicyError, match="not 'evidence'") as caught:
        load(file, changed("sources", {name: MINIMAL["sources"]["surgicase"]}))
    assert f"{name!r} is not a source name" in caught.value.cause


def test_a_source_that_is_not_there(file: Path) -> None:
    with pytest.raises(PolicyError, match="no source 'billing'") as caught:
        load(file, MINIMAL).source("billing")
    assert "surgicase" in caught.value.remedy


def test_a_policy_cannot_be_changed(file: Path) -> None:
    policy = load(file, MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        policy.vault.bucket = "other"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"version: [1", "line 1 is not valid YAML"),
        (b"version: 1\n\tvault: {}", "line 2 is not valid YAML"),
        (b"version: 1\nvault: {bucket: a}\nversion: 1\n", "line 3 is not valid YAML: key version stands twice"),
        (b"sources:\n  a: {conn_id: x}\n  a: {conn_id: y}\n", "line 3 is not valid YAML: key a stands twice"),
        (b"? [a]\n: b\n", "line 1 is not valid YAML"),
        (b"x: !!python/object/apply:os.system ['true']", "line 1 is not valid YAML"),
        (b"\x00", "is not valid YAML"),
        (b"\xff\xfe\x00", "cannot be read: it is not UTF-8 text"),
        (b"", "key (top level), value None"),
        (b"- a\n- b\n", "key (top level), value ['a', 'b']"),
    ],
)
def test_files_that_are_no_policy(file: Path, text: bytes, said: str) -> None:
    file.write_bytes(text)
    with pytest.raises(PolicyError) as caught:
        load_policy(file)
    assert said in caught.value.cause
    assert str(file) in caught.value.cause


def test_yaml_may_use_anchors(file: Path) -> None:
    two = "sources:\n  first: &base {conn_id: c, database: d, format: v1}\n  second: {<<: *base, database: e}"
    file.write_text(yaml.safe_dump(MINIMAL).replace("sources:", two))
    assert load_policy(file).source("second").format == "v1"
    assert load_policy(file).source("second").database == "e"


def test_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(PolicyError, match="cannot be read: ") as caught:
            load_policy(path)
        assert "BACKUP_POLICY" in caught.value.remedy


def test_excluded_tables_have_reasons() -> None:
    common = {"conn_id": "c", "database": "d"}
    listed = SourcePolicy.model_validate(common | {"exclude_tables": ["sessions"]})
    reasoned = SourcePolicy.model_validate(common | {"exclude_tables": {"sessions": "the application fills it"}})
    assert listed.exclude_tables == {"sessions": "policy"}
    assert reasoned.exclude_tables == {"sessions": "the application fills it"}

"""What was read before: kept between two commands, for this user alone, and never a reason to fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.backup_engine.cache import Cache
from include.backup_engine.records import Chain, Record


class Other(Record):
    name: str


def always(key: str) -> bool:
    return True


def filled(file: Path) -> Cache:
    cache = Cache(file)
    cache.keep("a", '"1"', Chain(sequence=1))
    cache.keep("b", '"2"', Chain(sequence=2))
    cache.save(always)
    return cache


def test_facts_are_given_while_the_object_looks_the_same(tmp_path: Path) -> None:
    filled(tmp_path / "folder" / "x.json")
    cache = Cache(tmp_path / "folder" / "x.json")
    assert cache.get("a", '"1"', Chain) == Chain(sequence=1)
    assert cache.get("a", '"2"', Chain) is None
    assert cache.get("a", None, Chain) is None
    assert cache.get("c", '"1"', Chain) is None
    assert cache.get("a", '"1"', Other) is None  # facts of another release


def test_it_is_for_this_user_alone(tmp_path: Path) -> None:
    filled(tmp_path / "folder" / "x.json")
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "folder" / "x.json").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["x.json"]


def test_what_is_not_wanted_any_more_goes(tmp_path: Path) -> None:
    cache = filled(tmp_path / "x.json")
    cache.save(lambda key: key != "a")
    again = Cache(tmp_path / "x.json")
    assert (again.get("a", '"1"', Chain), again.get("b", '"2"', Chain)) == (None, Chain(sequence=2))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 0, "facts": {}}', '{"format": 1}', '{"format": 1, "facts": {"a": 1}}', "\x00"]
)
def test_a_damaged_file_is_as_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    assert Cache(file).get("a", '"1"', Chain) is None
    filled(file)
    assert json.loads(file.read_text())["facts"].keys() == {"a", "b"}


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert filled(tmp_path / "file" / "x.json").get("a", '"1"', Chain) == Chain(sequence=1)


def test_each_bucket_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for bucket in ("one", "other"):
        cache = Cache.of_bucket("https://s3", bucket, "p/")
        cache.keep(bucket, '"1"', Chain(sequence=1))
        cache.save(always)
    assert len(list((tmp_path / "airflow-mysql-backup").iterdir())) == 2
    assert Cache.of_bucket("https://s3", "other", "p/").get("one", '"1"', Chain) is None

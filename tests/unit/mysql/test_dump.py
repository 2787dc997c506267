"""The dump program's arguments, and whether what it wrote is all there is."""

from __future__ import annotations

import pytest

from include.backup_engine.errors import ContentIncomplete, DumpFailed
from include.backup_engine.mysql.client import DumpProgram
from include.backup_engine.mysql.division import Share
from include.backup_engine.mysql.dump import check_completeness, dump_arguments, share_arguments
from include.backup_engine.mysql.stream import DumpContents
from include.backup_engine.records import Census, Flavour, ObjectFacts, TableFacts


def arguments(
    flavour: Flavour, *options: str, binary_log: bool = True, versioned: bool = False, excluded: tuple[str, ...] = ()
) -> list[str]:
    program = DumpProgram("/usr/bin/dump", flavour, "1", frozenset(options))
    return dump_arguments(
        program, "surgicase", binary_log=binary_log, versioned_tables=versioned, excluded_tables=excluded
    )


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_p04_p08_p22_p23_p24_p35_every_dump_is_one_transaction_of_one_schema_with_everything_in_it(
    flavour: Flavour,
) -> None:
    found = arguments(flavour)
    assert {"--single-transaction", "--routines", "--events", "--triggers", "--hex-blob", "--tz-utc"} <= set(found)
    assert {"--no-tablespaces", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"} <= set(found)
    assert found[-1] == "surgicase"
    assert not any(option.startswith(("--databases", "--all-databases", "-B", "--password", "-p")) for option in found)


def test_p02_p05_what_only_one_flavour_knows_is_asked_of_it_alone() -> None:
    assert "--master-data=2" in arguments("mariadb")
    assert "--master-data=2" not in arguments("mariadb", binary_log=False)
    mysql = arguments("mysql", "column-statistics", "skip-masking-policies")
    assert {"--set-gtid-purged=OFF", "--column-statistics=0", "--skip-masking-policies"} <= set(mysql)
    assert not any("master-data" in option or "source-data" in option for option in mysql)
    assert not any("column-statistics" in option or "masking" in option for option in arguments("mysql"))


def test_p34_history_is_dumped_or_the_dump_is_refused() -> None:
    assert "--dump-history" in arguments("mariadb", "dump-history", versioned=True)
    assert "--dump-history" not in arguments("mariadb", "dump-history")
    with pytest.raises(DumpFailed, match="cannot dump the history"):
        arguments("mariadb", versioned=True)


def test_excluded_tables() -> None:
    assert arguments("mariadb", excluded=("b", "a"))[-3:] == [
        "--ignore-table=surgicase.a",
        "--ignore-table=surgicase.b",
        "surgicase",
    ]


def test_what_others_dump_is_left_out_and_no_program_locks_tables_in_its_text() -> None:
    program = DumpProgram("/usr/bin/dump", "mariadb", "1", frozenset())
    shares = [Share(("big", "less")), Share(("huge",), "`id` < 5"), Share(("huge",), "`id` >= 5", 1)]
    first = dump_arguments(program, "d", binary_log=True, versioned_tables=False, excluded_tables=("x",), others=shares)
    assert first[-5:] == [f"--ignore-table=d.{name}" for name in ("big", "huge", "less", "x")] + ["d"]
    whole, start, rest = (share_arguments(program, "d", share, binary_log=True) for share in shares)
    assert whole[-4:] == ["--", "d", "big", "less"]
    assert start[-4:] == ["--where=`id` < 5", "--", "d", "huge"]
    assert all({"--skip-add-locks", "--master-data=2"} <= set(found) for found in (first, whole, start, rest))
    assert "--triggers" in whole and "--triggers" in start
    assert {"--no-create-info", "--skip-triggers", "--skip-disable-keys"} <= set(rest)
    assert "--skip-add-locks" not in arguments("mariadb")


CENSUS = Census(
    charset="utf8mb4",
    collation="utf8mb4_bin",
    tables=[
        TableFacts(name="cases", rows=3, definition_sha256="1"),
        TableFacts(name="notes", rows=None, definition_sha256="1"),
        TableFacts(name="numbers", kind="sequence", definition_sha256="1"),
    ],
    objects=[
        ObjectFacts(kind="view", name="board", definition_sha256="1"),
        ObjectFacts(kind="procedure", name="p", definition_sha256="1"),
        ObjectFacts(kind="function", name="f", definition_sha256="1"),
        ObjectFacts(kind="trigger", name="x", definition_sha256="1"),
        ObjectFacts(kind="event", name="e", definition_sha256="1"),
    ],
)


def contents(**changes: object) -> DumpContents:
    whole: dict[str, object] = {
        "tables": {"cases": 3, "notes": 8},
        "sequences": ["numbers"],
        "views": ["board"],
        "routines": 2,
        "triggers": 1,
        "events": 1,
    }
    return DumpContents(**(whole | changes))  # type: ignore[arg-type]  # names and types are those of the fields


def test_a_complete_dump() -> None:
    check_completeness(contents(), CENSUS)
    check_completeness(contents(tables={"cases": None, "notes": None}), CENSUS)  # a layout that shows no rows


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tables": {"cases": 3}}, "table notes is missing"),
        ({"tables": {}}, "table cases is missing; table notes is missing"),
        ({"tables": {"cases": 3, "notes": 8, "more": 0}}, "table more was not expected"),
        ({"tables": {"cases": 2, "notes": 8}}, "table cases has 2 rows in the dump and 3 in the snapshot"),
        ({"tables": {"cases": 4, "notes": 8}}, "table cases has 4 rows in the dump and 3 in the snapshot"),
        ({"sequences": []}, "sequence numbers is missing"),
        ({"views": []}, "view board is missing"),
        ({"views": ["board", "w"]}, "view w was not expected"),
        ({"routines": 0}, "0 of 2 routines"),
        ({"routines": 3}, "3 of 2 routines"),
        ({"triggers": 0}, "0 of 1 triggers"),
        ({"events": 0}, "0 of 1 events"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ContentIncomplete) as caught:
        check_completeness(contents(**changes), CENSUS)
    assert caught.value.cause == f"The dump is not what the database holds: {named}."

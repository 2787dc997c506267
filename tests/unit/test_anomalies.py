"""A backup like those before it is as usual; each thing that is not is found and named."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.anomalies import Judgement, Measures, judge
from include.backup_engine.errors import AbnormalBackup
from include.backup_engine.policy import AnomalyPolicy
from include.backup_engine.records import Section
from tests.unit.crypto.examples import backup_facts

LIMITS = AnomalyPolicy()
MB = 1 << 20


def measures(rows: dict[str, int], **more: object) -> Measures:
    """A backup of tables with 100 bytes of SQL a row, which compresses 4 to 1."""
    sql = max(100 * sum(rows.values()), MB)
    usual: dict[str, object] = {
        "compression": "gzip", "size": sql // 4, "sql_bytes": sql, "compressed_bytes": sql // 4,
        "tables": sorted(rows), "rows": rows, "ratios": dict.fromkeys(rows, 4.0), "excluded": [],
    }  # fmt: skip
    return Measures.model_validate(usual | more)


databases = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 10**6), min_size=1).map(measures)
histories = st.tuples(databases, st.integers(1, 12))


@given(histories)
def test_a_backup_equal_to_those_before_it_is_as_usual(history: tuple[Measures, int]) -> None:
    database, number = history
    judgement = judge(database, [database] * number, LIMITS)
    assert judgement == Judgement(compared_with=min(number, 7), anomalies=[])


@given(histories, st.randoms(use_true_random=False))
def test_days_of_ordinary_business_are_as_usual_for_every_table(history: tuple[Measures, int], random: Random) -> None:
    database, number = history

    def day() -> Measures:
        return measures({name: round(rows * random.uniform(0.9, 1.4)) + 1 for name, rows in database.rows.items()})

    found = judge(day(), [day() for _ in range(number)], LIMITS).anomalies
    assert [text for text in found if text.startswith("table")] == []


Damage = Callable[[Measures, str], Measures]


def _rows(database: Measures, table: str, rows: int) -> Measures:
    return measures(database.rows | {table: rows})


DAMAGE: dict[str, Damage] = {
    "table {table} is gone": lambda m, t: measures({name: rows for name, rows in m.rows.items() if name != t}),
    "table {table} is empty": lambda m, t: _rows(m, t, 0),
    "table {table}: it has": lambda m, t: _rows(m, t, m.rows[t] * 2 // 5),
    "table {table}: it has 9": lambda m, t: _rows(m, t, int("9" * (len(str(m.rows[t])) + 1))),
    "table {table} compresses 1.1 to 1, usually 4.0 to 1, as data does that has been encrypted": lambda m, t: (
        m.model_copy(update={"ratios": m.ratios | {t: 1.1}})
    ),
    "table {table} compresses 9.0 to 1, usually 4.0 to 1": lambda m, t: m.model_copy(
        update={"ratios": m.ratios | {t: 9.0}}
    ),
    "the whole dump compresses 2.0 to 1": lambda m, t: m.model_copy(update={"compressed_bytes": m.sql_bytes // 2}),
    " bytes, and the median": lambda m, t: m.model_copy(update={"size": m.size * 7 // 10}),
}


@pytest.mark.parametrize("told", DAMAGE)
@given(histories, st.data())
def test_p15_what_is_not_as_usual_is_found_and_named(
    told: str, history: tuple[Measures, int], data: st.DataObject
) -> None:
    database, number = history
    rows = {name: max(count, 1000) for name, count in database.rows.items()} | {"more": 5000}
    database = measures(rows)
    table = data.draw(st.sampled_from(sorted(rows)))
    judgement = judge(DAMAGE[told](database, table), [database] * number, LIMITS)
    assert any(told.format(table=table) in text for text in judgement.anomalies), judgement.anomalies


@pytest.mark.parametrize("rows", [700, 2500])
def test_p15_a_database_that_lost_a_quarter_of_its_rows_or_doubled_is_told_as_a_whole(rows: int) -> None:
    found = judge(measures({"a": rows, "b": rows}), [measures({"a": 1000, "b": 1000})] * 3, LIMITS).anomalies
    assert f"it has {2 * rows:,} rows, and the median of the 3 before it is 2,000" in found


def test_small_tables_come_and_go_but_are_missed_when_they_are_gone() -> None:
    before = [measures({"big": 10**6, "small": 20})] * 3
    assert judge(measures({"big": 10**6, "small": 5}), before, LIMITS).anomalies == []
    assert judge(measures({"big": 10**6, "small": 0}), before, LIMITS).anomalies == [
        "table small is empty; it had 20 rows"
    ]
    assert judge(measures({"big": 10**6}), before, LIMITS).anomalies == ["table small is gone; it had 20 rows"]
    assert judge(measures({"big": 10**6}, excluded=["small"]), before, LIMITS).anomalies == []


def test_one_odd_night_does_not_become_the_measure() -> None:
    usual, odd = measures({"a": 10**5}), measures({"a": 10})
    assert judge(usual, [odd, usual, usual], LIMITS).anomalies == []


def test_only_the_last_seven_count() -> None:
    old, new = measures({"a": 10**5}), measures({"a": 10**6})
    assert judge(new, [new] * 7 + [old] * 20, LIMITS) == Judgement(compared_with=7, anomalies=[])


def test_another_compression_is_not_compared_and_uncounted_tables_are_not_gone() -> None:
    usual = measures({"a": 10**5})
    other = usual.model_copy(update={"compression": "zstd", "size": 1, "compressed_bytes": 1, "ratios": {"a": 99.0}})
    assert judge(usual, [other] * 3, LIMITS).anomalies == []
    assert judge(usual.model_copy(update={"rows": {}}), [usual] * 3, LIMITS).anomalies == []
    assert judge(usual, [usual.model_copy(update={"rows": {}})] * 3, LIMITS).anomalies == []


def test_the_first_backup_has_nothing_to_be_compared_with() -> None:
    assert judge(measures({"a": 5}), [], LIMITS) == Judgement(compared_with=0, anomalies=[])


def test_the_policy_says_whether_an_abnormal_backup_fails_the_task() -> None:
    judgement = Judgement(compared_with=7, anomalies=[f"table t{number} is gone" for number in range(12)])
    judgement.raise_if_refused("db_backup_20260102_030405", LIMITS)
    Judgement(compared_with=7, anomalies=[]).raise_if_refused("b", AnomalyPolicy(action="fail"))
    with pytest.raises(AbnormalBackup, match=r"is complete and kept.* table t9 is gone; and 2 more"):
        judgement.raise_if_refused("db_backup_20260102_030405", AnomalyPolicy(action="fail"))


def test_a_table_s_compressibility_is_known_where_it_has_members_of_its_own() -> None:
    def section(name: str, start: int, length: int, member: int, compressed: int) -> Section:
        return Section(
            kind="table", name=name, sql_offset=start, sql_length=length, compressed_offset=compressed,
            member_sql_offset=member,
        )  # fmt: skip

    facts = backup_facts(compressed_bytes=3 * MB)
    sections = [
        section("tiny", 0, 1000, 0, 0),
        section("shared", 1000, 2 * MB, 0, 0),
        section("own", 3 * MB, 8 * MB, 3 * MB, MB),
        section("pieces", 11 * MB, MB, 11 * MB, 3 * MB),
        section("pieces", 12 * MB, MB, 12 * MB, 4 * MB),
    ]
    stream = facts.stream.model_copy(
        update={"sections": sections, "sql_bytes": 13 * MB, "compressed_bytes": 4 * MB + MB // 2}
    )
    found = Measures.of(facts.model_copy(update={"stream": stream}), 5)
    assert (found.tables, found.rows, found.excluded) == (["pätient"], {"pätient": 3}, ["log"])
    assert found.ratios == {"own": 4.0, "pieces": 1.333}

"""Single tables through the scheduler and the REST API, with the configurations that the runbook shows."""

from __future__ import annotations

from include.backup_engine.compare import compare_census
from include.backup_engine.excerpt import Excerpt
from tests.demo.stack import SOURCE
from tests.e2e.recovery_site import DAG, EXAMPLES, Site


def test_tables_come_into_a_new_database_with_their_triggers(site: Site) -> None:
    live = site.census(SOURCE)
    run_id = site.run(EXAMPLES["tables"])
    state, tasks = site.wait(run_id)
    assert state == "success", tasks
    assert (tasks["approve"], tasks["safety_backup"]) == ("skipped", "skipped")
    facts = site.last_record().facts
    excerpt = Excerpt.model_validate(facts["restoration"]["verified"]["excerpt"])
    assert excerpt.tables == ["audit_log", "cases"]
    assert excerpt.bytes_read < excerpt.object_bytes
    part = excerpt.part_of(site.snapshot)
    assert compare_census(part, site.census("surgicase_restored"), events_disabled=True)[0] == []
    assert "cases_check_room" in [item.name for item in part.objects]
    told = [str(line["event"]) for line in site.airflow.task_logs(DAG, run_id, "plan")]
    assert any(line.startswith("Read of it: ") and "is not verified" in line for line in told), told
    assert any("foreign keys of table cases refer to patients" in line for line in told)
    assert site.differences(live, SOURCE) == []
    site.stack.source.sql("DROP DATABASE surgicase_restored")


def test_a_table_comes_beside_the_live_one_and_nobody_is_asked(site: Site) -> None:
    live = site.census(SOURCE)
    run_id = site.run(EXAMPLES["tables_beside"])
    state, tasks = site.wait(run_id)
    assert state == "success", tasks
    assert (tasks["approve"], tasks["safety_backup"]) == ("skipped", "skipped")
    record = site.last_record()
    swapped = record.facts["swapped"]
    [(table, copy)] = swapped["copies"].items()
    assert (record.outcome, table) == ("passed", "audit_log")
    assert site.differences(live, SOURCE) == [f"table {copy} was not in the source"]
    expected = next(item for item in site.snapshot.tables if item.name == "audit_log")
    found = next(item for item in site.census(SOURCE).tables if item.name == copy)
    assert (found.rows, found.fingerprint) == (expected.rows, expected.fingerprint)
    report = site.airflow.task_logs(DAG, run_id, "report")
    assert any(line.get("tables") == f"audit_log is {SOURCE}.{copy}" for line in report), report
    assert any("request" in str(line.get("read")) for line in report)
    site.stack.source.sql(f"DROP TABLE {copy}", database=SOURCE)
    assert site.differences(live, SOURCE) == []


def test_a_table_that_no_backup_holds_is_refused_by_name(site: Site) -> None:
    names = site.databases()
    run_id = site.run(EXAMPLES["tables_beside"] | {"tables": ["audit_lgo"]})
    state, tasks = site.wait(run_id)
    assert (state, tasks["plan"], tasks["restore_beside"]) == ("failed", "failed", "upstream_failed")
    told = str(site.airflow.task_logs(DAG, run_id, "plan"))
    assert "The backup holds no table 'audit_lgo'." in told
    assert "Nearest are: audit_log" in told
    assert site.databases() == names

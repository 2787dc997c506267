"""Restoring beside and swapping in, on a real server: what is where afterwards. Failures: mysql/test_swap_faults.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.backup_engine.beside import leftovers, tidy
from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import RestoreRefused
from include.backup_engine.records import Census
from include.backup_engine.report import Reporter
from include.backup_engine.swap import swap
from tests.demo.surgicase import connector, generate
from tests.integration.swap_site import Site
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB

LIVE = "surgicase"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, aws: Aws) -> Iterator[Site]:
    with MariaDB(tmp_path_factory.mktemp("swap")) as server:
        generate(connector(str(server.endpoint.socket)), LIVE, 5)
        server.sql(
            "SET GLOBAL log_bin_trust_function_creators = 1;"
            "CREATE TABLE numbered (id BIGINT DEFAULT NEXTVAL(mrn_seq) PRIMARY KEY, note TEXT);"
            "INSERT INTO numbered (note) VALUES ('a'), ('b');"
            "CREATE TABLE plain (id INT) ENGINE=MyISAM; INSERT INTO plain VALUES (1), (2);"
            # MariaDB shows a view differently while its definer may not read the tables.
            "GRANT SELECT, EXECUTE ON `surgicase\\_before\\_%`.* TO surgicase_app@'%'",
            database=LIVE,
        )
        yield Site.new(server, LIVE, aws)


@pytest.fixture
def moved_on(site: Site) -> Iterator[Census]:
    """The live database after a bad day: rows lost, a table dropped, another one new, code changed."""
    site.server.sql(
        "SET foreign_key_checks = 0; DELETE FROM audit_log LIMIT 50;"
        "UPDATE hospitals SET name = CONCAT(name, ' (old)');"
        "DROP TABLE IF EXISTS alarm_events; CREATE OR REPLACE TABLE scratchpad (id INT PRIMARY KEY, t TEXT);"
        "INSERT INTO scratchpad VALUES (1, 'new since the backup');"
        "CREATE OR REPLACE DEFINER=surgicase_app@'%' TRIGGER scratchpad_check BEFORE INSERT ON scratchpad"
        " FOR EACH ROW SET NEW.t = UPPER(NEW.t);"
        "CREATE OR REPLACE VIEW v_new AS SELECT t FROM scratchpad;"
        "CREATE OR REPLACE VIEW v_urgent_cases AS SELECT id FROM cases;"
        "CREATE OR REPLACE FUNCTION open_cases_of(who BIGINT) RETURNS INT READS SQL DATA RETURN 0;"
        "CREATE OR REPLACE EVENT tomorrow ON SCHEDULE AT '2037-01-01 00:00:00' DO DELETE FROM scratchpad",
        database=LIVE,
    )
    yield site.everything(LIVE)


def test_an_overwrite_brings_back_the_backup_and_keeps_the_old_content(site: Site, moved_on: Census) -> None:
    assert site.differences(site.census, LIVE) != []
    site.server.sql(f"GRANT EXECUTE ON FUNCTION {LIVE}.open_cases_of TO recovery@'%'")
    incoming, before = site.beside()
    swapped = site.swap(incoming, before)
    assert site.differences(site.census, LIVE) == []
    assert site.differences(moved_on, before) == []
    assert swapped.before == before
    assert swapped.not_kept == []
    assert site.statuses(LIVE) == {"purge_sessions": "ENABLED", "monthly_rollup": "DISABLED", "one_shot": "ENABLED"}
    assert set(site.statuses(before).values()) == {"DISABLED"}
    assert swapped.events_enabled == ["one_shot", "purge_sessions"]
    recorded = {(item.kind, item.name): item.definer for item in site.census.objects}
    assert {(i.kind, i.name): i.definer for i in site.everything(LIVE).objects} == recorded
    # The moved tables draw from their own sequences.
    site.server.sql("INSERT INTO numbered (note) VALUES ('c')", database=LIVE)
    site.server.sql("INSERT INTO numbered (note) VALUES ('c')", database=before)
    grants = site.server.sql("SHOW GRANTS FOR recovery@'%'")
    assert any("FUNCTION" in line and "open_cases_of" in line for (line,) in grants)
    assert leftovers(site.endpoint.connect(), LIVE, "incoming") == []
    site.server.sql(f"DROP DATABASE `{before}`")


def test_p36_a_new_database_appears_complete_or_not_at_all(site: Site) -> None:
    target = "surgicase_restored"
    incoming, before = site.beside(target)
    swapped = site.swap(incoming, before, target)
    assert (swapped.before, swapped.events_enabled) == (None, [])
    assert site.differences(site.census, target) == []
    assert set(site.statuses(target).values()) == {"DISABLED"}
    assert site.server.sql("SHOW DATABASES LIKE 'surgicase\\_restored\\_%'") == []
    site.server.sql(f"DROP DATABASE {target}")


def test_what_an_earlier_swap_has_put_aside_is_never_dropped(site: Site, moved_on: Census) -> None:
    incoming, before = site.beside()
    site.server.sql(f"CREATE DATABASE `{before}`; CREATE TABLE `{before}`.old (id INT)")
    with pytest.raises(RestoreRefused, match="exists: this run has swapped before"):
        site.swap(incoming, before)
    tidy(site.endpoint, LIVE, Reporter())
    assert site.server.sql(f"SHOW TABLES FROM `{before}`") == [("old",)]
    assert site.differences(moved_on, LIVE) == []
    site.server.sql(f"DROP DATABASE `{before}`")


def test_a_target_that_others_depend_on_is_refused(site: Site, moved_on: Census) -> None:
    site.server.sql(
        "CREATE DATABASE neighbour; CREATE TABLE neighbour.c (id BIGINT UNSIGNED, KEY (id));"
        f"CREATE TABLE {LIVE}.parent (id INT PRIMARY KEY);"
        f"CREATE TABLE neighbour.child (p INT, FOREIGN KEY (p) REFERENCES {LIVE}.parent (id))"
    )
    site.server.sql("GRANT SELECT, REFERENCES ON neighbour.* TO recovery@'%'")
    expected = site.everything(LIVE)
    incoming, before = site.beside()
    with pytest.raises(RestoreRefused, match="nobody approved"):
        swap(site.endpoint, LIVE, incoming, before, site.census, Reporter(), Cancellation(), overwrite=False)
    with pytest.raises(RestoreRefused, match=r"table neighbour\.child has a foreign key into it"):
        site.swap(incoming, before)
    assert site.differences(expected, LIVE) == []
    site.server.sql(f"DROP DATABASE neighbour; DROP TABLE {LIVE}.parent; REVOKE ALL ON neighbour.* FROM recovery@'%'")
    tidy(site.endpoint, LIVE, Reporter())

"""Reading SHOW GRANTS, as MariaDB and MySQL print it."""

from __future__ import annotations

import pytest

from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.records import ServerIdentity

USAGE = "GRANT USAGE ON *.* TO `backup`@`%` IDENTIFIED BY PASSWORD '*0123456789ABCDEF0123456789ABCDEF01234567'"
MARIADB = ServerIdentity(flavour="mariadb", version="10.11.19-MariaDB-0+deb12u1-log", instance_id="i")
MARIADB_11 = ServerIdentity(flavour="mariadb", version="11.8.2-MariaDB", instance_id="i")
MYSQL = ServerIdentity(flavour="mysql", version="8.0.36", instance_id="i")


def on(scope: str, privileges: str = "SELECT", to: str = "`backup`@`%`") -> Grants:
    return Grants([USAGE, f"GRANT {privileges} ON {scope} TO {to}"])


@pytest.mark.parametrize(
    ("scope", "schema", "covered"),
    [
        ("*.*", "surgicase", True),
        ("*.*", None, True),
        ("`surgicase`.*", "surgicase", True),
        ("`surgicase`.*", "Surgicase", False),
        ("`surgicase`.*", "surgicase2", False),
        ("`surgicase`.*", None, False),
        ("`surgicase`.`cases`", "surgicase", False),
        ("`surg%`.*", "surgicase", True),
        ("`%`.*", "any", True),
        ("`surg_case`.*", "surgicase", True),
        (r"`surg\_case`.*", "surgicase", False),
        (r"`surg\_case`.*", "surg_case", True),
        (r"`100\%`.*", "100%", True),
        (r"`100\%`.*", "100x", False),
        (r"`back\\slash`.*", "back\\slash", True),
        ("`a.b`.*", "a.b", True),
        ("`a.b`.*", "axb", False),
        ("`my data`.*", "my data", True),
        ("`a``b`.*", "a`b", True),
        ("`überweisungen 診療`.*", "überweisungen 診療", True),
        ("` TO `.*", " TO ", True),
    ],
)
def test_the_scope_of_a_grant(scope: str, schema: str | None, covered: bool) -> None:
    assert on(scope).has("SELECT", schema) is covered


@pytest.mark.parametrize(
    ("scope", "table", "covered"),
    [
        ("`mysql`.`proc`", "proc", True),
        ("`mysql`.`pro_`", "proc", False),
        ("`mysq_`.`proc`", "proc", False),  # wildcards are for grants on a whole schema
        ("TABLE `mysql`.`proc`", "proc", True),
        ("`mysql`.*", "proc", True),
        ("*.*", "proc", True),
        ("`mysql`.`event`", "proc", False),
    ],
)
def test_grants_on_a_table(scope: str, table: str, covered: bool) -> None:
    assert on(scope).has("SELECT", "mysql", table) is covered


@pytest.mark.parametrize(
    ("privileges", "held"),
    [
        ("SELECT, INSERT", {"SELECT", "INSERT"}),
        ("select, Show View", {"SELECT", "SHOW VIEW"}),
        ("SELECT (`id`, `name`), INSERT", {"INSERT"}),
        ("INSERT, SELECT (`id`)", {"INSERT"}),
        ("SELECT (`a) ON `, `b``c`), TRIGGER", {"TRIGGER"}),
        ("SELECT, SELECT (`id`)", {"SELECT"}),
        ("SHOW_ROUTINE,BACKUP_ADMIN", {"SHOW_ROUTINE", "BACKUP_ADMIN"}),
        ("ALL PRIVILEGES", {"SELECT", "INSERT", "SHOW VIEW", "TRIGGER", "SHOW_ROUTINE", "BACKUP_ADMIN"}),
        ("USAGE", set()),
    ],
)
def test_which_privileges_a_grant_gives(privileges: str, held: set[str]) -> None:
    grants = on("`surgicase`.`cases`", privileges)
    known = ("SELECT", "INSERT", "SHOW VIEW", "TRIGGER", "SHOW_ROUTINE", "BACKUP_ADMIN")
    assert {name for name in known if grants.has(name, "surgicase", "cases")} == held


@pytest.mark.parametrize(
    "line",
    [
        "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
        "GRANT `a_role`@`%` TO `backup`@`%`",
        "GRANT `a_role` TO `backup`@`%`",
        "SET DEFAULT ROLE `a_role` FOR `backup`@`%`",
        "GRANT EXECUTE ON FUNCTION `surgicase`.`open_cases_of` TO `backup`@`%`",
        "",
    ],
)
def test_other_lines_give_nothing_on_tables(line: str) -> None:
    grants = Grants([line])
    for privilege in ("SELECT", "TRIGGER", "RELOAD"):
        assert not grants.has(privilege)
        assert not grants.has(privilege, "surgicase")


def test_grants_to_roles_count() -> None:
    assert on("`surgicase`.*", to="`a_role`").has("SELECT", "surgicase")


def test_a_partial_revoke_of_mysql_takes_a_global_privilege_from_a_schema() -> None:
    grants = Grants(
        [
            "GRANT SELECT, TRIGGER ON *.* TO `backup`@`%`",
            "REVOKE TRIGGER ON `surgicase`.* FROM `backup`@`%`",
        ]
    )
    assert grants.has("SELECT", "surgicase")
    assert not grants.has("TRIGGER", "surgicase")
    assert grants.has("TRIGGER", "other")
    assert "TRIGGER ON `surgicase`.*" in grants.missing_for_backup(MYSQL, "surgicase")


FULL = "SELECT, SHOW VIEW, TRIGGER, EVENT"


@pytest.mark.parametrize(
    ("server", "lines", "missing"),
    [
        (MARIADB, [f"GRANT {FULL} ON `s`.* TO `b`@`%`", "GRANT SELECT ON `mysql`.`proc` TO `b`@`%`"], []),
        (MARIADB, [f"GRANT {FULL} ON `s`.* TO `b`@`%`"], ["SELECT ON mysql.proc"]),
        (MARIADB, [f"GRANT {FULL}, SHOW CREATE ROUTINE ON `s`.* TO `b`@`%`"], ["SELECT ON mysql.proc"]),
        (MARIADB_11, [f"GRANT {FULL}, SHOW CREATE ROUTINE ON `s`.* TO `b`@`%`"], []),
        (MARIADB, ["GRANT ALL PRIVILEGES ON `s`.* TO `b`@`%`"], ["SELECT ON mysql.proc"]),
        (MARIADB_11, ["GRANT ALL PRIVILEGES ON `s`.* TO `b`@`%`"], []),
        (MARIADB, [f"GRANT {FULL} ON `s`.* TO `b`@`%`", "GRANT SELECT (`name`) ON `mysql`.`proc` TO `b`@`%`"],
         ["SELECT ON mysql.proc"]),
        (MARIADB, ["GRANT ALL PRIVILEGES ON *.* TO `b`@`%` WITH GRANT OPTION"], []),
        (MYSQL, ["GRANT ALL PRIVILEGES ON `s`.* TO `b`@`%`"], ["SHOW_ROUTINE ON *.*"]),
        (MYSQL, [f"GRANT {FULL} ON `s`.* TO `b`@`%`", "GRANT SHOW_ROUTINE ON *.* TO `b`@`%`"], []),
        (MYSQL, [f"GRANT {FULL} ON *.* TO `b`@`%`"], []),
        (MYSQL, [], ["SELECT ON `s`.*", "SHOW VIEW ON `s`.*", "TRIGGER ON `s`.*", "EVENT ON `s`.*",
                     "SHOW_ROUTINE ON *.*"]),
        (MARIADB, ["GRANT SELECT, TRIGGER ON `s`.* TO `b`@`%`", "GRANT SELECT ON `mysql`.* TO `b`@`%`"],
         ["SHOW VIEW ON `s`.*", "EVENT ON `s`.*"]),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(server: ServerIdentity, lines: list[str], missing: list[str]) -> None:
    assert Grants([USAGE, *lines]).missing_for_backup(server, "s") == missing


@pytest.mark.parametrize(
    ("lines", "globally", "tables"),
    [
        ([], False, False),
        (["GRANT RELOAD ON *.* TO `b`@`%`"], True, False),
        (["GRANT FLUSH_TABLES ON *.* TO `b`@`%`"], True, False),
        (["GRANT SELECT, LOCK TABLES ON `s`.* TO `b`@`%`"], False, True),
        (["GRANT LOCK TABLES ON `s`.* TO `b`@`%`"], False, False),
        (["GRANT LOCK TABLES ON `s`.* TO `b`@`%`", "GRANT SELECT ON *.* TO `b`@`%`"], False, True),
        (["GRANT SELECT, LOCK TABLES ON `other`.* TO `b`@`%`"], False, False),
        (["GRANT ALL PRIVILEGES ON `s`.* TO `b`@`%`"], False, True),
        (["GRANT ALL PRIVILEGES ON *.* TO `b`@`%`"], True, True),
    ],
)
def test_which_locks_are_allowed(lines: list[str], globally: bool, tables: bool) -> None:
    grants = Grants([USAGE, *lines])
    assert (grants.may_lock_globally(), grants.may_lock_tables("s")) == (globally, tables)


def test_the_grant_option_is_no_part_of_all_privileges() -> None:
    plain = Grants(["GRANT ALL PRIVILEGES ON *.* TO `x`@`%`"])
    assert plain.has("SELECT") and not plain.has("GRANT OPTION")
    hashed = "GRANT ALL PRIVILEGES ON *.* TO `x`@`%` IDENTIFIED BY PASSWORD '*0A' WITH GRANT OPTION"
    assert Grants([hashed]).has("GRANT OPTION", "d")
    assert not Grants(["GRANT SELECT ON *.* TO ` WITH GRANT OPTION`@`%`"]).has("GRANT OPTION")


def test_only_roles_with_the_admin_option_are_administered() -> None:
    lines = ["GRANT `a` TO `x`@`%` WITH ADMIN OPTION", "GRANT `b` TO `x`@`%`", "GRANT SELECT ON *.* TO `x`@`%`"]
    assert Grants(lines).administered == {"`a`"}

"""Accounts of real servers: taken, dropped, created anew, and then the same; nothing else is ever run."""

from __future__ import annotations

from collections.abc import Iterator

import pymysql
import pytest

from include.backup_engine.mysql.account_creation import create_accounts, missing_for_accounts
from include.backup_engine.mysql.accounts import Account, take_accounts, understood
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import Endpoint
from tests.integration.mysql.conftest import MARIADB, NewAccount, Pair

ODD = 'it\'s "odd" ``x`` ; -- é'
COMMON = f"""
CREATE TABLE mirror_test.wards (id INT PRIMARY KEY, name VARCHAR(9), secret INT);
CREATE PROCEDURE mirror_test.tidy() SELECT 1;
CREATE FUNCTION mirror_test.one() RETURNS INT DETERMINISTIC RETURN 1;
CREATE ROLE acc_reader; CREATE ROLE `acc chief`;
GRANT SELECT ON mirror_test.* TO acc_reader;
GRANT acc_reader TO `acc chief`;
CREATE USER acc_alice@'%' IDENTIFIED BY 'Pa55-alice' REQUIRE SSL WITH MAX_USER_CONNECTIONS 7;
CREATE USER acc_locked@'10.0.%' IDENTIFIED BY 'Pa55-locked' PASSWORD EXPIRE INTERVAL 90 DAY ACCOUNT LOCK;
CREATE USER `acc {ODD}`@'%' IDENTIFIED BY 'Pa55-odd';
CREATE USER ''@'acc.host';
GRANT SELECT (id), UPDATE (name) ON mirror_test.wards TO acc_alice@'%';
GRANT EXECUTE ON PROCEDURE mirror_test.tidy TO acc_alice@'%';
GRANT EXECUTE ON FUNCTION mirror_test.one TO acc_alice@'%' WITH GRANT OPTION;
GRANT SELECT, INSERT ON `mirror\\_%`.* TO acc_alice@'%' WITH GRANT OPTION;
GRANT `acc chief` TO acc_alice@'%' WITH ADMIN OPTION;
GRANT RELOAD, PROCESS ON *.* TO `acc {ODD}`@'%' WITH GRANT OPTION;
GRANT PROXY ON acc_alice@'%' TO `acc {ODD}`@'%'
"""
OWN = {
    "mariadb": """
SET DEFAULT ROLE `acc chief` FOR acc_alice@'%';
CREATE USER acc_two@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('it''s') OR unix_socket;
GRANT BINLOG MONITOR ON *.* TO acc_two@'%' WITH GRANT OPTION MAX_QUERIES_PER_HOUR 9
""",
    "mysql": """
SET DEFAULT ROLE `acc chief` TO acc_alice@'%';
CREATE USER acc_two@'%' IDENTIFIED BY 'x' DEFAULT ROLE acc_reader, `acc chief` PASSWORD HISTORY 5
  FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2 ATTRIBUTE '{"note": "it''s DEFAULT ROLE `x`"}';
GRANT BACKUP_ADMIN, CLONE_ADMIN ON *.* TO acc_two@'%';
SET GLOBAL partial_revokes = ON;
GRANT SELECT, INSERT ON *.* TO acc_two@'%';
REVOKE INSERT ON mirror_test.* FROM acc_two@'%'
""",
}


def statements(text: str) -> list[str]:
    return [part.strip() for part in text.replace("; --", "\0").split(";")]


def prepare(pair: Pair, root: Endpoint) -> None:
    with root.connect() as connection, connection.cursor() as cursor:
        for statement in statements(COMMON + ";" + OWN[pair.flavour]):
            cursor.execute(statement.replace("\0", "; --"))


def drop(accounts: list[Account], root: Endpoint) -> None:
    with root.connect() as connection, connection.cursor() as cursor:
        for account in accounts:
            kind = "ROLE" if account.host is None else "USER"
            cursor.execute(f"DROP {kind} IF EXISTS {account.written}")


def taken(pair: Pair, root: Endpoint) -> list[Account]:
    with root.connect() as connection:
        found = take_accounts(connection, pair.flavour)
    return [account for account in found if account.user.startswith("acc") or account.host == "acc.host"]


@pytest.fixture
def accounts(pair: Pair, source: Endpoint, database: str) -> Iterator[list[Account]]:
    prepare(pair, source)
    found = taken(pair, source)
    yield found
    drop(found, source)
    if pair.flavour == "mysql":
        pair.source.sql("SET GLOBAL partial_revokes = OFF")


def test_every_account_is_taken_and_understood(pair: Pair, accounts: list[Account]) -> None:
    names = [account.name for account in accounts]
    role = "@%" if pair.flavour == "mysql" else ""
    odd = f"acc {ODD}".replace("``", "`")
    users = ["@acc.host", f"{odd}@%", "acc_alice@%", "acc_locked@10.0.%", "acc_two@%"]
    assert names == [f"acc chief{role}", f"acc_reader{role}", *users]
    assert [account.role for account in accounts] == [True, True] + [False] * 5
    refused = [s for account in accounts for s in (account.create, *account.grants) if not understood(s, account)]
    assert refused == []
    by_name = dict(zip(names, accounts, strict=True))
    assert {"RELOAD", "PROCESS", "GRANT OPTION"} <= set(by_name[f"{odd}@%"].powers)
    alice = by_name["acc_alice@%"]
    assert alice.powers == []
    assert "SELECT (`id`), UPDATE (`name`) ON `mirror_test`.`wards`" in alice.privileges
    assert "EXECUTE ON FUNCTION `mirror_test`.`one` WITH GRANT OPTION" in alice.privileges
    assert "SET DEFAULT ROLE `acc chief`" + ("@`%`" if role else "") in alice.privileges


def test_no_privilege_that_is_shown_has_a_hash(accounts: list[Account]) -> None:
    for account in accounts:
        assert not any(word in " ".join(account.privileges) for word in ("IDENTIFIED", "PASSWORD", "0x", "'*"))


def test_select_on_the_mysql_schema_is_enough(pair: Pair, accounts: list[Account], new_account: NewAccount) -> None:
    assert taken(pair, new_account("SELECT ON mysql.*")) == accounts


def test_what_is_run_does_nothing_else() -> None:
    account = Account(user="a", host="%", role=False, create="", grants=[])
    for statement in (
        "CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*0A' REQUIRE SSL WITH MAX_USER_CONNECTIONS 7 ACCOUNT LOCK",
        "GRANT SELECT (`x`), CREATE VIEW ON `d`.`t` TO `a`@`%`",
        "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION",
        "GRANT `r1`@`%`,`r2`@`%` TO `a`@`%` WITH ADMIN OPTION",
        "REVOKE SELECT ON `d`.* FROM `a`@`%`",
    ):
        assert understood(statement, account), statement
    for statement in (
        "CREATE USER `a`@`%`, `b`@`%` IDENTIFIED BY 'x'; DROP USER `c`",
        "CREATE USER `b`@`%`",
        "CREATE ROLE `a`",
        "ALTER USER `a`@`%` IDENTIFIED BY 'x'",
        "DROP USER `a`@`%`",
        "GRANT SELECT ON *.* TO `b`@`%`",
        "GRANT SELECT ON *.* TO `a`@`%`, `b`@`%`",
        "GRANT SELECT ON *.* TO `a`@`%` IDENTIFIED BY 'x'",
        "GRANT SELECT ON *.* TO `a`@`%` -- `",
        "GRANT SELECT ON *.* TO `a`@`%` WITH GRANT OPTION /* */",
        "REVOKE SELECT ON *.* FROM `b`@`%`",
        "SET GLOBAL read_only = 1",
        "SET DEFAULT ROLE `r` FOR `b`@`%`",
        "SET PASSWORD FOR `a`@`%` = 'x'",
    ):
        assert understood(statement, account) is None, statement


def test_the_administrator_s_own_accounts_are_left_out(pair: Pair, source: Endpoint) -> None:
    with source.connect() as connection:
        users = {account.user for account in take_accounts(connection, pair.flavour)}
    assert "root" in users
    assert not users & {"mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "PUBLIC"}


def test_they_come_back_as_they_were_with_their_passwords(
    pair: Pair, source: Endpoint, accounts: list[Account]
) -> None:
    drop(accounts, source)
    assert taken(pair, source) == []
    with source.connect() as connection:
        created = create_accounts(connection, pair.flavour, accounts)
    assert (created.refused, created.not_given, created.left_alone) == ({}, [], [])
    assert sorted(created.created) == sorted(account.name for account in accounts)
    assert taken(pair, source) == accounts
    where, odd = pair.source.endpoint, f"acc {ODD}".replace("``", "`")
    tls = {"ca": str(pair.source.certificate.authority)} if pair.source.certificate else None
    pymysql.connect(host=where.host, port=where.port, user=odd, password="Pa55-odd", ssl=tls).close()
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(host=where.host, port=where.port, user=odd, password="another", ssl=tls)


def test_what_exists_is_left_alone(pair: Pair, source: Endpoint, accounts: list[Account]) -> None:
    pair.source.sql(
        "ALTER USER acc_alice@'%' ACCOUNT LOCK; REVOKE EXECUTE ON PROCEDURE mirror_test.tidy FROM acc_alice"
    )
    before = taken(pair, source)
    with source.connect() as connection:
        created = create_accounts(connection, pair.flavour, accounts)
    assert (created.created, created.refused) == ([], {})
    assert len(created.left_alone) == len(accounts)
    assert taken(pair, source) == before


def test_grants_on_what_is_not_there_are_named(pair: Pair, source: Endpoint, accounts: list[Account]) -> None:
    drop(accounts, source)
    pair.source.sql("DROP TABLE mirror_test.wards; DROP PROCEDURE mirror_test.tidy")
    with source.connect() as connection:
        created = create_accounts(connection, pair.flavour, accounts)
    assert created.refused == {}
    assert sorted(created.not_given) == [
        "acc_alice@%: EXECUTE ON PROCEDURE `mirror_test`.`tidy`",
        "acc_alice@%: SELECT (`id`), UPDATE (`name`) ON `mirror_test`.`wards`",
    ]


def test_an_account_that_may_not_get_all_its_grants_is_not_left_half_made(
    pair: Pair, source: Endpoint, accounts: list[Account], new_account: NewAccount
) -> None:
    drop(accounts, source)
    chosen = [account for account in accounts if account.user in ("acc_locked", "acc_two")]
    low = new_account("CREATE USER ON *.*", "SELECT ON mysql.user")
    with low.connect() as connection:
        lacking = missing_for_accounts(Grants.of(connection), pair.flavour, chosen)
        created = create_accounts(connection, pair.flavour, chosen)
    assert created.created == ["acc_locked@10.0.%"]
    assert list(created.refused) == ["acc_two@%"]
    assert created.refused["acc_two@%"].startswith("the server refused one of its grants (error ")
    assert [account.name for account in taken(pair, source)] == ["acc_locked@10.0.%"]
    assert ("BACKUP_ADMIN" if pair.flavour == "mysql" else "BINLOG MONITOR") + " ON *.*" in lacking
    assert ("ROLE_ADMIN" if pair.flavour == "mysql" else "GRANT OPTION") + " ON *.*" in lacking


@MARIADB
def test_a_role_that_exists_is_given_only_by_who_administers_it(
    pair: Pair, source: Endpoint, accounts: list[Account], new_account: NewAccount
) -> None:
    [alice] = [account for account in accounts if account.user == "acc_alice"]
    with new_account("ALL ON *.* WITH GRANT OPTION").connect() as connection:
        lacking = missing_for_accounts(Grants.of(connection), pair.flavour, [alice])
        drop([alice], source)
        created = create_accounts(connection, pair.flavour, [alice])
    assert lacking == ["`acc chief` WITH ADMIN OPTION"]
    assert list(created.refused) == ["acc_alice@%"]


def test_an_administrator_lacks_nothing(pair: Pair, source: Endpoint, accounts: list[Account]) -> None:
    with source.connect() as connection:
        assert missing_for_accounts(Grants.of(connection), pair.flavour, accounts) == []


def test_a_statement_of_another_form_keeps_the_account_from_being_created(pair: Pair, source: Endpoint) -> None:
    odd = Account(user="acc_x", host="%", role=False, create="CREATE USER `acc_x`@`%`", grants=["DROP DATABASE mysql"])
    with source.connect() as connection:
        created = create_accounts(connection, pair.flavour, [odd])
    assert created.refused == {"acc_x@%": "it has statements of a form that is not known"}
    assert taken(pair, source) == []

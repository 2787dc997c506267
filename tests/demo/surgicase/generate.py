"""Makes the demo database: accounts, tables, rows, history, code objects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from tests.demo.surgicase.plan import FIRST_DAY, Plan
from tests.demo.surgicase.server import Connect, Flavour, flavour_of, session
from tests.demo.surgicase.sql import Table, statements
from tests.demo.surgicase.tables import TABLES

SCHEMA = Path(__file__).parent / "schema"
LOADERS = 3
"""Connections that load; while the server works on one, the rows of another are made."""


def generate(
    connect: Connect, database: str = "surgicase", size_mb: int = 200, seed: int = 1, flavour: Flavour | None = None
) -> None:
    """Creates the database and fills it: 45 tables, views, routines, triggers, events, on MariaDB a sequence.

    The same size, seed and flavour give the same rows. Creates the account ``surgicase_app``@``%`` too: locked,
    without a password, it only defines objects.

    :param size_mb: wanted sum of ``data_length`` of all tables in 10^6 bytes, at least 5; met within 25 %.
    :param flavour: None asks the server.
    :raises ValueError: ``size_mb`` is below 5.
    :raises pymysql.err.ProgrammingError: the database exists already.
    """
    if size_mb < 5:
        raise ValueError("The demo database needs at least 5 MB.")
    flavour = flavour or flavour_of(connect)
    plan = Plan(size_mb, seed)
    create_database(connect, database)
    for file in sorted(SCHEMA.glob("[1-4]*.sql")):
        run(connect, database, file)
    with ThreadPoolExecutor(LOADERS, thread_name_prefix="demo-load") as pool:
        for done in [pool.submit(fill, connect, database, table, plan) for table in TABLES]:
            done.result()
    leave_gaps(connect, database)
    change_statuses(connect, database)
    run(connect, database, SCHEMA / f"{flavour}.sql")
    for file in sorted(SCHEMA.glob("[5-8]*.sql")):
        run(connect, database, file)


def create_database(connect: Connect, database: str) -> None:
    with session(connect, "mysql") as cursor:
        cursor.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        cursor.execute("CREATE USER IF NOT EXISTS surgicase_app@'%' ACCOUNT LOCK")
        rights = "SELECT, INSERT, UPDATE, DELETE, EXECUTE, TRIGGER, EVENT"
        cursor.execute(f"GRANT {rights} ON `{database}`.* TO surgicase_app@'%'")


def run(connect: Connect, database: str, file: Path) -> None:
    with session(connect, database) as cursor:
        for statement in statements(file):
            cursor.execute(statement)


def fill(connect: Connect, database: str, table: Table, plan: Plan) -> None:
    with session(connect, database, at=FIRST_DAY) as cursor:
        for statement in table.inserts(plan):
            cursor.execute(statement)


def leave_gaps(connect: Connect, database: str) -> None:
    """Counters ahead of the highest id, as after deletes and rollbacks."""
    with session(connect, database) as cursor:
        for table in ("patients", "cases", "invoices"):
            cursor.execute(f"SELECT MAX(id) FROM {table}")
            [[highest]] = cursor.fetchall()
            cursor.execute(f"ALTER TABLE {table} AUTO_INCREMENT = {highest + 1000}")


def change_statuses(connect: Connect, database: str) -> None:
    """Updates and deletes that leave history rows in the system-versioned table: one round per simulated day."""
    rounds = [
        ("UPDATE case_status_audit SET status = 'scheduled', changed_by = 'anna1', reason = NULL", 1),
        ("UPDATE case_status_audit SET status = 'in progress', changed_by = 'Zoë 🩺' WHERE case_id % 3 > 0", 30),
        ("UPDATE case_status_audit SET status = 'closed', reason = 'done; it''s over' WHERE case_id % 3 = 1", 31),
        ("DELETE FROM case_status_audit WHERE case_id % 11 = 0", 400),
    ]
    for statement, day in rounds:
        with session(connect, database, at=FIRST_DAY + timedelta(day)) as cursor:
            cursor.execute(statement)

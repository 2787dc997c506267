"""A small live database with every kind of code, and what a bad day makes of it, on each flavour."""

from __future__ import annotations

from contextlib import closing

from include.backup_engine.records import Flavour
from tests.servers.database import Database
from tests.servers.mysql import MySQL

_PATIENTS = ", ".join(f"({number}, 'patient {number}', 0)" for number in range(1, 501))
_SIXTEEN = " UNION ALL ".join(f"SELECT {number} AS n" for number in range(16))
_AUDIT_LOG = {
    "mariadb": [
        "CREATE SEQUENCE numbers",
        "CREATE TABLE audit_log (id BIGINT DEFAULT NEXTVAL(numbers) PRIMARY KEY, what TEXT)",
    ],
    "mysql": ["CREATE TABLE audit_log (id BIGINT AUTO_INCREMENT PRIMARY KEY, what TEXT)"],
}
_GOOD_DAYS = [
    "CREATE TABLE patients (id INT PRIMARY KEY, name VARCHAR(80), changes INT DEFAULT 0)",
    "CREATE TABLE visits (id INT PRIMARY KEY, patient INT, note TEXT, KEY (patient),"
    " CONSTRAINT visit_of FOREIGN KEY (patient) REFERENCES patients (id))",
    "CREATE TABLE wards (id INT PRIMARY KEY)",
    f"INSERT INTO patients VALUES {_PATIENTS}",
    "INSERT INTO visits SELECT id + 500 * n, id, REPEAT(SHA2(id + 500 * n, 256), 4)"
    f" FROM patients, ({_SIXTEEN}) AS sixteen ORDER BY 1",
    "INSERT INTO audit_log (what) SELECT SHA2(id, 256) FROM patients",
    "CREATE FUNCTION visits_of (who INT) RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM visits"
    " WHERE patient = who)",
    "CREATE PROCEDURE forget_visits () DELETE FROM visits",
    "CREATE VIEW frequent_patients AS SELECT name FROM patients WHERE visits_of(id) > 1",
    "CREATE VIEW names AS SELECT name FROM patients",
    "CREATE TRIGGER patients_change BEFORE UPDATE ON patients FOR EACH ROW SET NEW.changes = OLD.changes + 1",
    "CREATE TRIGGER visits_note BEFORE INSERT ON visits FOR EACH ROW SET NEW.note = COALESCE(NEW.note, '-')",
    "CREATE EVENT every_night ON SCHEDULE EVERY 1 DAY DO CALL forget_visits()",
    "CREATE EVENT paused ON SCHEDULE EVERY 1 DAY DISABLE DO CALL forget_visits()",
]
_BAD_DAY = [
    "DELETE FROM visits LIMIT 50",
    "UPDATE patients SET name = CONCAT(name, ' (old)')",
    "DROP TABLE IF EXISTS audit_log",
    "DROP TABLE IF EXISTS scratchpad",
    "CREATE TABLE scratchpad (id INT PRIMARY KEY, t TEXT)",
    "INSERT INTO scratchpad VALUES (1, 'new since the backup')",
    "CREATE TRIGGER scratchpad_check BEFORE INSERT ON scratchpad FOR EACH ROW SET NEW.t = UPPER(NEW.t)",
    "CREATE OR REPLACE VIEW drafts AS SELECT t FROM scratchpad",
    "CREATE OR REPLACE VIEW names AS SELECT name, changes FROM patients",
    "DROP FUNCTION visits_of",
    "CREATE FUNCTION visits_of (who INT) RETURNS INT READS SQL DATA RETURN 2",
    "DROP EVENT IF EXISTS tomorrow",
    "CREATE EVENT tomorrow ON SCHEDULE AT '2037-01-01 00:00:00' DO DELETE FROM scratchpad",
]


def flavour_of(server: Database) -> Flavour:
    return "mysql" if isinstance(server, MySQL) else "mariadb"


def create(server: Database, database: str) -> None:
    """The database as it is backed up."""
    server.sql(f"CREATE DATABASE {database}")
    _run(server, database, *_AUDIT_LOG[flavour_of(server)], *_GOOD_DAYS)


def damage(server: Database, database: str) -> None:
    """Rows are lost, a table is dropped, another one is new, code is changed. Can be done again."""
    _run(server, database, *_BAD_DAY)


def _run(server: Database, database: str, *statements: str) -> None:
    """One by one: MySQL would keep the ";" between several in the text of a trigger."""
    with closing(server._connect(database)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)

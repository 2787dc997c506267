"""A server with something to lose, and dumps that are after it."""

from __future__ import annotations

import shutil
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pymysql

from include.backup_engine.errors import BackupError
from include.backup_engine.mysql.health import check_health
from include.backup_engine.mysql.load import Loader
from include.backup_engine.mysql.server import Endpoint, identify, rows
from tests.servers.mariadb import MariaDB

TARGET = "drill_hostile"
# Those that change by themselves while the server is used.
_RESTLESS = (
    "gtid_|last_|timestamp|rand_seed|pseudo|innodb_buffer_pool_load|identity|insert_id|error_count|warning_count"
)


@dataclass
class Prey:
    """The server. Everything is done as root, whom no privilege stops."""

    server: MariaDB
    folder: Path

    @property
    def root(self) -> Endpoint:
        return Endpoint(unix_socket=str(self.server.endpoint.socket), user="root")

    def reset(self) -> None:
        """Put everything in its place, and an empty target."""
        self.server.sql(
            "DROP DATABASE IF EXISTS prod; DROP DATABASE IF EXISTS extra; DROP USER IF EXISTS thief@'%';"
            "DROP SERVER IF EXISTS elsewhere; SET GLOBAL max_connections = 151;"
            "CREATE DATABASE prod CHARACTER SET utf8mb4; CREATE TABLE prod.t (a INT);"
            "INSERT INTO prod.t VALUES (1), (2); CREATE SEQUENCE prod.s; CREATE TABLE prod.log (a INT);"
            "CREATE FUNCTION prod.hit() RETURNS INT BEGIN INSERT INTO prod.log VALUES (1); RETURN 1; END"
        )
        self.empty_target()
        for entry in self.folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def empty_target(self) -> None:
        self.server.sql(f"DROP DATABASE IF EXISTS {TARGET}; CREATE DATABASE {TARGET}")

    def world(self) -> list[object]:
        """All that is outside of the target: schemas, what prod holds, accounts, global settings, files."""
        sql = self.server.sql
        return [
            sql(f"SELECT * FROM information_schema.schemata WHERE schema_name <> '{TARGET}' ORDER BY schema_name"),
            sql("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'prod' ORDER BY 1"),
            sql("CHECKSUM TABLE prod.t, prod.log, mysql.global_priv, mysql.servers"),
            sql("SELECT next_not_cached_value FROM prod.s") if self._has("prod", "s") else None,
            sql("SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_schema <> %s"
                " AND routine_schema <> 'sys' ORDER BY 1, 2", TARGET),
            sql("SELECT trigger_schema, trigger_name FROM information_schema.triggers WHERE trigger_schema <> %s",
                TARGET),
            sql("SELECT event_schema, event_name FROM information_schema.events WHERE status = 'ENABLED'"),
            sql("SELECT * FROM information_schema.global_variables WHERE variable_name NOT REGEXP %s ORDER BY 1",
                _RESTLESS),
            sorted(file.name for file in self.folder.iterdir()),
        ]  # fmt: skip

    def _has(self, schema: str, table: str) -> bool:
        return bool(
            self.server.sql(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s", schema, table
            )
        )

    def restore(self, dump: bytes) -> BackupError | None:
        """Load the dump into the target as a restore does, and run there what a comparison runs."""
        failure: BackupError | None = None
        with closing(self.root.connect(TARGET)) as connection:
            others = [str(name) for (name,) in rows(connection, "SHOW DATABASES") if name != TARGET]
            loader = Loader(
                [connection], TARGET, server=identify(connection), source_database="surgicase", other_schemas=others,
                powerful=True,
            )  # fmt: skip
            try:
                loader.load([dump])
            except BackupError as error:
                failure = error
        self.use(TARGET)
        return failure

    def use(self, database: str) -> None:
        """Run all views, as a comparison does, and then what an application would: functions, triggers, tables."""
        with closing(self.root.connect(database)) as connection, suppress(BackupError):
            check_health([connection], database)
        tables = self.server.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", database)
        functions = self.server.sql(
            "SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s"
            " AND routine_type = 'FUNCTION'",
            database,
        )
        for statement in [
            *(f"SELECT `{name}`()" for (name,) in functions),
            *(f"{verb} `{name}`" for (name,) in tables for verb in ("INSERT INTO", "DELETE FROM"))
        ]:  # fmt: skip
            with suppress(pymysql.err.MySQLError):
                self.server.sql(f"{statement} VALUES (3)" if "INSERT" in statement else statement, database=database)

    def suffer(self, statements: list[str]) -> None:
        """The same statements without a fence."""
        with closing(self.server._connect(TARGET)) as connection:
            for statement in statements:
                with suppress(pymysql.err.MySQLError):
                    connection.cursor().execute(statement)
        self.use(TARGET)


def as_dump(statements: list[str]) -> bytes:
    """Statements as a dump holds code, so that a ";" in them ends nothing."""
    text = "".join(f"DELIMITER @@@\n{statement} @@@\nDELIMITER ;\n" for statement in statements)
    return text.encode("utf-8", "surrogateescape")

"""The database server behind a MySQL connection."""

from __future__ import annotations

from airflow.providers.mysql.hooks.mysql import MySqlHook

from backup_airflow.hooks.connection import connection_of
from include.backup_engine.connections import ConnectionFields, mysql_endpoint
from include.backup_engine.mysql.server import Endpoint


class BackupMySqlHook(MySqlHook):
    """MySqlHook that hands out the engine's :class:`Endpoint`.

    The provider's hook runs statements; a dump program, too, must be told where the server is, without its
    password ever standing in an argument list or a file.
    """

    def endpoint(self) -> Endpoint:
        """Where the server is and who we are there."""
        connection = connection_of(self.get_conn_id())
        return mysql_endpoint(
            ConnectionFields(
                conn_id=self.get_conn_id(),
                host=connection.host,
                port=connection.port,
                login=connection.login,
                password=connection.password,
                extra=connection.extra_dejson,
            )
        )

"""Looking up a connection, with an error that says what to do when it is missing."""

from __future__ import annotations

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.backup_engine.errors import ConnectionMissing


def connection_of(conn_id: str) -> Connection:
    """The connection of that id.

    :raises ConnectionMissing: there is none.
    """
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConnectionMissing(
            f"The connection {conn_id} is not defined.",
            f"Add it in the Airflow UI under Admin, Connections, or set AIRFLOW_CONN_{conn_id.upper()}.",
        ) from None

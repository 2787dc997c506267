"""How a connection is secured, and what is told of a server's errors."""

from __future__ import annotations

import socket
import traceback

import pymysql
import pytest

from include.backup_engine.errors import (
    BackupError,
    ConnectionMissing,
    PreflightError,
    SchemaChanged,
    SourceBusy,
    SourceUnavailable,
)
from include.backup_engine.mysql import server as server_module
from include.backup_engine.mysql.server import Endpoint, TlsMode, quote, server_errors


@pytest.mark.parametrize(
    ("endpoint", "mode"),
    [
        (Endpoint(), "DISABLED"),
        (Endpoint(host="localhost"), "DISABLED"),
        (Endpoint(host="127.0.0.1"), "DISABLED"),
        (Endpoint(host="127.8.8.8"), "DISABLED"),
        (Endpoint(host="::1"), "DISABLED"),
        (Endpoint(host="db.example", unix_socket="/run/s"), "DISABLED"),
        (Endpoint(host="127.0.0.1", ca="/ca.pem"), "VERIFY_IDENTITY"),
        (Endpoint(unix_socket="/run/s", ca="/ca.pem"), "VERIFY_IDENTITY"),
        (Endpoint(host="db.example", ca="/ca.pem"), "VERIFY_IDENTITY"),
        (Endpoint(host="db.example", ca="/ca.pem", tls="VERIFY_CA"), "VERIFY_CA"),
        (Endpoint(host="db.example", ca="/ca.pem", tls="DISABLED"), "DISABLED"),
        (Endpoint(host="db.example", tls="VERIFY_IDENTITY"), "VERIFY_IDENTITY"),
        (Endpoint(host="db.example", tls="DISABLED"), "DISABLED"),
    ],
)
def test_the_tls_mode_in_force(endpoint: Endpoint, mode: TlsMode) -> None:
    assert endpoint.tls_mode == mode


@pytest.mark.parametrize("host", ["db.example", "10.0.0.5", "127.0.0.1.example", "localhost.example", "fe80::1"])
def test_clear_text_to_another_machine_must_be_asked_for(host: str) -> None:
    with pytest.raises(ConnectionMissing, match="has no TLS settings") as caught:
        Endpoint(host=host, name="surgicase_mysql").connect()
    assert "surgicase_mysql" in caught.value.cause
    assert '"ca"' in caught.value.remedy


def test_the_password_shows_in_no_text() -> None:
    assert "s3cret" not in repr(Endpoint(user="u", password="s3cret"))


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (pymysql.err.OperationalError(1045, "ROW DATA"), PreflightError, "denied access (error 1045)"),
        (pymysql.err.OperationalError(1142, "ROW DATA"), PreflightError, "denied access (error 1142)"),
        (pymysql.err.OperationalError(1205, "ROW DATA"), SourceBusy, "lock could not be had in time (error 1205)"),
        (pymysql.err.OperationalError(1213, "ROW DATA"), SourceBusy, "(error 1213)"),
        (
            pymysql.err.OperationalError(2013, "ROW DATA"),
            SourceUnavailable,
            "lost or could not be reached (error 2013)",
        ),
        (pymysql.err.OperationalError(1412, "ROW DATA"), SchemaChanged, "altered or dropped (error 1412)"),
        (pymysql.err.IntegrityError(1062, "ROW DATA"), SourceUnavailable, "answered with error 1062"),
        (pymysql.err.InterfaceError(0, ""), SourceUnavailable, "lost or could not be reached (error 2013)"),
        (pymysql.err.ProgrammingError("ROW DATA"), SourceUnavailable, "error 0"),
        (ConnectionResetError(104, "Connection reset by peer"), SourceUnavailable, "Connection reset by peer"),
        (TimeoutError("ROW DATA"), SourceUnavailable, "TimeoutError"),
    ],
)
def test_errors_become_ours_and_lose_their_text(error: Exception, kind: type[BackupError], said: str) -> None:
    with pytest.raises(BackupError) as caught, server_errors("counting rows"):
        raise error
    assert type(caught.value) is kind
    assert said in caught.value.cause
    assert "while counting rows" in caught.value.cause
    assert "ROW DATA" not in "".join(traceback.format_exception(caught.value))


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), server_errors("counting rows"):
        raise KeyError("ours")


@pytest.mark.parametrize(("name", "quoted"), [("a", "`a`"), ("a`b", "`a``b`"), ("a b.c", "`a b.c`"), ("`", "````")])
def test_identifiers_are_quoted(name: str, quoted: str) -> None:
    assert quote(name) == quoted


def test_a_server_that_accepts_and_then_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint(host="127.0.0.1", port=silent.getsockname()[1], user="root")
        with pytest.raises(SourceUnavailable, match="lost or could not be reached"):
            endpoint.connect()

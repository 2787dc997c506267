"""Airflow connections, read without Airflow."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from include.backup_engine.connections import (
    AwsClients,
    ConnectionFields,
    aws_clients,
    connection_from_environment,
    mysql_endpoint,
)
from include.backup_engine.errors import ConnectionMissing
from include.backup_engine.mysql.server import Endpoint

PASSWORD = "s3cret:/?#@ é"
Give = Callable[[str], ConnectionFields]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Sets the connection and reads it."""

    def give(text: str) -> ConnectionFields:
        monkeypatch.setenv("AIRFLOW_CONN_SURGICASE_MYSQL", text)
        return connection_from_environment("surgicase_mysql")

    return give


EXTRA = {"ssl": {"ca": "/ca.pem"}, "unix_socket": "/run/s"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(
            {"conn_type": "mysql", "host": "db", "port": 3310, "login": "u", "password": PASSWORD, "extra": EXTRA}
        ),
        json.dumps({"host": "db", "port": "3310", "login": "u", "password": PASSWORD, "extra": json.dumps(EXTRA)}),
        "\n " + json.dumps({"host": "db", "port": 3310, "login": "u", "password": PASSWORD, "extra": EXTRA}),
        f"mysql://u:{quote(PASSWORD, safe='')}@db:3310/surgicase?__extra__={quote(json.dumps(EXTRA))}",
    ],
    ids=["json", "json with text", "json after a line", "uri"],
)
def test_both_forms_say_the_same(give: Give, text: str) -> None:
    assert give(text) == ConnectionFields("surgicase_mysql", "db", 3310, "u", PASSWORD, EXTRA)


def test_a_uri_may_give_extras_one_by_one(give: Give) -> None:
    fields = give("aws://AKIA:se%2Fcret@/?region_name=eu-central-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A4566")
    assert (fields.host, fields.login, fields.password) == (None, "AKIA", "se/cret")
    assert fields.extra == {"region_name": "eu-central-1", "endpoint_url": "http://127.0.0.1:4566"}


@pytest.mark.parametrize("text", ["{}", '{"extra": ""}', '{"extra": null}', "mysql://", "aws://"])
def test_fields_may_be_left_out(give: Give, text: str) -> None:
    assert give(text) == ConnectionFields("surgicase_mysql")


def test_a_missing_connection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_AWS_BACKUP_READER", raising=False)
    for _ in range(2):
        with pytest.raises(ConnectionMissing, match="connection aws_backup_reader is not defined") as caught:
            connection_from_environment("aws_backup_reader")
        assert "AIRFLOW_CONN_AWS_BACKUP_READER" in caught.value.remedy
        monkeypatch.setenv("AIRFLOW_CONN_AWS_BACKUP_READER", "")


@pytest.mark.parametrize(
    "text",
    [
        '{"login": "u", "password": "s3cret"',
        '{"password": "s3cret", "port": "s3cret"}',
        '{"password": "s3cret", "extra": "s3cret"}',
        '{"password": "s3cret", "extra": "[\\"s3cret\\"]"}',
        '{"password": "s3cret", "extra": ["s3cret"]}',
        '{"password": "s3cret", "port": ["s3cret"]}',
        "mysql://u:s3cret@db:port",
        "mysql://u:s3cret@[db",
        "mysql://u:s3cret@db/?__extra__=s3cret",
        "mysql://u:s3cret@db/?__extra__=[1]",
    ],
)
def test_a_bad_connection_is_named_and_nothing_of_it_is_told(give: Give, text: str) -> None:
    with pytest.raises(ConnectionMissing, match="connection surgicase_mysql cannot be read") as caught:
        give(text)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_passwords_and_extras_show_in_no_text(give: Give) -> None:
    fields = give('{"login": "u", "password": "s3cret", "extra": {"aws_session_token": "s3cret"}}')
    assert "s3cret" not in repr(fields)
    assert "s3cret" not in repr(mysql_endpoint(fields))


def endpoint(**extra: Any) -> Endpoint:
    return mysql_endpoint(ConnectionFields("surgicase_mysql", "db", None, "u", None, extra))


def test_what_a_mysql_connection_describes() -> None:
    found = endpoint(unix_socket="/run/s", ssl={"ca": "/ca", "cert": "/c", "key": "/k"}, ssl_mode="verify_ca")
    assert (found.host, found.port, found.user, found.password, found.name) == ("db", 3306, "u", "", "surgicase_mysql")
    assert (found.unix_socket, found.ca, found.cert, found.key) == ("/run/s", "/ca", "/c", "/k")
    assert found.tls_mode == "VERIFY_CA"
    assert endpoint(ssl='{"ca": "/ca"}').tls_mode == "VERIFY_IDENTITY"
    assert endpoint(ssl_mode="DISABLED").tls_mode == "DISABLED"
    assert mysql_endpoint(ConnectionFields("c", login="u")).host == "localhost"


@pytest.mark.parametrize("mode", ["PREFERRED", "REQUIRED", "", "none", True])
def test_encrypted_but_unverified_is_refused(mode: object) -> None:
    with pytest.raises(ConnectionMissing, match=f"ssl_mode {mode!r}, which does not verify the server") as caught:
        endpoint(ssl_mode=mode)
    assert "VERIFY_IDENTITY" in caught.value.remedy


@pytest.mark.parametrize("ssl", ["/ca.pem", "[1]", ["/ca.pem"], True, 1])
def test_ssl_that_is_no_object_is_refused(ssl: object) -> None:
    with pytest.raises(ConnectionMissing, match="extra ssl of the connection surgicase_mysql is not a JSON object"):
        endpoint(ssl=ssl)


def test_a_login_is_needed() -> None:
    with pytest.raises(ConnectionMissing, match="surgicase_mysql has no login"):
        mysql_endpoint(ConnectionFields("surgicase_mysql", "db"))


def clients(login: str | None = "AKIA", password: str | None = "s3cret", **extra: Any) -> AwsClients:
    return aws_clients(
        ConnectionFields("aws_backup_reader", login=login, password=password, extra=extra), "eu-central-1"
    )


def test_what_an_aws_connection_describes() -> None:
    found = clients(endpoint_url="http://127.0.0.1:1", service_config={"kms": {"endpoint_url": "http://127.0.0.1:2"}})
    assert (found.s3.meta.endpoint_url, found.kms.meta.endpoint_url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert found.s3.meta.region_name == "eu-central-1"
    assert clients(region_name="us-east-1").s3.meta.region_name == "us-east-1"
    assert clients().kms.meta.endpoint_url == "https://kms.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("extra", "reason"), [({"profile_name": "none"}, "ProfileNotFound"), ({"endpoint_url": "no url"}, "ValueError")]
)
def test_an_aws_connection_that_cannot_be_used_is_named(extra: dict[str, str], reason: str) -> None:
    with pytest.raises(ConnectionMissing, match=rf"aws_backup_reader cannot be used \({reason}\)") as caught:
        clients(None, None, **extra)
    assert caught.value.__context__ is None

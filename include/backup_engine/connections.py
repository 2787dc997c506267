"""Airflow connections, read without Airflow: the same definitions serve the DAGs and the command line.

A connection is looked up in the environment as ``AIRFLOW_CONN_<ID>``, as JSON or as a URI (Airflow docs,
"Managing Connections"). Inside Airflow the provider hooks read it, and only :func:`mysql_endpoint` is shared.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import ConnectionMissing
from include.backup_engine.mysql.server import Endpoint, TlsMode
from include.backup_engine.store.aws import client_config, error_code

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_s3.client import S3Client

_TLS_MODES: dict[str, TlsMode] = {
    "DISABLED": "DISABLED",
    "VERIFY_CA": "VERIFY_CA",
    "VERIFY_IDENTITY": "VERIFY_IDENTITY",
}


@dataclass(frozen=True)
class ConnectionFields:
    """The fields of an Airflow connection that this package uses."""

    conn_id: str
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


def connection_from_environment(conn_id: str) -> ConnectionFields:
    """The connection ``AIRFLOW_CONN_<ID>``.

    :raises ConnectionMissing: when it is not defined or cannot be read.
    """
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    text = os.environ.get(variable, "")
    if not text:
        raise ConnectionMissing(
            f"The connection {conn_id} is not defined.",
            f"Set {variable} to its JSON or URI form, as in an Airflow deployment.",
        )
    try:
        return _from_json(conn_id, text) if text.lstrip().startswith("{") else _from_uri(conn_id, text)
    except (ValueError, TypeError, AttributeError):
        # The text holds a password, so the parser's message, which quotes it, is dropped.
        pass
    raise ConnectionMissing(f"The connection {conn_id} cannot be read.", f"Give {variable} as valid JSON or as a URI.")


def _from_json(conn_id: str, text: str) -> ConnectionFields:
    fields = _object(text)
    return ConnectionFields(
        conn_id,
        fields.get("host"),
        int(fields["port"]) if fields.get("port") else None,
        fields.get("login"),
        fields.get("password"),
        _object(fields.get("extra")),
    )


def _object(value: object) -> dict[str, Any]:
    """A JSON object, given as such or as text; nothing is an empty one.

    :raises ValueError: it is something else.
    """
    found = json.loads(value) if isinstance(value, str) and value else value or {}
    if not isinstance(found, dict):
        raise ValueError
    return found


def _from_uri(conn_id: str, text: str) -> ConnectionFields:
    uri = urlsplit(text)
    extra: dict[str, Any] = dict(parse_qsl(uri.query))
    if "__extra__" in extra:
        extra = _object(extra["__extra__"])
    return ConnectionFields(
        conn_id,
        unquote(uri.hostname) if uri.hostname else None,
        uri.port,
        unquote(uri.username) if uri.username else None,
        unquote(uri.password) if uri.password else None,
        extra,
    )


def mysql_endpoint(fields: ConnectionFields) -> Endpoint:
    """The server that a MySQL connection describes.

    Extras, as in Airflow's MySqlHook: ``unix_socket``, ``ssl`` (``{"ca", "cert", "key"}``) and ``ssl_mode``
    (``DISABLED``, ``VERIFY_CA``, ``VERIFY_IDENTITY``).

    :raises ConnectionMissing: naming the field that is missing or not understood.
    """
    extra = fields.extra
    try:
        ssl = _object(extra.get("ssl"))
    except ValueError:
        raise ConnectionMissing(
            f"The extra ssl of the connection {fields.conn_id} is not a JSON object.",
            'Give it as {"ca": "/path/ca.pem"}, with "cert" and "key" for a client certificate.',
        ) from None
    mode = extra.get("ssl_mode")
    if mode is not None and str(mode).upper() not in _TLS_MODES:
        raise ConnectionMissing(
            f"The connection {fields.conn_id} has ssl_mode {mode!r}, which does not verify the server.",
            f"Use one of {', '.join(_TLS_MODES)}.",
        )
    if not fields.login:
        raise ConnectionMissing(f"The connection {fields.conn_id} has no login.", "Add the account's name to it.")
    return Endpoint(
        host=fields.host or "localhost",
        port=fields.port or 3306,
        user=fields.login,
        password=fields.password or "",
        unix_socket=extra.get("unix_socket"),
        tls=_TLS_MODES[str(mode).upper()] if mode is not None else None,
        ca=ssl.get("ca"),
        cert=ssl.get("cert"),
        key=ssl.get("key"),
        name=fields.conn_id,
    )


@dataclass(frozen=True)
class AwsClients:
    """S3 and KMS as one role sees them.

    :param kms_in: makes the KMS client of another region, with the same credentials and endpoint.
    """

    s3: S3Client
    kms: KMSClient
    kms_in: Callable[[str], KMSClient]

    def keyring(self) -> Keyring:
        """The keyring of this role."""
        return Keyring(self.kms, self.kms_in)


def aws_clients(fields: ConnectionFields, region: str) -> AwsClients:
    """Clients for an AWS connection.

    Extras, as in Airflow's AwsBaseHook: ``region_name``, ``aws_session_token``, ``profile_name``, ``role_arn``,
    ``endpoint_url`` and ``service_config.<service>.endpoint_url``. Without a login the usual AWS chain applies.

    :raises ConnectionMissing: the connection's profile, role or endpoint cannot be used.
    """
    try:
        return _aws_clients(fields, region)
    except ClientError as error:
        reason = error_code(error)
    except (BotoCoreError, ValueError) as error:
        reason = type(error).__name__
    raise ConnectionMissing(
        f"The AWS connection {fields.conn_id} cannot be used ({reason}).",
        "Correct its profile_name, role_arn or endpoint_url, or what its account may assume.",
    )


def _aws_clients(fields: ConnectionFields, region: str) -> AwsClients:
    extra = fields.extra
    session = boto3.Session(
        aws_access_key_id=fields.login or None,
        aws_secret_access_key=fields.password or None,
        aws_session_token=extra.get("aws_session_token"),
        profile_name=extra.get("profile_name"),
        region_name=extra.get("region_name") or region,
    )

    def endpoint(service: str) -> str | None:
        service_config = (extra.get("service_config") or {}).get(service) or {}
        url: str | None = service_config.get("endpoint_url") or extra.get("endpoint_url")
        return url

    if role := extra.get("role_arn"):
        sts = session.client("sts", endpoint_url=endpoint("sts"), config=client_config())
        credentials = sts.assume_role(RoleArn=role, RoleSessionName="mysql-backup")["Credentials"]
        session = boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name=session.region_name,
        )

    def kms_in(name: str | None) -> KMSClient:
        return session.client("kms", region_name=name, endpoint_url=endpoint("kms"), config=client_config())

    return AwsClients(
        s3=session.client("s3", endpoint_url=endpoint("s3"), config=client_config()), kms=kms_in(None), kms_in=kms_in
    )

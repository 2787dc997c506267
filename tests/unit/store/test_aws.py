"""What S3's errors mean to us. The codes that a test server gives are tested with it; these are the rest."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    FlexibleChecksumError,
    NoCredentialsError,
    ParamValidationError,
)
from urllib3.exceptions import ProtocolError

from include.backup_engine.errors import BackupError, BackupMissing, StoredCopyDiffers, StoreError, StoreRefused
from include.backup_engine.store.aws import client_config, error_code, store_errors

SECRET = "patient 4711"


def answer(code: str, status: int) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": SECRET},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "R123",
                "HostId": SECRET,
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        "PutObject",
    )


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchBucket", 404, StoreRefused),
        ("AccessDenied", 403, StoreRefused),
        ("403", 403, StoreRefused),
        ("InvalidAccessKeyId", 403, StoreRefused),
        ("SignatureDoesNotMatch", 403, StoreRefused),
        ("PermanentRedirect", 301, StoreRefused),
        ("InvalidObjectState", 403, StoreRefused),
        ("KMS.DisabledException", 400, StoreRefused),
        ("KMS.NotFoundException", 400, StoreRefused),
        ("KMS.KMSInvalidStateException", 400, StoreRefused),
        ("EntityTooSmall", 400, StoreRefused),
        ("KMS.ThrottlingException", 400, StoreError),
        ("SlowDown", 503, StoreError),
        ("ThrottlingException", 400, StoreError),
        ("InternalError", 500, StoreError),
        ("ServiceUnavailable", 503, StoreError),
        ("BadDigest", 400, StoreError),
        ("RequestTimeout", 400, StoreError),
        ("ExpiredToken", 400, StoreError),
        ("ConditionalRequestConflict", 409, StoreError),
        ("NoSuchKey", 404, BackupMissing),
        ("NoSuchVersion", 404, BackupMissing),
        ("404", 404, BackupMissing),
        ("405", 405, BackupMissing),
    ],
)
def test_p20_an_answer_becomes_one_of_our_errors(code: str, status: int, kind: type[BackupError]) -> None:
    with pytest.raises(BackupError) as caught, store_errors("Upload of x"):
        raise answer(code, status)
    assert type(caught.value) is kind
    assert code in caught.value.cause
    assert "R123" in caught.value.cause
    assert caught.value.remedy


def test_nothing_of_the_answers_text_is_passed_on() -> None:
    with pytest.raises(StoreRefused) as caught, store_errors("Upload of x"):
        raise answer(f"Weird<{SECRET}>", 400)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_code_has_only_the_characters_of_codes() -> None:
    assert error_code(answer("KMS.Disabled\n\x1b[31m" + "x" * 100, 400)) == ("KMS.Disabled31m" + "x" * 100)[:64]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectTimeoutError(endpoint_url=SECRET), StoreError),
        (EndpointConnectionError(endpoint_url=SECRET), StoreError),
        (ProtocolError(SECRET), StoreError),
        (FlexibleChecksumError(error_msg=SECRET), StoredCopyDiffers),
        (NoCredentialsError(), StoreRefused),
        (ParamValidationError(report=SECRET), StoreRefused),
    ],
)
def test_no_answer_becomes_one_of_our_errors(error: BotoCoreError, kind: type[BackupError]) -> None:
    with pytest.raises(kind) as caught, store_errors("Upload of x"):
        raise error
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(KeyboardInterrupt), store_errors("Upload of x"):
        raise KeyboardInterrupt


def test_clients_do_not_wait_for_ever() -> None:
    config: Any = client_config()
    assert (config.connect_timeout, config.read_timeout) == (10, 60)
    assert config.retries == {"mode": "standard", "total_max_attempts": 8}

from __future__ import annotations

import boto3
import pytest
from botocore.stub import Stubber

from include.backup_engine.crypto.data_key import MAX_CONTEXT_BYTES, DataKey, Keyring, check_context
from include.backup_engine.errors import KeyServiceDown, KeyUnavailable
from tests.unit.crypto.examples import CONTEXT, KEY_ARN, data_key


def test_the_key_shows_in_no_text() -> None:
    key = DataKey(b"S3CRET##" * 4, data_key().wrapped)
    for text in (repr(key), str(key), f"{key}", repr([key])):
        assert "S3CRET" not in text
        assert KEY_ARN in text


def test_the_key_is_dropped_at_the_end() -> None:
    with data_key() as key:
        assert len(key.plaintext) == 32
    with pytest.raises(ValueError, match="dropped"):
        _ = key.plaintext


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_data_key_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        DataKey(bytes(size), [])


def test_context_limits() -> None:
    check_context(CONTEXT)
    check_context({})
    overhead = len('{"k":""}')
    check_context({"k": "x" * (MAX_CONTEXT_BYTES - overhead)})
    with pytest.raises(ValueError, match="8193 bytes"):
        check_context({"k": "x" * (MAX_CONTEXT_BYTES - overhead + 1)})
    with pytest.raises(ValueError, match="10208 bytes"):
        check_context({"k": "é" * 5100})
    with pytest.raises(ValueError, match="reserved"):
        check_context({"aws-crypto-public-key": "x"})


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("AccessDeniedException", KeyUnavailable, "not allowed kms:GenerateDataKey"),
        ("ThrottlingException", KeyServiceDown, "ThrottlingException"),
        ("KMSInternalException", KeyServiceDown, "KMSInternalException"),
        ("InvalidKeyUsageException", KeyUnavailable, "InvalidKeyUsageException"),
    ],
)
def test_p20_refusals_that_no_local_kms_can_be_brought_to(code: str, error: type[KeyUnavailable], said: str) -> None:
    """The code is AWS's (KMS API Reference, Common errors); its text is not passed on."""
    kms = boto3.client("kms", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(kms) as stub:
        stub.add_client_error("generate_data_key", code, "SECRET TEXT", response_meta={"RequestId": "request-1"})
        with pytest.raises(error, match=said) as caught:
            Keyring(kms).generate(KEY_ARN, CONTEXT)
    assert type(caught.value) is error
    assert "request-1" in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert caught.value.retryable is (error is KeyServiceDown)

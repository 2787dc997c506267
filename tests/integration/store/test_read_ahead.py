"""Large objects over several connections: the same bytes, sooner, and nothing left when reading ends early."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from include.backup_engine.errors import BackupMissing, StoredCopyDiffers, StoreError
from include.backup_engine.store import download
from include.backup_engine.store.read_ahead import CONNECTIONS, RANGE_BYTES
from include.backup_engine.store.s3 import Vault
from tests.integration.store.clients import MIB
from tests.integration.store.wire import Wire
from tests.servers.localstack import Aws
from tests.servers.processes import wait_until

KEY = "private/db_backups/surgicase/db_backup_20260102_030405.sql.gz.encrypted"
DATA = os.urandom(14 * RANGE_BYTES + 12345)


@pytest.fixture
def stored(vault: Vault) -> Vault:
    vault.upload(KEY, [DATA])
    return vault


@pytest.mark.parametrize(
    ("offset", "end"),
    [
        (0, len(DATA)),
        (0, 1),
        (0, RANGE_BYTES),
        (0, RANGE_BYTES + 1),
        (RANGE_BYTES - 1, RANGE_BYTES + 1),
        (777, 6 * RANGE_BYTES + 778),
        (len(DATA) - 1, len(DATA)),
        (5, 5),
    ],
)
def test_ranges(stored: Vault, offset: int, end: int) -> None:
    pieces = list(stored.read_ahead(stored.head(KEY), offset, end))
    assert b"".join(pieces) == DATA[offset:end]
    assert all(0 < len(piece) <= MIB for piece in pieces)


def test_several_connections_are_at_work_at_once(stored: Vault, make_vault: Callable[..., Vault]) -> None:
    vault, head = make_vault(), stored.head(KEY)
    met, first = threading.Barrier(CONNECTIONS), iter(range(CONNECTIONS))

    def meet(**_: object) -> None:
        if next(first, None) is not None:
            met.wait(60)  # breaks, and with it the reading, unless all of them come

    vault.client.meta.events.register("before-call.s3.GetObject", meet)
    assert b"".join(vault.read_ahead(head, 0, head.size)) == DATA


def test_cut_connections_are_resumed(
    stored: Vault, make_vault: Callable[..., Vault], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_FIRST_PAUSE_SECONDS", 0.01)
    wire.cut_download_after, wire.cuts = 3 * MIB // 2, 10
    vault = make_vault(endpoint=wire.endpoint)
    assert b"".join(vault.read_ahead(stored.head(KEY), 0, len(DATA))) == DATA
    assert wire.cuts == 0


def test_a_line_that_always_breaks_is_given_up(
    stored: Vault, make_vault: Callable[..., Vault], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_FIRST_PAUSE_SECONDS", 0.01)
    # So early that a range never ends, even if each cut lets through all that came before it.
    wire.cut_download_after, wire.cuts = RANGE_BYTES // 32, 1000
    with pytest.raises(StoreError, match="at byte"):
        list(make_vault(endpoint=wire.endpoint).read_ahead(stored.head(KEY), 0, len(DATA)))
    assert _threads() == 0


def test_an_early_end_of_reading_lets_everything_go(stored: Vault) -> None:
    head = stored.head(KEY)
    for _ in range(5):
        reader = stored.read_ahead(head, 0, head.size)
        next(reader)
        del reader
    assert _threads() == 0
    assert stored.get(KEY, max_bytes=len(DATA)) == DATA


def test_no_more_is_fetched_ahead_than_said(stored: Vault, make_vault: Callable[..., Vault]) -> None:
    vault, head, ranges = make_vault(), stored.head(KEY), []
    vault.client.meta.events.register("before-call.s3.GetObject", lambda params, **_: ranges.append(params))
    reader = vault.read_ahead(head, 0, head.size)
    next(reader)
    wait_until(lambda: len(ranges) > CONNECTIONS, 30, "the next range is not fetched")
    time.sleep(0.5)
    assert len(ranges) == CONNECTIONS + 1
    del reader


def test_what_was_overwritten_is_not_mixed(aws: Aws, bucket: str, make_vault: Callable[..., Vault]) -> None:
    aws.s3.create_bucket(Bucket=f"{bucket}-plain")  # without versions
    vault = make_vault(bucket=f"{bucket}-plain")
    vault.upload(KEY, [DATA])
    head = vault.head(KEY)
    reader = vault.read_ahead(head, 0, head.size)
    received = next(reader)
    vault.upload(KEY, [bytes(len(DATA))])
    with pytest.raises(StoredCopyDiffers, match="overwritten"):
        for chunk in reader:
            received += chunk
    assert DATA.startswith(received)


def test_what_is_missing_is_missing(stored: Vault) -> None:
    head = stored.head(KEY).model_copy(update={"key": KEY + ".not"})
    with pytest.raises(BackupMissing):
        next(stored.read_ahead(head, 0, head.size))


def _threads() -> int:
    return sum(thread.name.startswith("download") for thread in threading.enumerate())

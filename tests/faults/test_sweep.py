"""Uploads that a killed attempt has left behind, and that nobody else would ever see."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.backup_engine.names import source_prefix
from tests.faults.scene import SOURCE, Scene, on_every_server
from tests.integration.store.wire import Wire


def begin_upload(scene: Scene, source: str, name: str) -> str:
    """An upload that nobody ends; returns its key."""
    key = source_prefix(scene.policy.vault.prefix, source) + name
    scene.aws.s3.create_multipart_upload(Bucket=scene.vault.bucket, Key=key)
    return key


def unfinished(scene: Scene) -> list[str]:
    return [upload.key for upload in scene.vault.unfinished_uploads(scene.vault.prefix)]


@on_every_server
def test_p18_a_backup_sweeps_what_its_own_earlier_attempt_has_left(scene: Scene) -> None:
    begin_upload(scene, SOURCE, scene.name.object_name)
    another = begin_upload(scene, SOURCE, "db_backup_20260102_030405.sql.gz.encrypted")
    scene.back_up()
    assert unfinished(scene) == [another]  # which may be at work
    assert scene.states() == ["complete"]


@on_every_server
def test_p18_a_backup_sweeps_old_ones_of_its_source(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.backup_engine.backup.LEFTOVER_AGE", timedelta(0))
    begin_upload(scene, SOURCE, "db_backup_20260102_030405.sql.gz.encrypted")
    of_another_source = begin_upload(scene, "another", "db_backup_20260102_030405.sql.gz.encrypted")
    scene.back_up()
    assert unfinished(scene) == [of_another_source]


def test_a_role_that_may_not_sweep_can_back_up(scene: Scene) -> None:
    begin_upload(scene, SOURCE, scene.name.object_name)
    bucket = scene.vault.bucket.encode()
    with Wire(scene.aws.url) as wire:
        # S3 refuses the list, of a bucket that does not exist; LocalStack checks no permissions.
        wire.replace = (bucket + b"?uploads", bucket[::-1] + b"?uploads")
        scene.back_up(wire.endpoint)
    assert scene.states() == ["complete"]
    assert scene.uploads() == 1

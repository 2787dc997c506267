"""What a backup waits for, how long, and what it says, on a clock that stands still until it is moved."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from include.backup_engine.cancel import Cancellation
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.mysql.server_load import ServerLoad
from include.backup_engine.policy import ThrottlePolicy
from include.backup_engine.records import ServerIdentity
from include.backup_engine.report import Reporter
from include.backup_engine.throttle import THROTTLED, Bucket, Throttle

SERVER = ServerIdentity(flavour="mariadb", version="10.11.1", instance_id="x", sql_mode="", time_zone="UTC")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """A throttle whose server says what the test says."""

    def __init__(self, caplog: pytest.LogCaptureFixture, **limits: Any) -> None:
        caplog.set_level(logging.INFO)
        self._caplog = caplog
        self.clock = Clock()
        self.reporter = Reporter()
        self.throttle = Throttle(ThrottlePolicy(**limits), Endpoint(), SERVER, self.reporter, self.clock)

    def server_is(self, **load: int) -> None:
        self.throttle.saw(ServerLoad(**load))

    def snapshot_opens(self) -> None:
        self.server_is()
        self.throttle.wait_until_calm(Cancellation())

    def wait(self, seconds: float) -> None:
        """As the dump does, asking again and again."""
        for _ in range(int(seconds)):
            if not self.throttle.delay():
                return
            self.clock.now += 1

    @property
    def told(self) -> list[str]:
        return [record.getMessage() for record in self._caplog.records]


# The bucket -----------------------------------------------------------------------------------------------


def test_a_bucket_gives_its_rate_and_no_more() -> None:
    clock = Clock()
    bucket, taken = Bucket(1e6, clock), 0
    while clock.now < 1010:
        bucket.took(65_536)
        taken += 65_536
        clock.now += bucket.delay()
    assert taken == pytest.approx(10e6, rel=0.01)


def test_what_was_not_taken_in_a_pause_is_not_taken_at_once_after_it() -> None:
    clock = Clock()
    bucket = Bucket(1e6, clock)
    clock.now += 3600
    bucket.took(1_000_000)
    assert bucket.delay() == pytest.approx(0.9)  # a tenth of a second's worth is caught up with


def test_a_read_that_is_larger_than_a_second_is_paid_for_afterwards() -> None:
    clock = Clock()
    bucket = Bucket(1000, clock)
    assert bucket.delay() == 0
    bucket.took(5000)
    bucket.took(5000)
    assert bucket.delay() == pytest.approx(10)
    clock.now += 10
    assert bucket.delay() == pytest.approx(0)


# The load -------------------------------------------------------------------------------------------------


def test_without_limits_nothing_is_held_back_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(caplog)
    with scene.throttle as throttle:
        throttle.took(10**12)
        assert throttle.delay() == 0
    assert scene.told == []
    assert THROTTLED not in scene.reporter.seconds


@pytest.mark.parametrize("name", ["threads_running", "history_list_length", "replication_lag_seconds"])
def test_it_waits_above_a_limit_and_goes_on_at_it(caplog: pytest.LogCaptureFixture, name: str) -> None:
    scene = Scene(caplog, **{name: 20})
    scene.server_is(**{name: 20})
    assert scene.throttle.delay() == 0
    assert not scene.throttle.pausing
    scene.server_is(**{name: 21})
    scene.wait(130)
    assert scene.throttle.pausing
    scene.server_is(**{name: 20})
    scene.wait(1)
    assert not scene.throttle.pausing
    assert scene.throttle.waited["load"] == 130
    assert scene.told == [
        f"The backup waits: its server is above a limit of the policy {name}=21 (limit 20)",
        f"The backup still waits, for 60 s now {name}=21 (limit 20)",
        f"The backup still waits, for 120 s now {name}=21 (limit 20)",
        "The backup goes on waited_seconds=130.0",
    ]


def test_all_waits_together_have_an_end_and_the_rate_is_held_after_it(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(caplog, threads_running=20, megabytes_per_second=1, longest_wait_minutes=2)
    scene.snapshot_opens()
    for _ in range(2):
        scene.server_is(threads_running=50)
        scene.wait(59)
        scene.server_is(threads_running=5)
        scene.wait(1)
    scene.server_is(threads_running=50)
    scene.wait(100)
    assert scene.throttle.waited["load"] == 120
    scene.throttle.took(2_000_000)
    assert scene.throttle.delay() == pytest.approx(1.9)
    assert not scene.throttle.pausing
    [told] = [text for text in scene.told if "above the limit" in text]
    assert told.endswith("it has waited 2 minutes in all, as long as the policy allows threads_running=50 (limit 20)")


def test_a_history_list_that_the_snapshot_keeps_makes_it_hurry(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(caplog, history_list_length=100, threads_running=20, megabytes_per_second=1)
    scene.snapshot_opens()
    scene.throttle.took(10_000_000)
    scene.server_is(history_list_length=101, threads_running=50)
    for _ in range(3):
        assert scene.throttle.delay() == 0
    assert len(scene.told) == 1
    assert "only its end helps threads_running=50 (limit 20) history_list_length=101" in scene.told[0]
    scene.server_is(history_list_length=100, threads_running=50)
    assert scene.throttle.delay()


def test_waits_for_rate_and_load_are_counted_apart(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(caplog, megabytes_per_second=1)
    with scene.throttle as throttle:
        throttle.took(5_000_000)
        scene.wait(100)
    assert throttle.waited == {"rate": 5, "load": 0}
    assert scene.reporter.seconds[THROTTLED] == 5
    assert scene.told[-1] == "Throttled for 5.0 s in all rate_seconds=5.0 load_seconds=0.0"


def test_in_a_long_pause_a_little_is_read(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(caplog, threads_running=20)
    scene.throttle.idle_limit(60)
    scene.snapshot_opens()
    scene.server_is(threads_running=21)
    scene.wait(100)
    assert scene.throttle.pausing
    assert scene.clock.now == 1020
    for _ in range(16):
        assert scene.throttle.delay() == 0
        scene.throttle.took(1 << 16)
    scene.wait(100)
    assert scene.clock.now == 1040
    assert [text.partition(":")[0] for text in scene.told] == ["The backup waits"]


def test_nothing_is_read_in_a_pause_before_the_snapshot(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(caplog, threads_running=20)
    scene.throttle.idle_limit(60)
    scene.server_is(threads_running=21)
    scene.wait(100)
    assert scene.clock.now == 1100

"""The order in which statements reach connections. In place of connections stand lists of what was sent to them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any, cast

import pytest
from pymysql.connections import Connection

from include.backup_engine.errors import LoadFailed
from include.backup_engine.mysql.lanes import Lanes


class Server:
    """Keeps what runs on which connection and when it ended; statements that begin with ``hold`` wait to be let go."""

    def __init__(self) -> None:
        self.log: list[tuple[int, bytes]] = []
        self.let_go = threading.Event()
        self.interrupted = False

    def execute(self, connection: Connection[Any], statement: bytes, number: int) -> None:
        if statement.startswith(b"hold"):
            assert self.let_go.wait(10)
        self.log.append((cast("int", connection), statement))
        if b"bad" in statement:
            raise LoadFailed(f"Statement {number} was refused.", "Do something.")

    def insert(
        self, lanes: Lanes, statement: bytes, number: int, after: Future[None] | None = None
    ) -> Future[None] | None:
        return lanes.insert(len(statement), number, lambda c: self.execute(c, statement, number), after)

    def interrupt(self) -> None:
        self.interrupted = True
        self.let_go.set()

    def lanes(self, connections: int) -> Lanes:
        return Lanes(cast("list[Connection[Any]]", list(range(connections))), self.execute, self.interrupt)


def test_with_one_connection_everything_runs_at_once_and_in_order() -> None:
    server = Server()
    lanes = server.lanes(1)
    lanes.setting(b"set", 1)
    server.insert(lanes, b"row", 2)
    lanes.build(b"key", 3)
    assert server.log == [(0, b"set"), (0, b"row"), (0, b"key")]
    lanes.finish()
    lanes.close()


def test_a_lane_makes_every_setting_once_and_before_the_rows_that_follow_it() -> None:
    server = Server()
    lanes = server.lanes(4)
    for number in range(300):
        lanes.setting(b"set %d" % number, number)
        server.insert(lanes, b"row %d" % number, number)
    lanes.finish()
    lanes.close()
    assert sum(statement.startswith(b"row") for _, statement in server.log) == 300
    for lane in range(1, 4):
        made = -1
        for connection, statement in server.log:
            if connection != lane:
                continue
            word, number = statement.split()
            if word == b"set":
                assert int(number) == made + 1
                made += 1
            else:
                assert int(number) == made


def test_an_index_is_built_when_the_rows_before_it_are_in_while_others_go_on() -> None:
    server = Server()
    lanes = server.lanes(3)
    server.insert(lanes, b"hold a", 1)
    lanes.build(b"key of a", 2)
    lanes.run(b"create b", 3)
    assert (0, b"create b") in server.log
    server.let_go.set()
    server.insert(lanes, b"b", 4)
    lanes.finish()
    lanes.close()
    order = [statement for _, statement in server.log]
    assert order.index(b"hold a") < order.index(b"key of a")
    assert b"b" in order


def test_rows_are_drained_but_not_index_builds() -> None:
    server = Server()
    lanes = server.lanes(3)
    server.insert(lanes, b"a", 1)
    lanes.build(b"hold key", 2)
    server.insert(lanes, b"b", 3)
    lanes.drain()
    order = [statement for _, statement in server.log]
    assert set(order) == {b"a", b"b"}
    server.let_go.set()
    lanes.finish()
    lanes.close()


def test_rows_wait_for_their_table_and_for_no_other() -> None:
    server = Server()
    lanes = server.lanes(4)
    held = server.insert(lanes, b"hold create a", 1)
    server.insert(lanes, b"a", 2, held)
    server.insert(lanes, b"b", 4, server.insert(lanes, b"create b", 3))
    lanes.run(b"next", 5)
    deadline = time.monotonic() + 10
    while b"b" not in [statement for _, statement in server.log] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {statement for _, statement in server.log} == {b"create b", b"b", b"next"}
    server.let_go.set()
    lanes.finish()
    lanes.close()
    order = [statement for _, statement in server.log]
    assert order.index(b"hold create a") < order.index(b"a")


def test_no_rows_go_where_no_table_is() -> None:
    server = Server()
    lanes = server.lanes(3)
    server.insert(lanes, b"a", 2, server.insert(lanes, b"hold a bad create", 1))
    server.let_go.set()
    with pytest.raises(LoadFailed, match="Statement 1"):
        lanes.finish()
    lanes.close()
    assert [statement for _, statement in server.log] == [b"hold a bad create"]


def test_no_more_is_in_hand_than_the_lanes_can_hold() -> None:
    server = Server()
    lanes = server.lanes(3)
    row = b"hold" + bytes(1 << 20)
    given = []

    def give() -> None:
        for number in range(20):
            server.insert(lanes, row, number)
            given.append(number)

    thread = threading.Thread(target=give)
    thread.start()
    thread.join(0.5)
    assert len(given) == 5  # 6 MB for two lanes
    server.let_go.set()
    thread.join(10)
    assert len(given) == 20
    lanes.finish()
    lanes.close()


def test_a_statement_longer_than_all_that_may_wait_waits_until_it_is_alone() -> None:
    server = Server()
    server.let_go.set()
    lanes = server.lanes(2)
    for number in range(3):
        server.insert(lanes, bytes(20 << 20), number)
    lanes.finish()
    lanes.close()
    assert len(server.log) == 3


def test_a_failure_on_a_lane_is_raised_and_what_runs_is_interrupted() -> None:
    server = Server()
    lanes = server.lanes(3)
    server.insert(lanes, b"hold", 6)
    server.insert(lanes, b"bad", 7)
    with pytest.raises(LoadFailed, match="Statement 7"):
        while True:
            lanes.run(b"next", 9)
    lanes.build(b"key", 10)
    lanes.close()
    assert server.interrupted
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load")]
    assert b"key" not in [statement for _, statement in server.log]

"""Several connections that share a list of queries: each takes the next when it is free."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

from pymysql.connections import Connection

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(
    connections: Sequence[Connection[Any]],
    items: Iterable[_Item],
    work: Callable[[Connection[Any], _Item], _Result],
    weight: Callable[[_Item], int] = lambda _: 0,
) -> Generator[_Result, None, None]:
    """What the work gives for each item, in their order.

    On a single connection an item is not begun before the result of the one before is taken. When one fails, or no
    more results are taken, those that are not begun are left out, and those that run are waited for.

    :param weight: of several connections' items the heaviest are begun first, so that none of them is the last thing.
    :raises: what the work raises.
    """
    if len(connections) == 1:
        yield from (work(connections[0], item) for item in items)
        return
    idle: SimpleQueue[Connection[Any]] = SimpleQueue()
    for connection in connections:
        idle.put(connection)

    def on_idle(item: _Item) -> _Result:
        connection = idle.get()
        try:
            return work(connection, item)
        finally:
            idle.put(connection)

    in_order = list(items)
    with ThreadPoolExecutor(len(connections), "side-by-side") as pool:
        try:
            heaviest_first = sorted(range(len(in_order)), key=lambda number: -weight(in_order[number]))
            begun = {number: pool.submit(on_idle, in_order[number]) for number in heaviest_first}
            for number in range(len(in_order)):
                yield begun[number].result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

"""Working ahead: an iterator runs in a thread of its own, and goes on while its items are used.

Reading a dump, compressing and encrypting it are such stages. Each spends most of its time in libraries that let other
threads run meanwhile, or waiting for somebody else, so a backup takes as long as its slowest stage and not as all of
them together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import TypeVar

_Item = TypeVar("_Item")


def ahead(items: Generator[_Item, None, None], depth: int, stop: Callable[[], object]) -> Generator[_Item, None, None]:
    """The items of a generator, in order, of which up to ``depth`` are waiting to be taken.

    When they are not taken to their end, the generator is closed at the item where it is, and that is waited for.

    :param stop: lets it come to that, when it may be waiting for something.
    :raises: what the generator raises, once the items before were given out.
    """
    waiting: SimpleQueue[tuple[_Item] | BaseException | None] = SimpleQueue()
    room, given_up = Semaphore(depth), False

    def work() -> None:
        try:
            for item in items:
                waiting.put((item,))
                room.acquire()
                if given_up:
                    break
            waiting.put(None)
        except BaseException as error:  # whatever it is, it is raised where the items are taken
            waiting.put(error)
        finally:
            items.close()  # here, since one that is running cannot be closed by another thread

    thread = Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while (found := waiting.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            room.release()
            yield found[0]
    except BaseException:
        given_up = True
        stop()
        room.release()
        raise
    finally:
        thread.join()

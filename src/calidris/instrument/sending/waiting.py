"""What waits for the sending thread, oldest first: bounded by items and by bytes, filled without a lock."""

from __future__ import annotations

from collections import deque
from sys import getsizeof
from typing import Any, Final

from calidris.instrument.rows.buffered_items import Block, Item, Labels, Row
from calidris.instrument.rows.item_sizes import bytes_of, model_of, row_bytes_of, rows_of
from calidris.instrument.sending.not_sent import NotSent
from calidris.instrument.tally import Tally

MAX_CELLS = 8_000_000
"""Width times number of the single rows that may wait: 64 MB of numbers."""

FEWEST_ITEMS = 256
"""Items that may wait however wide they are."""


FIRST_LOOK = 8
"""Single rows that wait before it is looked at what their texts weigh, and then again at each four times as many."""

GROWTH = 4

LOOKED_AT = 8
"""Of them so many are weighed, a µs each: of 2000 rows each pays 20 ns, and the caller of a usual row pays nothing."""

_TEXTS: Final = frozenset({str, bytes, bytearray})


class Waiting:
    """The items that wait. Anybody adds, the sending thread alone takes.

    Args:
        not_sent: where it is counted what had to make room.
        max_items: single rows, and calls with many rows, that may wait.
        max_bytes: of calls with many rows, labels and embeddings that may wait.

    Attributes:
        items: what waits and of which nothing has been taken.
        limit: how many items may wait.
        next_look: how many must wait for `look` to be called before another is added.
    """

    def __init__(self, not_sent: NotSent, max_items: int, max_bytes: int) -> None:
        self.items: deque[Item] = deque()
        self.limit = max_items
        self.next_look = min(FIRST_LOOK, max_items)
        self._not_sent = not_sent
        self._max_bytes = max_bytes
        self._bytes: Tally[str] = Tally()
        self._begun: tuple[Block | Labels, int] | None = None  # a batch, and how many of its rows were taken
        self._crowded = False

    def __len__(self) -> int:
        begun = 0 if self._begun is None else 1
        return begun + len(self.items)

    def narrow(self, width: int) -> None:
        """Learn that rows are so many values wide, so that wide rows do not multiply the memory."""
        most = MAX_CELLS // max(1, width)
        most = max(FEWEST_ITEMS, most)
        self.limit = min(self.limit, most)
        self.next_look = min(self.next_look, self.limit)

    def look(self, number: int) -> None:
        """Make room for a row where so many items wait and there is none, by their number or by what their texts weigh together.

        Single rows are weighed at a few numbers only, by a few of them: the bound is kept about, and on time for large texts.
        """
        if number >= self.limit:
            self.make_room()
            return
        weight = max(1.0, self._weigh_some(number))
        # Beside what batches may take: a small text must not push out a large batch.
        fit = int(self._max_bytes / weight)
        if fit <= number:
            self.make_room()
        else:
            self.next_look = min(self.limit, GROWTH * number, fit)

    def plan_look(self) -> None:
        """Some were taken: what comes now may be of another kind."""
        left = len(self.items)
        self.next_look = min(self.limit, max(FIRST_LOOK, left))

    def _weigh_some(self, number: int) -> float:
        """Mean bytes of texts of a waiting single row."""
        step = number // LOOKED_AT
        total = 0
        for at in range(LOOKED_AT):
            place = at * step + at % 2  # rows of two kinds may take turns
            try:
                item = self.items[place]
            except IndexError:  # the thread was faster
                break
            if isinstance(item, tuple):
                total += weigh_texts(item)
        return total / LOOKED_AT

    def bytes(self) -> int:
        """Bytes of batches, labels and embeddings that wait."""
        return self._bytes.get("waiting")

    def put(self, item: Item) -> int:
        """Add a batch, labels or a row with embeddings, or raise what a signal handler raised meanwhile and add nothing.

        The oldest make room; what still is beyond the bound is cut off. How many rows were cut off is for the caller to count.
        """
        size = bytes_of(item)
        free = self._max_bytes - self.bytes()
        if size > free:
            return self._put_what_fits(item, size)
        self._add(item, size)
        return 0

    def _put_what_fits(self, item: Item, size: int) -> int:
        self._make_bytes(min(size, self._max_bytes))
        rows = rows_of(item)
        fit = self._rows_of_room(rows, size)
        if fit < rows:
            self._crowded = True
        if fit == rows:
            self._add(item, size)
        elif fit > 0 and not isinstance(item, tuple):
            first = item.part(0, fit)
            first_size = bytes_of(first)
            self._add(first, first_size)
        return rows - fit  # nothing is called any more

    def _rows_of_room(self, rows: int, size: int) -> int:
        """How many of so many rows, which have so many bytes together, there is room for."""
        room = max(0, self._max_bytes - self.bytes())
        if size <= room:
            return rows
        row_bytes = size / rows
        fit = room / row_bytes
        return int(fit)

    def _add(self, item: Item, size: int) -> None:
        number = len(self.items)
        if number >= self.next_look:
            self.look(number)
        if not isinstance(item, tuple):
            item.hold(size)
        items = self.items
        self._bytes.add("waiting", size)
        items += (item,)  # no call, see `Tally`: with the line before it is one step

    def _make_bytes(self, size: int) -> None:
        """Drop the oldest rows until so many bytes are free, if they can be."""
        while self.items:
            excess = self.bytes() + size - self._max_bytes
            if excess <= 0:
                return
            self._drop_bytes(excess)

    def _drop_bytes(self, excess: int) -> None:
        """Drop so many bytes of the oldest item, or all of it if it has fewer."""
        try:
            oldest = self.items[0]
        except IndexError:
            return
        rows = rows_of(oldest)
        gone = excess // row_bytes_of(oldest) + 1
        if gone >= rows or isinstance(oldest, tuple):
            self.make_room()
        else:
            self._shorten(oldest, gone)

    def _shorten(self, oldest: Block | Labels, gone: int) -> None:
        """Drop the first rows of the oldest item, unless the thread has taken it meanwhile."""
        model = model_of(oldest)
        rest = oldest.part(gone, oldest.rows)
        size = bytes_of(rest)
        rest.hold(size)
        items = self.items
        self._crowded = True
        # No call from here on, see `Tally`: one step.
        if not items or items[0] is not oldest:
            return
        items[0] = rest
        try:
            self._not_sent.drop(model, "queue_full", gone)
        except BaseException:  # a time-out of the application, which comes once
            self._not_sent.drop(model, "queue_full", gone)
            raise
        finally:
            self._bytes.add("waiting", size - oldest.held_bytes)

    def make_room(self, reason: str = "queue_full") -> None:
        """Drop the oldest item of which nothing has been taken, if the thread was not faster."""
        items = self.items
        self._crowded = True
        # No call from here on, see `Tally`: one step.
        if not items:
            return
        oldest = items[0]
        del items[0]
        try:
            self._not_sent.drop(model_of(oldest), reason, rows_of(oldest))
        except BaseException:  # a time-out of the application, which comes once
            self._not_sent.drop(model_of(oldest), reason, rows_of(oldest))
            raise
        finally:
            self._release(oldest)

    def take(self, rows: int, size: int) -> tuple[list[Item], int]:
        """Remove the oldest items of about so many rows and bytes; also how many items are now taken as a whole."""
        taken: list[Item] = []
        finished = 0
        while rows > 0 and size > 0:
            item = self._oldest()
            if item is None:
                break
            row_bytes = row_bytes_of(item)
            if isinstance(item, tuple):
                number = 1
                if item[-1] is not None:
                    self._release(item)
            else:
                fit = size // row_bytes
                item = self._part(item, min(rows, fit))
                number = item.rows
            taken.append(item)
            if self._begun is None:
                finished += 1
            rows -= number
            size -= number * row_bytes
        return taken, finished

    def is_crowded(self) -> bool:
        """True if something had to make room since this was asked last."""
        crowded = self._crowded
        self._crowded = False
        return crowded

    def unsent(self) -> list[tuple[str, int]]:
        """Model and rows of everything that waits."""
        unsent = []
        for item in self.items.copy():
            model = model_of(item)
            rows = rows_of(item)
            unsent.append((model, rows))
        if self._begun is not None:
            batch, at = self._begun
            model = model_of(batch)
            left = batch.rows - at
            unsent.append((model, left))
        return unsent

    def _oldest(self) -> Item | None:
        """The item whose turn it is: the batch that was begun, else the first that waits."""
        if self._begun is not None:
            return self._begun[0]
        try:
            item = self.items.popleft()
        except IndexError:
            return None
        if isinstance(item, Block):
            item.taken = True
        return item

    def _part(self, batch: Block | Labels, rows: int) -> Block | Labels:
        """The next rows of a batch, at least one; what is left of it is the next to be taken."""
        at = 0
        if self._begun is not None:
            at = self._begun[1]
        stop = at + max(1, rows)
        stop = min(batch.rows, stop)
        if stop < batch.rows:
            self._begun = batch, stop
        else:
            self._begun = None
            self._release(batch)
        is_whole = stop - at == batch.rows
        return batch if is_whole else batch.part(at, stop)

    def _release(self, item: Item) -> None:
        """Its bytes are free again; single rows without embeddings go by their number alone."""
        held = bytes_of(item) if isinstance(item, tuple) else item.held_bytes
        if held:
            self._bytes.add("waiting", -held)


def weigh_texts(row: Row) -> int:
    """Bytes of the texts of a single row."""
    values: list[Any] = [row[4], row[8]]
    for part in row[5:7]:  # features and slices
        if type(part) is dict:
            values += part.values()
        elif type(part) is tuple:
            values += part
    texts = [value for value in values if type(value) in _TEXTS]
    return sum(map(getsizeof, texts))

"""What waits for the sending thread, oldest first: bounded by items and by bytes, filled without a lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from calidris.instrument.rows.buffered_items import Block, Item, Labels
from calidris.instrument.rows.item_sizes import bytes_of, model_of, row_bytes_of, rows_of
from calidris.instrument.sending.losses import Losses
from calidris.instrument.sending.tally import Tally

MAX_CELLS = 8_000_000
"""Width times number of the single rows that may wait: 64 MB of numbers."""

FEWEST_ITEMS = 256
"""Items that may wait however wide they are."""


class Waiting:
    """The items that wait. Anybody adds, the sending thread alone takes.

    Args:
        losses: where it is counted what had to make room.
        max_items: single rows, and calls with many rows, that may wait.
        max_bytes: of calls with many rows, labels and embeddings that may wait.

    Attributes:
        items: what waits and of which nothing has been taken.
        limit: how many items may wait.
    """

    def __init__(self, losses: Losses, max_items: int, max_bytes: int) -> None:
        self.items: deque[Item] = deque()
        self.limit = max_items
        self._losses = losses
        self._max_bytes = max_bytes
        self._bytes: Tally[str] = Tally()
        self._begun: tuple[Block | Labels, int] | None = None  # a batch, and how many of its rows were taken
        self._crowded = False

    def __len__(self) -> int:
        return len(self.items) + (self._begun is not None)

    def narrow(self, width: int) -> None:
        """Learn that rows are so many values wide, so that wide rows do not multiply the memory."""
        self.limit = min(self.limit, max(FEWEST_ITEMS, MAX_CELLS // max(1, width)))

    def bytes(self) -> int:
        """Bytes of batches, labels and embeddings that wait."""
        return self._bytes.get("waiting")

    def rows_that_fit(self, rows: int, row_bytes: int) -> int:
        """Of a batch of so many rows of so many bytes each, how many can wait at all."""
        return min(rows, self._max_bytes // max(1, row_bytes))

    def put(self, item: Item) -> None:
        """Add a batch, labels or a row with embeddings. The oldest make room; what still is beyond the bound is cut off."""
        rows, size = rows_of(item), bytes_of(item)
        self._make_bytes(min(size, self._max_bytes))
        fit = min(rows, (self._max_bytes - self.bytes()) // max(1, -(-size // max(1, rows))))
        if fit < rows:
            self._crowded = True
            self._losses.drop(model_of(item), "queue_full", rows - max(0, fit))
        if fit > 0:
            self._add(item if fit == rows or isinstance(item, tuple) else item.part(0, fit), self.items.append)

    def _add(self, item: Item, append: Callable[[Item], None]) -> None:
        if len(self.items) >= self.limit:
            self.make_room()
        size = bytes_of(item)
        self._bytes.add("waiting", size)
        if not isinstance(item, tuple):
            item.hold(size)
        append(item)

    def _make_bytes(self, size: int) -> None:
        """Drop the oldest rows until so many bytes are free, if they can be."""
        while (excess := self.bytes() + size - self._max_bytes) > 0 and self.items:
            self._crowded = True
            try:
                oldest = self.items.popleft()
            except IndexError:  # the thread was faster
                return
            self._release(oldest)
            rows = rows_of(oldest)
            gone = min(rows, -(-excess // row_bytes_of(oldest)))
            self._losses.drop(model_of(oldest), "queue_full", gone)
            if not isinstance(oldest, tuple) and gone < rows:
                self._add(oldest.part(gone, rows), self.items.appendleft)

    def make_room(self, reason: str = "queue_full") -> None:
        """Drop the oldest item of which nothing has been taken."""
        self._crowded = True
        try:
            oldest = self.items.popleft()
        except IndexError:  # the thread was faster
            return
        self._release(oldest)
        self._losses.drop(model_of(oldest), reason, rows_of(oldest))

    def take(self, rows: int, size: int) -> tuple[list[Item], int]:
        """Remove the oldest items of about so many rows and bytes; also how many items are now taken as a whole."""
        taken: list[Item] = []
        finished = 0
        while rows > 0 and size > 0:
            item = self._oldest()
            if item is None:
                break
            row_bytes = row_bytes_of(item)
            if not isinstance(item, tuple):
                item = self._part(item, min(rows, max(1, size // row_bytes)))
            elif item[-1] is not None:
                self._release(item)
            taken.append(item)
            finished += self._begun is None
            rows -= rows_of(item)
            size -= rows_of(item) * row_bytes
        return taken, finished

    def is_crowded(self) -> bool:
        """True if something had to make room since this was asked last."""
        crowded, self._crowded = self._crowded, False
        return crowded

    def unsent(self) -> list[tuple[str, int]]:
        """Model and rows of everything that waits."""
        unsent = [(model_of(item), rows_of(item)) for item in self.items.copy()]
        if self._begun is not None:
            batch, at = self._begun
            unsent.append((model_of(batch), batch.rows - at))
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
        """The next rows of a batch; what is left of it is the next to be taken."""
        at = 0 if self._begun is None else self._begun[1]
        stop = min(batch.rows, at + rows)
        self._begun = None if stop == batch.rows else (batch, stop)
        if self._begun is None:
            self._release(batch)
        return batch if stop - at == batch.rows else batch.part(at, stop)

    def _release(self, item: Item) -> None:
        """Its bytes are free again; single rows without embeddings go by their number alone."""
        if not isinstance(item, tuple):
            self._bytes.add("waiting", -item.held_bytes)
        elif item[-1] is not None:
            self._bytes.add("waiting", -bytes_of(item))

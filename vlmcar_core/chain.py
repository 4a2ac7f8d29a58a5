"""Sub-tasks count in order: the next one only once all before it are done, and each once per episode.

Verification and the training reward both count with this module, so what is verified is what is paid.

The paper says that sub-task k + 1 counts only once k is done; that what is already true in the first frame is
passed over without pay is our decision (paying it would reward doing nothing).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray


class Chain:
    """How far an episode has come along n ordered sub-tasks."""

    def __init__(self, length: int) -> None:
        if length < 0:
            raise ValueError(f"a chain has no fewer than 0 sub-tasks, not {length}")
        self.length = length
        self.completed = 0
        """Sub-tasks done so far: the next one's index."""

        self._started = False

    @classmethod
    def at(cls, length: int, completed: int) -> "Chain":
        """One whose first so many sub-tasks are done, after its episode's first frame."""
        chain = cls(length)
        chain.completed, chain._started = completed, True
        return chain

    @property
    def finished(self) -> bool:
        return self.completed == self.length

    def advance(self, is_done: Callable[[int], bool]) -> list[int]:
        """Look at the episode's next frame; the first call looks at its first frame.

        Args:
            is_done: whether sub-task k is done in this frame; asked only about the sub-task whose turn it is.

        Returns:
            The sub-tasks that were completed with this frame and are to be paid, in order; none in the first.
        """
        before = self.completed
        while not self.finished and is_done(self.completed):
            self.completed += 1
        paid = list(range(before, self.completed)) if self._started else []
        self._started = True
        return paid


def completions(done: NDArray[np.bool_]) -> list[int | None]:
    """When each sub-task was completed in a recorded episode.

    Args:
        done: what the checkers said, bool, shape (T + 1, n).

    Returns:
        For each of the n sub-tasks the frame that completed it, or None; 0 means it was true from the start.
    """
    chain = Chain(done.shape[1])
    found: list[int | None] = [None] * done.shape[1]
    for frame, row in enumerate(done):
        before = chain.completed
        chain.advance(lambda index, row=row: bool(row[index]))  # type: ignore[misc]
        for index in range(before, chain.completed):
            found[index] = frame
    return found


def completed_whole(done: NDArray[np.bool_], goal: NDArray[np.bool_]) -> int | None:
    """The frame in which every sub-task is done in order and then, or by then, the goal; None if that never is.

    Args:
        done: the sub-tasks' checkers, bool, shape (T + 1, n).
        goal: the goal's checker, bool, shape (T + 1,).
    """
    found = completions(done)
    if any(frame is None for frame in found):
        return None
    last = max((frame for frame in found if frame is not None), default=0)
    return next(_true_from(goal, last), None)


def _true_from(values: NDArray[np.bool_], start: int) -> Iterator[int]:
    return (start + int(offset) for offset in np.flatnonzero(values[start:]))

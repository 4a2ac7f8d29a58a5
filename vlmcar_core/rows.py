"""What a run tells as it goes: a line of JSON per stretch of training, and one per evaluation.

A file that grows is read on from where it was read to before. Rows of a stretch that was lost and trained again, as
after a resumed run, give way to the later ones.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

from vlmcar_core import files, strict

LIMIT_BYTES, ROWS_MAX = 64 * 1024 * 1024, 100_000
BEFORE_BYTES = 64
"""Of what was read before, so many bytes must still be there, or the file is read anew."""

TAILS_MAX = 256
"""Files that are kept in memory; each has at most `ROWS_MAX` rows."""


@dataclass(frozen=True)
class Progressed:
    """A row of progress.jsonl: over the last 100 training episodes, where nothing else is said.

    Means and rates are None until 20 episodes have ended.
    """

    steps: int
    """Environment steps so far, of all copies together."""

    episodes: int
    """Ended so far."""

    seconds: float = 0.0
    """Since the run began; the time between a stop and a resume does not count."""

    steps_per_second: float = 0.0
    """Of this stretch, with the evaluation that came before it."""

    success_rate: float | None = None
    """In [0, 1], by the environment."""

    learned_return: float | None = None
    """What the checkers paid an episode; None in a sparse run."""

    env_return: float | None = None
    """What the environment paid an episode."""

    episode_length: float | None = None
    """In steps."""

    completions: Mapping[str, float] = field(default_factory=dict)
    """Checker key to the share of episodes that completed it in its turn, in [0, 1]."""

    paid: Mapping[str, float] = field(default_factory=dict)
    """Checker key to what was paid for it an episode."""

    losses: Mapping[str, float] = field(default_factory=dict)
    """What the learner measured of its last update, by its own names."""

    asked: int = 0
    """Questions to checkers in this stretch; `remembered` of them were answered from memory."""

    remembered: int = 0
    faults: Mapping[str, str] = field(default_factory=dict)
    """Checker key to what went wrong with it, if anything did."""

    resumed: int | None = None
    """In the first row after a resume: the steps of the checkpoint that was gone on from."""


@dataclass(frozen=True)
class Evaluated:
    """A row of evaluation.jsonl: episodes on seeds that training does not use, the same each time."""

    steps: int
    episodes: int
    successes: int
    """By the environment."""

    mean_length: float | None = None
    """In steps."""

    solved: tuple[bool, ...] = ()
    """Of each episode, in the order of the seeds; empty in runs of earlier versions, as the next three."""

    lengths: tuple[int, ...] = ()
    env_returns: tuple[float, ...] = ()
    learned: tuple[float, ...] = ()
    """What the checkers paid each episode; empty in a sparse run."""

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.episodes:
            raise ValueError(f"{self.successes} successes in {self.episodes} episodes are none")
        for told in (self.solved, self.lengths, self.env_returns, self.learned):
            if told and len(told) != self.episodes:
                raise ValueError(f"{len(told)} of {self.episodes} episodes are told of")


Row = type[Progressed] | type[Evaluated]


def read(path: Path, kind: Row) -> list[dict[str, Any]]:
    """Every whole row, with what it does not tell filled in; the rows are shared, so nobody changes them.

    Left out is a row that is half written, as after a kill, or holds something else; and one that a later row of the
    same number of steps, or of fewer, takes the place of.

    Raises:
        DamagedFile: it is a link or no plain file, or too large.
    """
    key = (str(path), kind.__name__)
    with _LOCK:
        tail = _TAILS.setdefault(key, _Tail(kind))
        _TAILS.move_to_end(key)
        if len(_TAILS) > TAILS_MAX:
            _TAILS.popitem(last=False)
        try:
            with files.opened(path, LIMIT_BYTES) as file:
                return tail.read(file)
        except FileNotFoundError:
            return []


class _Tail:
    """The rows of a file so far."""

    def __init__(self, kind: Row) -> None:
        self._kind = kind
        self._names = [one.name for one in fields(kind)]
        self._forget()

    def _forget(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._identity: tuple[int, int] | None = None
        self._read_to = 0
        self._before = b""

    def read(self, file: BinaryIO) -> list[dict[str, Any]]:
        about = os.fstat(file.fileno())
        if (about.st_dev, about.st_ino) != self._identity or not self._goes_on(file):
            self._forget()
            self._identity = (about.st_dev, about.st_ino)
        file.seek(self._read_to)
        data = file.read(LIMIT_BYTES - self._read_to)
        whole, newline, rest = data.rpartition(b"\n")
        for line in whole.split(b"\n") if newline else ():
            self._append(self._rows, line)
        del self._rows[:-ROWS_MAX]
        taken = whole + newline
        self._read_to += len(taken)
        self._before = (self._before + taken)[-BEFORE_BYTES:]
        if not rest:
            return list(self._rows)
        found = list(self._rows)
        self._append(found, rest)
        return found

    def _goes_on(self, file: BinaryIO) -> bool:
        file.seek(self._read_to - len(self._before))
        return file.read(len(self._before)) == self._before

    def _append(self, rows: list[dict[str, Any]], line: bytes) -> None:
        try:
            row = strict.loads(line)
            built = strict.build(self._kind, {name: row[name] for name in self._names if name in row})
        except (ValueError, TypeError):
            return
        while rows and rows[-1]["steps"] >= built.steps:
            rows.pop()
        rows.append({**row, **{name: getattr(built, name) for name in self._names}})


_TAILS: OrderedDict[tuple[str, str], _Tail] = OrderedDict()
_LOCK = threading.Lock()

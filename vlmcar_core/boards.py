"""A run's rows as files for TensorBoard, and as CSV for everything else. For other tools: nothing here reads them.

TensorBoard is an extra, imported late, and only its records of events are used: no torch, no thread, and a file's name
that does not tell the machine's.
"""

import csv
import io
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from typing import Any

from vlmcar_core import files
from vlmcar_core.escaping import one_line

FOLDER = "tensorboard"
MISSING = 'TensorBoard is not installed, so no files for it are written: pip install "vlmcar-studio[tensorboard]"'
EVENTS_VERSION = "brain.Event:2"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take a cell of text for a formula by."""

TAGS = {
    **{name: f"training/{name}" for name in ("success_rate", "env_return", "learned_return", "episode_length")},
    **{name: f"time/{name}" for name in ("steps_per_second", "seconds")},
    **{name: f"checkers/{name}" for name in ("asked", "remembered")},
    **{name: f"checkers/{name}" for name in ("completions", "paid")},
    "losses": "losses",
    "episodes": "training/episodes",
}
"""Of a row of progress, what is told under which name."""


def is_installed() -> bool:
    """Whether files for TensorBoard can be written."""
    return find_spec("tensorboard") is not None


class Board:
    """A file of events that grows. Raises `ModuleNotFoundError` where TensorBoard is not installed."""

    def __init__(self, folder: Path, resumed: int | None = None) -> None:
        """
        Args:
            folder: where its file is made.
            resumed: the steps that are gone on from; what other files tell of later ones no longer counts.
        """
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = event_pb2, summary_pb2
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"events.out.tfevents.{time.time_ns() // 1_000_000}.{os.getpid()}"
        self._file = path.open("xb")
        self._writer = RecordWriter(self._file)
        self._write(event_pb2.Event(wall_time=time.time(), file_version=EVENTS_VERSION))
        if resumed is not None:
            log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(event_pb2.Event(wall_time=time.time(), step=resumed + 1, session_log=log))

    def add(self, steps: int, scalars: Mapping[str, float]) -> None:
        """Numbers by their names, after so many steps."""
        values = [self._summary.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        summary = self._summary.Summary(value=values)
        self._write(self._event.Event(wall_time=time.time(), step=steps, summary=summary))
        self._file.flush()

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())

    def close(self) -> None:
        self._file.close()


def progress_scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """A row of progress as TensorBoard's numbers."""
    told = ((tag, row.get(name)) for name, tag in TAGS.items())
    return {tag: float(value) for name, found in told for tag, value in _flat(name, found) if _is_number(value)}


def evaluation_scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """A row of evaluations as TensorBoard's numbers."""
    found = {"evaluation/success_rate": row["successes"] / max(1, row["episodes"])}
    if row.get("mean_length") is not None:
        found["evaluation/episode_length"] = row["mean_length"]
    for name, tag in (("learned", "learned_return"), ("env_returns", "env_return")):
        if row.get(name):
            found[f"evaluation/{tag}"] = sum(row[name]) / len(row[name])
    return found


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, a column for each value, such as `paid/open-the-door`; lists are left to the JSON."""
    flat = [{tag: value for name, found in row.items() for tag, value in _flat(name, found)} for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(row.get(name)) for name in columns] for row in flat)
    return buffer.getvalue()


def export(folder: Path, progress: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]]) -> None:
    """Both tables into a folder, and TensorBoard's files where it is installed."""
    files.write_text(folder / "progress.csv", table(progress))
    files.write_text(folder / "evaluation.csv", table(evaluations))
    if is_installed():
        board = Board(folder / FOLDER)
        for row in progress:
            board.add(row["steps"], progress_scalars(row))
        for row in evaluations:
            board.add(row["steps"], evaluation_scalars(row))
        board.close()


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(f"{name}/{key}", part)
    elif not isinstance(value, (list, tuple)):
        yield name, value


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _cell(value: Any) -> Any:
    """A stranger's words stay words, also in a spreadsheet."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(FORMULA) else text

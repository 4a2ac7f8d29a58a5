"""What a run writes down as it goes: a row after each stretch of training; evaluations, checkpoints, videos."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import alarm, boards, files, films, runs
from vlmcar_core.policies import Act
from vlmcar_core.reward import Judge
from vlmcar_core.runs import RunConfig
from vlmcar_core.training import Stretch
from vlmcar_core.types import Progress, Task

WINDOW = 100
"""Training episodes over which rates are taken."""

ENOUGH = 20
"""Fewer give no rate: the first episodes to end are the ones that succeeded early."""

TELL_SECONDS = 1.0
"""Progress is told at least so often within a stretch, so that a person who wants it to stop is heard soon."""

HELD_OUT_SEED = 1_000_000
"""Evaluations reset to seeds from here on, which training does not use; a small environment may have the same layout
under both."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Episodes on held-out seeds, by the environment's own word, in the order of their seeds."""

    solved: tuple[bool, ...]
    lengths: tuple[int, ...]
    env_returns: tuple[float, ...]
    learned: tuple[float, ...]
    """What the checkers paid; zeros where none were asked."""

    actions: tuple[NDArray[Any], ...]
    """Of each, (T,) or (T, A)."""

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]], actions: Sequence[Sequence[Any]]) -> "Evaluation":
        """From each episode's record, as `EpisodeRecord` tells it, and the actions that were taken in it."""
        return cls(
            solved=tuple(bool(record["success"]) for record in records),
            lengths=tuple(int(record["length"]) for record in records),
            env_returns=tuple(float(record["env_return"]) for record in records),
            learned=tuple(float(record["learned_return"]) for record in records),
            actions=tuple(np.array(taken) for taken in actions),
        )

    def row(self, dense: bool) -> dict[str, Any]:
        """As in evaluation.jsonl; see `rows.Evaluated`."""
        return {
            "episodes": len(self.solved),
            "successes": sum(self.solved),
            "mean_length": float(np.mean(self.lengths)),
            "solved": self.solved,
            "lengths": self.lengths,
            "env_returns": self.env_returns,
            "learned": self.learned if dense else (),
        }


Evaluate = Callable[[Act, Callable[[], None]], Evaluation]
"""From a policy, and what is to be called after each step, to how it does."""


class Logbook:
    """One run's; it begins where the run's rows and checkpoint end."""

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        task: Task,
        keys: Sequence[str],
        judge: Judge,
        evaluate: Evaluate,
        progress: Progress,
    ) -> None:
        """
        Args:
            folder: the run's.
            config: of the run.
            task: that it trains on.
            keys: of the checkers that pay.
            judge: of the checkers.
            evaluate: plays the held-out episodes.
            progress: told how far it is; may raise to stop.
        """
        self._folder, self._config, self._task, self._keys = folder, config, task, keys
        self._judge, self._evaluate, self._progress = judge, evaluate, progress
        self._recent: deque[Mapping[str, Any]] = deque(maxlen=WINDOW)
        self._asked = self._remembered = 0
        self._said = "no episode has ended yet"
        self.how = "one by one"
        """How the copies of the environment are stepped."""
        there = runs.checkpoint(folder)
        self._resumed: int | None = there[1] if there else None
        before = [row for row in runs.read_progress(folder) if there and row["steps"] <= there[1]]
        self._episodes = int(before[-1]["episodes"]) if before else 0
        seconds = float(before[-1]["seconds"]) if before else 0.0
        self._evaluated = self._due(self._resumed or 0)
        self._last = (self._resumed or 0, seconds)
        self._began = time.monotonic() - seconds
        self._told = time.monotonic()
        self._board = self._open_board()
        if self._resumed is not None:
            print(f"resumed from the checkpoint after {self._resumed:,} steps", flush=True)

    def _open_board(self) -> boards.Board | None:
        if not boards.is_installed():
            print(boards.MISSING, flush=True)
            return None
        return boards.Board(files.folder(self._folder, boards.FOLDER), self._resumed)

    def close(self) -> None:
        """Write the tables that other tools read."""
        if self._board is not None:
            self._board.close()
        for name, found in (
            ("progress.csv", runs.read_progress(self._folder)),
            ("evaluation.csv", runs.read_evaluations(self._folder)),
        ):
            files.write_text(self._folder / name, boards.table(found))

    def tick(self, steps: int) -> None:
        """Say how far it is, if that was not said lately."""
        if steps < self._config.steps and time.monotonic() - self._told > TELL_SECONDS:
            self._tell(steps)

    def _tell(self, steps: int) -> None:
        self._told = time.monotonic()
        self._progress(steps, self._config.steps, f"{self._said}; copies {self.how}")

    def after_stretch(self, stretch: Stretch) -> None:
        """Write down what a trainer tells."""
        self._recent.extend(stretch.records)
        self._episodes += len(stretch.records)
        row = self._row(stretch)
        runs.append(self._folder, runs.PROGRESS, row)
        if self._board is not None:
            self._board.add(stretch.steps, boards.progress_scalars(row))
        if row["success_rate"] is not None:
            self._said = f"{row['success_rate']:.0%} of the last {len(self._recent)} episodes solved"
        self._tell(min(stretch.steps, self._config.steps))
        due = self._due(stretch.steps)
        if due > self._evaluated:
            first, self._evaluated = self._evaluated == 0, due
            self._evaluate_now(stretch, video=self._is_filmed(due, first))

    def _due(self, steps: int) -> int:
        """Evaluations that should have been made after so many steps."""
        return min(self._config.evaluations, steps * self._config.evaluations // self._config.steps)

    def _is_filmed(self, number: int, first: bool) -> bool:
        every = self._config.video_every
        return every > 0 and (first or number % every == 0)

    def _evaluate_now(self, stretch: Stretch, video: bool) -> None:
        steps, last = stretch.steps, self._config.steps - 1
        stretch.save()
        found = self._evaluate(stretch.act, lambda: self.tick(min(steps, last)))
        row = {"steps": steps, **found.row(self._config.reward == "dense")}
        runs.append(self._folder, runs.EVALUATION, row)
        if self._board is not None:
            self._board.add(steps, boards.evaluation_scalars(row))
        if stretch.checkpoint is not None:
            runs.keep_checkpoint(self._folder, steps, stretch.checkpoint)
        if video:
            films.keep_video(self._folder, self._again(found, 0, "policy", steps), steps)
        self._keep_worst(found, row, steps)

    def _keep_worst(self, found: Evaluation, row: Mapping[str, Any], steps: int) -> None:
        """Episodes that were paid in full and not solved; the worst of them."""
        if self._config.reward != "dense":
            return
        for number in alarm.paid_for_nothing(self._config, row)[: films.HACKS_MAX]:
            learned = found.learned[number]
            if films.is_among_worst(self._folder, learned):
                trajectory = self._again(found, number, "adversarial", steps)
                films.keep_hack(self._folder, trajectory, steps, learned)

    def _again(self, found: Evaluation, number: int, source: Any, steps: int) -> Any:
        seed = HELD_OUT_SEED + number
        return films.again(self._task, seed, found.actions[number], source, self._folder.name, steps)

    def _row(self, stretch: Stretch) -> dict[str, Any]:
        steps, seconds = stretch.steps, time.monotonic() - self._began
        asked, remembered = self._judge.asked - self._asked, self._judge.remembered - self._remembered
        self._asked, self._remembered = self._judge.asked, self._judge.remembered
        before, self._last = self._last, (steps, seconds)
        row = {
            "steps": steps,
            "seconds": seconds,
            "steps_per_second": (steps - before[0]) / max(seconds - before[1], 1e-9),
            "episodes": self._episodes,
            "success_rate": self._mean("success"),
            "env_return": self._mean("env_return"),
            "learned_return": self._mean("learned_return") if self._config.reward == "dense" else None,
            "episode_length": self._mean("length"),
            "completions": {key: self._share(key) for key in self._keys} if self._recent else {},
            "paid": self._paid(),
            "losses": {name: float(value) for name, value in stretch.losses.items() if np.isfinite(value)},
            "asked": asked,
            "remembered": remembered,
            "faults": dict(self._judge.faults),
        }
        if self._resumed is not None:
            row["resumed"], self._resumed = self._resumed, None
        return row

    def _mean(self, name: str) -> float | None:
        enough = len(self._recent) >= ENOUGH
        return float(np.mean([record[name] for record in self._recent])) if enough else None

    def _share(self, key: str) -> float:
        return float(np.mean([key in record["paid"] for record in self._recent]))

    def _paid(self) -> dict[str, float]:
        """Of the episodes that tell what was paid for what."""
        told = [record["components"] for record in self._recent if "components" in record]
        return {key: float(np.mean([part.get(key, 0.0) for part in told])) for key in self._keys} if told else {}

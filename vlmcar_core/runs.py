"""A training run's folder: what it was asked, how it went, what it learned. One writer, the run itself.

    config.json         the RunConfig; written before the run starts
    progress.jsonl      a row per stretch of training
    evaluation.jsonl    a row per evaluation under the environment's own success
    model.zip           the policy, replaced at every evaluation
    checkpoint-N.zip    all that is needed to go on from step N; replaced at every evaluation
    videos/, hacks/     evaluation episodes (see films.py)
    tensorboard/        the same rows for TensorBoard, where it is installed; progress.csv, evaluation.csv at the end
A run is a job, too: status.json and log.txt are `jobs`'.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from vlmcar_core import files, jobs, rows
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.jobs import Job
from vlmcar_core.payments import Payment
from vlmcar_core.store import RUNS, Listing, Session

CONFIG, PROGRESS, EVALUATION, MODEL = "config.json", "progress.jsonl", "evaluation.jsonl", "model.zip"
CHECKPOINT = re.compile(r"checkpoint-[0-9]{9,10}\.zip")
STEPS_MAX = 1_000_000_000
SCALE_MAX = 1000.0
REWARDS = ("dense", "sparse")
WHEN_DISABLED = ("go-on", "stop")
LEARNED = 0.8
"""The success rate that counts as learned, in tables of steps."""


@dataclass(frozen=True)
class RunConfig:
    """What one training is asked to do."""

    reward: Literal["dense", "sparse"] | str = "dense"
    """dense: the checkers pay; sparse: the environment alone."""

    proposal: int | None = None
    """Whose checkers pay; None for a sparse run."""

    env_reward: bool = True
    """In a dense run, keep the environment's own reward beside the checkers'."""

    scale: float = 1.0
    """What all the sub-tasks pay together: in a whole episode at most, where each is paid once."""

    pay: str = "once"
    """How completions become a reward: one of `payments.WAYS`."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """Of the sub-tasks, by checker key, relative to each other; 1 for those that are not named."""

    undo: float = 0.0
    """The share of a sub-task's pay that undoing it costs."""

    when_disabled: Literal["go-on", "stop"] | str = "go-on"
    """What a run does when a checker had to be ended three times: go on without its pay, or stop."""

    trainer: str = "ppo"
    steps: int = 150_000
    """Environment steps in all."""

    seed: int = 0
    evaluations: int = 20
    eval_episodes: int = 20
    """Episodes per evaluation, on seeds that training does not use."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the trainer that differ from its defaults."""

    observation: str | None = None
    """What the policy sees, one of the family's `VIEWS`; its usual one if None."""

    video_every: int = 5
    """The first and every so many-th evaluation, an episode is kept as a video; 0 for none."""

    cloned_from: int | None = None
    """The run whose settings these were, before some were changed."""

    began_with: int = 0
    """Steps of that run's checkpoint that it began with; 0 where it began from nothing."""

    def __post_init__(self) -> None:
        if self.reward not in REWARDS:
            raise BadInput(f"a reward is one of {', '.join(REWARDS)}, not {self.reward!r}")
        if self.when_disabled not in WHEN_DISABLED:
            raise BadInput(
                f"when a checker is disabled a run can {', '.join(WHEN_DISABLED)}, not {self.when_disabled!r}"
            )
        if self.reward == "dense" and self.proposal is None:
            raise BadInput("a dense run needs the number of the proposal whose checkers pay")
        for label, value, low, high in (
            ("proposal", 0 if self.proposal is None else self.proposal, 0, 2**31 - 1),
            ("number of steps", self.steps, 1, STEPS_MAX),
            ("seed", self.seed, 0, 2**31 - 1),
            ("number of evaluations", self.evaluations, 1, 1000),
            ("number of evaluation episodes", self.eval_episodes, 1, 1000),
            ("number of evaluations from one video to the next", self.video_every, 0, 1000),
            ("number of the run it was cloned from", self.cloned_from or 0, 0, 2**31 - 1),
            ("number of steps that it began with", self.began_with, 0, STEPS_MAX),
        ):
            if not _whole(value) or not low <= value <= high:
                raise BadInput(f"the {label} of a run is a whole number from {low} to {high}, not {value!r}")
        if not isinstance(self.scale, (int, float)) or not 0 < self.scale <= SCALE_MAX:
            raise BadInput(f"the scale of a run's reward is a number above 0 to {SCALE_MAX:g}, not {self.scale!r}")
        for name, given, kind in (
            ("env_reward", self.env_reward, bool),
            ("trainer", self.trainer, str),
            ("observation", self.observation or "", str),
            ("settings", self.settings, Mapping),
            ("weights", self.weights, Mapping),
        ):
            if not isinstance(given, kind):
                raise BadInput(f"{name!r} of a run is a {kind.__name__}, not {given!r}")
        self.payment()

    def payment(self, discount: float = Payment.discount) -> Payment:
        """How it pays; the discount is the learner's."""
        return Payment(self.pay, self.scale, self.weights, self.undo, discount)


@dataclass(frozen=True)
class Run:
    """A run as its folder shows it."""

    number: int
    folder: Path
    config: RunConfig
    job: Job


@dataclass(frozen=True)
class Summary:
    """What a run learned, by its evaluations; None where it was not evaluated, or never got there."""

    steps_to_learned: int | None
    """Steps at the first evaluation with at least 80 % success."""

    final_success: float | None
    """Success rate of the last evaluation, in [0, 1]."""

    episodes: int = 0
    """Episodes that the last evaluation counted."""


def write_config(folder: Path, config: RunConfig) -> None:
    files.write_json(folder / CONFIG, asdict(config))


def read_config(folder: Path) -> RunConfig:
    """Raises `DamagedFile` where there is none that can be read."""
    try:
        return files.read_as(RunConfig, folder / CONFIG)
    except FileNotFoundError as error:
        raise DamagedFile(f"run {folder.name} has no {CONFIG}; start it again") from error


def begin(folder: Path) -> None:
    """Forget the rows of an earlier try, so that none counts twice; where there is a checkpoint they stay, for the run
    goes on from it."""
    if not files.listed(folder, CHECKPOINT):
        for name in (PROGRESS, EVALUATION):
            files.remove(folder / name)


def append(folder: Path, name: str, row: Mapping[str, Any]) -> None:
    """Add a row to progress.jsonl or evaluation.jsonl."""
    files.append_row(folder / name, row, rows.LIMIT_BYTES)


def read_progress(folder: Path) -> list[dict[str, Any]]:
    """How training went, a row per stretch of it; `rows.Progressed` says what each holds."""
    return rows.read(folder / PROGRESS, rows.Progressed)


def read_evaluations(folder: Path) -> list[dict[str, Any]]:
    """Evaluations under the environment's own success; `rows.Evaluated` says what each holds."""
    return rows.read(folder / EVALUATION, rows.Evaluated)


def checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The newest checkpoint of a run and its steps; None where there is none."""
    found = files.listed(folder, CHECKPOINT)
    if not found:
        return None
    newest = max(found, key=_steps_of)
    return newest, _steps_of(newest)


def keep_checkpoint(folder: Path, steps: int, write: Callable[[Path], None]) -> None:
    """Write a checkpoint whole or not at all, in place of the one before.

    Args:
        folder: the run's.
        steps: environment steps so far.
        write: writes it to a path.
    """
    part = folder / f".checkpoint-{steps}.part.zip"
    try:
        write(part)
        part.replace(folder / f"checkpoint-{steps:09d}.zip")
    finally:
        files.remove(part)
    for older in files.listed(folder, CHECKPOINT):
        if _steps_of(older) != steps:
            files.remove(older)


def _steps_of(path: Path) -> int:
    return int(path.stem.partition("-")[2])


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def runs(session: Session) -> Listing[Run]:
    """Every run of a session, by number."""
    found: list[Run] = []
    try:
        folders, problems = session.run_folders(), [*session.passed_over(RUNS)]
    except DamagedFile as error:
        return Listing((), (str(error),))
    for folder in folders:
        try:
            found.append(Run(int(folder.name), folder, read_config(folder), jobs.read(folder)))
        except DamagedFile as error:
            problems.append(f"run {folder.name}: {error}")
    return Listing(tuple(found), tuple(problems))


def summary(evaluations: Sequence[Mapping[str, Any]]) -> Summary:
    """Steps to 80 % success, and the final success."""
    if not evaluations:
        return Summary(None, None)
    rates = success_rates(evaluations)
    learned = next((steps for steps, rate in rates if rate >= LEARNED), None)
    return Summary(learned, rates[-1][1], int(evaluations[-1]["episodes"]))


def success_rates(evaluations: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Steps and success rate of each evaluation."""
    return [(int(row["steps"]), row["successes"] / max(1, row["episodes"])) for row in evaluations]

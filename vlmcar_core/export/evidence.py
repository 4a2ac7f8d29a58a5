"""The decisive recorded frames, a few whole episodes, and what must be said and paid of them; bounded."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vlmcar_core import files
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.export.source import Source
from vlmcar_core.payments import Account, Payment
from vlmcar_core.progress import part, silent
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.types import Answers, Progress, Trajectory
from vlmcar_core.verify import first_fire

FIRES_MAX = 4
"""Episodes from which a checker's first fire and the frame before are taken, experts' first."""
NEGATIVES_MAX = 6
"""Frames of other than experts' episodes that a checker must call not done."""
EPISODE_FRAMES_MAX = 400
"""An episode is cut after so many different frames."""
SEED = 0
"""Of the choice of negatives: the same session gives the same bundle."""


@dataclass(frozen=True)
class Case:
    """What one checker said about one frame."""

    checker: str
    trajectory: str
    number: int
    """Of the frame, from 0."""
    initial: str
    frame: str
    """Names of pictures in tests/frames/."""
    value: float
    """Progress in [0, 1]."""
    why: str


@dataclass(frozen=True)
class Episode:
    """One recorded episode, or its first part, and what it is paid by each way."""

    name: str
    source: str
    seed: int | None
    frames: tuple[str, ...]
    """Each different picture once."""
    order: tuple[int, ...]
    """For each of the T + 1 frames, its number among these."""
    actions: Any
    """T of them, as JSON."""
    env_rewards: tuple[float, ...]
    terminated: bool
    solved: bool | None
    """Where the last step terminated it, the environment's word; None elsewhere."""
    paid: Mapping[str, list[dict[str, Any]]]
    """By the payment's name: step (from 1), key, amount; what is paid nothing is left out."""


@dataclass(frozen=True)
class Evidence:
    """Everything under tests/ but the code."""

    cases: tuple[Case, ...]
    episodes: tuple[Episode, ...]
    frames: Mapping[str, bytes]
    """Name to PNG."""
    notes: tuple[str, ...]

    def json(self) -> str:
        found = {"cases": [asdict(case) for case in self.cases], "episodes": [asdict(one) for one in self.episodes]}
        return json.dumps(found, allow_nan=False) + "\n"


class _Pictures:
    """PNGs of distinct frames under names, while there is room."""

    def __init__(self, limit_bytes: float) -> None:
        self.frames: dict[str, bytes] = {}
        self.full = False
        self._left = limit_bytes

    def add(self, id: str, number: int, trajectory: Trajectory) -> str | None:
        """The name of a frame's picture; None where there is no room left for it."""
        frame = trajectory.frames[number]
        data = files.png(frame)
        name = next((known for known, held in self.frames.items() if held == data), None)
        if name is not None:
            return name
        if len(data) > self._left:
            self.full = True
            return None
        name = f"{id}-{number:05d}.png"
        self._left -= len(data)
        self.frames[name] = data
        return name


def gather(source: Source, mebibytes: float, progress: Progress = silent) -> Evidence:
    """Choose cases and episodes; what has no room is left out, cases last.

    Raises:
        BadInput: there is room for nothing.
    """
    if mebibytes < 0.1:
        raise BadInput(f"frames need at least 0.1 MiB, not {mebibytes:g}")
    notes: list[str] = []
    said = _said(source, notes, part(progress, 0, 30))
    wanted: dict[str, list[tuple[str, int, str]]] = {}
    for key in (step.key for step in source.proposal.steps):
        for id, number, why in _decisive(key, source, said):
            wanted.setdefault(id, []).append((key, number, why))
    chosen = _episodes(source, said)
    pictures = _Pictures(mebibytes * 2**20)
    cases: list[Case] = []
    episodes: list[Episode] = []
    shown, tell = list(dict.fromkeys([*wanted, *chosen])), part(progress, 30, 100)
    for done, id in enumerate(shown):
        tell(done, len(shown), f"frames of {id}")
        try:
            trajectory = source.session.trajectory(id)
        except DamagedFile as error:
            notes.append(str(error))
            continue
        cases += _cases(id, wanted.get(id, []), trajectory, said[id], pictures)
        if id in chosen:
            episodes += _episode(id, trajectory, source, said[id], pictures)
    if pictures.full:
        notes.append(f"recorded frames beyond {mebibytes:g} MiB are left out of the tests")
    return Evidence(tuple(cases), tuple(episodes), pictures.frames, tuple(notes))


def _said(source: Source, notes: list[str], progress: Progress) -> dict[str, dict[str, Answers]]:
    """By trajectory and checker key, for the trajectories about which every checker was asked."""
    found = {}
    for done, (id, info) in enumerate(source.infos.items()):
        progress(done, len(source.infos), f"answers about {id}")
        asked = {
            step.key: source.session.answers(step.checker.digest, id, info.steps + 1) for step in source.proposal.steps
        }
        answers = {key: answer for key, answer in asked.items() if answer is not None}
        if len(answers) == len(asked):
            found[id] = answers
    if len(found) < len(source.infos):
        notes.append(
            f"what was said about {len(source.infos) - len(found)} trajectories is not kept any more; verify again to "
            "have them among the tests"
        )
    return found


def _decisive(key: str, source: Source, said: Mapping[str, Mapping[str, Answers]]) -> Iterator[tuple[str, int, str]]:
    """(trajectory, frame, why) for one checker."""
    fires = {id: first_fire(answers[key]) for id, answers in said.items()}
    fired = sorted((id for id in said if fires[id] is not None), key=lambda id: source.infos[id].source != "expert")
    for id in fired[:FIRES_MAX]:
        frame = fires[id]
        assert frame is not None
        yield id, frame, "first done here"
        yield id, frame - 1, "one before it is done"
    yield from _negatives(key, source.infos, said)


def _negatives(
    key: str, infos: Mapping[str, TrajectoryInfo], said: Mapping[str, Mapping[str, Answers]]
) -> Iterator[tuple[str, int, str]]:
    chance = np.random.default_rng(SEED)
    others = [id for id in said if infos[id].source != "expert"]
    for id in chance.permutation(others)[:NEGATIVES_MAX].tolist():
        undone = np.flatnonzero(~said[id][key].done & ~np.isnan(said[id][key].values))
        if len(undone):
            yield str(id), int(chance.choice(undone)), "not done here"


def _cases(
    id: str,
    wanted: list[tuple[str, int, str]],
    trajectory: Trajectory,
    answers: Mapping[str, Answers],
    pictures: _Pictures,
) -> Iterator[Case]:
    for key, number, why in wanted:
        value = float(answers[key].values[number])
        if np.isnan(value):
            continue
        initial, frame = (pictures.add(id, at, trajectory) for at in (0, number))
        if initial is not None and frame is not None:
            yield Case(key, id, number, initial, frame, value, why)


def _episodes(source: Source, said: Mapping[str, Mapping[str, Answers]]) -> list[str]:
    """An expert's, and of the others the one in which most is done."""
    experts = [id for id in said if source.infos[id].source == "expert"]
    others = [id for id in said if source.infos[id].source != "expert"]
    others.sort(key=lambda id: -sum(bool(said[id][step.key].done.any()) for step in source.paid))
    return [*experts[:1], *others[:1]]


def _episode(
    id: str, trajectory: Trajectory, source: Source, answers: Mapping[str, Answers], pictures: _Pictures
) -> Iterator[Episode]:
    """The episode as far as there is room for its frames; nothing where that is not one step."""
    names: list[str] = []
    order: list[int] = []
    for number in range(trajectory.steps + 1):
        name = pictures.add(id, number, trajectory)
        if name is None or (name not in names and len(names) == EPISODE_FRAMES_MAX):
            break
        if name not in names:
            names.append(name)
        order.append(names.index(name))
    steps = len(order) - 1
    if steps < 1:
        return
    terminated = trajectory.terminated and steps == trajectory.steps
    solved = trajectory.success if terminated else None
    yield Episode(
        name=id,
        source=trajectory.source,
        seed=trajectory.seed,
        frames=tuple(names),
        order=tuple(order),
        actions=trajectory.actions[:steps].tolist(),
        env_rewards=tuple(trajectory.rewards[:steps].tolist()),
        terminated=terminated,
        solved=solved,
        paid={name: paid(source, answers, payment, steps, solved) for name, payment in source.payments.items()},
    )


def paid(
    source: Source, answers: Mapping[str, Answers], payment: Payment, steps: int, solved: bool | None
) -> list[dict[str, Any]]:
    """What the first steps of an episode are paid, by what was answered when it was verified."""
    keys = [step.key for step in source.paid]

    def look(frame: int) -> Any:
        values = [float(answers[key].values[frame]) for key in keys]
        return lambda index: None if np.isnan(values[index]) else values[index]

    account = Account(payment, keys)
    account.begin(look(0))
    rows = []
    for step in range(1, steps + 1):
        given = account.step(look(step) if account.looks else None, solved if step == steps else None)
        rows += [{"step": step, "key": key, "amount": amount} for key, amount in given.components.items()]
    return rows

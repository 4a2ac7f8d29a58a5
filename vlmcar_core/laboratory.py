"""The laboratory over a session: examine a proposal's checkers, keep what was found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vlmcar_core import chain, pipeline, plugins, recordings, rollouts
from vlmcar_core.errors import BadInput, Cancelled, DamagedFile, UnknownName
from vlmcar_core.examinations import Examination
from vlmcar_core.marks import standing
from vlmcar_core.progress import silent
from vlmcar_core.recordings import Distinct
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Count, Frame, Progress, Proposal, Trajectory
from vlmcar_core.verdicts import Verification

if TYPE_CHECKING:
    from vlmcar_core.lab.examine import Material
    from vlmcar_core.lab.truth import Episode

BUDGETS = {"reachable": 50_000, "cem": 500, "shooting": 500, "ppo": 20_000}
"""Of an attack by its kind: states, episodes, or steps of training."""

STEPS_MIN = 50
"""An attack's episodes are as long as the session's random ones, and no shorter than this."""


def examine(
    session: Session,
    number: int | None = None,
    mutants: bool = True,
    facts: Mapping[str, str | None] | None = None,
    progress: Progress = silent,
) -> Examination:
    """Verify what is not verified yet, then examine every checker and keep what was found.

    Args:
        session: which.
        number: of the proposal; the standing one if None.
        mutants: work out the mutation score, too, which takes longest.
        facts: by checker key, the simulator's fact that it is about, None for none. What was named before stays named;
            the rest is guessed.
        progress: told how far it is.

    Raises:
        UnknownName: there is no such checker or fact.
    """
    from vlmcar_core.lab import examine as stage

    proposal = session.proposal(number)
    verification = pipeline.verify(session, proposal.number, progress)
    named = {key: fact for key, fact in _named(session).items() if key in {step.key for step in proposal.steps}}
    material = material_of(session, proposal, verification, {**named, **(facts or {})})
    _check(facts or {}, proposal, material.episodes)
    steps = len(proposal.steps)
    seen: list[str] = []

    def told(message: str) -> None:
        if message.startswith("examining"):
            seen.append(message)
        progress(max(0, len(seen) - 1), steps, message)

    try:
        examination = session.add_examination(stage.examine(proposal, material, mutants, told))
    finally:
        session.forget_made_answers()
    progress(steps, steps, f"{examination.episodes} episodes, and {examination.made} made from them")
    return examination


@dataclass(frozen=True)
class Attacked:
    """What an attack found, and where it is kept."""

    told: str
    """What is shown, exactly as far as it holds."""

    reasons: tuple[str, ...]
    """Of each find: what was called done, and why it should not be."""

    trajectories: tuple[str, ...]
    """Their ids, in the same order."""

    rate: Count | None = None
    """Episodes in which everything is called done though they are never solved; None where states were searched."""

    best: float | None = None
    """The highest learned return of an episode that is never solved, in [0, 1]; None where states were searched."""

    expert: float | None = None
    """The mean learned return of the session's experts, in [0, 1]; None where there are none."""


def attacks(session: Session) -> tuple[str, ...]:
    """The kinds of attack that the session's environment and newest proposal allow; the one to begin with first.

    Raises:
        BadInput: the session has no environment.
        UnknownName: nothing is proposed.
    """
    if session.task.family is None:
        raise BadInput(f"session {session.name!r} has two frames and no environment; there is nothing to search")
    family = plugins.load("envs", session.task.family)
    whole = hasattr(family, "restore") and not any(step.checker.in_order for step in session.proposal().steps)
    return tuple(kind for kind in BUDGETS if whole or kind != "reachable")


def attack(
    session: Session,
    number: int | None = None,
    kind: str | None = None,
    budget: int | None = None,
    progress: Progress = silent,
) -> Attacked:
    """Search for ways to be paid for nothing, and keep each as an adversarial trajectory, which every later
    verification and examination meets.

    Args:
        session: which.
        number: of the proposal; the standing one if None. What its checkers are about is what its newest examination
            says of them; without one, only the whole is attacked.
        kind: reachable: every state that the session's layout can reach, nearest first; shooting: random actions; cem:
            the cross-entropy method; ppo: a policy trained on the checkers' pay. The first of `attacks` if None.
        budget: states, episodes, or steps of training, at most; `BUDGETS` has what it is if None.
        progress: told how far it is.

    Raises:
        BadInput: the environment cannot go back to a state, a checker has to see whole episodes, or the actions cannot
            be chosen so.
        Cancelled: through `progress`; what was found until then is kept.
        UnknownName: there is no such kind.
        CheckerDisabled: a checker had to be ended three times.
    """
    proposal, task = session.proposal(number), session.task
    kind = kind or attacks(session)[0]
    if kind not in BUDGETS:
        raise UnknownName.among("kind of attack", kind, BUDGETS)
    if task.family is None:
        raise BadInput(f"session {session.name!r} has two frames and no environment; there is nothing to search")
    budget = budget or BUDGETS[kind]
    examination = session.examination(proposal.number or 0)
    facts = {found.key: found.fact for found in examination.checkers} if examination is not None else {}
    if kind == "reachable":
        return _reachable(session, proposal, facts, budget, progress)
    return _hunted(session, proposal, facts, kind, budget, progress)


def _reachable(
    session: Session, proposal: Proposal, facts: Mapping[str, str | None], states: int, progress: Progress
) -> Attacked:
    from vlmcar_core.lab import reachable

    task = session.task

    def told(done: int, total: int) -> None:
        progress(done, total, f"{done:,} states looked at")

    searched = reachable.reachable(task, proposal, facts, states, told)
    ids = tuple(_found(session, task.seed, find.actions, "reachable", find.reason) for find in searched.finds)
    _unless_stopped(searched.stopped, ids)
    return Attacked(searched.told(task.seed), tuple(find.reason for find in searched.finds), ids)


def _hunted(
    session: Session, proposal: Proposal, facts: Mapping[str, str | None], kind: str, budget: int, progress: Progress
) -> Attacked:
    from vlmcar_core.lab import search

    unit = "steps of training" if kind == "ppo" else "episodes"

    def told(done: int, total: int) -> None:
        progress(done, total, f"{done:,} {unit}")

    expert = _expert_pay(session, proposal)
    steps = min(rollouts.steps_limit(session.task), max(session.header().recording.random_steps, STEPS_MIN))
    known = next(one for one in search.KINDS if one == kind)
    hunted = search.hunt(known, session.task, proposal, facts, budget, steps, told=told)
    finds = list(hunted.finds.values())
    ids = tuple(_found(session, find.seed, find.actions, kind, find.reason) for find in finds)
    _unless_stopped(hunted.stopped, ids)
    reasons = tuple(find.reason for find in finds)
    return Attacked(hunted.told(expert), reasons, ids, hunted.rate, hunted.best, expert)


def _expert_pay(session: Session, proposal: Proposal) -> float | None:
    """The mean learned return of the recorded experts, in [0, 1]."""
    from vlmcar_core.sandbox import CheckerProcess
    from vlmcar_core.verify import ask

    returns = []
    with CheckerProcess([step.checker for step in proposal.paid]) as process:
        for info in session.trajectories().items:
            frames = pipeline.frames(session, info.id) if info.is_expert else None
            if frames is not None:
                done = np.stack([ask(process, step.checker, frames).done for step in proposal.paid], axis=1)
                returns.append(float(np.mean([bool(frame) for frame in chain.completions(done)])))
    return float(np.mean(returns)) if returns else None


def _unless_stopped(stopped: bool, ids: Sequence[str]) -> None:
    if stopped:
        kept = f"what it found is kept: {', '.join(ids)}" if ids else "until then it found nothing"
        raise Cancelled(f"the search was stopped by a person; {kept}")


def _found(session: Session, seed: int, actions: Sequence[Any], kind: str, reason: str) -> str:
    """Keep what a search found, with the name of the search and the reason; its id."""
    episode = rollouts.record_actions(session.task, seed, actions, "adversarial")
    return keep(session, replace(episode, versions={**episode.versions, "search": kind, "reason": reason}))


def near_misses(session: Session, layouts: int = 2, progress: Progress = silent) -> list[str]:
    """Record near misses on the first layouts of the session and, where the simulator can go back to a state, its
    sub-tasks out of order; returns the ids of those that are there now.

    Raises:
        NoExpert: there is no expert for this environment.
    """
    from vlmcar_core.lab import near_misses as stage
    from vlmcar_core.lab import out_of_order as order

    ids, task = [], session.task
    for done in range(layouts):
        progress(done, layouts, f"layout {done + 1} of {layouts}")
        ids += [keep(session, trajectory) for trajectory in stage.near_misses(task, task.seed + done)]
        if order.possible(task):
            progress(done, layouts, f"layout {done + 1} of {layouts}: what can be done out of order")
            ids += [keep(session, trajectory) for trajectory in order.out_of_order(task, task.seed + done)]
    progress(layouts, layouts, f"{len(ids)} near misses")
    return ids


def hard_scenes(session: Session, layouts: int = 1, progress: Progress = silent) -> list[str]:
    """Record episodes beside a wrong object on the first layouts of the session; returns the ids of those that are
    there now.

    Raises:
        BadInput: nothing can be put into the layouts of this environment.
    """
    from vlmcar_core.lab import hard_scenes as stage

    ids = []
    for done in range(layouts):
        progress(done, layouts, f"layout {done + 1} of {layouts}")
        ids += [keep(session, trajectory) for trajectory in stage.hard_scenes(session.task, session.task.seed + done)]
    progress(layouts, layouts, f"{len(ids)} episodes beside a wrong object")
    return ids


def has_scenes(session: Session) -> bool:
    """Whether a wrong object can be put into the layouts of its environment."""
    return session.task.family is not None and hasattr(plugins.load("envs", session.task.family), "scenes")


def keep(session: Session, trajectory: Trajectory) -> str:
    """Store an episode that was made on purpose; its id. The same episode is not stored twice."""
    return stored(session, trajectory) or session.add_trajectory(trajectory)


def stored(session: Session, trajectory: Trajectory) -> str:
    """The id under which the very same episode is stored; empty where it is not."""
    for info in session.trajectories().items:
        if (info.source, info.seed, info.steps) == (trajectory.source, trajectory.seed, trajectory.steps):
            there = _trajectory(session, info.id)
            same = there is not None and there.versions.get("scene") == trajectory.versions.get("scene")
            if same and there is not None and np.array_equal(there.actions, trajectory.actions):
                return info.id
    return ""


def material_of(
    session: Session, proposal: Proposal, verification: Verification, facts: Mapping[str, str | None]
) -> "Material":
    """What a verified proposal is examined with: every trajectory that can be read and that all were asked about.

    Args:
        session: where it is.
        proposal: which.
        verification: of it.
        facts: what a person named, by checker key.
    """
    from vlmcar_core.lab.examine import Material
    from vlmcar_core.lab.truth import Episode

    said: dict[str, dict[str, Answers]] = {}
    episodes: dict[str, Episode] = {}
    digests: dict[str, str] = {}
    examinations = session.examinations().items
    sound = {digest for examination in examinations for digest in examination.evidence.values()}
    for info in session.trajectories().items:
        frames = info.steps + 1
        found = {step.key: session.answers(step.checker.digest, info.id, frames) for step in proposal.steps}
        known = {key: answers for key, answers in found.items() if answers is not None}
        path = session.trajectory_path(info.id)
        if info.id not in verification.trajectories or len(known) < len(found):
            continue
        digest = recordings.digest(path)
        # The same bytes as an examination went through before need not be read again to see that they can be.
        if digest in sound or pipeline.frames(session, info.id) is not None:
            said[info.id], digests[info.id] = known, digest
            scene = info.versions.get("scene", "")
            episodes[info.id] = Episode(info.id, info.source, info.success, recordings.read_facts(path), scene)
    impure = {verdict.key: verdict.impure for verdict in verification.verdicts if verdict.impure}
    marks = standing(session.marks().items)
    earlier = [found for examination in examinations for found in examination.checkers]
    return Material(
        _Stored(session, list(said)),
        said,
        impure,
        facts,
        marks,
        episodes,
        _Shelf(session),
        _Made(session),
        digests,
        earlier,
    )


class _Shelf:
    """Frames of stored trajectories: those that were read lately are in memory."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def frames(self, id: str) -> Distinct:
        return self._session.frames(id)

    def initial(self, id: str) -> Frame:
        return recordings.read_frame(self._session.trajectory_path(id), 0)


class _Made:
    """What was said about made episodes, kept in the session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, content: str, frames: int) -> Answers | None:
        return self._session.made_answers(content, frames)

    def keep(self, content: str, answers: Answers) -> None:
        self._session.save_made_answers(content, answers)


class _Stored(Mapping[str, Trajectory]):
    """Stored trajectories, each read when it is asked for: all of them may be larger than the memory."""

    def __init__(self, session: Session, ids: Sequence[str]) -> None:
        self._session, self._ids = session, ids

    def __getitem__(self, id: str) -> Trajectory:
        if id not in self._ids:
            raise KeyError(id)
        return self._session.trajectory(id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _named(session: Session) -> dict[str, str | None]:
    """What a person named in the newest examination."""
    items = session.examinations().items
    return {found.key: found.fact for found in items[-1].checkers if found.named} if items else {}


def _check(facts: Mapping[str, str | None], proposal: Proposal, episodes: Mapping[str, "Episode"]) -> None:
    keys = [step.key for step in proposal.steps]
    known = sorted({name for episode in episodes.values() for name in episode.facts})
    for key, fact in facts.items():
        if key not in keys:
            raise UnknownName.among("sub-task", key, keys)
        if fact is not None and fact not in known:
            raise UnknownName.among("fact", fact, known)


def _trajectory(session: Session, id: str) -> Trajectory | None:
    try:
        return session.trajectory(id)
    except DamagedFile:
        return None

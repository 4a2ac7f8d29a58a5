"""Everything that the laboratory can say about the checkers of a proposal, from what is recorded."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from vlmcar_core import recordings
from vlmcar_core.examinations import Case, Examination, Examined, Mutation
from vlmcar_core.lab import coverage, evidence, lints, mutation, occlusion, operators, people, truth, turns
from vlmcar_core.lab.evidence import Witness
from vlmcar_core.lab.operators import Made
from vlmcar_core.lab.truth import Anchor, Episode
from vlmcar_core.marks import Mark
from vlmcar_core.recordings import Distinct
from vlmcar_core.sandbox import CheckerProcess, Limits, diagnose
from vlmcar_core.types import Answers, Count, Frame, Proposal, SubTask, Trajectory
from vlmcar_core.verify import ask

VERSION = 1
"""Of what an examination does: raised with every change of what it may find, so that nothing older is taken for it."""

COVERED_FRAMES = 400
MADE_FROM = 2
"""Episodes are made from so many experts."""

Said = Mapping[str, Mapping[str, Answers]]
"""Episode id to checker key to what it said."""

Told = Callable[[str], None]


class Shelf(Protocol):
    """Where the frames of recorded episodes are kept."""

    def frames(self, id: str) -> Distinct:
        """All of an episode's."""

    def initial(self, id: str) -> Frame:
        """An episode's first."""


class Remembered(Protocol):
    """What was said about made episodes, by SHA-256 of all that it depends on."""

    def get(self, content: str, frames: int) -> Answers | None:
        """None where it is not known; `frames` is how many the episode has."""

    def keep(self, content: str, answers: Answers) -> None:
        """For the next time."""


@dataclass(frozen=True, eq=False)
class Material:
    """What there is to examine with."""

    trajectories: Mapping[str, Trajectory]
    """By id, in the order in which they were recorded; may read one only when it is asked for."""

    said: Said
    """Of every checker about every one of them."""

    impure: Mapping[str, str] = field(default_factory=dict)
    """By checker key: what it answers differently in another order."""

    facts: Mapping[str, str | None] = field(default_factory=dict)
    """By checker key: the fact that a person says it is about; None for no fact. What is not there is guessed."""

    marks: Sequence[Mark] = ()
    """What people said by eye, as it stands."""

    known: Mapping[str, Episode] | None = None
    """What is known of every one of them beside its frames; looked up in `trajectories` if None."""

    shelf: Shelf | None = None
    """Where frames alone are to be had more cheaply; they are taken from `trajectories` if None."""

    made: Remembered | None = None
    """What was said about made episodes before; nothing is remembered if None."""

    digests: Mapping[str, str] = field(default_factory=dict)
    """By id, a digest of the trajectory's file. Where one is not there nothing is taken over from `earlier`."""

    earlier: Sequence[Examined] = ()
    """What examinations found before, newest last: what was found from the same is not worked out again."""

    @property
    def episodes(self) -> Mapping[str, Episode]:
        if self.known is not None:
            return self.known
        return {id: Episode.of(id, trajectory) for id, trajectory in self.trajectories.items()}

    def frames(self, id: str) -> Distinct:
        """An episode's frames, each different one once."""
        if self.shelf is not None:
            return self.shelf.frames(id)
        return recordings.distinct_frames(self.trajectories[id].frames)

    def initial(self, id: str) -> Frame:
        """An episode's first frame."""
        return self.shelf.initial(id) if self.shelf is not None else self.trajectories[id].frames[0]


def examine(
    proposal: Proposal, material: Material, mutants: bool = True, told: Told = lambda _message: None
) -> Examination:
    """Examine every checker of a proposal.

    Args:
        proposal: it has a number.
        material: what is recorded, and what was said about it.
        mutants: work out the mutation score, too, which takes longest.
        told: what is being done.

    Raises:
        SandboxError: our own machinery failed.
    """
    if proposal.number is None:
        raise ValueError("a proposal is examined once it is stored and has a number")
    episodes = material.episodes
    # Beside a wrong object a right checker may fire at the wrong time; what it is about shows where there is none.
    ids = [id for id, episode in episodes.items() if episode.source == "expert" and not episode.scene]
    experts = [(episodes[id], material.said[id]) for id in ids]
    guessed = truth.anchors(proposal.steps, experts, episodes.values())
    made = _Making(material, ids[:MADE_FROM])
    examined = []
    with CheckerProcess([step.checker for step in proposal.steps]) as process:
        for step in proposal.steps:
            anchor = guessed[step.key]
            if step.key in material.facts:
                anchor = Anchor(material.facts[step.key], "named", anchor.likely)
            basis = _basis(step, anchor, material)
            found = _known_already(basis, material.earlier, mutants)
            told(f"examining {step.key}" if found is None else f"examining {step.key}: nothing has changed since")
            if found is None:
                found = _Bench(step, anchor.fact, episodes, material, process).examined(made, mutants, told)
            near = truth.nearest(step.key, experts) if anchor.origin == "none" else ""
            lints = (*found.lints, near) if near and near not in found.lints else found.lints
            examined.append(
                replace(
                    found,
                    named=anchor.origin == "named",
                    origin=anchor.origin,
                    likely=anchor.likely,
                    lints=lints,
                    basis=basis,
                )
            )
    return Examination(
        proposal.number,
        tuple(examined),
        alignment(proposal, material),
        len(episodes),
        made.judged,
        turns.turns(proposal.subtasks, material.said),
        dict(material.digests),
    )


def _known_already(basis: str, earlier: Sequence[Examined], mutants: bool) -> Examined | None:
    """What was found from the same before."""
    if not basis:
        return None
    same = (found for found in reversed(earlier) if found.basis == basis)
    return next((found for found in same if found.mutation is not None or not mutants), None)


def _basis(step: SubTask, anchor: Anchor, material: Material) -> str:
    """SHA-256 of all that a checker's examination depends on; empty where that is not known."""
    if set(material.digests) != set(material.said):
        return ""
    held = [(id, material.digests[id], _of_answers(said[step.key])) for id, said in sorted(material.said.items())]
    marks = [repr(mark) for mark in material.marks if mark.key == step.key]
    checker = (step.title, step.key, step.checker.digest, anchor.fact, material.impure.get(step.key, ""))
    return _sha256(repr((VERSION, Limits(), checker, held, marks)).encode())


def _of_answers(answers: Answers) -> str:
    return _sha256(answers.values.tobytes(), repr(sorted(answers.faults.items())).encode())


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


class _Making:
    """The episodes that are made from recorded ones, made when somebody first asks for them."""

    def __init__(self, material: Material, experts: Sequence[str]) -> None:
        self._material, self._experts = material, experts

    @cached_property
    def episodes(self) -> dict[str, Made]:
        """By `<id> <how>`."""
        found: dict[str, Made] = {}
        material = self._material
        randoms = [id for id, episode in material.episodes.items() if episode.source == "random"]
        for id in self._experts:
            expert = material.trajectories[id]
            same = next((other for other in randoms if np.array_equal(material.initial(other), expert.frames[0])), None)
            walk = None if same is None else material.trajectories[same]
            found |= {f"{id} {item.operator}": item for item in operators.negatives(expert, walk)}
        if self._experts:
            changed = operators.changes(material.trajectories[self._experts[0]])
            found |= {f"{self._experts[0]} {item.operator}": item for item in changed}
        return found

    @cached_property
    def contents(self) -> dict[str, str]:
        """By the same name, SHA-256 of its frames."""
        return {id: _sha256(item.trajectory.frames.tobytes()) for id, item in self.episodes.items()}

    @property
    def judged(self) -> int:
        """How many of them show that a checker is wrong, where they contradict it."""
        return sum(item.judged for item in self.episodes.values())


class _Bench:
    """One checker under examination."""

    def __init__(
        self,
        step: SubTask,
        fact: str | None,
        episodes: Mapping[str, Episode],
        material: Material,
        process: CheckerProcess,
    ) -> None:
        self._step, self._fact, self._episodes = step, fact, episodes
        self._material, self._process = material, process

    def examined(self, made: _Making, mutants: bool, told: Told) -> Examined:
        step, material = self._step, self._material
        recorded = [self._recorded(id) for id in self._episodes]
        said = {id: self._asked(made.contents[id], item) for id, item in made.episodes.items()}
        judged = {id: item for id, item in made.episodes.items() if item.judged}
        negatives = [self._negative(id, item, said[id]) for id, item in judged.items()]
        changed = {id: item for id, item in made.episodes.items() if not item.judged}
        shaken = [case for id, item in changed.items() for case in self._shaken(id, item, said[id])]
        shaken += self._covered()
        witnesses = [*recorded, *negatives]
        answers_by_id = {id: material.said[id][step.key] for id in self._episodes}
        marked, contradicted = people.judged(step.key, material.marks, answers_by_id)
        counted = [*evidence.rows(witnesses), *marked]
        covered = coverage.coverage(step.checker, self._pairs())
        answers = list(answers_by_id.values())
        impure = material.impure.get(step.key, "")
        return Examined(
            key=step.key,
            digest=step.checker.digest,
            fact=self._fact,
            rows=tuple(counted),
            cases=(*evidence.cases(witnesses), *contradicted),
            shaken=tuple(shaken),
            offsets=tuple(self._offsets()),
            flicker=_flicker(answers),
            mutation=self._mutation(recorded, told) if mutants else None,
            coverage=covered,
            lints=tuple(lints.lints(answers, diagnose(step.checker.source), shaken, covered, impure)),
            lacking=tuple(evidence.lacking(step.title, counted)),
        )

    def _recorded(self, id: str) -> Witness:
        episode, key = self._episodes[id], self._step.key
        known = truth.expected(key, episode, self._fact)
        return Witness(key, episode, episode.source, self._material.said[id][key], known)

    def _asked(self, frames: str, made: Made) -> Answers:
        """What it says about a made episode, asked only where that is not remembered; `frames` is their digest."""
        checker, remembered = self._step.checker, self._material.made
        content = _sha256(repr((checker.digest, Limits(), frames)).encode())
        trajectory = made.trajectory
        known = None if remembered is None else remembered.get(content, len(trajectory.frames))
        if known is not None:
            return known
        answers = ask(self._process, checker, trajectory)
        if remembered is not None:
            remembered.keep(content, answers)
        return answers

    def _negative(self, id: str, made: Made, answers: Answers) -> Witness:
        episode, key = Episode.of(id, made.trajectory), self._step.key
        return Witness(key, episode, "made", answers, truth.expected(key, episode, self._fact))

    def _shaken(self, id: str, made: Made, after: Answers) -> list[Case]:
        """The first frame in which a small change of the picture changes the answer."""
        origin = next(item for item in self._episodes if id == f"{item} {made.operator}")
        before = self._material.said[origin][self._step.key]
        different = np.flatnonzero(before.done != after.done)
        if not len(different):
            return []
        frame = int(different[0])
        words = ("not done", "done")
        reason = f"{words[int(before.done[frame])]} as recorded, {words[int(after.done[frame])]} when {made.operator}"
        return [Case(self._step.key, id, frame, "changed", reason)]

    def _covered(self) -> list[Case]:
        """On the first expert's first frame; a program in the released style may not be asked about one frame."""
        first = next((id for id, episode in self._episodes.items() if episode.source == "expert"), None)
        if first is None or self._step.checker.in_order:
            return []
        return occlusion.occluded(self._process, self._step.checker, first, self._material.initial(first))

    def _offsets(self) -> list[int]:
        found = []
        for id, episode in self._episodes.items():
            if self._fact is not None and self._fact in episode.facts:
                offset = truth.offset(self._material.said[id][self._step.key], episode.facts[self._fact])
                found += [] if offset is None else [offset]
        return found

    def _mutation(self, recorded: Sequence[Witness], told: Told) -> Mutation:
        def progress(done: int, total: int) -> None:
            told(f"{self._step.key}: {done} of {total} wrong versions told from it")

        answers = {id: self._material.said[id][self._step.key] for id in self._episodes}
        agreed = people.agreed(self._step.key, self._material.marks, answers)
        return mutation.score(self._step.checker, recorded, self._material.frames, progress, agreed)

    def _pairs(self) -> Iterator[tuple[Frame, Frame]]:
        """Frames of every episode, those in which the answer changes first."""
        left = COVERED_FRAMES
        for id in self._episodes:
            done = self._material.said[id][self._step.key].done
            changes = (int(place) + side for place in np.flatnonzero(np.diff(done)) for side in (0, 1))
            places = sorted({0, len(done) - 1, *changes})[:left]
            if not places:
                return
            frames, order = self._material.frames(id)
            yield from ((frames[order[0]], frames[order[place]]) for place in places)
            left -= len(places)


def _flicker(answers: Sequence[Answers]) -> Count:
    fired = [found.done for found in answers if found.done.any()]
    return Count(sum(bool((~done[int(np.argmax(done)) :]).any()) for done in fired), len(fired))


def alignment(proposal: Proposal, material: Material) -> float | None:
    """Kendall's tau-b (Kendall 1945) between learned return and success over the episodes whose success is known: the
    Trajectory Alignment Coefficient of Muslimani et al. (2025), with success as the preference. None where all returns,
    or all successes, are the same."""
    from scipy.stats import kendalltau

    from vlmcar_core import chain

    pairs = []
    for id, episode in material.episodes.items():
        if episode.success is not None and proposal.subtasks:
            done = np.stack([material.said[id][step.key].done for step in proposal.subtasks], axis=1)
            completed = chain.completions(done)
            pairs.append((sum(bool(frame) for frame in completed), episode.success))
    if len(set(pairs)) < 2:
        return None
    found = float(kendalltau([paid for paid, _ in pairs], [success for _, success in pairs]).statistic)
    return None if np.isnan(found) else round(found, 4)

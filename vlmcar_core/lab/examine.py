"""Everything that the laboratory can say about the checkers of a proposal, from what is recorded."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vlmcar_core.examinations import Case, Examination, Examined, Mutation
from vlmcar_core.lab import coverage, evidence, lints, mutation, occlusion, operators, people, truth
from vlmcar_core.lab.evidence import Witness
from vlmcar_core.lab.operators import Made
from vlmcar_core.lab.truth import Episode
from vlmcar_core.marks import Mark
from vlmcar_core.sandbox import CheckerProcess, diagnose
from vlmcar_core.types import Answers, Count, Frame, Frames, Proposal, SubTask, Trajectory
from vlmcar_core.verify import ask

COVERED_FRAMES = 400
MADE_FROM = 2
"""Episodes are made from so many experts."""

Said = Mapping[str, Mapping[str, Answers]]
"""Episode id to checker key to what it said."""

Told = Callable[[str], None]


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

    @property
    def episodes(self) -> Mapping[str, Episode]:
        if self.known is not None:
            return self.known
        return {id: Episode.of(id, trajectory) for id, trajectory in self.trajectories.items()}


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
    experts = [id for id, episode in episodes.items() if episode.source == "expert" and not episode.scene]
    guessed = truth.anchors(proposal.steps, [(episodes[id], material.said[id]) for id in experts])
    made = _made(material, experts[:MADE_FROM])
    examined = []
    with CheckerProcess([step.checker for step in proposal.steps]) as process:
        for step in proposal.steps:
            told(f"examining {step.key}")
            named = step.key in material.facts
            fact = material.facts[step.key] if named else guessed[step.key]
            found = _Bench(step, fact, episodes, material, process).examined(made, mutants, told)
            if fact is None and not named:
                near = truth.nearest(step.key, [(episodes[id], material.said[id]) for id in experts])
                found = replace(found, lints=(*found.lints, *([near] if near else [])))
            examined.append(replace(found, named=named))
    return Examination(
        proposal.number,
        tuple(examined),
        alignment(proposal, material),
        len(episodes),
        sum(item.judged for item in made.values()),
    )


def _made(material: Material, experts: Sequence[str]) -> dict[str, Made]:
    """By `<id> <how>`."""
    found: dict[str, Made] = {}
    randoms = [id for id, episode in material.episodes.items() if episode.source == "random"]
    for id in experts:
        expert = material.trajectories[id]
        walks = (material.trajectories[random] for random in randoms)
        same = next((item for item in walks if np.array_equal(item.frames[0], expert.frames[0])), None)
        found |= {f"{id} {item.operator}": item for item in operators.negatives(expert, same)}
    if experts:
        changed = operators.changes(material.trajectories[experts[0]])
        found |= {f"{experts[0]} {item.operator}": item for item in changed}
    return found


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

    def examined(self, made: Mapping[str, Made], mutants: bool, told: Told) -> Examined:
        step, material = self._step, self._material
        recorded = [self._recorded(id) for id in self._episodes]
        negatives = [self._negative(id, item) for id, item in made.items() if item.judged]
        shaken = [case for id, item in made.items() if not item.judged for case in self._shaken(id, item)]
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

    def _negative(self, id: str, made: Made) -> Witness:
        episode, key = Episode.of(id, made.trajectory), self._step.key
        known = truth.expected(key, episode, self._fact)
        return Witness(key, episode, "made", ask(self._process, self._step.checker, made.trajectory), known)

    def _shaken(self, id: str, made: Made) -> list[Case]:
        """The first frame in which a small change of the picture changes the answer."""
        origin = next(item for item in self._episodes if id == f"{item} {made.operator}")
        before, after = (
            self._material.said[origin][self._step.key],
            ask(self._process, self._step.checker, made.trajectory),
        )
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
        return occlusion.occluded(self._process, self._step.checker, first, self._frames(first)[0])

    def _offsets(self) -> list[int]:
        found = []
        for id, episode in self._episodes.items():
            if self._fact is not None and self._fact in episode.facts:
                offset = truth.offset(self._material.said[id][self._step.key], episode.facts[self._fact])
                found += [] if offset is None else [offset]
        return found

    def _mutation(self, recorded: Sequence[Witness], told: Told) -> Mutation:
        def progress(done: int, total: int) -> None:
            told(f"{self._step.key}: wrong version {done + 1} of {total}")

        answers = {id: self._material.said[id][self._step.key] for id in self._episodes}
        agreed = people.agreed(self._step.key, self._material.marks, answers)
        return mutation.score(self._step.checker, recorded, self._frames, progress, agreed)

    def _frames(self, id: str) -> Frames:
        return self._material.trajectories[id].frames

    def _pairs(self) -> Iterable[tuple[Frame, Frame]]:
        """Frames of every episode, those in which the answer changes first."""
        pairs: list[tuple[Frame, Frame]] = []
        for id in self._episodes:
            if len(pairs) >= COVERED_FRAMES:
                break
            frames, done = self._frames(id), self._material.said[id][self._step.key].done
            telling = {
                0,
                len(frames) - 1,
                *(int(place) + side for place in np.flatnonzero(np.diff(done)) for side in (0, 1)),
            }
            # Copies: a view would keep every frame of the episode.
            initial = frames[0].copy()
            pairs += [(initial, frames[place].copy()) for place in sorted(telling)]
        return pairs[:COVERED_FRAMES]


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

"""Checkers × trajectories → counts. Asking needs the contained process; counting is pure."""

import time
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import chain, recordings
from vlmcar_core.recordings import Distinct, TrajectoryInfo
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import GOAL, Answers, Checker, Count, Proposal, Thresholds, Trajectory
from vlmcar_core.verdicts import Verdict, Verification, Wrong

NEGATIVE = "adversarial"
"""The source of episodes that were looked for, or kept, because they are paid and not solved."""

UNSOLVED = (NEGATIVE, "near-miss")
"""Sources of episodes that are recorded because they are not solved."""

AnswersOf = Mapping[tuple[str, str], Answers]
"""(digest of the checker, id of the trajectory) to what it said."""


def ask(process: CheckerProcess, checker: Checker, episode: Trajectory | Distinct) -> Answers:
    """What a checker says about every frame of an episode, in its order.

    A checker is a function of two frames, so a frame that repeats is asked once; a program in the released style is
    shown every frame in order.
    """
    shown, order = recordings.distinct_frames(episode.frames) if isinstance(episode, Trajectory) else episode
    if checker.in_order:
        shown, order = shown[order], np.arange(len(order), dtype=np.int32)
    process.start(checker.key)
    began = time.perf_counter()
    outcomes = process.run(checker.key, shown[order[0]], shown)
    seconds = (time.perf_counter() - began) / len(shown)
    values = np.array([np.nan if outcome.value is None else outcome.value for outcome in outcomes], np.float32)
    faults = {frame: outcomes[number] for frame, number in enumerate(order) if outcomes[number].kind != "ok"}
    return Answers(values[order], faults, seconds)


def verify(
    proposal: Proposal,
    infos: Mapping[str, TrajectoryInfo],
    answers: AnswersOf,
    thresholds: Thresholds,
    random_steps: int,
    impure: Mapping[str, str] | None = None,
) -> Verification:
    """Count what the checkers said; judges nothing.

    Args:
        proposal: what was asked; it has a number.
        infos: every trajectory that each checker was asked about, by id.
        answers: what was said.
        random_steps: length at which random episodes were cut, in steps.
        impure: digests of checkers that keep something between calls, and how that was seen.
    """
    if proposal.number is None:
        raise ValueError("a proposal is verified once it is stored and has a number")
    whole = {id: _whole(proposal, id, answers) for id in infos}
    experts = [id for id, info in infos.items() if info.is_expert]
    randoms = [id for id, info in infos.items() if info.source == "random"]
    unsolved = [id for id in randoms if infos[id].success is not True]
    negatives = [id for id, info in infos.items() if _is_negative(info)]
    return Verification(
        proposal=proposal.number,
        verdicts=tuple(_verdict(step.checker, infos, answers, impure or {}) for step in proposal.steps),
        expert=_count(whole[id] is not None for id in experts),
        random=_count(whole[id] is not None for id in unsolved),
        random_solved=len(randoms) - len(unsolved),
        random_steps=random_steps,
        thresholds=thresholds,
        trajectories=tuple(infos),
        wrong=_wrong_wholes(proposal, infos, answers, whole),
        negatives=_count(whole[id] is not None for id in negatives),
    )


def _is_negative(info: TrajectoryInfo) -> bool:
    return info.source == NEGATIVE and info.success is False and info.of_the_task


def subtasks_done(proposal: Proposal, id: str, answers: AnswersOf) -> NDArray[np.bool_]:
    """What the sub-tasks' checkers said of one trajectory, bool, shape (T + 1, n)."""
    rows = [answers[step.checker.digest, id].done for step in proposal.subtasks]
    if not rows:
        return np.zeros((len(answers[proposal.goal.checker.digest, id].values), 0), np.bool_)
    return np.stack(rows, axis=1)


def _whole(proposal: Proposal, id: str, answers: AnswersOf) -> int | None:
    return chain.completed_whole(subtasks_done(proposal, id, answers), answers[proposal.goal.checker.digest, id].done)


def _count(hits: Iterable[bool]) -> Count:
    found = list(hits)
    return Count(sum(found), len(found))


def first_fire(answers: Answers) -> int | None:
    """The first frame after the first one that is called done; None where there is none, or the first is."""
    done = answers.done
    if done[0] or not done.any():
        return None
    return int(np.argmax(done))


def _verdict(
    checker: Checker, infos: Mapping[str, TrajectoryInfo], answers: AnswersOf, impure: Mapping[str, str]
) -> Verdict:
    said = {id: answers[checker.digest, id] for id in infos}
    fired = {id: first_fire(answer) is not None for id, answer in said.items()}
    negatives = [id for id, info in infos.items() if _is_negative(info)]
    unsolved = [
        id for id, info in infos.items() if info.success is False and info.of_the_task and info.source != NEGATIVE
    ]
    faulty = {id: answer for id, answer in said.items() if answer.faults}
    return Verdict(
        key=checker.key,
        digest=checker.digest,
        expert=_count(fired[id] for id, info in infos.items() if info.is_expert),
        random=_count(fired[id] for id, info in infos.items() if info.source == "random"),
        at_start=_count(bool(answer.done[0]) for answer in said.values()),
        faulty=Count(len(faulty), len(said)),
        false_goals=_count(bool(said[id].done.any()) for id in unsolved if checker.key == GOAL),
        fault=_first_fault(faulty),
        wrong=_wrongs(checker, infos, said),
        frame_seconds=_mean(answer.frame_seconds for answer in said.values()),
        impure=impure.get(checker.digest, ""),
        negatives=_count(bool(said[id].done.any()) for id in negatives if checker.key == GOAL),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _first_fault(faulty: Mapping[str, Answers]) -> str:
    """That it was not asked any more is told only where nothing else went wrong."""
    firsts = [(id, *min(answer.faults.items())) for id, answer in faulty.items()]
    for id, frame, fault in sorted(firsts, key=lambda first: first[2].kind == "disabled"):
        where = f", line {fault.line}" if fault.line else ""
        return f"{fault.kind}{where}: {fault.message} (first in {id}, frame {frame})"
    return ""


def _wrongs(checker: Checker, infos: Mapping[str, TrajectoryInfo], said: Mapping[str, Answers]) -> tuple[Wrong, ...]:
    found = [_wrong(checker, infos[id], answer) for id, answer in said.items()]
    return tuple(wrong for wrong in found if wrong is not None)


def _wrong(checker: Checker, info: TrajectoryInfo, answer: Answers) -> Wrong | None:
    """The worst that a checker did in one trajectory, if anything."""
    if answer.faults:
        frame, fault = min(answer.faults.items())
        return Wrong(info.id, frame, f"it failed here: {fault.message}")
    if answer.done[0] and info.is_expert:
        return Wrong(info.id, 0, "it calls the first frame done already, so it could never be paid")
    if checker.key == GOAL and info.success is False and info.of_the_task and answer.done.any():
        frame = int(np.argmax(answer.done))
        return Wrong(info.id, frame, "it calls the goal reached, the environment never calls this episode solved")
    if info.is_expert and not answer.done.any():
        best = float(np.nanmax(answer.values))
        return Wrong(info.id, info.steps, f"it never calls this expert's episode done; its highest value is {best:g}")
    return None


def _wrong_wholes(
    proposal: Proposal, infos: Mapping[str, TrajectoryInfo], answers: AnswersOf, whole: Mapping[str, int | None]
) -> tuple[Wrong, ...]:
    found = []
    for id, info in infos.items():
        frame = whole[id]
        if info.is_expert and frame is None:
            found.append(Wrong(id, *_stuck(proposal, id, info, answers)))
        elif info.source == "random" and info.success is not True and frame is not None:
            found.append(Wrong(id, frame, "a random episode completes everything here"))
        elif info.source in UNSOLVED and info.of_the_task and info.success is False and frame is not None:
            found.append(Wrong(id, frame, "everything is completed here, and the environment never calls it solved"))
    return tuple(found)


def _stuck(proposal: Proposal, id: str, info: TrajectoryInfo, answers: AnswersOf) -> tuple[int, str]:
    """Where an expert's episode stops counting, and for want of what."""
    found = chain.completions(subtasks_done(proposal, id, answers))
    for step, frame in zip(proposal.subtasks, found, strict=True):
        if frame is None:
            return info.steps, f"the expert never completes “{step.title}” in its turn"
    return info.steps, "the expert completes every sub-task, and the goal is not called done at or after that"

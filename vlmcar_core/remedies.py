"""What a hack alarm asks for, one step after the other, wherever somebody left off:

    keep      the episodes that were paid in full and not solved become negatives of the session
    verify    the newest proposal is asked about them
    mend      it completes them: the checkers are wrong
    decide    it completes none of them, and nothing else is decided yet
    clone     right checkers: train anew, with the mended proposal, with pay that cannot be farmed, or with both
    done      there is such a run

A run itself cannot be mended: resumed, it goes on with the checkers and the pay that it began with.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vlmcar_core import alarm, chain, films, runs, verdicts
from vlmcar_core.alarm import Found
from vlmcar_core.laboratory import stored
from vlmcar_core.payments import FARMED
from vlmcar_core.runs import Run, RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal
from vlmcar_core.verdicts import Verification
from vlmcar_core.verify import subtasks_done

Step = Literal["keep", "verify", "mend", "decide", "clone", "done"]


@dataclass(frozen=True)
class Remedy:
    """The next step for a run that raises the alarm."""

    step: Step
    words: str
    """What is so, and what to do, in a sentence or two."""

    command: str
    """That does it, from a shell."""

    proposal: int | None = None
    """What is to be verified, mended or decided on."""

    checker: str = ""
    """The key of the one to mend first."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    """By which a clone is to differ."""


def alarmed(found: Sequence[Run]) -> list[tuple[Run, Found]]:
    """The runs that raise the hack alarm, with what was seen."""
    looked = [(run, alarm.look(run.config, runs.read_evaluations(run.folder))) for run in found]
    return [(run, seen) for run, seen in looked if seen is not None and seen.level == "alarm"]


def remedy(session: Session, run: Run) -> Remedy | None:
    """What to do next about a run that raises the alarm; None where it has kept no episode, or the session has no
    proposal any more, so there is nothing to go by but its curves.

    Raises:
        DamagedFile: a file of it cannot be read.
    """
    if not session.proposals().items:
        return None
    kept = negatives(session, run)
    if not kept:
        return _keep(session, run)
    proposal = session.proposal()
    assert proposal.number is not None
    verification = session.verification(proposal.number)
    if verification is None or not set(kept) <= set(verification.trajectories):
        return Remedy(
            "verify",
            f"{len(kept)} of its episodes are negatives of this session, and proposal {proposal.number} was not asked "
            "about all of them yet: verify it, to tell wrong checkers from pay that is farmed.",
            f"vlmcar verify {session.name}",
            proposal.number,
        )
    return _wrong(session, proposal, verification) or _by_parts(session, run, proposal, kept) or _anew(session, run)


def negatives(session: Session, run: Run) -> list[str]:
    """Ids of the session's trajectories that were kept from a run."""
    name = f"run {run.folder.name}"
    own = [info.id for info in session.trajectories().items if info.versions.get("search") == name]
    if own:
        return own
    there = {(info.seed, info.steps) for info in session.trajectories().items if info.source == "adversarial"}
    same = [info for info in films.kept(run.folder, films.HACKS).items if (info.seed, info.steps) in there]
    ids = [stored(session, films.read(run.folder, films.HACKS, info.id)) for info in same]
    return sorted({id for id in ids if id})


def _keep(session: Session, run: Run) -> Remedy | None:
    count = len(films.kept(run.folder, films.HACKS).items)
    if not count:
        return None
    return Remedy(
        "keep",
        f"{count} episodes that it was paid for in full and did not solve are kept in its folder. Make them negatives "
        "of the session: every later verification meets them.",
        f"vlmcar keep-hacks {session.name} {run.number}",
    )


def _wrong(session: Session, proposal: Proposal, verification: Verification) -> Remedy | None:
    """Where verification does not accept."""
    judged = verdicts.judge_whole(verification)
    if judged.judgement == "undecided":
        return Remedy(
            "decide",
            f"Proposal {proposal.number} completes none of the negatives, and is undecided: {judged.reason}.",
            f"vlmcar record {session.name} --random N",
            proposal.number,
        )
    rejected = [
        verdict.key
        for verdict in verification.verdicts
        if verdicts.judge_checker(verdict, verification).judgement == "rejected"
    ]
    if judged.judgement == "rejected":
        words = f"Proposal {proposal.number} is rejected: {judged.reason}."
        return _mend(session, proposal, (rejected or [proposal.goal.key])[0], words)
    return None


def _by_parts(session: Session, run: Run, proposal: Proposal, kept: Sequence[str]) -> Remedy | None:
    """Where every sub-task is completed in a negative, so paid, and the goal alone is not."""
    if run.config.pay in FARMED or not proposal.subtasks:
        return None
    paid = sum(_is_paid(session, proposal, id) for id in kept)
    if not paid:
        return None
    last = proposal.subtasks[-1]
    words = (
        f"In {paid} of {len(kept)} negatives proposal {proposal.number} completes every sub-task, so all is paid, and "
        f"only the goal's checker, which pays nothing, says otherwise. Either the last sub-task, “{last.title}”, is "
        "called done too early: mend it. Or a sub-task for what is left is missing: add it. Then verify again."
    )
    commands = (
        f"vlmcar edit set {session.name} {shlex.quote(last.key)} --code FILE",
        f"vlmcar edit add {session.name} TITLE --code FILE",
    )
    return Remedy("mend", words, "   or: ".join(commands), proposal.number, last.key)


def _is_paid(session: Session, proposal: Proposal, id: str) -> bool:
    """Whether every sub-task is completed in its turn in a trajectory, by what the checkers said of it."""
    said = {(step.checker.digest, id): session.answers(step.checker.digest, id) for step in proposal.subtasks}
    known = {key: answers for key, answers in said.items() if answers is not None}
    return len(known) == len(said) and None not in chain.completions(subtasks_done(proposal, id, known))


def _mend(session: Session, proposal: Proposal, key: str, words: str) -> Remedy:
    quoted = shlex.quote(key)
    apart = (
        " Where no picture tells what was meant from what was done (a box that was opened is as gone as one that was "
        "taken), leave the last sub-task to the environment's own reward: train anew with --weight "
        f"{proposal.paid[-1].key}=0."
    )
    return Remedy(
        "mend",
        f"{words} Mend “{key}”, by hand or by a model, and verify again.{apart if len(proposal.paid) > 1 else ''}",
        f"vlmcar edit set {session.name} {quoted} --code FILE   or: vlmcar repair {session.name} {quoted} --auto",
        proposal.number,
        key,
    )


def _anew(session: Session, run: Run) -> Remedy:
    """Right checkers: what a clone must do differently, or that there is one."""
    config, standing = run.config, session.proposal().number
    changes: dict[str, Any] = {} if config.proposal == standing else {"proposal": standing}
    if config.pay in FARMED:
        changes["pay"] = "once"
    if not changes:
        return Remedy(
            "mend",
            f"Proposal {standing} completes none of the negatives when it is asked now, though the run was paid for "
            "them. Look at what its checkers say of these episodes, and at the faults that the run tells.",
            f"vlmcar show {session.name}",
            standing,
        )
    wanted = _apart_from_history(replace(config, **changes))
    for other in runs.runs(session).items:
        if _apart_from_history(other.config) == wanted:
            words = f"Run {other.number} is the same with {_told(changes)}."
            return Remedy("done", words, f"vlmcar runs {session.name}")
    asked = " ".join(f"--set {name}={value}" for name, value in changes.items())
    return Remedy(
        "clone",
        f"{_blame(run, standing, changes)} Train anew with {_told(changes)}: resumed, it would be paid as before.",
        f"vlmcar clone-run {session.name} {run.number} {asked}",
        changes=changes,
    )


def _apart_from_history(config: RunConfig) -> RunConfig:
    """A run's settings without its seed, its length and what it came from."""
    return replace(config, seed=0, steps=1, cloned_from=None, began_with=0)


def _blame(run: Run, standing: int | None, changes: Mapping[str, Any]) -> str:
    if "proposal" not in changes:
        return (
            f"Proposal {standing} is accepted and completes none of the negatives: its checkers are right, and what is "
            f"farmed is how they are paid ({run.config.pay})."
        )
    return f"Proposal {standing} is accepted and completes none of the negatives."


def _told(changes: Mapping[str, Any]) -> str:
    words = {"proposal": "proposal {}", "pay": "pay “{}”"}
    return " and ".join(words[name].format(value) for name, value in changes.items())

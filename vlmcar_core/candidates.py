"""Best of N: several conversations side by side, each proposal verified, the best adopted or their checkers merged."""

import dataclasses
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from vlmcar_core import authoring, dialogues, pipeline, ranking, verdicts, verify
from vlmcar_core.asking import Meter
from vlmcar_core.authoring import Wish
from vlmcar_core.dialogue import Spent
from vlmcar_core.errors import BadInput, BudgetSpent, Cancelled, UnknownName, VlmcarError
from vlmcar_core.progress import silent
from vlmcar_core.ranking import Choice, Fires
from vlmcar_core.servers import Key
from vlmcar_core.store import Session, now
from vlmcar_core.types import Progress, Proposal, SubTask
from vlmcar_core.verdicts import Verification

COUNT_MAX, CONCURRENCY_MAX = 64, 16


@dataclass(frozen=True)
class Tried:
    """What came of several tries."""

    proposals: tuple[int, ...]
    """Numbers of the candidates that came of it, the best first."""

    failures: tuple[str, ...]
    """Why the others came to nothing; their answers are kept."""


def best_of(
    session: Session,
    wish: Wish,
    count: int,
    concurrency: int = 2,
    key: Key = Key(),
    meter: Meter | None = None,
    progress: Progress = silent,
) -> Tried:
    """Have several candidates proposed side by side and verified. What one fails at costs the others nothing.

    Args:
        wish: what is asked for.
        count: how many candidates.
        concurrency: how many conversations at a time.

    Raises:
        BadInput: a number makes no sense, or not one candidate came of it.
        BudgetSpent, Cancelled: as they say; what was answered and verified is kept.
    """
    if not 1 <= count <= COUNT_MAX or not 1 <= concurrency <= CONCURRENCY_MAX:
        raise BadInput(f"1 to {COUNT_MAX} candidates, 1 to {CONCURRENCY_MAX} at a time; not {count} and {concurrency}")
    group = f"best of {count}, {now()}"
    wish = dataclasses.replace(wish, candidate=True, group=group)
    shared, lock = meter or Meter(), threading.Lock()
    told: dict[int, str] = {}

    def one(number: int) -> int:
        def step(_done: int, _total: int, message: str) -> None:
            with lock:
                told[number] = message
                finished = sum(text == "done" for text in told.values())
            progress(finished, count, f"candidate {number + 1}: {message}")

        proposal = authoring.carry_on(session, authoring.begin(session, wish), wish.server, key, shared, step)
        pipeline.verify(session, proposal.number, step)
        step(0, 0, "done")
        assert proposal.number is not None
        return proposal.number

    with ThreadPoolExecutor(concurrency) as pool:
        futures = [pool.submit(one, number) for number in range(count)]
        numbers, failures = _gathered(futures)
    if not numbers:
        raise BadInput(f"not one of {count} candidates came of it: {failures[0]}")
    order = [proposal.number for proposal, _ in ranked(session) if proposal.number in numbers]
    return Tried(tuple(number for number in order if number is not None), tuple(failures))


def _gathered(futures: list[Future[int]]) -> tuple[list[int], list[str]]:
    """What each came to; a wish to stop, or a spent budget, stops those that have not begun and is raised again."""
    numbers, failures = [], []
    stop: VlmcarError | None = None
    for number, future in enumerate(futures, 1):
        try:
            numbers.append(future.result() if not (stop and future.cancel()) else _not_begun(stop))
        except (Cancelled, BudgetSpent) as error:
            stop = error
        except VlmcarError as error:
            failures.append(f"candidate {number}: {error}")
    if stop is not None:
        raise stop
    return numbers, failures


def _not_begun(stop: VlmcarError) -> int:
    raise stop


def ranked(session: Session) -> list[tuple[Proposal, ranking.Score]]:
    """Every verified candidate and the standing proposal, the best first."""
    there = [*session.candidates(), *session.proposals().items[-1:]]
    return ranking.ranked(there, _verifications(session))


def choices(session: Session, base: int) -> dict[str, list[Choice]]:
    """For each sub-task of a proposal the checkers that watch the same, the best first."""
    there = [proposal for proposal, _ in ranked(session)]
    proposal = session.proposal(base)
    if base not in {item.number for item in there}:
        there.append(proposal)
    there = [proposal if item.number == base else item for item in there]
    return ranking.choices(proposal, there, _verifications(session), _fires(session, there))


def merge(session: Session, base: int, chosen: Mapping[str, tuple[int, str]], author: str) -> Proposal:
    """A new proposal: the sub-tasks of `base`, each with the checker that was chosen for it; verified.

    Args:
        base: the number of a proposal.
        chosen: sub-task's key to (number of a proposal, key there); its own where it is not named.

    Raises:
        UnknownName: there is no such proposal or sub-task.
    """
    start = session.proposal(base)
    unknown = sorted(set(chosen) - {step.key for step in start.steps})
    if unknown:
        raise UnknownName.among("sub-task", unknown[0], [step.key for step in start.steps])
    merged, taken = start, []
    for step in start.steps:
        number, key = chosen.get(step.key, (base, step.key))
        other = _step(session.proposal(number), key)
        if other.checker.digest != step.checker.digest:
            taken.append(f"{step.key} from {number}")
        checker = dataclasses.replace(other.checker, key=step.key)
        merged = pipeline.with_step(merged, SubTask(step.title, checker, other.doubt))
    merged = dataclasses.replace(merged, candidate=False, dialogue=start.dialogue)
    reason = f"merged: {', '.join(taken)}" if taken else f"candidate {base} as it is"
    stored = pipeline.save_edit(session, merged, author, reason)
    pipeline.verify(session, stored.number)
    return stored


def adopt(session: Session, number: int, reason: str = "") -> Proposal:
    """Make a candidate what the session stands on: the same, signed by the same author, as a new proposal; verified."""
    candidate = session.proposal(number)
    why = reason or f"candidate {number}" + (f": {candidate.reason}" if candidate.reason else "")
    stored = session.add_proposal(dataclasses.replace(candidate, candidate=False, parent=number, reason=why))
    pipeline.verify(session, stored.number)
    return stored


def _step(proposal: Proposal, key: str) -> SubTask:
    found = next((step for step in proposal.steps if step.key == key), None)
    if found is None:
        raise UnknownName.among("sub-task", key, [step.key for step in proposal.steps])
    return found


def _verifications(session: Session) -> dict[int, Verification]:
    """The newest of each proposal."""
    return {item.proposal: item for item in session.verifications().items}


def _fires(session: Session, proposals: list[Proposal]) -> Fires:
    experts = [info.id for info in session.trajectories().items if info.is_expert]
    digests = {step.checker.digest for proposal in proposals for step in proposal.steps}
    found: dict[str, list[int | None]] = {}
    for digest in digests:
        said = [session.answers(digest, id) for id in experts]
        found[digest] = [None if answers is None else verify.first_fire(answers) for answers in said]
    return found


@dataclass(frozen=True)
class Accounts:
    """What a session's answers cost."""

    spent: Spent
    accepted: int
    """Accepted checkers of the standing proposal, the goal's among them."""

    @property
    def per_accepted(self) -> Spent | None:
        """A share of it all; None where none is accepted."""
        if not self.accepted:
            return None
        share, spent = 1.0 / self.accepted, self.spent
        return Spent(
            round(spent.answers * share),
            spent.seconds * share,
            round(spent.tokens * share),
            spent.money * share,
            round(spent.unpriced * share),
            round(spent.uncounted * share),
        )


def accounts(session: Session) -> Accounts:
    """Tokens, seconds and money of all conversations, and what of the standing proposal is accepted."""
    items = session.proposals().items
    verification = session.verification(items[-1].number or 0) if items else None
    accepted = 0
    if verification is not None:
        judged = [verdicts.judge_checker(verdict, verification) for verdict in verification.verdicts]
        accepted = sum(one.judgement == "accepted" for one in judged)
    return Accounts(dialogues.spent(session), accepted)

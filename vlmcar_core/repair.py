"""Mending a checker: its code and the frames on which it was wrong go to the model, and what comes back must prove
itself.

An answer is kept as a candidate. It is offered only if it mends what failed and breaks nothing that passed; else there
is another round, up to a limit, in which a person may say something or edit by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vlmcar_core import authoring, candidates, dialogues, pictures, pipeline, recordings, verdicts
from vlmcar_core.asking import Meter
from vlmcar_core.authoring import Wish
from vlmcar_core.dialogue import Case
from vlmcar_core.dialogues import Dialogue
from vlmcar_core.errors import BadInput, DamagedFile, UnknownName
from vlmcar_core.progress import silent
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.servers import Key, Server
from vlmcar_core.store import Session
from vlmcar_core.types import Frame, Inspection, Outcome, Progress, Proposal, SubTask
from vlmcar_core.verdicts import Judged, Verification, Wrong

CASES = 3
"""So many frames go into one request."""

ROUNDS = 3


@dataclass(frozen=True)
class Compared:
    """A checker before and after, on the trajectories that both were verified on."""

    mended: tuple[str, ...]
    still: tuple[str, ...]
    """Wrong before and after."""

    broken: tuple[str, ...]
    """Right before, wrong now; the whole proposal's, too."""

    kept: int
    """Right before and after."""

    before: Judged
    after: Judged
    whole_before: Judged
    whole_after: Judged

    @property
    def offered(self) -> bool:
        """It mends all that failed and breaks nothing that passed, and verification does not reject it."""
        return not self.still and not self.broken and self.after.judgement != "rejected"

    @property
    def summary(self) -> str:
        failed = len(self.mended) + len(self.still)
        broke = f"breaks {len(self.broken)} that were right" if self.broken else "breaks nothing that was right"
        return f"mends {len(self.mended)} of {failed} that were wrong, {broke}; {self.after.judgement} now"


@dataclass(frozen=True)
class Round:
    """One try at mending."""

    proposal: int
    """The candidate that it came to."""

    dialogue: int
    compared: Compared


def wanting(proposal: Proposal, verification: Verification) -> list[str]:
    """Keys of the checkers that verification rejected; where only the whole is rejected, the goal's."""
    found = [
        verdict.key
        for verdict in verification.verdicts
        if verdicts.judge_checker(verdict, verification).judgement == "rejected"
    ]
    if not found and verdicts.judge_whole(verification).judgement == "rejected":
        return [proposal.goal.key]
    return found


def wrongs(verification: Verification, key: str) -> tuple[Wrong, ...]:
    """Where a checker was wrong; where none of them was and the whole is wrong all the same, the whole's."""
    if any(verdict.wrong for verdict in verification.verdicts):
        return verification.verdict(key).wrong
    return verification.wrong


def compare(before: Verification, after: Verification, key: str) -> Compared:
    """What changed for a checker, and for the whole, from one verification to another."""
    common = set(before.trajectories) & set(after.trajectories)
    failed = {item.trajectory for item in wrongs(before, key)} & common
    wrong = {item.trajectory for item in after.verdict(key).wrong} & common
    whole_before, whole_after = ({item.trajectory for item in one.wrong} & common for one in (before, after))
    if not any(verdict.wrong for verdict in before.verdicts):
        wrong |= whole_after
    newly_whole = whole_after - whole_before
    broken = (wrong - failed) | newly_whole
    return Compared(
        mended=tuple(sorted(failed - wrong)),
        still=tuple(sorted(failed & wrong)),
        broken=tuple(sorted(broken)),
        kept=len(common - failed - broken),
        before=verdicts.judge_checker(before.verdict(key), before),
        after=verdicts.judge_checker(after.verdict(key), after),
        whole_before=verdicts.judge_whole(before),
        whole_after=verdicts.judge_whole(after),
    )


def cases(
    session: Session, proposal: Proposal, verification: Verification, key: str, limit: int = CASES
) -> tuple[list[Case], dict[str, Frame]]:
    """The frames to show: where the checker was wrong, one of each kind first, with what it sees drawn on them.

    Returns:
        The cases, and their pictures by name, RGB uint8 (H, W, 3).
    """
    step = _step(proposal, key)
    found: list[Case] = []
    shown: dict[str, Frame] = {}
    with CheckerProcess([step.checker]) as process:
        for number, wrong in enumerate(_varied(wrongs(verification, key))[:limit], 1):
            try:
                path = session.trajectory_path(wrong.trajectory)
                initial, frame = (recordings.read_frame(path, index) for index in (0, wrong.frame))
            except (DamagedFile, UnknownName):
                continue
            inspected = process.inspect(key, initial, frame)
            outlines = [pictures.outline(seen) for seen in inspected.current]
            name = f"case-{number}.png"
            shown[name] = pictures.drawn(frame, outlines, side=640)
            seen = "; ".join(f"{item.name}: {item.text}" for item in outlines)
            answered, expected = _said(inspected, wrong)
            found.append(Case(wrong.trajectory, wrong.frame, answered, expected, seen, name))
    return found, shown


def begin(
    session: Session,
    server: Server,
    key: str,
    vlm: str = "openai",
    number: int | None = None,
    feedback: str = "",
    limit: int = CASES,
) -> Dialogue:
    """Build the request that mends a checker; nothing is asked yet.

    Args:
        session: which.
        server: how the model is asked.
        key: the checker's.
        vlm: a file in `vlms/`.
        number: the proposal that it is in; the standing one if None.
        feedback: what a person says about it.
        limit: how many frames are shown.

    Raises:
        BadInput: it was not verified yet, or nothing is wrong with it and nothing is said about it.
        UnknownName: there is no such proposal or checker.
    """
    proposal = session.proposal(number)
    _step(proposal, key)
    assert proposal.number is not None
    verification = session.verification(proposal.number)
    if verification is None:
        raise BadInput(
            f"proposal {proposal.number} is not verified yet, so nothing is known of {key!r}: verify it first"
        )
    found, shown = cases(session, proposal, verification, key, limit)
    if not found and not feedback.strip():
        raise BadInput(f"verification found nothing wrong with {key!r}; say in words what should change")
    wish = Wish(
        server=server,
        vlm=vlm,
        feedback=feedback,
        previous=proposal.number,
        repair=key,
        group=f"repair of {key} in proposal {base_of(session, proposal).number}",
        candidate=True,
    )
    return authoring.begin(session, wish, found, shown)


def judge(session: Session, dialogue: Dialogue, progress: Progress = silent) -> Round:
    """Verify what a request came to, and compare it with the standing proposal from which mending began.

    Raises:
        BadInput: it has not come to anything yet.
    """
    dialogue = dialogues.read(dialogue.folder)
    if dialogue.proposal is None:
        raise BadInput(f"dialogue {dialogue.number} is not answered yet; carry on with it first")
    candidate = session.proposal(dialogue.proposal)
    base = base_of(session, candidate)
    assert base.number is not None and candidate.number is not None
    after = session.verification(candidate.number) or pipeline.verify(session, candidate.number, progress)
    before = session.verification(base.number) or pipeline.verify(session, base.number, progress)
    compared = compare(before, after, dialogue.header.brief.repair)
    return Round(candidate.number, dialogue.number, compared)


def base_of(session: Session, proposal: Proposal) -> Proposal:
    """The standing proposal that a chain of candidates began from."""
    while proposal.candidate and proposal.parent is not None:
        proposal = session.proposal(proposal.parent)
    return proposal


def rounds(session: Session, base: int, key: str) -> list[Round]:
    """Every try so far at mending a checker of a standing proposal, in order."""
    found = []
    for dialogue in dialogues.dialogues(session).items:
        brief = dialogue.header.brief
        if brief.repair != key or dialogue.proposal is None:
            continue
        if base_of(session, session.proposal(dialogue.proposal)).number == base:
            found.append(judge(session, dialogue))
    return found


def once(
    session: Session,
    server: Server,
    key: str,
    secret: Key = Key(),
    vlm: str = "openai",
    number: int | None = None,
    feedback: str = "",
    meter: Meter | None = None,
    progress: Progress = silent,
) -> Round:
    """One round: ask, verify, compare. See `begin` for what is raised, and `authoring.carry_on`."""
    dialogue = begin(session, server, key, vlm, number, feedback)
    authoring.carry_on(session, dialogue, server, secret, meter, progress)
    return judge(session, dialogue, progress)


@dataclass(frozen=True)
class Mended:
    """What unattended mending came to, for one checker."""

    key: str
    rounds: tuple[Round, ...]
    adopted: int | None
    """The new standing proposal; None where no try was good enough."""


def auto(
    session: Session,
    server: Server,
    secret: Key = Key(),
    vlm: str = "openai",
    keys: Sequence[str] = (),
    limit: int = ROUNDS,
    meter: Meter | None = None,
    progress: Progress = silent,
    feedback: str = "",
) -> list[Mended]:
    """Mend every rejected checker unattended: at most `limit` rounds each; what is offered is adopted.

    Args:
        session, server, secret, vlm, meter, progress, feedback: as for `once`.
        keys: which; every rejected one if empty.
        limit: of rounds.

    Raises:
        BadInput: nothing is verified yet.
        VlmError, BudgetSpent, Cancelled: as they say; what was adopted stays.
    """
    proposal = session.proposal()
    assert proposal.number is not None
    verification = session.verification(proposal.number) or pipeline.verify(session, proposal.number, progress)

    def mend(key: str) -> Mended:
        tried: list[Round] = []
        number = session.proposal().number
        for _ in range(limit):
            tried.append(once(session, server, key, secret, vlm, number, feedback, meter, progress))
            number = tried[-1].proposal
            if tried[-1].compared.offered:
                stored = candidates.adopt(session, number, f"mends {key} in {len(tried)} rounds, unattended")
                return Mended(key, tuple(tried), stored.number)
        return Mended(key, tuple(tried), None)

    return [mend(key) for key in list(keys) or wanting(proposal, verification)]


def _step(proposal: Proposal, key: str) -> SubTask:
    found = next((step for step in proposal.steps if step.key == key), None)
    if found is None:
        raise UnknownName.among("sub-task", key, [step.key for step in proposal.steps])
    return found


def _varied(items: Sequence[Wrong]) -> list[Wrong]:
    """The same places, one of each reason first: three times the same teaches less."""
    kinds: dict[str, list[Wrong]] = {}
    for item in items:
        kinds.setdefault(item.reason.partition(":")[0].partition(";")[0], []).append(item)
    rows = list(kinds.values())
    longest = max((len(row) for row in rows), default=0)
    return [row[index] for index in range(longest) for row in rows if index < len(row)]


def _said(inspected: Inspection, wrong: Wrong) -> tuple[str, str]:
    """What the checker answered there, and what was expected instead."""
    answered = _words(inspected.outcome)
    if wrong.reason.startswith("it failed here"):
        return answered, "an answer without an error"
    if inspected.outcome.done:
        return answered, f"not done ({wrong.reason})"
    return answered, f"done by this frame ({wrong.reason})"


def _words(outcome: Outcome) -> str:
    if outcome.kind == "ok":
        return f"{'done' if outcome.done else 'not done'} (it returned {outcome.value:g})"
    where = f" in line {outcome.line}" if outcome.line else ""
    return f"nothing: it failed{where} ({outcome.kind}: {outcome.message})"

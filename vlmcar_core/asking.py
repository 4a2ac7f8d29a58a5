"""A conversation with a model, carried on until every question is answered: ask, wait, try again, read, keep.

Each answer is on disk before the next question is asked, so whatever ends this, calling it again goes on from there.
Answers hold code, and code goes to the sandbox: it is checked and tried on the two frames there, never here.
"""

import dataclasses
import queue
import threading
import time
from collections.abc import Callable

import numpy as np

from vlmcar_core import dialogues, questions, reading
from vlmcar_core.dialogue import (
    GOAL_STAGE,
    SUBTASKS_STAGE,
    Budget,
    Exchange,
    Question,
    Reply,
    Spent,
    Told,
    Vlm,
)
from vlmcar_core.dialogues import Dialogue, Partial
from vlmcar_core.errors import (
    BadRequest,
    BudgetSpent,
    Cancelled,
    ContextTooLong,
    TimedOut,
    VlmError,
)
from vlmcar_core.reading import CheckAnswer, Misread, SubTasksAnswer
from vlmcar_core.sandbox import CheckerProcess, diagnose
from vlmcar_core.servers import Server
from vlmcar_core.types import Checker, Frame, Outcome, Progress, Proposal

WAIT_FIRST_SECONDS, WAIT_LONGEST_SECONDS = 1.0, 30.0
WAIT_ASKED_LONGEST_SECONDS = 300.0
"""A server that wants us to wait longer is not waited for: the person is told."""

LOOK_SECONDS = 0.2


class Meter:
    """Counts what is spent and stops where the budget ends; shared by conversations that run side by side."""

    def __init__(self, budget: Budget = Budget(), spent: Spent = Spent()) -> None:
        self.budget = budget
        self._spent = spent
        self._lock = threading.Lock()

    @property
    def spent(self) -> Spent:
        with self._lock:
            return self._spent

    def add(self, reply: Reply) -> None:
        with self._lock:
            self._spent += Spent.of(reply)

    def check(self) -> None:
        """Called before every question, so answers that are under way may go beyond the budget.

        Raises:
            BudgetSpent: a limit is reached; or there is one on money, and an answer had no price.
        """
        spent, budget = self.spent, self.budget
        if budget.money is not None and spent.unpriced:
            raise BudgetSpent(
                f"the budget is ${budget.money:g}, and {spent.unpriced} answers have no price: enter the model's in "
                "the price table, or set a budget in tokens; what was answered is kept"
            )
        if budget.money is not None and spent.money >= budget.money:
            raise BudgetSpent(
                f"the budget of ${budget.money:g} is spent (${spent.money:.4f}); what was answered is kept"
            )
        if budget.tokens is not None and spent.uncounted:
            raise BudgetSpent(
                f"the budget is {budget.tokens:,} tokens, and the server does not say how many {spent.uncounted} "
                "answers took: set no budget, or one in dollars with a price; what was answered is kept"
            )
        if budget.tokens is not None and spent.tokens >= budget.tokens:
            raise BudgetSpent(
                f"the budget of {budget.tokens:,} tokens is spent ({spent.tokens:,}); what was answered is kept"
            )


@dataclasses.dataclass(frozen=True)
class Frames:
    """The two frames in their true size, RGB uint8 (H, W, 3)."""

    initial: Frame
    goal: Frame


def converse(
    dialogue: Dialogue, vlm: Vlm, server: Server, frames: Frames, meter: Meter, progress: Progress
) -> Dialogue:
    """Ask until everything is answered; returns the conversation with all its answers. What could not be used before is
    forgiven: each question may be asked as often as the settings say from now on.

    Raises:
        VlmError: the model or its server did not answer as it should, and asking again did not help.
        BudgetSpent, Cancelled: as they say. Whatever is raised, the answers so far are kept.
    """
    since = len(dialogue.exchanges)
    while (question := _next(dialogue, since)) is not None:
        meter.check()
        try:
            reply = _answered(dialogue, question, vlm, server, _staged(dialogue, question, progress))
        except BadRequest as error:
            if question.schema is None or "schema" not in str(error):
                raise
            dialogue = dialogues.adapt(dialogue, structured=False)
            continue
        except ContextTooLong:
            if dialogue.header.brief.short or question.stage in (GOAL_STAGE, SUBTASKS_STAGE):
                raise
            dialogue = dialogues.adapt(dialogue, short=True)
            continue
        meter.add(reply)
        dialogue = keep(dialogue, question, reply, frames)
    return dialogue


def _next(dialogue: Dialogue, since: int) -> Question | None:
    return questions.next_question(dialogue.header.brief, dialogue.exchanges, dialogue.pictures, since)


def keep(dialogue: Dialogue, question: Question, reply: Reply, frames: Frames) -> Dialogue:
    """Read an answer, try what code it holds, and keep it with what is wrong with it."""
    problem = _cut(reply) or problem_of(dialogue, question.stage, reply.text, frames)
    return dialogues.add(dialogue, Exchange(question.stage, question.attempt, question.messages, reply, problem))


def problem_of(dialogue: Dialogue, stage: str, text: str, frames: Frames) -> str:
    """Why an answer cannot be used, in words for the model; empty where it can.

    Raises:
        SandboxError: the sandbox, not the answer, is at fault.
    """
    try:
        answer = reading.read(stage, text)
    except Misread as error:
        return str(error)
    if isinstance(answer, SubTasksAnswer) and answer.code:
        return _refused(answer.code, but=("contract",))
    if isinstance(answer, CheckAnswer):
        source = questions.source(dialogue.header.brief, stage, answer.code, dialogue.exchanges)
        return _refused(source) or _fails(source, frames)
    return ""


def proposal(dialogue: Dialogue, frames: Frames) -> Proposal:
    """What a conversation that is answered throughout comes to, signed by its model, with what is doubtful in it."""
    doubts = {}
    for stage, answer in questions.readings(dialogue.exchanges).items():
        if isinstance(answer, CheckAnswer):
            source = questions.source(dialogue.header.brief, stage, answer.code, dialogue.exchanges)
            doubts[stage] = _doubt(_tried(source, frames))
    made = questions.proposal(dialogue.header.brief, dialogue.exchanges, doubts)
    return dataclasses.replace(
        made, author=dialogue.model, dialogue=dialogue.number, candidate=dialogue.header.candidate
    )


# Waiting for an answer


def _answered(dialogue: Dialogue, question: Question, vlm: Vlm, server: Server, told: Callable[[str], None]) -> Reply:
    """One answer; faults that may pass are waited for and the question is sent again."""
    partial = Partial(dialogue)
    for number in range(1, server.retries + 2):
        partial.clear()
        told(f"asking {vlm.name}" + (f", try {number}" if number > 1 else ""))
        try:
            reply = _interruptible(vlm, question, partial, server.answer_seconds, told)
            return dataclasses.replace(reply, tries=number)
        except VlmError as error:
            error.partial = dialogue.partial
            if not error.retry or number > server.retries:
                raise
            _wait(error, number, told)
    raise AssertionError("the last try either answers or raises")


def _wait(error: VlmError, number: int, told: Callable[[str], None]) -> None:
    asked = error.wait_seconds
    if asked is not None and asked > WAIT_ASKED_LONGEST_SECONDS:
        raise type(error)(f"{error}; the server asks to wait {asked:.0f} s: go on then, what was answered is kept")
    seconds = asked if asked is not None else min(WAIT_FIRST_SECONDS * 2 ** (number - 1), WAIT_LONGEST_SECONDS)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        why = "as the server asks" if asked is not None else "before the next try"
        told(f"{error}; waiting {left:.0f} s {why}")
        time.sleep(min(LOOK_SECONDS, left))


def _interruptible(
    vlm: Vlm, question: Question, partial: Partial, seconds: float, told: Callable[[str], None]
) -> Reply:
    """Wait for an answer in such a way that a wish to stop, or the limit on time, is heeded while nothing comes."""
    box: queue.Queue[Reply | BaseException] = queue.Queue()
    given_up = threading.Event()
    threading.Thread(target=_ask_into, args=(box, vlm, question, _while(given_up, partial)), daemon=True).start()
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            try:
                found = box.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                told(
                    f"{vlm.name} answers: {partial.chars:,} characters so far"
                    if partial.chars
                    else f"asking {vlm.name}"
                )
                continue
            if isinstance(found, BaseException):
                raise found
            return found
        raise TimedOut(f"{vlm.name} did not come to an end within {seconds:g} s")
    finally:
        given_up.set()


def _ask_into(box: "queue.Queue[Reply | BaseException]", vlm: Vlm, question: Question, told: Told) -> None:
    try:
        box.put(vlm.answer(question, told))
    except BaseException as error:  # noqa: BLE001 (raised again by the thread that waits)
        box.put(error)


def _while(given_up: threading.Event, partial: Partial) -> Told:
    def told(piece: str) -> None:
        if given_up.is_set():
            raise Cancelled("nobody waits for this answer any more")
        partial(piece)

    return told


def _staged(dialogue: Dialogue, question: Question, progress: Progress) -> Callable[[str], None]:
    stages = questions.stages(dialogue.header.brief, dialogue.exchanges)
    name = questions.title(question.stage, questions.titles(dialogue.exchanges))

    def told(message: str) -> None:
        progress(stages.index(question.stage), len(stages), f"{name}: {message}")

    return told


def _cut(reply: Reply) -> str:
    if not reply.cut:
        return ""
    return "it was cut off by the limit on the length of an answer; answer more briefly"


# Trying code in the sandbox


def _refused(source: str, but: tuple[str, ...] = ()) -> str:
    """The sandbox's first objections to a source, in words for the model; empty where it has none."""
    found = [item for item in diagnose(source) if item.severity == "error" and item.rule not in but]
    said = [f"line {item.line}: {item.message}" + (f" ({item.hint})" if item.hint else "") for item in found[:3]]
    return "the code cannot be taken: " + "; ".join(said) if said else ""


def _tried(source: str, frames: Frames) -> tuple[Outcome, Outcome]:
    """What a checker answers on the two frames."""
    checker = Checker("tried", source)
    with CheckerProcess([checker]) as process:
        one, two = process.run("tried", frames.initial, np.stack([frames.initial, frames.goal]))
    return one, two


def _fails(source: str, frames: Frames) -> str:
    for name, outcome in zip(("initial", "goal"), _tried(source, frames), strict=True):
        if outcome.kind != "ok":
            where = f" in line {outcome.line}" if outcome.line else ""
            return f"the checker failed on the {name} frame{where} ({outcome.kind}): {outcome.message}"
    return ""


def _doubt(outcomes: tuple[Outcome, Outcome]) -> str:
    if outcomes[0].done:
        return "its checker calls the initial frame done already"
    if not outcomes[1].done:
        return "its checker does not call the goal frame done"
    return ""

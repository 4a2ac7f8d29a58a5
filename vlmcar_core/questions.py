"""The four questions (Venuto et al. 2024, section 3), and the one that mends a checker. Pure.

What was asked and answered so far tells what is asked next, so a conversation can stop anywhere and go on from there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vlmcar_core import prompts, reading
from vlmcar_core.dialogue import (
    CHECK_STAGE,
    GOAL_CHECK_STAGE,
    GOAL_STAGE,
    REPAIR_STAGE,
    SUBTASKS_STAGE,
    Brief,
    Exchange,
    Message,
    Question,
)
from vlmcar_core.errors import BadInput, Unreadable
from vlmcar_core.reading import CheckAnswer, GoalAnswer, SubTasksAnswer
from vlmcar_core.types import GOAL, Checker, Proposal, SubTask, slug

INITIAL, GOAL_PICTURE, BOTH = "initial.png", "goal.png", "frames.png"


def schema(stage: str) -> dict[str, Any]:
    """The JSON schema of a stage's answer, in the strict form that servers enforce: everything required, no more."""
    text = {"type": "string"}
    fields: dict[str, Any] = {"explanation": text, "code": text}
    if stage == GOAL_STAGE:
        fields = {"goal": text}
    elif stage == SUBTASKS_STAGE:
        fields = {"subtasks": {"type": "array", "items": text}, "code": text}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def title(stage: str, titles: Sequence[str] = ()) -> str:
    """A stage's name for people."""
    if stage.startswith(CHECK_STAGE):
        number = int(stage.removeprefix(CHECK_STAGE))
        name = f"{titles[number - 1]}: how" if number <= len(titles) else "How"
        return f"3.{number} {name} would you know the task is done?"
    return {
        GOAL_STAGE: "1 What do you think the final goal is?",
        SUBTASKS_STAGE: "2 What tasks the agent must complete to achieve the goal?",
        GOAL_CHECK_STAGE: "4 How would you know the final goal is completed?",
        REPAIR_STAGE: "Mend the checker",
    }[stage]


def readings(exchanges: Sequence[Exchange]) -> dict[str, GoalAnswer | SubTasksAnswer | CheckAnswer]:
    """What the answers that could be used say, by stage."""
    return {done.stage: reading.read(done.stage, done.reply.text) for done in exchanges if not done.problem}


def titles(exchanges: Sequence[Exchange]) -> tuple[str, ...]:
    """The sub-tasks' titles; none until they are known."""
    found = readings(exchanges).get(SUBTASKS_STAGE)
    return found.titles if isinstance(found, SubTasksAnswer) else ()


def stages(brief: Brief, exchanges: Sequence[Exchange]) -> list[str]:
    """Every stage in order, as far as it is known."""
    if brief.repair:
        return [REPAIR_STAGE]
    checks = [f"{CHECK_STAGE}{number}" for number, _ in enumerate(titles(exchanges), 1)]
    return [GOAL_STAGE, SUBTASKS_STAGE, *checks, GOAL_CHECK_STAGE]


def next_question(
    brief: Brief, exchanges: Sequence[Exchange], pictures: Mapping[str, bytes], since: int = 0
) -> Question | None:
    """What is to be asked now; None where everything is answered.

    Args:
        brief: what it is about.
        exchanges: what was asked and answered so far.
        pictures: name to PNG, of all that the messages may show.
        since: failures among so many exchanges at the beginning are forgiven: they do not count against the tries.

    Raises:
        BadInput: a picture is missing.
        Unreadable: the answers to the stage that is due could not be used, as often as they may be asked for.
    """
    answered = {done.stage for done in exchanges if not done.problem}
    stage = next((stage for stage in stages(brief, exchanges) if stage not in answered), None)
    if stage is None:
        return None
    failed = [done for done in exchanges if done.stage == stage]
    if sum(done.stage == stage for done in exchanges[since:]) >= brief.tries:
        raise Unreadable(
            f"“{title(stage, titles(exchanges))}” was asked {len(failed)} times and no answer could be used; "
            f"the last: {failed[-1].problem}. The answers are kept; go on to ask it again, or change the model"
        )
    messages = (*_history(brief, exchanges, stage), *_asked(brief, exchanges, stage, failed))
    names = [name for message in messages for name in message.pictures]
    if lacking := [name for name in names if name not in pictures]:
        raise BadInput(f"the picture {lacking[0]!r} of this conversation is missing; begin another one")
    shown = {name: pictures[name] for name in names}
    return Question(stage, len(failed) + 1, messages, shown, schema(stage) if brief.structured else None)


def objects(exchanges: Sequence[Exchange]) -> str:
    """The `identify_*` functions that came with the sub-tasks."""
    found = readings(exchanges).get(SUBTASKS_STAGE)
    return found.code if isinstance(found, SubTasksAnswer) else ""


def source(brief: Brief, stage: str, code: str, exchanges: Sequence[Exchange]) -> str:
    """The whole source of the checker that an answer's code is, or is a part of: where it calls `identify_*` functions
    that it does not define, those of the sub-tasks' answer, or of the checker that it mends, are put first."""
    if stage == REPAIR_STAGE:
        assert brief.previous is not None
        before = next(step.checker.source for step in brief.previous.steps if step.key == brief.repair)
        return reading.joined(before, code)
    return reading.joined(objects(exchanges), code)


def proposal(brief: Brief, exchanges: Sequence[Exchange], doubts: Mapping[str, str]) -> Proposal:
    """The proposal that a conversation which is answered throughout comes to; unsigned.

    Args:
        doubts: stage to what is doubtful about its checker.
    """
    found = readings(exchanges)

    def checker(stage: str) -> tuple[str, str]:
        answer = found[stage]
        assert isinstance(answer, CheckAnswer)
        return source(brief, stage, answer.code, exchanges), doubts.get(stage, "")

    if brief.repair:
        assert brief.previous is not None
        return _mended(brief.previous, brief.repair, *checker(REPAIR_STAGE))
    sentence = found[GOAL_STAGE]
    assert isinstance(sentence, GoalAnswer)
    subtasks: list[SubTask] = []
    for number, name in enumerate(titles(exchanges), 1):
        code, doubt = checker(f"{CHECK_STAGE}{number}")
        subtasks.append(SubTask(name, Checker(slug(name, [item.key for item in subtasks]), code), doubt))
    code, doubt = checker(GOAL_CHECK_STAGE)
    return Proposal(SubTask(sentence.goal, Checker(GOAL, code), doubt), tuple(subtasks), author="")


def _mended(previous: Proposal, key: str, code: str, doubt: str) -> Proposal:
    def mended(step: SubTask) -> SubTask:
        return SubTask(step.title, Checker(key, code), doubt) if step.key == key else step

    return Proposal(
        goal=mended(previous.goal),
        subtasks=tuple(mended(step) for step in previous.subtasks),
        author="",
        doubts=previous.doubts,
    )


# The conversation


def _history(brief: Brief, exchanges: Sequence[Exchange], stage: str) -> list[Message]:
    """The beginning, then every question that was answered with its answer."""
    texts = brief.prompts
    beginning = {"contract": texts["contract"].strip(), "examples": texts["examples"].strip()}
    history = [Message("system", prompts.filled(texts["system"], beginning))]
    order = stages(brief, exchanges)
    before = order[: order.index(stage)]
    for done in exchanges:
        if done.problem or done.stage not in before:
            continue
        if brief.short and done.stage.startswith(CHECK_STAGE):
            continue
        history.append(_first(brief, exchanges, done.stage))
        history.append(Message("assistant", reading.THOUGHTS.sub("", done.reply.text).strip()))
    return history


def _asked(brief: Brief, exchanges: Sequence[Exchange], stage: str, failed: Sequence[Exchange]) -> list[Message]:
    """The question of a stage; where answers to it could not be used, the last of them and why."""
    asked = [_first(brief, exchanges, stage)]
    if failed:
        again = {"reason": failed[-1].problem, "form": _form(brief, stage)}
        asked.append(Message("assistant", reading.THOUGHTS.sub("", failed[-1].reply.text).strip() or "(nothing)"))
        asked.append(Message("user", prompts.filled(brief.prompts["again"], again)))
    return asked


def _first(brief: Brief, exchanges: Sequence[Exchange], stage: str) -> Message:
    """The question of a stage, as it is asked first."""
    form = {"form": _form(brief, stage)}
    if stage == GOAL_STAGE:
        values = {"frames": _frames(brief), "hint": _hint(brief), "previous": _previous(brief)}
        return Message("user", prompts.filled(brief.prompts["goal"], values | form), _two(brief))
    if stage == REPAIR_STAGE:
        cases = tuple(case.picture for case in brief.cases if case.picture)
        return Message("user", prompts.filled(brief.prompts["repair"], _repair(brief) | form), (*_two(brief), *cases))
    if stage.startswith(CHECK_STAGE):
        number, names = int(stage.removeprefix(CHECK_STAGE)), titles(exchanges)
        values = {"number": str(number), "count": str(len(names)), "title": names[number - 1]}
        return Message("user", prompts.filled(brief.prompts["check"], values | form))
    if stage == GOAL_CHECK_STAGE:
        sentence = readings(exchanges)[GOAL_STAGE]
        assert isinstance(sentence, GoalAnswer)
        return Message("user", prompts.filled(brief.prompts["goal-check"], {"goal": sentence.goal.rstrip(".")} | form))
    return Message("user", prompts.filled(brief.prompts[SUBTASKS_STAGE], form))


def _form(brief: Brief, stage: str) -> str:
    text = brief.prompts["form-json" if brief.structured else "form-text"]
    return prompts.section(text, stage if stage in (GOAL_STAGE, SUBTASKS_STAGE) else "check")


def _two(brief: Brief) -> tuple[str, ...]:
    return (BOTH,) if brief.side_by_side else (INITIAL, GOAL_PICTURE)


def _frames(brief: Brief) -> str:
    """Which picture is which, and how large the frames truly are."""
    width, height = brief.size
    which = (
        "The picture shows two frames of the task side by side: the initial frame on the left, the goal frame on the "
        "right."
        if brief.side_by_side
        else "The first picture is the initial frame of the task, the second picture is its goal frame."
    )
    true = f"A frame is {width} x {height} pixels, and your code gets it in that size."
    if brief.zoom == 1:
        return f"{which} {true} The pictures are shown in that size."
    change = "enlarged" if brief.zoom > 1 else "reduced"
    return f"{which} {true} For you the pictures are {change}: one pixel of a frame is {brief.zoom:g} pixels here."


def _hint(brief: Brief) -> str:
    return f"A person says about the task: {brief.hint.strip()}" if brief.hint.strip() else ""


def _feedback(brief: Brief) -> str:
    said = brief.feedback.strip()
    return f"A person who looked at it says: {said}" if said else ""


def _previous(brief: Brief) -> str:
    """An earlier round and what was said about it."""
    if brief.previous is None:
        return ""
    parts = [
        "An earlier round came to the following. Make it better; keep what is right in it.",
        f"Goal: {brief.previous.goal.title}",
        f"Sub-tasks, in order:\n{_outline(brief.previous)}",
    ]
    for step in brief.previous.steps:
        parts.append(f'The checker of "{step.title}":\n\n```python\n{step.checker.source.strip()}\n```')
    return "\n\n".join([*parts, _feedback(brief)])


def _outline(previous: Proposal) -> str:
    return "\n".join(f"{number}. {step.title}" for number, step in enumerate(previous.subtasks, 1))


def _repair(brief: Brief) -> dict[str, str]:
    assert brief.previous is not None
    step = next(step for step in brief.previous.steps if step.key == brief.repair)
    return {
        "frames": _frames(brief),
        "hint": _hint(brief),
        "goal": brief.previous.goal.title.rstrip("."),
        "subtasks": _outline(brief.previous) or "none: the goal alone is checked",
        "title": step.title,
        "source": step.checker.source.strip(),
        "cases": "\n".join(_cases(brief)) or "(no frame was recorded; what a person says follows)",
        "feedback": _feedback(brief),
    }


def _cases(brief: Brief) -> list[str]:
    found = []
    shown = len(_two(brief))
    for number, case in enumerate(brief.cases, 1):
        where = ""
        if case.picture:
            shown += 1
            where = f" Picture {shown} shows this frame with what was found drawn on it."
        seen = f" Its identify functions found: {case.seen}." if case.seen else ""
        found.append(
            f"{number}. Episode {case.trajectory}, frame {case.frame}: it answered {case.answered}. "
            f"Expected: {case.expected}.{seen}{where}"
        )
    return found

"""Programs in the released VLM-CaR style, from a file to a checker: what was understood, how it is to be read, a trial.

    understood = importing.understand(importing.read(data))
    source = importing.as_source(text, understood.suggestion)

Such a program is a class whose `check_and_progress(path)` or `reward(path)` is given the path of each frame in turn and
reads it with `cv2.imread`. Its text stays as it is; a line at its end says how it is read (`vlmcar_core/programs.py`).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmcar_core import pipeline
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.programs import NAME_CHARS, Reading, reading_of, with_reading
from vlmcar_core.sandbox import CheckerProcess, diagnose, diagnosis, heard
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.sandbox.worker import Gone
from vlmcar_core.store import Session
from vlmcar_core.types import GOAL, Checker, Diagnostic, Frames, Outcome, Proposal, SubTask, slug

SIZE_LIMIT_BYTES = 64 * 1024
KINDS = ("bool", "number", "nothing", "tuple", "unknown")
MANY = 100


@dataclass(frozen=True)
class Returned:
    """One return statement."""

    kind: str
    """bool, number, nothing, tuple or unknown."""

    text: str
    """What is returned, as it is written; shortened."""

    line: int
    items: tuple[str, ...] = ()
    """The kinds of a tuple's items."""


@dataclass(frozen=True)
class Method:
    """A method that can be given a path."""

    name: str
    line: int
    returns: tuple[Returned, ...]
    nothing: bool
    """It may return without a value."""

    @property
    def told(self) -> str:
        """What it returns, in a few words."""
        words = list(dict.fromkeys(_said(found) for found in self.returns))
        return ", ".join([*words[:6], *(["…"] if len(words) > 6 else []), *(["or nothing"] if self.nothing else [])])


@dataclass(frozen=True)
class ProgramClass:
    """A class of the file."""

    name: str
    line: int
    reset: bool
    """It has `reset()`."""

    methods: tuple[Method, ...]
    """Those that are called by the released programs' names come first."""


@dataclass(frozen=True)
class Understood:
    """What a file seems to hold. A guess from its syntax tree, for a person to confirm."""

    classes: tuple[ProgramClass, ...]
    problems: tuple[Diagnostic, ...]
    """By line; errors keep it from running, warnings are what fails where it is reached."""

    suggestion: Reading | None
    """How it would be read; None where no method can be called."""


def read(data: bytes) -> str:
    """The text of a program's file.

    Raises:
        BadInput: it is too large, or no text.
    """
    if len(data) > SIZE_LIMIT_BYTES:
        raise BadInput(f"the program has {len(data):,} bytes; at most {SIZE_LIMIT_BYTES // 1024} KiB are read")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BadInput(f"the program is no UTF-8 text: byte {error.start} is {data[error.start]:#04x}") from error


def understand(text: str) -> Understood:
    """Look at a program without running it.

    Raises:
        SandboxError: our own machinery failed.
    """
    try:
        said = diagnosis.parsed(wire.UNDERSTAND, text)
        classes = tuple(_class(item) for item in said["classes"][:MANY])
        problems = tuple(heard.diagnostics(said["findings"]))
    except Gone as gone:
        return Understood((), (diagnosis.unread(gone),), None)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        nonsense = heard.nonsense(error).message
        return Understood((), (Diagnostic("syntax", "error", 1, 0, nonsense),), None)
    return Understood(classes, problems, reading_of(text) or _suggested(classes))


def as_source(text: str, reading: Reading) -> str:
    """A checker's source that holds the program; the program's lines keep their numbers."""
    return with_reading(text, reading)


def suggested(owner: ProgramClass, method: Method) -> Reading:
    """How a method's answers are probably meant."""
    kinds = {found.kind for found in method.returns}
    tuples = [found.items for found in method.returns if found.kind == "tuple"]
    if not tuples:
        done_at = None if kinds <= {"bool", "nothing"} else _done_at(method.returns)
        return Reading(owner.name, method.name, None, done_at)
    # Of a tuple, the item that is a truth value everywhere, or else the first number.
    items = list(zip(*tuples, strict=False))
    for place, found in enumerate(items):
        if set(found) == {"bool"}:
            return Reading(owner.name, method.name, place)
    place = next((place for place, found in enumerate(items) if "number" in found), 0)
    return Reading(owner.name, method.name, place, 1.0)


def trial(source: str, frames: Frames) -> list[Outcome]:
    """What the program says about an episode, frame by frame; uint8 (N, H, W, 3)."""
    with CheckerProcess([Checker("tried", source)]) as process:
        return process.run("tried", frames[0], frames)


def summary(outcomes: Sequence[Outcome]) -> str:
    """A trial in one sentence."""
    failed = [(number, found) for number, found in enumerate(outcomes) if found.kind != "ok"]
    if failed:
        number, fault = failed[0]
        where = f", line {fault.line}" if fault.line else ""
        frames = f"{len(failed)} of {len(outcomes)} frames; first in frame {number}"
        return f"it failed in {frames} ({fault.kind}{where}): {fault.message}"
    values = [found.value or 0.0 for found in outcomes]
    done = next((number for number, value in enumerate(values) if value >= 1.0), None)
    if done is None:
        return f"never done in {len(outcomes)} frames; its highest value is {max(values):g}"
    return f"first done in frame {done} of {len(outcomes) - 1}"


def trial_of(session: Session, source: str) -> str:
    """What the program says about a recorded episode, an expert's where there is one; empty where there is none."""
    infos = sorted(session.trajectories().items, key=lambda info: info.source != "expert")
    if not infos:
        return ""
    return f"on {infos[0].id}: {summary(trial(source, session.trajectory(infos[0].id).frames))}"


def table(found: Understood) -> list[str]:
    """What was understood, line by line."""
    lines = []
    for owner in found.classes:
        reset = "has reset()" if owner.reset else "has no reset(); every episode gets a new instance all the same"
        lines.append(f"class {owner.name} in line {owner.line}, {reset}")
        lines += [f"    {method.name}(path) in line {method.line} returns {method.told}" for method in owner.methods]
    return lines


def chosen(
    found: Understood,
    class_name: str | None = None,
    method: str | None = None,
    item: int | None = None,
    done_at: float | None = None,
    as_bool: bool = False,
) -> Reading:
    """How the program is to be read: as suggested, but for what is given.

    Raises:
        BadInput: no method of the file can be called, or a number makes no sense.
        UnknownName: there is no such class or method.
    """
    owners = {owner.name: owner for owner in found.classes if owner.methods}
    if found.suggestion is None or not owners:
        first = next((problem for problem in found.problems if problem.severity == "error"), None)
        why = f": line {first.line}: {first.message}" if first else ""
        raise BadInput(f"there is no class with a method that takes the path of a frame, such as reward(path){why}")
    name = class_name or found.suggestion.class_name
    if name not in owners:
        raise UnknownName.among("class", name, owners)
    methods = {item.name: item for item in owners[name].methods}
    wanted = method or (found.suggestion.method if class_name is None else next(iter(methods)))
    if wanted not in methods:
        raise UnknownName.among("method", wanted, methods)
    reading = suggested(owners[name], methods[wanted])
    if (name, wanted) == (found.suggestion.class_name, found.suggestion.method):
        reading = found.suggestion
    try:
        if item is not None:
            reading = dataclasses.replace(reading, item=item)
        if as_bool or done_at is not None:
            reading = dataclasses.replace(reading, done_at=done_at)
    except ValueError as error:
        raise BadInput(str(error)) from error
    return reading


def check(source: str) -> None:
    """Raises `BadInput` with the first lines for which it would not be run."""
    found = [item for item in diagnose(source) if item.severity == "error"]
    if found:
        told = "; ".join(f"line {item.line}: {item.message} ({item.hint})" for item in found[:3])
        raise BadInput(f"the program cannot be run as it is: {told}")


def imported(session: Session, source: str, title: str, as_goal: bool = False) -> tuple[Proposal, int | None]:
    """The newest proposal with the program as its last sub-task, or as its goal's checker; and its number.

    Raises:
        BadInput: there is no proposal yet that a sub-task could be added to.
    """
    items = session.proposals().items
    if not items and not as_goal:
        raise BadInput(
            f"session {session.name!r} has no proposal yet, so the program has to check its goal (--goal), or propose "
            "first"
        )
    newest = items[-1] if items else None
    return with_program(newest, source, title, as_goal), newest.number if newest else None


def with_program(proposal: Proposal | None, source: str, title: str, as_goal: bool) -> Proposal:
    """The proposal with the program as its goal's checker, or as its last sub-task; a first one where there is none."""
    if proposal is None:
        return Proposal(SubTask(title, Checker(GOAL, source)), (), author="")
    if as_goal:
        return pipeline.with_step(proposal, SubTask(proposal.goal.title, Checker(GOAL, source)))
    key = slug(title, [step.key for step in proposal.steps])
    return pipeline.added_step(proposal, SubTask(title, Checker(key, source)), len(proposal.subtasks))


def _suggested(classes: Sequence[ProgramClass]) -> Reading | None:
    for owner in classes:
        for method in owner.methods:
            return suggested(owner, method)
    return None


def _done_at(returns: Sequence[Returned]) -> float:
    """The one number that it returns beside zero, or 1."""
    found = set()
    for item in returns:
        try:
            found.add(float(item.text))
        except ValueError:
            return 1.0
    positive = [number for number in found if 1e-9 <= number < 1e9]
    return positive[0] if len(positive) == 1 else 1.0


def _said(found: Returned) -> str:
    if found.kind == "tuple":
        return f"a tuple ({', '.join(found.items)})"
    return {"bool": "True or False", "number": "a number", "nothing": "nothing"}.get(found.kind, f"`{found.text}`")


# What a worker says is a stranger's word.


def _class(item: Mapping[str, Any]) -> ProgramClass:
    methods = tuple(_method(found) for found in item["methods"][:MANY])
    return ProgramClass(_name(item["name"]), _line(item["line"]), item["reset"] is True, methods)


def _method(item: Mapping[str, Any]) -> Method:
    returns = tuple(_returned(found) for found in item["returns"][:MANY])
    return Method(_name(item["name"]), _line(item["line"]), returns, item["nothing"] is True)


def _returned(item: Mapping[str, Any]) -> Returned:
    kinds = tuple(_kind(kind) for kind in item["items"][:MANY])
    return Returned(_kind(item["kind"]), heard.text(item["text"], NAME_CHARS), _line(item["line"]), kinds)


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.isidentifier() or len(value) > NAME_CHARS:
        raise ValueError(f"no name: {str(value)[:NAME_CHARS]!r}")
    return value


def _kind(value: object) -> str:
    if value not in KINDS:
        raise ValueError(f"no kind: {str(value)[:NAME_CHARS]!r}")
    return str(value)


def _line(value: object) -> int:
    if type(value) is not int or not 0 < value < 1_000_000:
        raise ValueError(f"no line: {str(value)[:NAME_CHARS]!r}")
    return value

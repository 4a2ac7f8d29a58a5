"""What a model wrote, read as what it was asked for: JSON where it kept the schema, else plain text and fenced code.

Pure: code is cut out of the text and never parsed or run here; that is the sandbox's part.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from vlmcar_core.dialogue import GOAL_STAGE, SUBTASKS_STAGE

SUBTASKS_MAX = 12
TITLE_MAX_CHARS = 200
CODE_LIMIT_BYTES = 64 * 1024

FENCE = re.compile(
    r"^[ \t]*+(`{3,}+|~{3,}+)[ \t]*+([A-Za-z0-9_+-]*+)[^\n]*+\n(.*?)(?:^[ \t]*+\1[ \t]*+$|\Z)",
    re.MULTILINE | re.DOTALL,
)
"""Possessive (`++`): an answer of a hundred thousand backticks must not be tried in every way there is."""

THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
NUMBERED = re.compile(
    r"^[ \t]*(?:[-*][ \t]+)?(?:\*\*)?(?:sub-?task[ \t]+)?(\d{1,2})[.):][ \t]*(.+)$", re.MULTILINE | re.IGNORECASE
)
BULLET = re.compile(r"^[ \t]*[-*•][ \t]+(.+)$", re.MULTILINE)
GIVEN = re.compile(
    r"^(?:def[ \t]+(\w+)[ \t]*\(|class[ \t]+(\w+)|([A-Z][A-Z0-9_]*)[ \t]*(?::[^=\n]*)?="
    r"|(?:from[ \t]+\S+[ \t]+)?import[ \t]+(.+)$)",
    re.MULTILINE,
)
"""What a source gives its functions, at the left edge: functions, classes, constants, imports."""


KEYS = {"goal", "subtasks", "code"}
"""Of the JSON objects in a text, the one that is an answer has one of these; others may be part of code."""


class Misread(Exception):
    """An answer that cannot be read; the message is the reason as it is told to the model."""


@dataclass(frozen=True)
class GoalAnswer:
    goal: str


@dataclass(frozen=True)
class SubTasksAnswer:
    titles: tuple[str, ...]
    code: str
    """The `identify_*` functions; may be empty."""


@dataclass(frozen=True)
class CheckAnswer:
    code: str
    explanation: str = ""


def read(stage: str, text: str) -> GoalAnswer | SubTasksAnswer | CheckAnswer:
    """Raises `Misread`."""
    text = THOUGHTS.sub("", text.replace("\r\n", "\n"))
    found = _object(text)
    if stage == GOAL_STAGE:
        return GoalAnswer(_goal(text, found))
    if stage == SUBTASKS_STAGE:
        return _subtasks(text, found)
    return _check(text, found)


def joined(objects: str, checker: str) -> str:
    """A checker's source, with an earlier answer's code put first where it uses something of that (a function, a
    constant, an import) without having it itself."""
    lacking = _given(objects) - _given(checker)
    if not any(re.search(rf"\b{name}\b", checker) for name in lacking):
        return checker
    return f"{objects.strip()}\n\n\n{checker.strip()}\n"


def _given(source: str) -> set[str]:
    names: set[str] = set()
    for function, kind, constant, imported in GIVEN.findall(source):
        names |= {function, kind, constant} | {part.split()[-1] for part in imported.split(",") if part.split()}
    return {name for name in names if name.isidentifier() and name != "check"}


def clean(text: str, limit: int = TITLE_MAX_CHARS) -> str:
    """One line of plain words from a model's text, without control characters and Markdown around it."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    line = re.sub(r"(\*\*|__|`)", "", line).strip(" \"'“”*_")
    return line[: limit - 1].rstrip() + "…" if len(line) > limit else line


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, or holds; None where there is none."""
    tries = [text, *(body for _, kind, body in FENCE.findall(text) if kind.lower() in ("json", ""))]
    if "{" in text:
        tries.append(text[text.index("{") : text.rfind("}") + 1])
    for one in tries:
        try:
            value = json.loads(one.strip(), strict=False)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and KEYS & set(value):
            return value
    return None


def _goal(text: str, found: dict[str, Any] | None) -> str:
    if found is not None:
        goal = found.get("goal")
        if not isinstance(goal, str):
            raise Misread('the JSON object has no text "goal"')
        text = goal
    lines = [clean(line, 10_000) for line in FENCE.sub("", text).splitlines()]
    lines = [re.sub(r"^(#+ )?(the )?(final )?goal( is)?\s*:\s*", "", line, flags=re.IGNORECASE) for line in lines]
    goal = next((line for line in lines if re.search(r"\w", line)), "")
    if not goal:
        raise Misread("there is no sentence in it")
    return clean(goal, 300)


def _subtasks(text: str, found: dict[str, Any] | None) -> SubTasksAnswer:
    if found is not None:
        titles, code = _titles_of(found.get("subtasks")), found.get("code", "")
        if not isinstance(code, str):
            raise Misread('"code" in the JSON object is not text')
    else:
        prose = FENCE.sub("", text)
        titles = [title for _, title in NUMBERED.findall(prose)] or BULLET.findall(prose)
        blocks = _python(text)
        code = "\n\n".join(blocks)
    cleaned = [clean(title) for title in titles]
    cleaned = [title for title in cleaned if re.search(r"\w", title)]
    if not cleaned:
        raise Misread("there is no numbered list of sub-tasks in it")
    if len(cleaned) > SUBTASKS_MAX:
        raise Misread(f"it lists {len(cleaned)} sub-tasks; at most {SUBTASKS_MAX} are taken: name the decisive ones")
    return SubTasksAnswer(tuple(cleaned), _bounded(_unfenced(code)))


def _titles_of(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise Misread('the JSON object has no list "subtasks"')
    titles = [item.get("title") if isinstance(item, dict) else item for item in value]
    if not all(isinstance(title, str) for title in titles):
        raise Misread('"subtasks" in the JSON object is not a list of texts')
    return [str(title) for title in titles]


def _check(text: str, found: dict[str, Any] | None) -> CheckAnswer:
    if found is not None and isinstance(found.get("code"), str):
        code = _unfenced(found["code"])
        explanation = found.get("explanation", "")
        said = explanation if isinstance(explanation, str) else ""
    else:
        blocks = _python(text)
        with_check = [block for block in blocks if "def check" in block]
        code = with_check[-1] if with_check else "\n\n".join(blocks)
        said = FENCE.sub("", text)
    if not code.strip():
        raise Misread("there is no block of Python code in it")
    return CheckAnswer(_bounded(code), clean(said, 600))


def _python(text: str) -> list[str]:
    """The blocks of Python in a text; the whole text where it is code without a fence."""
    blocks = [body for _, kind, body in FENCE.findall(text) if kind.lower() in ("python", "py", "python3", "")]
    if not blocks and re.match(r"\s*(import |from |def )", text):
        return [text]
    return blocks


def _unfenced(code: str) -> str:
    found = FENCE.findall(code)
    return "\n\n".join(body for _, _, body in found) if found else code


def _bounded(code: str) -> str:
    if len(code.encode("utf-8", "replace")) > CODE_LIMIT_BYTES:
        raise Misread(f"the code is larger than {CODE_LIMIT_BYTES // 1024} KiB; shorten it")
    return code.strip("\n") + "\n" if code.strip() else ""

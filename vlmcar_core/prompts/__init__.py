"""The wording of every question, as data: one folder per version, one Markdown file per prompt.

A session may word any of them differently (`Session.own_prompts`); what a conversation used is kept in it whole.
In a prompt `$name` stands for what is filled in; `$$` is a dollar sign.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template

from vlmcar_core.errors import BadInput, UnknownName

VERSION = 1
FOLDER = Path(__file__).parent
LIMIT_CHARS = 40_000

ABOUT = {
    "system": "What every conversation begins with",
    "contract": "What a checker is; part of the beginning",
    "examples": "Checkers for other tasks; part of the beginning",
    "goal": "Question 1: the final goal",
    "subtasks": "Question 2: the sub-tasks",
    "check": "Question 3, once for each sub-task: how it is seen to be done",
    "goal-check": "Question 4: how the goal is seen to be done",
    "repair": "Mending a checker that verification found wrong",
    "again": "After an answer that could not be used",
    "form-text": "The form of answers in plain text, by question",
    "form-json": "The form of answers in JSON, by question",
}
"""Every prompt's name, and what it is for."""

FIELDS = {
    "system": {"contract", "examples"},
    "goal": {"frames", "hint", "previous", "form"},
    "subtasks": {"form"},
    "check": {"number", "count", "title", "form"},
    "goal-check": {"goal", "form"},
    "repair": {"frames", "hint", "goal", "subtasks", "title", "source", "cases", "feedback", "form"},
    "again": {"reason", "form"},
}
"""What may be filled in, by prompt; nothing in those that are not listed."""

SECTIONS = ("goal", "subtasks", "check")
"""What a prompt named form-… has one section for each of."""


def shipped(version: int = VERSION) -> dict[str, str]:
    """The prompts of a version, by name.

    Raises:
        UnknownName: there is no such version.
    """
    folder = FOLDER / f"v{version}"
    if not folder.is_dir():
        raise UnknownName.among("version of the prompts", version, versions())
    return {name: (folder / f"{name}.md").read_text(encoding="utf-8") for name in ABOUT}


def versions() -> list[int]:
    return sorted(int(path.name[1:]) for path in FOLDER.glob("v[0-9]*"))


def check(name: str, text: str) -> str:
    """A prompt's text, if it may be one.

    Raises:
        UnknownName: there is no prompt of this name.
        BadInput: it is empty or too long, fills in what is not there, or lacks a section.
    """
    if name not in ABOUT:
        raise UnknownName.among("prompt", name, ABOUT)
    if not text.strip():
        raise BadInput(f"the prompt {name!r} is empty; write it, or go back to the shipped one")
    if len(text) > LIMIT_CHARS:
        raise BadInput(f"the prompt {name!r} has {len(text):,} characters; at most {LIMIT_CHARS:,} are read")
    _check_fields(name, text)
    if name.startswith("form-") and (missing := [one for one in SECTIONS if not section(text, one)]):
        raise BadInput(f"the prompt {name!r} lacks the section '## {missing[0]}'; it has one for each question")
    return text


def _check_fields(name: str, text: str) -> None:
    allowed = FIELDS.get(name, set())
    template = Template(text)
    if not template.is_valid():
        raise BadInput(f"the prompt {name!r} has a lone '$'; write '$$' for a dollar sign")
    unknown = sorted(set(template.get_identifiers()) - allowed)
    if unknown:
        there = ", ".join(f"${field}" for field in sorted(allowed)) or "nothing"
        raise BadInput(f"the prompt {name!r} fills in ${unknown[0]}, which it is not given; it is given: {there}")


def filled(text: str, values: Mapping[str, str]) -> str:
    """A prompt with its blanks filled; a line on which only a blank without a value stands is left out.

    Raises:
        BadInput: it fills in what it is not given.
    """
    for name, value in values.items():
        if not value:
            text = re.sub(rf"^\$(?:{name}|\{{{name}\}})[ \t]*\n(?:[ \t]*\n)?", "", text, flags=re.MULTILINE)
    try:
        return Template(text).substitute(values).strip() + "\n"
    except (KeyError, ValueError) as error:
        raise BadInput(f"a prompt of this conversation cannot be filled in ({error}); begin another one") from error


def section(text: str, name: str) -> str:
    """The part of a text under the heading `## name`; empty where there is none."""
    found = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found.group(1).strip() if found else ""


def digest(texts: Mapping[str, str]) -> str:
    """SHA-256 over names and texts, hexadecimal."""
    whole = "\0".join(f"{name}\0{texts[name]}" for name in sorted(texts))
    return hashlib.sha256(whole.encode()).hexdigest()

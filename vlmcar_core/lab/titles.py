"""Which of the simulator's facts a sub-task is about, by its title alone.

What its checker does is not looked at, so a wrong checker has no say in what it is held to. A fact is named where every
one of its words is met in the title, in one of the ways below or literally.
"""

import re
from collections.abc import Iterable

WAYS = {
    "held": r"picks?|picked|takes?|taken|grabs?|grasps?|collects?|gets?|fetch(?:es)?|holds?|carr(?:y|ies)|lifts?",
    "grasp": r"grasps?|grips?|grabs?|holds?|takes?|picks?",
    "open": r"opens?|opened|unlocks?|unlocked",
    "reached": r"reach(?:es)?|reached|(?:get|go|move|walk)(?:s|es)? to|arrives?|onto|(?:stand|step)s? on|enters?",
    "moved": r"moves?|moved|push(?:es)?|shoves?|slides?",
    "lifted": r"lifts?|lifted|raises?|picks?",
    "at": r"to|at|on|onto|in|into|over|reach(?:es)?",
    "near": r"near|to|at|beside|next to|reach(?:es)?|approach(?:es)?",
    "goal": r"goals?|target|destination|exit|green (?:goal|square|cell|tile|field)",
    "target": r"target|goal",
    "object": r"object|cube|puck|block|box|ball|thing",
    "hand": r"hand|gripper|arm|fingers|effector",
}
"""How people say a fact's word, as regular expressions over lower-case words."""

UNDOING = re.compile(
    r"\b(?:not|no|without|never|avoid\w*|drop\w*|clos\w+|lock|put\w*|leav\w+|releas\w+|before|until)\b"
)
"""Titles with these say something else than that a fact comes true."""

ASIDE = re.compile(r"\([^)]*\)")
"""Such as “(yellow here)”: what holds in one layout only."""


def named(title: str, facts: Iterable[str]) -> str | None:
    """The one fact that a title names; None where it names none, or more than one equally well.

    Args:
        title: of a sub-task.
        facts: what the simulator tells, by name.
    """
    said = ASIDE.sub(" ", title.lower())
    if UNDOING.search(said):
        return None
    met = sorted(((len(_words(fact)), fact) for fact in facts if share(title, fact) == 1.0), reverse=True)
    if not met or (len(met) > 1 and met[0][0] == met[1][0]):
        return None
    return met[0][1]


def share(title: str, fact: str) -> float:
    """Of a fact's words, the share that a title says, in [0, 1]."""
    said, words = ASIDE.sub(" ", title.lower()), _words(fact)
    met = sum(bool(re.search(rf"\b(?:{WAYS.get(word, re.escape(word))})\b", said)) for word in words)
    return met / len(words) if words else 0.0


def _words(fact: str) -> list[str]:
    return re.findall(r"\w+", fact.lower())

"""What is suspicious about a checker without being a contradiction."""

from collections.abc import Iterable, Sequence

import numpy as np

from vlmcar_core.examinations import Case, Coverage
from vlmcar_core.types import Answers, Diagnostic

FRAME_SECONDS = 0.005
"""A checker that takes longer slows training down noticeably."""

SIZES = ("half the size", "twice the size")


def lints(
    answers: Sequence[Answers],
    findings: Iterable[Diagnostic],
    shaken: Iterable[Case],
    coverage: Coverage | None,
    impure: str,
) -> list[str]:
    """One sentence each.

    Args:
        answers: about every recorded episode.
        findings: of the static gate.
        shaken: where a change of the picture changed an answer.
        coverage: of its branches.
        impure: what it answers differently in another order.
    """
    found = [impure] if impure else []
    found += [f"line {item.line}: {item.message}" for item in findings if item.rule == "initial"]
    found += _history(answers)
    found += _size(shaken)
    if coverage is not None:
        found += [f"line {branch.line}: no recorded frame goes where {branch.what}" for branch in coverage.missed]
    return found + _slow(answers)


def _history(answers: Sequence[Answers]) -> list[str]:
    if not answers:
        return []
    said = np.concatenate([found.done for found in answers])
    if said.all():
        return ["every recorded frame is called done"]
    return [] if said.any() else ["no recorded frame is called done"]


def _size(shaken: Iterable[Case]) -> list[str]:
    sizes = sorted({size for case in shaken for size in SIZES if case.episode.endswith(size)})
    return [f"it depends on the size of the picture: it answers differently at {' and '.join(sizes)}"] if sizes else []


def _slow(answers: Sequence[Answers]) -> list[str]:
    seconds = [found.frame_seconds for found in answers if found.frame_seconds is not None]
    mean = sum(seconds) / len(seconds) if seconds else 0.0
    if mean <= FRAME_SECONDS:
        return []
    return [f"it takes {1000 * mean:.1f} ms a frame; more than {1000 * FRAME_SECONDS:g} ms slow training down"]

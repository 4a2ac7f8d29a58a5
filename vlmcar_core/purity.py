"""Is a checker a function of its two frames? Asked again in another order, in another process, it must say the same.

The static gate cannot see all that makes an answer depend on what was asked before: a list that grows, a default
argument that is changed, a NumPy function that was replaced. So the frames are asked once in their order and once
shuffled, in a fresh process that has seen none of them.
"""

from collections.abc import Sequence

import numpy as np

from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Checker, Frame, Frames, Outcome

FRAMES = 200
"""More are not asked twice."""

UNSURE = ("timeout", "memory", "crash", "disabled")
"""Outcomes that may be the machine's momentary state."""


def impurity(checker: Checker, initial: Frame, frames: Frames, seed: int = 0) -> str:
    """What a checker answers differently when the order changes, in plain words; empty where nothing.

    Args:
        checker: which.
        initial: the episode's first frame, uint8 (H, W, 3).
        frames: of the same episode, uint8 (N, H, W, 3); of more than 200, an even choice is asked.
        seed: of the shuffling.
    """
    if checker.in_order:
        return _undetermined(checker, initial, frames)
    chosen = np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)
    order = np.random.default_rng(seed).permutation(len(chosen))
    first = _asked(checker, initial, frames[chosen])
    shuffled = _asked(checker, initial, frames[chosen[order]])
    for place, number in enumerate(order):
        one, other = first[number], shuffled[place]
        if _differ(one, other):
            return (
                f"on frame {chosen[number]} it answers {_said(one)} when asked in order and {_said(other)} when asked "
                "in another order, so it keeps something between calls"
            )
    return ""


def _undetermined(checker: Checker, initial: Frame, frames: Frames) -> str:
    """As `impurity`, for a program in the released style: the same episode twice, each time in a fresh process."""
    pairs = zip(_asked(checker, initial, frames), _asked(checker, initial, frames), strict=True)
    for number, (one, other) in enumerate(pairs):
        if _differ(one, other):
            return (
                f"shown the same frames in the same order twice, on frame {number} it answers {_said(one)} and then "
                f"{_said(other)}, so something else than the frames decides"
            )
    return ""


def _asked(checker: Checker, initial: Frame, frames: Frames) -> Sequence[Outcome]:
    with CheckerProcess([checker]) as process:
        return process.run(checker.key, initial, frames)


def _differ(one: Outcome, other: Outcome) -> bool:
    if one.kind in UNSURE or other.kind in UNSURE:
        return False
    return (one.kind, one.value) != (other.kind, other.value)


def _said(outcome: Outcome) -> str:
    return f"{outcome.value:g}" if outcome.value is not None else outcome.kind

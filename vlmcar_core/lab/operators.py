"""Episodes made from recorded ones, and what is known of them: the same facts, at the frames that are shown.

What a frame shows does not change when it is shown at another time, so the simulator's facts go with it. What a change
of the picture does to an answer is not known to be wrong, only that nothing has happened in the scene: those are told
as robustness, and not judged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.types import Frames, Trajectory

FREEZE_STEPS = 20
OSCILLATIONS = 6

Order = NDArray[np.intp]
"""Which recorded frame is shown, one after the other."""


@dataclass(frozen=True, eq=False)
class Made:
    """An episode that was made from a recorded one."""

    operator: str
    make: Callable[[], Trajectory]
    judged: bool
    """A contradiction is the checker's mistake; else it is told as a lack of robustness."""

    @property
    def trajectory(self) -> Trajectory:
        """Made anew each time it is asked for: all of them together would fill the memory."""
        return self.make()


def negatives(trajectory: Trajectory, random: Trajectory | None = None) -> list[Made]:
    """Every order of its frames that says something new; judged by the facts at the frames that are shown.

    Args:
        trajectory: an expert's.
        random: one of the same layout, into which the expert's last frame is spliced; None where there is none.
    """
    last = trajectory.steps
    orders: list[tuple[str, Order]] = [("freeze", np.zeros(FREEZE_STEPS + 1, np.intp))]
    if last >= 1:
        orders.append(("backwards", np.arange(last, -1, -1)))
        orders.append(("stopped before the last step", np.arange(last)))
    if last >= 4:
        orders.append(("middle cut out", np.r_[0 : last // 4, last - last // 4 : last + 1]))
    for name, truth in trajectory.facts.items():
        trigger = int(np.argmax(truth))
        if 0 < trigger < last:
            orders.append((f"back and forth around “{name}”", np.r_[0:trigger, _back_and_forth(trigger)]))
            orders.append((f"undone after “{name}”", np.r_[0 : trigger + 1, np.arange(trigger, -1, -1)]))
    orders += _swapped(trajectory)
    made = [Made(name, partial(shown, trajectory, order), True) for name, order in orders if len(order)]
    if random is not None and np.array_equal(random.frames[0], trajectory.frames[0]):
        made.append(Made("last frame spliced in", partial(_spliced, random, trajectory), True))
    return made


def _swapped(trajectory: Trajectory) -> list[tuple[str, Order]]:
    """Out of order: what follows the second of two facts is shown before what lies between them."""
    first = {name: int(np.argmax(truth)) for name, truth in trajectory.facts.items() if truth.any() and not truth[0]}
    onsets = sorted(first.items(), key=lambda item: item[1])
    found = []
    for (name, start), (other, end) in pairwise(onsets):
        if start < end:
            order = np.r_[0:start, end : trajectory.steps + 1, start:end]
            found.append((f"“{other}” shown before “{name}”", order))
    return found


def changes(trajectory: Trajectory) -> list[Made]:
    """The same episode seen a little differently."""
    return [Made(name, partial(_changed, trajectory, change), False) for name, change in CHANGES.items()]


def _changed(trajectory: Trajectory, change: Callable[[Frames], Frames]) -> Trajectory:
    return replace(trajectory, frames=change(trajectory.frames))


def shown(trajectory: Trajectory, order: Order) -> Trajectory:
    """Its frames in another order, with their facts. Actions and rewards would mean nothing, and are zero; whether it
    succeeds is known only where it is the episode's own beginning."""
    steps = len(order) - 1
    beginning = np.array_equal(order, np.arange(len(order))) and len(order) <= trajectory.steps
    return replace(
        trajectory,
        frames=trajectory.frames[order],
        actions=np.zeros((steps, *trajectory.actions.shape[1:]), trajectory.actions.dtype),
        rewards=np.zeros(steps),
        terminated=False,
        truncated=False,
        success=False if beginning and trajectory.terminated else None,
        source="adversarial",
        facts={name: truth[order] for name, truth in trajectory.facts.items()},
    )


def _back_and_forth(trigger: int) -> Order:
    return np.tile(np.array([trigger - 1, trigger], np.intp), OSCILLATIONS)


def _spliced(random: Trajectory, expert: Trajectory) -> Trajectory:
    """The expert's last frame in the middle of a random walk through the same layout."""
    middle = len(random.frames) // 2
    walk = shown(random, np.arange(len(random.frames)))
    frames = np.concatenate([random.frames[:middle], expert.frames[-1:], random.frames[middle:]])
    facts = {
        name: np.concatenate([truth[:middle], expert.facts[name][-1:], truth[middle:]])
        for name, truth in random.facts.items()
        if name in expert.facts
    }
    steps = len(frames) - 1
    actions = np.zeros((steps, *random.actions.shape[1:]), random.actions.dtype)
    return replace(walk, frames=frames, facts=facts, actions=actions, rewards=np.zeros(steps), success=None)


def _scaled(factor: float) -> Callable[[Frames], Frames]:
    """Pixels times a factor."""
    return lambda frames: np.clip(frames.astype(np.float32) * factor, 0, 255).round().astype(np.uint8)


def _contrast(factor: float) -> Callable[[Frames], Frames]:
    """Distances from middle grey times a factor."""
    return lambda frames: np.clip((frames.astype(np.float32) - 127.5) * factor + 127.5, 0, 255).round().astype(np.uint8)


def _hue(degrees: int) -> Callable[[Frames], Frames]:
    def turned(frames: Frames) -> Frames:
        found = np.empty_like(frames)
        for number, frame in enumerate(frames):
            hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
            hsv[..., 0] = (hsv[..., 0].astype(int) + degrees // 2) % 180
            found[number] = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        return found

    return turned


def _resized(factor: float) -> Callable[[Frames], Frames]:
    def resized(frames: Frames) -> Frames:
        size = (max(1, round(frames.shape[2] * factor)), max(1, round(frames.shape[1] * factor)))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
        return np.stack([cv2.resize(frame, size, interpolation=how) for frame in frames]).astype(np.uint8)

    return resized


def _shifted(pixels: Sequence[int]) -> Callable[[Frames], Frames]:
    """The whole picture moved right and down; its edge is repeated."""
    right, down = pixels

    def shifted(frames: Frames) -> Frames:
        padded = np.pad(frames, ((0, 0), (down, 0), (right, 0), (0, 0)), mode="edge")
        return padded[:, : frames.shape[1], : frames.shape[2]]

    return shifted


CHANGES: dict[str, Callable[[Frames], Frames]] = {
    "5 % brighter": _scaled(1.05),
    "5 % darker": _scaled(0.95),
    "5 % more contrast": _contrast(1.05),
    "5 % less contrast": _contrast(0.95),
    "hue turned by 4°": _hue(4),
    "half the size": _resized(0.5),
    "twice the size": _resized(2.0),
    "moved by 2 pixels": _shifted((2, 1)),
}

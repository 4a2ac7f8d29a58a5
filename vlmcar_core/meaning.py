"""What the parts of a recorded episode mean, as a person says, and the trajectory that it is then."""

import re
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import files, readers
from vlmcar_core.errors import BadInput
from vlmcar_core.readers import Episode
from vlmcar_core.types import Frames, Source, Trajectory

AUTO = ""
"""The name of an array that is looked for under its usual names."""

NONE = "none"
"""The name of an array that is not to be taken."""

USUAL = {
    "actions": ("actions", "action"),
    "rewards": ("rewards", "reward"),
    "terminated": ("terminated", "terminations", "dones"),
    "truncated": ("truncated", "truncations", "timeouts"),
    "success": ("success", "infos/success", "infos/is_success"),
}
"""Under which names files hold what."""

FACT = re.compile(r"(?:infos/)?fact:(.+)", re.DOTALL)
FACTS_MAX = 100
RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
SUCCESS = re.compile(r"auto|yes|no|unknown|key:.+|return:[-+0-9.eE]+", re.DOTALL)
SUCCESS_HELP = "yes, no, unknown, key:NAME (true at any step), return:NUMBER (at least so much), or auto"

SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True)
class Meaning:
    """What the parts of a file mean: a person's answer."""

    source: Source | None = None
    """Who acted; None: as the file says, else a person."""

    success: str = "auto"
    """`SUCCESS_HELP`; auto: the file's own word under its usual names, else unknown."""

    actions: str = AUTO
    rewards: str = AUTO
    frames: str = AUTO
    """Names of arrays: empty for the usual ones, `none` to take none."""

    resize: bool = False
    """Make frames of another size as large as the session's, instead of refusing them."""

    episodes: tuple[int, ...] = ()
    """Which of each file, from 0; all if empty."""

    def __post_init__(self) -> None:
        if self.source is not None and self.source not in SOURCES:
            raise BadInput(f"a source is one of {', '.join(SOURCES)}, not {self.source!r}")
        if not SUCCESS.fullmatch(self.success):
            raise BadInput(f"success is {SUCCESS_HELP}; not {self.success!r}")
        self.least_return()

    def least_return(self) -> float | None:
        """Of a success by return; None where it is told otherwise."""
        kind, _, number = self.success.partition(":")
        try:
            return float(number) if kind == "return" else None
        except ValueError as error:
            raise BadInput(f"the return that counts as success is a number, not {number!r}") from error


def numbers(text: str) -> tuple[int, ...]:
    """Which episodes a person wants, from numbers and ranges such as `0-9,20`. Raises `BadInput`."""
    found: list[int] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = RANGE.fullmatch(part)
        if match is None:
            raise BadInput(f"episodes are numbers and ranges such as 0-9,20; not {part!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first >= readers.EPISODES_MAX:
            raise BadInput(f"at most {readers.EPISODES_MAX:,} episodes are taken at once, not {part!r}")
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def frames_of(episode: Episode, wanted: str) -> Frames | None:
    """Its own frames, or the array that a person named."""
    if wanted in (AUTO, NONE):
        return episode.frames if wanted == AUTO else None
    found = _named(episode, wanted, "frames")
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[3] != 3 or not len(found):
        raise BadInput(f"{episode.name}: {wanted} is {found.dtype} {found.shape}; frames are uint8 (T + 1, H, W, 3)")
    readers.check_size(episode.name, *found.shape[:3])
    return found


def _named(episode: Episode, wanted: str, what: str) -> NDArray[Any]:
    if wanted not in episode.arrays:
        names = ", ".join(files.label(name) for name in list(episode.arrays)[:20]) or "none"
        raise BadInput(f"{episode.name} has no {wanted!r} to take as {what}; its arrays are: {names}")
    return episode.arrays[wanted]


def array_of(episode: Episode, what: str, wanted: str = AUTO) -> NDArray[Any] | None:
    """What a person named, or what stands under a usual name; None where there is none, or none is wanted."""
    if wanted == NONE:
        return None
    if wanted != AUTO:
        return _named(episode, wanted, what)
    return next((episode.arrays[name] for name in USUAL[what] if name in episode.arrays), None)


def told(name: str, episode: Episode, frames: Frames, meaning: Meaning) -> Trajectory:
    steps = len(frames) - 1
    actions = _per_step(name, "actions", array_of(episode, "actions", meaning.actions), steps)
    rewards = _per_step(name, "rewards", array_of(episode, "rewards", meaning.rewards), steps)
    paid = np.zeros(steps) if rewards is None else rewards.astype(np.float64)
    if not np.isfinite(paid).all():
        raise BadInput(f"{name}: its rewards hold numbers that are not finite; name other ones, or none")
    return Trajectory(
        frames=frames,
        actions=np.zeros((steps, 0), np.float32) if actions is None else actions,
        rewards=paid,
        terminated=_ended(episode, "terminated"),
        truncated=_ended(episode, "truncated") and not _ended(episode, "terminated"),
        success=success_of(episode, paid, meaning),
        source=source_of(episode, meaning),
        seed=episode.seed if episode.seed is not None and 0 <= episode.seed < 2**31 else None,
        env_id=episode.env_id,
        facts=_facts(name, episode, len(frames)),
    )


def _per_step(name: str, what: str, array: NDArray[Any] | None, steps: int) -> NDArray[Any] | None:
    """A row per step. Where there is one per frame the last is left out: no frame shows what it led to."""
    if array is None:
        return None
    if array.dtype.kind not in "biuf" or not 1 <= array.ndim <= (2 if what == "actions" else 1):
        raise BadInput(f"{name}: its {what} are {array.dtype} {array.shape}; numbers (T,) are expected")
    if len(array) not in (steps, steps + 1):
        raise BadInput(
            f"{name} has {steps + 1} frames and {len(array)} {what}; there is one more frame than {what}, since an "
            "episode begins with a frame"
        )
    return array[:steps]


def _ended(episode: Episode, what: str) -> bool:
    array = array_of(episode, what)
    return array is not None and array.dtype.kind in "biuf" and array.size > 0 and bool(array.reshape(-1)[-1])


def success_of(episode: Episode, rewards: NDArray[np.float64], meaning: Meaning) -> bool | None:
    fixed = {"yes": True, "no": False, "unknown": None}
    if meaning.success in fixed:
        return fixed[meaning.success]
    least = meaning.least_return()
    if least is not None:
        return bool(rewards.sum() >= least)
    key = meaning.success.partition(":")[2]
    array = array_of(episode, "success", key)
    if array is None or not array.size:
        return None
    if array.dtype.kind not in "biuf":
        raise BadInput(f"{episode.name}: {key or 'success'} is {array.dtype} {array.shape}, neither true nor false")
    return bool((np.nan_to_num(array.astype(np.float64)) >= 0.5).any())


def source_of(episode: Episode, meaning: Meaning) -> Source:
    said: list[Source] = [source for source in SOURCES if source == episode.source]
    return meaning.source or (said[0] if said else "human")


def _facts(name: str, episode: Episode, count: int) -> dict[str, NDArray[np.bool_]]:
    """What the file calls facts, true or false about each frame."""
    found = {match[1]: array for key, array in episode.arrays.items() if (match := FACT.fullmatch(key))}
    if len(found) > FACTS_MAX:
        raise BadInput(f"{name} tells {len(found)} facts; at most {FACTS_MAX} are kept")
    for fact, array in found.items():
        if array.dtype != np.bool_ or array.shape != (count,):
            raise BadInput(f"{name}: the fact {fact!r} is {array.dtype} {array.shape}; expected bool ({count},)")
    return found

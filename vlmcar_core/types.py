"""The nouns: frozen values that every stage takes and returns. No disk, no processes, no Streamlit."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import programs
from vlmcar_core.errors import BadInput

Frame = NDArray[np.uint8]
"""One picture: RGB, uint8, shape (H, W, 3)."""

Frames = NDArray[np.uint8]
"""Pictures of one size: RGB, uint8, shape (N, H, W, 3)."""

Drawn = Frame | Callable[[], Frame]
"""A frame, or what draws it, which is called only where somebody has to look at it."""

Source = Literal["expert", "random", "human", "policy", "adversarial", "near-miss"]
"""Who acted in a trajectory; a near miss is an expert that stops short, and then wanders."""

Judgement = Literal["accepted", "rejected", "undecided"]

OutcomeKind = Literal["ok", "rejected", "error", "denied", "timeout", "memory", "crash", "badreturn", "disabled"]
"""How one call of a checker ended; everything but `ok` is the checker's own fault.

rejected: its source was refused before it ran; error: it raised; denied: it reached for something it may
not have; timeout, memory: over its limits; crash: its process died; badreturn: it answered neither a bool
nor a finite number; disabled: it was killed too often in this run and is not asked any more."""

Progress = Callable[[int, int, str], None]
"""Told (steps done, steps in all, what is being done); may raise `Cancelled`."""

GOAL = "goal"
"""The key of the goal's own checker in every proposal."""

BUILT_IN = "built-in, no VLM"
"""How the built-in proposer signs; the same words wherever an author is shown."""

SEED_MAX = 2**31 - 1
EPISODES_MAX, RANDOM_STEPS_MAX = 10_000, 10_000
SUBTASKS_MAX = 100

KEY_PATTERN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Task:
    """What is to be learned: an environment and where it starts, or two frames alone."""

    env_id: str | None
    """A registered Gymnasium id; None for a session that has frames only."""

    family: str | None
    """The file in `envs/` that makes it; None for frames only."""

    seed: int = 0
    """The seed whose first frame is the task's initial frame; experts start from it and count upwards."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the environment, such as `tile_size`; JSON values only."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= SEED_MAX:
            raise BadInput(f"a seed is a whole number from 0 to {SEED_MAX}, not {self.seed}")


@dataclass(frozen=True)
class Recording:
    """How much is recorded. The defaults are the paper's two experts and one hundred random episodes."""

    experts: int = 2
    randoms: int = 100
    random_steps: int = 100
    """A random episode ends after this many steps, or earlier where the environment ends it."""

    def __post_init__(self) -> None:
        for label, value, low, high in (
            ("number of experts", self.experts, 0, EPISODES_MAX),
            ("number of random episodes", self.randoms, 0, EPISODES_MAX),
            ("length of random episodes", self.random_steps, 1, RANDOM_STEPS_MAX),
        ):
            if not low <= value <= high:
                raise BadInput(f"the {label} is a whole number from {low} to {high}, not {value}")


@dataclass(frozen=True)
class Thresholds:
    """What a verdict is judged by (Venuto et al. 2024: experts 100 %, fewer than 10 % of random ones)."""

    min_experts: int = 2
    """Fewer expert trajectories than this decide nothing."""

    random_limit: float = 0.10
    """Of the random trajectories, fewer than this share may complete the whole task."""

    confidence: float = 0.95
    """Of the one-sided Clopper–Pearson bound that the random rate must keep."""

    def __post_init__(self) -> None:
        if self.min_experts < 1:
            raise BadInput(f"at least one expert is needed to accept a checker, not {self.min_experts}")
        for label, value in (("random limit", self.random_limit), ("confidence", self.confidence)):
            if not 0.0 < value < 1.0:
                raise BadInput(f"the {label} lies between 0 and 1, not {value}")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One episode, or the first part of one."""

    frames: Frames
    """What was seen, RGB uint8, shape (T + 1, H, W, 3)."""

    actions: NDArray[Any]
    """What was done, shape (T,) for discrete actions, (T, A) for continuous ones."""

    rewards: NDArray[np.float64]
    """What the environment itself paid, shape (T,)."""

    terminated: bool
    truncated: bool
    """Ended by the environment's own time limit. Both are False where the recording was cut short."""

    success: bool | None
    """The environment's own word on whether its task was solved; None where it has none."""

    source: Source
    seed: int | None
    env_id: str | None
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package name to version, of what the trajectory was recorded with."""

    facts: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """The simulator's truth per frame, shape (T + 1,) each, such as "key held". Never shown to a proposer
    or a checker; used only to judge them."""

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 (T + 1, H, W, 3), not {self.frames.dtype} {self.frames.shape}")
        if len(self.frames) != len(self.rewards) + 1:
            raise ValueError(f"expected one more frame than rewards: {len(self.frames)} != {len(self.rewards)} + 1")
        if len(self.actions) != len(self.rewards):
            raise ValueError(f"expected as many actions as rewards: {len(self.actions)} != {len(self.rewards)}")
        if self.rewards.ndim != 1 or self.actions.ndim > 2 or self.actions.dtype.kind not in "biuf":
            told = f"{self.rewards.shape} rewards, {self.actions.dtype} {self.actions.shape} actions"
            raise ValueError(f"rewards are (T,), actions (T,) or (T, A) and numbers, not {told}")
        for name, truth in self.facts.items():
            if truth.shape != (len(self.frames),) or truth.dtype != np.bool_:
                raise ValueError(f"fact {name!r} must be bool ({len(self.frames)},), not {truth.dtype} {truth.shape}")

    @property
    def steps(self) -> int:
        return len(self.rewards)


@lru_cache(maxsize=512)
def _sha256(text: str) -> str:
    """Training asks for the same few at every step."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Checker:
    """The program of one sub-task: plain Python source in the checker contract (see README)."""

    key: str
    """Unique in its proposal; lower-case words joined by hyphens; the stem of its file."""

    source: str

    def __post_init__(self) -> None:
        if not KEY_PATTERN.fullmatch(self.key) or len(self.key) > 48:
            raise ValueError(f"a key is at most 48 characters of a-z, 0-9 and single hyphens, not {self.key!r}")

    @property
    def digest(self) -> str:
        """SHA-256 of the source, hexadecimal. Two checkers with the same source have the same answers."""
        return _sha256(self.source)

    @property
    def in_order(self) -> bool:
        """Whether it is a program in the released style, which has to be shown an episode's frames in order; all
        others are functions of two frames."""
        return programs.reading_of(self.source) is not None


@dataclass(frozen=True)
class SubTask:
    """One thing to be done, and the program that sees whether it is."""

    title: str
    """For people: one line, such as "Pick up the yellow key"."""

    checker: Checker
    doubt: str = ""
    """What its author was not sure of; empty where there was no doubt."""

    @property
    def key(self) -> str:
        return self.checker.key


@dataclass(frozen=True)
class Proposal:
    """What a proposer, or a person editing, answered: the goal, ordered sub-tasks, a checker for each."""

    goal: SubTask
    """`goal.title` is the goal sentence; its checker's key is `GOAL`."""

    subtasks: tuple[SubTask, ...]
    author: str
    """`BUILT_IN`, a model's name, or a person's."""

    reason: str = ""
    parent: int | None = None
    """The number of the proposal that this one was made from."""

    doubts: tuple[str, ...] = ()
    """What the two frames did not tell."""

    dialogue: int | None = None
    """The conversation with a model that it came from; None where there was none."""

    candidate: bool = False
    """One of several tries, kept to be looked at: it becomes what the session stands on only when it is adopted."""

    number: int | None = None
    """Its place in the session; None until it is stored."""

    created: str = ""
    """UTC, ISO 8601; empty until it is stored."""

    def __post_init__(self) -> None:
        if self.goal.key != GOAL:
            raise ValueError(f"the goal's checker has the key {GOAL!r}, not {self.goal.key!r}")
        if len(self.subtasks) > SUBTASKS_MAX:
            raise ValueError(f"a proposal has at most {SUBTASKS_MAX} sub-tasks, not {len(self.subtasks)}")
        keys = [step.key for step in self.steps]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        if repeated:
            raise ValueError(f"every sub-task needs a key of its own; repeated: {', '.join(repeated)}")

    @property
    def steps(self) -> tuple[SubTask, ...]:
        """The sub-tasks in order, then the goal."""
        return (*self.subtasks, self.goal)

    @property
    def paid(self) -> tuple[SubTask, ...]:
        """What training pays for: the sub-tasks, or the goal alone where there are none."""
        return self.subtasks or (self.goal,)


@dataclass(frozen=True)
class Outcome:
    """How one call of a checker ended."""

    kind: OutcomeKind
    value: float | None = None
    """Progress in [0, 1] where `kind` is "ok", else None."""

    message: str = ""
    """What went wrong, in plain words; bounded, without control characters."""

    line: int | None = None
    """The line of the checker's source, from 1, where there is one."""

    @property
    def done(self) -> bool:
        return self.kind == "ok" and self.value is not None and self.value >= 1.0


@dataclass(frozen=True)
class Diagnostic:
    """One finding about a checker's source, found without running it."""

    rule: str
    severity: Literal["error", "warning"]
    line: int
    """From 1."""
    column: int
    """From 0."""
    message: str
    hint: str = ""


@dataclass(frozen=True, eq=False)
class Seen:
    """What one `identify_<object>` found in one frame."""

    name: str
    """The object: the function's name without `identify_`."""

    kind: Literal["mask", "box", "point", "nothing", "fault"]
    mask: NDArray[np.bool_] | None = None
    """(H, W), where `kind` is "mask"."""
    box: tuple[float, float, float, float] | None = None
    """(x, y, width, height) in pixels, where `kind` is "box"."""
    point: tuple[float, float] | None = None
    """(x, y) in pixels, where `kind` is "point"."""
    message: str = ""
    """Why, where `kind` is "fault"."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """One checker on one pair of frames, looked at closely."""

    outcome: Outcome
    printed: str
    """What it printed; bounded, without control characters."""
    initial: tuple[Seen, ...]
    current: tuple[Seen, ...]


@dataclass(frozen=True, eq=False)
class Answers:
    """What one checker said about every frame of one trajectory."""

    values: NDArray[np.float32]
    """Progress in [0, 1], shape (T + 1,); NaN where the call did not end well."""

    faults: Mapping[int, Outcome] = field(default_factory=dict)
    """Frame number to what went wrong there."""

    frame_seconds: float | None = None
    """Seconds that it took to answer about one frame, on the average; None where it was not measured."""

    @property
    def done(self) -> NDArray[np.bool_]:
        """Shape (T + 1,)."""
        return np.asarray(np.nan_to_num(self.values, nan=0.0) >= 1.0)


@dataclass(frozen=True)
class Count:
    """So many out of so many. A rate of 1.0 from two and from two hundred must not look alike."""

    hits: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.total:
            raise ValueError(f"expected 0 <= hits <= total, not {self.hits} of {self.total}")

    @property
    def rate(self) -> float | None:
        """None where there is nothing to count."""
        return self.hits / self.total if self.total else None


class Proposer(Protocol):
    """A file in `proposers/`: two frames in, a proposal out."""

    def propose(self, initial: Frame, goal: Frame, progress: Progress) -> Proposal:
        """Raises `NothingToPropose` where the frames do not tell what the task is."""


def slug(title: str, taken: Sequence[str] = ()) -> str:
    """A checker's key from a sub-task's title, different from every key in `taken`."""
    words = re.findall(r"[a-z0-9]+", title.lower())
    while len("-".join(words)) > 40 and len(words) > 1:
        words.pop()
    base = "-".join(words)[:40] or "sub-task"
    number, key = 2, base
    while key in taken or key == GOAL:
        key, number = f"{base}-{number}", number + 1
    return key

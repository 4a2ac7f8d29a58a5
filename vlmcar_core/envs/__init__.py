"""Environment families, one file or folder each. Adding one is adding a file; nothing else changes.

A family is a module with these functions (tests/test_envs_contract.py runs over every one that it finds):

    TITLE: str                                    its name for people
    CONTINUOUS: bool                              its actions are a Box; else they are Discrete
    STEP_COST: bool                               every step costs 1 until it is solved; False if it is not there
    ACTION_NAMES: tuple[str, ...]                 of discrete actions, for people; may be left out
    SETTINGS: dict[str, Setting]                  what `Task.settings` may hold, by name
    tasks() -> list[EnvTask]                      what can be chosen; the paper's first
    make(task) -> gym.Env                         with render_mode "rgb_array"; seeds are given to reset()
    steps_limit(env) -> int                       the environment's own time limit, in steps
    expert(env) -> list[action]                   from the state it was just reset to, to success;
                                                  raises NoExpert and says why; leaves env as it was
    succeeded(rewards, terminated) -> bool        the environment's own word on a finished or cut episode
    facts(env) -> dict[str, bool]                 the simulator's truth now, only ever used to judge
    versions() -> dict[str, str]                  packages that shape what is recorded; what simulates, by its name
    VIEWS: dict[str, str]                         what a policy may see, and what that is for people; the usual first
    policy_view(env, view) -> gym.Env             what a policy is trained on, the usual view if none is named: a flat
                                                  float32 Box; "image": RGB uint8 (H, W, 3), 36 pixels or more
    scene(env) -> Frame                           the full render: RGB uint8 (H, W, 3)

and, where what success is depends on the task:

    success_in(env) -> Word                       what `succeeded` is there; None is "not known"

and, where two files share their ids and differ in their actions:

    placed(task) -> Task                          the task in the family that takes its actions

and, where its tasks are to reach a goal that can be changed in hindsight:

    goal_view(env) -> gym.Env                     the usual observation as a float32 Dict of observation,
                                                  achieved_goal, desired_goal; its unwrapped env has compute_reward

and, where an action may do nothing, for trainers that leave such actions out:

    action_mask(env) -> bool (A,)                 which do something in the state now, as far as the agent can know

and, where what can be reached from a state can be looked at exhaustively:

    ACTIONS: int                                  actions 0 to ACTIONS - 1 are tried
    save(env) -> Hashable                         the state now; equal only to the same state of the same layout
    restore(env, state)                           go back to it, with all steps left
    step(env, action) -> (reward, terminated)     one action from there

and, where a frame need not be drawn to be known again:

    frame_key(env) -> bytes | None                equal only where `scene` is; None where that must be drawn

and, where copies can be stepped together, the same as one by one:

    copies(task, count) -> Simulation | None      so many (copies.py says what they do); None where this task's cannot

and, where an object can be put beside the task's own:

    scenes(task, seed) -> list[Scene]             the layout of a seed, changed in one thing each

and, where a person drives it by more than the names or the axes of its actions (see `driving`):

    controls(env) -> Controls                     what can be pressed, held and clicked
    action_of(env, pressed) -> action             the action for what is pressed, from the state now

and, where an episode asks for something in words:

    instruction(env) -> str                       what it asks for, since the last reset

and, where its frames can be drawn without the studio:

    standalone(task) -> Standalone | None         what makes and draws it there, as `make` and `scene` do here; raises
                                                  BadInput where it cannot be made here

Importing a family and calling tasks() is quick: what simulates (pybullet, MuJoCo) is imported by make().
Files that begin with an underscore are parts of families.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.types import Task

Word = Callable[[NDArray[np.float64], bool], bool | None]
"""From an episode's rewards, float64 (T,), and whether it terminated, to the environment's own word on success."""


def word(family: ModuleType, env: gym.Env[Any, Any]) -> Word:
    """Who tells whether an episode of this environment, which has just ended or been cut, was a success."""
    bound: Word = family.success_in(env) if hasattr(family, "success_in") else family.succeeded
    return bound


def solved(family: ModuleType, env: gym.Env[Any, Any]) -> Callable[[NDArray[np.float64], bool], bool]:
    """The same where there must be an answer: what is not known is no success."""
    told = word(family, env)
    return lambda rewards, terminated: bool(told(rewards, terminated))


@dataclass(frozen=True)
class EnvTask:
    """One environment that can be chosen."""

    env_id: str
    paper: bool
    """It is one of those that the paper used."""

    expert: bool
    """The family's planner claims to solve it."""

    note: str = ""
    """Why it has no expert, or cannot be made here; empty where there is nothing to say."""

    works: bool = True
    """It can be made with what is installed."""


@dataclass(frozen=True)
class Scene:
    """A layout with something in it that a checker may take for the right thing."""

    name: str
    task: Task
    """The same one with the setting that changes its layout."""

    wrong: tuple[Any, ...]
    """The actions that do with it what the task wants done with another."""


@dataclass(frozen=True)
class Control:
    """One thing that a person can press."""

    name: str
    """For people, and what `Pressed` tells; unique in its family."""

    key: str
    """The key to begin with, as browsers name it (KeyboardEvent.key); Streamlit itself takes `r` and `c`."""

    stays: bool = False
    """It stays on until another one that stays is pressed: a closed gripper."""


@dataclass(frozen=True)
class Controls:
    """What a person can do in an environment."""

    keys: tuple[Control, ...]
    together: bool = False
    """Several may be held at once, and while one is held there is a next step; else a press is one step."""

    points: tuple[str, ...] = ()
    """What is clicked in the picture for one step, in order, such as "pick here"; empty where nothing is."""

    turns: bool = False
    """What is clicked may be turned on the way."""


@dataclass(frozen=True)
class Pressed:
    """What a person asks for in one step."""

    held: tuple[str, ...] = ()
    """Names of controls."""

    points: tuple[tuple[float, float], ...] = ()
    """Across and down, as shares of the picture's width and height."""

    turn: float = 0.0
    """As a share of half a turn, counter-clockwise, in [-1, 1]."""

    share: float = 1.0
    """How far a step goes, as a share of the farthest, in (0, 1]; for what moves by degrees."""

    def __post_init__(self) -> None:
        if not all(0.0 <= place <= 1.0 for point in self.points for place in point):
            raise BadInput(f"points are shares of the picture, from 0 to 1, not {str(self.points)[:80]}")
        if not (-1.0 <= self.turn <= 1.0 and 0.0 < self.share <= 1.0):
            raise BadInput(f"a turn is from -1 to 1 and a share above 0, at most 1, not {self.turn} and {self.share}")


@dataclass(frozen=True)
class Standalone:
    """How an environment is made and drawn outside of the studio, for a bundle."""

    source: str
    """Of a module with ENV_ID, make() and scene(env)."""

    packages: tuple[str, ...]
    """The distributions that it needs, beside Gymnasium, NumPy and OpenCV: lines of a requirements.txt."""

    modules: tuple[str, ...] = ()
    """Of the studio's own, below `vlmcar_core`, those that it imports from `studio`; they are copied."""

    note: str = ""
    """What else there is to know, such as where a package cannot be installed."""

    succeeded: str = ""
    """For a family with `success_in`: the text of a function `succeeded(rewards, terminated)`, which is what tells
    success in this task; empty where rewards do not tell it."""


@dataclass(frozen=True)
class Setting:
    """One thing that `Task.settings` may hold. Its kind is its default's: bool, int, float or str."""

    label: str
    default: bool | int | float | str
    low: float = 0
    high: float = 1
    """A number's range, both ends included."""
    choices: tuple[str, ...] = ()
    """The words that a text may be; any text where there are none."""
    help: str = ""

    def problem(self, value: Any) -> str:
        """What is expected instead of a value; empty where the value will do."""
        kind = type(self.default)
        if kind is bool:
            return "" if isinstance(value, bool) else "true or false"
        if kind is str:
            words = f"one of {', '.join(self.choices)}" if self.choices else "a text"
            return "" if isinstance(value, str) and (not self.choices or value in self.choices) else words
        known = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        words = f"a {'whole ' if kind is int else ''}number from {self.low:g} to {self.high:g}"
        return "" if known and self.low <= value <= self.high else words


def known_view(view: str, views: Mapping[str, str]) -> str:
    """The view. Raises `UnknownName` where a family has none by this name."""
    if view not in views:
        raise UnknownName.among("observation", view, views)
    return view


def chosen(settings: Mapping[str, Any], known: Mapping[str, Setting]) -> dict[str, Any]:
    """The value of every setting: the given ones, and the others' defaults.

    Raises:
        UnknownName: there is no setting by a name.
        BadInput: a value is not of its setting's kind or range.
    """
    for name, value in settings.items():
        if name not in known:
            raise UnknownName.among("setting", name, known)
        wanted = known[name].problem(value)
        if wanted:
            raise BadInput(f"the setting {name!r} is {wanted}, not {value!r}")
    return {name: settings.get(name, setting.default) for name, setting in known.items()}

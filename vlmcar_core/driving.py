"""A person acts in an environment, a press at a time → a trajectory, by the same way as every other.

A family says what can be pressed (`controls`, see `envs`). Without that, discrete actions are pressed by their names,
and each part of a continuous one has a key for more and one for less.

A step is undone by doing the others again: from the same seed, in a second environment, which takes the first one's
place only if it comes to the same frame and has paid the same. So what is undone leaves no trace (MiniGrid's reward
counts the steps), and where the same actions do not lead to the same again, that is found out, and said.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from vlmcar_core import rollouts
from vlmcar_core.envs import Control, Controls, Pressed
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.recordings import FRAMES_LIMIT_BYTES
from vlmcar_core.types import SEED_MAX, Frame, Source, Task, Trajectory

LETTERS = "1234567890qwtyuiopasdfghjklzxvbnm"
"""Keys where a family names none; without `r` and `c`, which Streamlit takes."""

EPISODE_LIMIT_BYTES = FRAMES_LIMIT_BYTES // 2
"""Of an episode's frames: they are in memory twice while they are saved."""


REHEARSAL_SECONDS, REHEARSAL_STEPS = 0.7, 150


class Driver:
    """One environment in somebody's hands; `close` it.

    Args:
        task: its seed is that of the first episode.
        family: as `envs` describes it; the task's own if None.
    """

    def __init__(self, task: Task, family: Any = None) -> None:
        self._task = task
        self._family = family or rollouts.family_of(task)
        self._env: gym.Env[Any, Any] = self._family.make(task)
        self._other: gym.Env[Any, Any] | None = None
        self.begin(task.seed)
        self.controls, self._action_of = _hook(self._family, self._env)

    def begin(self, seed: int) -> None:
        """An episode from a seed, in place of the one before.

        Raises:
            BadInput: it cannot be a seed.
        """
        if not 0 <= seed <= SEED_MAX:
            raise BadInput(f"a seed is a whole number from 0 to {SEED_MAX}, not {seed}")
        self._env.reset(seed=seed)
        self._recorder = rollouts.Recorder(self._family, self._env, self._task, seed)
        self._stayed: list[str | None] = [None]
        self.pressed: list[Pressed] = []
        """What was pressed for each step."""
        self.successes: list[bool | None] = []
        """The environment's own word after each step; None where it has none."""

    @property
    def env_id(self) -> str | None:
        return self._task.env_id

    @property
    def versions(self) -> Mapping[str, str]:
        """Of what the episode is made with, as a trajectory tells them."""
        versions: Mapping[str, str] = self._family.versions()
        return versions

    @property
    def episode(self) -> rollouts.Recorder:
        """What is recorded so far: all since the episode began."""
        return self._recorder

    @property
    def frame(self) -> Frame:
        """What is seen now, RGB uint8 (H, W, 3)."""
        return self._recorder.frames[-1]

    @property
    def instruction(self) -> str:
        """What the episode asks for, in words; empty where the family tells nothing."""
        return self._family.instruction(self._env) if hasattr(self._family, "instruction") else ""

    @property
    def staying(self) -> str | None:
        """The control that stays on, if one does."""
        return self._stayed[-1]

    def press(self, pressed: Pressed) -> None:
        """One step.

        Raises:
            BadInput: the episode is over or too long, nothing or too much is pressed, or what is clicked is nothing.
            UnknownName: there is no such control.
        """
        if self._recorder.over:
            raise BadInput("the episode is over: save it, undo its last step, or begin another")
        if (self._recorder.steps + 2) * self.frame.nbytes > EPISODE_LIMIT_BYTES:
            raise BadInput(f"after {self._recorder.steps} steps the episode is as long as one may be: save it, or undo")
        self._check(pressed)
        stays = {control.name for control in self.controls.keys if control.stays}
        staying = next((name for name in reversed(pressed.held) if name in stays), self.staying)
        held = tuple(name for name in pressed.held if name not in stays) + ((staying,) if staying else ())
        self._recorder.step(self._action_of(self._env, dataclasses.replace(pressed, held=held)))
        self._stayed.append(staying)
        self.pressed.append(pressed)
        self.successes.append(self._recorder.success)

    def _check(self, pressed: Pressed) -> None:
        known = [control.name for control in self.controls.keys]
        for name in pressed.held:
            if name not in known:
                raise UnknownName.among("control", name[:40], known)
        wanted = len(self.controls.points)
        if pressed.points and len(pressed.points) != wanted:
            raise BadInput(f"a step takes {wanted} points of the picture, not {len(pressed.points)}")
        if pressed.points and pressed.held:
            raise BadInput("a step is either pressed or clicked, not both at once")
        if not pressed.points and not pressed.held:
            raise BadInput("nothing is pressed")
        if len(pressed.held) > 1 and not self.controls.together:
            raise BadInput(f"one action at a time, not {', '.join(pressed.held)}")

    def undo(self) -> None:
        """Go back to before the last step.

        Raises:
            BadInput: there is none, or the environment does not do the same again.
        """
        recorder = self._recorder
        if not recorder.steps:
            raise BadInput("there is no step to undo")
        other, before = self._second(), recorder.steps - 1
        other.reset(seed=recorder.seed)
        # Looked at from the start, as the first one was: what a simulator draws may depend on when it began to.
        first = self._family.scene(other)
        paid = [float(other.step(action)[1]) for action in recorder.actions[:before]]
        seen = (first, self._family.scene(other))
        if paid != recorder.rewards[:before] or not np.array_equal(seen, (recorder.frames[0], recorder.frames[before])):
            raise BadInput(
                f"a step cannot be undone in {self._task.env_id}: the same {before} actions from seed {recorder.seed} "
                "do not lead to the same frame and reward again; begin the episode anew"
            )
        self._env, self._other = other, self._env
        recorder.go_back(other)
        self._stayed.pop()
        self.pressed.pop()
        self.successes.pop()

    def rehearse(self, seconds: float = REHEARSAL_SECONDS) -> None:
        """Act at random in the second environment for a moment.

        What is drawn or built for the first time takes long (MiniGrid's pictures of a cell 8 ms each, a dozen for the
        first turn); after this nobody waits for it at a key.

        Args:
            seconds: of the processor's time, at most.
        """
        other, seed = self._second(), self._task.seed
        other.reset(seed=seed)
        other.action_space.seed(seed)
        until = time.process_time() + seconds
        for _ in range(REHEARSAL_STEPS):
            self._family.scene(other)
            _, _, terminated, truncated, _ = other.step(other.action_space.sample())
            if terminated or truncated:
                other.reset(seed=seed)
            if time.process_time() > until:
                return

    def _second(self) -> gym.Env[Any, Any]:
        if self._other is None:
            self._other = self._family.make(self._task)
        return self._other

    def trajectory(self, source: Source) -> Trajectory:
        """The whole episode so far; nothing is over by it."""
        return self._recorder.trajectory(source)

    def close(self) -> None:
        for env in (self._env, self._other):
            if env is not None:
                env.close()


ActionOf = Callable[[gym.Env[Any, Any], Pressed], Any]


def _hook(family: ModuleType, env: gym.Env[Any, Any]) -> tuple[Controls, ActionOf]:
    """What can be pressed, and what it means: as the family says, or as the space of actions tells."""
    if hasattr(family, "controls"):
        return family.controls(env), family.action_of
    space = env.action_space
    if isinstance(space, gym.spaces.Discrete):
        return _choices(space, getattr(family, "ACTION_NAMES", ()))
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1:
        return _axes(space)
    raise BadInput(f"nobody can drive actions of {space}: only Discrete ones, and a Box of one dimension")


def _choices(space: gym.spaces.Discrete, names: tuple[str, ...]) -> tuple[Controls, ActionOf]:
    """An action by its name, or else by its number."""
    first, count = int(space.start), int(space.n)
    numbered = [names[number] if number < len(names) else f"action {first + number}" for number in range(count)]
    actions = {name: first + number for number, name in enumerate(numbered)}
    keys = [*LETTERS, *[""] * count]
    return Controls(tuple(map(Control, numbered, keys))), lambda _env, pressed: actions[pressed.held[0]]


def _axes(space: gym.spaces.Box) -> tuple[Controls, ActionOf]:
    """For each part of an action, its most and its least; half-way between them where neither is pressed."""
    low, high = np.maximum(space.low, -1e3), np.minimum(space.high, 1e3)
    names = [f"part {part + 1} {sign}" for part in range(len(low)) for sign in ("−", "+")]
    middle, half = (high + low) / 2, (high - low) / 2

    def action_of(_env: gym.Env[Any, Any], pressed: Pressed) -> Any:
        action = middle.copy()
        for name in pressed.held:
            part, more = divmod(names.index(name), 2) if name in names else (0, 0.5)
            action[part] += pressed.share * half[part] * (2 * more - 1)
        return np.clip(action, low, high).astype(space.dtype)

    keys = [*LETTERS, *[""] * len(names)]
    return Controls((*map(Control, names, keys), Control("wait", " ")), together=True), action_of

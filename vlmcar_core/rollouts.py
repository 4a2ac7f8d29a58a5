"""An environment and somebody who acts in it → a trajectory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from vlmcar_core import plugins
from vlmcar_core.envs import word
from vlmcar_core.errors import BadInput, NoExpert
from vlmcar_core.types import Frame, Source, Task, Trajectory

Act = Callable[[Any], Any]
"""From an observation to an action."""

View = Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]


def first_frame(task: Task) -> Frame:
    """The environment's own full render after reset: RGB uint8 (H, W, 3)."""
    family, env = _open(task)
    try:
        env.reset(seed=task.seed)
        return np.asarray(family.scene(env))
    finally:
        env.close()


class Recorder:
    """An episode as it happens: steps an environment that was just reset, and keeps all that a trajectory holds."""

    def __init__(self, family: ModuleType, env: gym.Env[Any, Any], task: Task, seed: int) -> None:
        self._family, self._env, self._task, self.seed = family, env, task, seed
        self.frames: list[Frame] = [family.scene(env)]
        """T + 1 so far, RGB uint8 (H, W, 3) each."""
        self.actions: list[Any] = []
        self.rewards: list[float] = []
        self.terminated = self.truncated = False
        self.facts: list[Mapping[str, bool]] = [family.facts(env)]
        """T + 1: what the simulator says of each frame, by name."""

    @property
    def steps(self) -> int:
        return len(self.rewards)

    @property
    def over(self) -> bool:
        """The environment has ended the episode."""
        return self.terminated or self.truncated

    @property
    def success(self) -> bool | None:
        """The environment's own word on the episode so far; None where it has none."""
        return word(self._family, self._env)(np.array(self.rewards, np.float64), self.terminated)

    def step(self, action: Any) -> Any:
        """One action from the state now; returns the observation."""
        observation, reward, terminated, truncated, _ = self._env.step(action)
        self.terminated, self.truncated = bool(terminated), bool(truncated)
        self.actions.append(action)
        self.rewards.append(float(reward))
        self.frames.append(self._family.scene(self._env))
        self.facts.append(self._family.facts(self._env))
        return observation

    def go_back(self, env: gym.Env[Any, Any]) -> None:
        """Forget the last step, and go on in an environment that is where this one was before it."""
        self._env, self.terminated, self.truncated = env, False, False
        for kept in (self.actions, self.rewards, self.frames, self.facts):
            kept.pop()

    def trajectory(self, source: Source) -> Trajectory:
        """The episode so far."""
        return Trajectory(
            frames=np.stack(self.frames),
            actions=np.array(self.actions),
            rewards=np.array(self.rewards, np.float64),
            terminated=self.terminated,
            truncated=self.truncated,
            success=self.success,
            source=source,
            seed=self.seed,
            env_id=self._task.env_id,
            versions=self._family.versions(),
            facts={name: np.array([now[name] for now in self.facts], np.bool_) for name in self.facts[0]},
        )


def record_expert(task: Task, seed: int) -> Trajectory:
    """The family's planner from this seed to success.

    Raises:
        NoExpert: it does not solve this environment or this layout, and says why.
    """
    family, env = _open(task)
    try:
        env.reset(seed=seed)
        actions = family.expert(env)
        found = _play(family, env, task, seed, iter(actions), "expert")
    finally:
        env.close()
    if not found.success:
        raise NoExpert(f"{task.env_id}, seed {seed}: the plan of {len(actions)} steps did not end in success")
    return found


def record_random(task: Task, seed: int, steps: int) -> Trajectory:
    """Uniformly random actions for at most so many steps; the same seed gives the same episode."""
    family, env = _open(task)
    try:
        env.reset(seed=seed)
        env.action_space.seed(seed)
        actions = (env.action_space.sample() for _ in range(steps))
        return _play(family, env, task, seed, actions, "random")
    finally:
        env.close()


def random_actions(task: Task, seed: int, steps: int) -> list[Any]:
    """Uniformly random actions."""
    _, env = _open(task)
    try:
        env.action_space.seed(seed)
        return [env.action_space.sample() for _ in range(steps)]
    finally:
        env.close()


def record_actions(task: Task, seed: int, actions: Iterable[Any], source: Source) -> Trajectory:
    """These actions, until the environment ends."""
    family, env = _open(task)
    try:
        env.reset(seed=seed)
        return _play(family, env, task, seed, iter(actions), source)
    finally:
        env.close()


def record_again(task: Task, seed: int, actions: Sequence[Any], source: Source) -> tuple[Trajectory, list[Any]]:
    """These actions as `record_actions` does them, and the T + 1 observations of the environment itself on the way.

    Raises:
        BadInput: an action is none of the environment's.
    """
    family, env = _open(task)
    noting = _Noting(env)
    try:
        noting.reset(seed=seed)
        allowed = (_fitted(noting, action) for action in actions)
        return _play(family, noting, task, seed, allowed, source), noting.seen
    finally:
        env.close()


class _Noting(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps what is observed, in order."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.seen: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self.seen = [observation]
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.seen.append(observation)
        return observation, reward, terminated, truncated, info


def _fitted(env: gym.Env[Any, Any], action: Any) -> Any:
    """A recorded action in the type that the environment takes. Raises `BadInput` where it takes none such."""
    space = env.action_space
    if isinstance(space, gym.spaces.Box):
        action = np.asarray(action, space.dtype)
    if not space.contains(action):
        raise BadInput(f"a recorded action is {str(action)[:80]}, and the actions here are {space}")
    return action


def record_policy(task: Task, seed: int, act: Act, steps: int, see: View | None = None) -> Trajectory:
    """A policy for at most so many steps; `act` sees the observations of `see`, the family's usual view if None."""
    family, env = _open(task)
    view = (see or family.policy_view)(env)
    try:
        observation, _ = view.reset(seed=seed)
        seen = [observation]
        actions = (_allowed(view, act(seen[-1])) for _ in range(steps))
        return _play(family, view, task, seed, actions, "policy", seen)
    finally:
        env.close()


def action_space(task: Task) -> gym.Space[Any]:
    """Of the environment itself."""
    _, env = _open(task)
    try:
        return env.action_space
    finally:
        env.close()


def steps_limit(task: Task) -> int:
    """The environment's own time limit, in steps."""
    family, env = _open(task)
    try:
        return int(family.steps_limit(env))
    finally:
        env.close()


def family_of(task: Task) -> ModuleType:
    """The file in `envs/` that makes a task.

    Raises:
        BadInput: a session of frames only.
        UnknownName: there is no such file.
    """
    if task.family is None:
        raise BadInput("this session has two frames and no environment; there is nothing to record")
    return plugins.load("envs", task.family)


def _open(task: Task) -> tuple[ModuleType, gym.Env[Any, Any]]:
    family = family_of(task)
    return family, family.make(task)


def _allowed(env: gym.Env[Any, Any], action: Any) -> Any:
    """Raises `BadInput` for the action of a policy that was made for another environment."""
    if not env.action_space.contains(action):
        raise BadInput(
            f"the policy answers {str(action)[:80]}, and the actions here are {env.action_space}; train again"
        )
    return action


def _play(
    family: ModuleType,
    env: gym.Env[Any, Any],
    task: Task,
    seed: int,
    actions: Iterator[Any],
    source: Source,
    seen: list[Any] | None = None,
) -> Trajectory:
    """Act in an environment that was just reset until it ends or nobody acts; `seen` is told each observation."""
    recorder = Recorder(family, env, task, seed)
    for action in actions:
        observation = recorder.step(action)
        if seen is not None:
            seen[0] = observation
        if recorder.over:
            break
    return recorder.trajectory(source)

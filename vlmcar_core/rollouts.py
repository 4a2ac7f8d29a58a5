"""An environment and somebody who acts in it → a trajectory."""

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from vlmcar_core import plugins
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


def steps_limit(task: Task) -> int:
    """The environment's own time limit, in steps."""
    family, env = _open(task)
    try:
        return int(family.steps_limit(env))
    finally:
        env.close()


def _open(task: Task) -> tuple[ModuleType, gym.Env[Any, Any]]:
    if task.family is None:
        raise BadInput("this session has two frames and no environment; there is nothing to record")
    family = plugins.load("envs", task.family)
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
    frames, facts = [family.scene(env)], [family.facts(env)]
    taken: list[Any] = []
    rewards: list[float] = []
    terminated = truncated = False
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        taken.append(action)
        rewards.append(float(reward))
        frames.append(family.scene(env))
        facts.append(family.facts(env))
        if seen is not None:
            seen[0] = observation
        if terminated or truncated:
            break
    paid = np.array(rewards, np.float64)
    return Trajectory(
        frames=np.stack(frames),
        actions=np.array(taken),
        rewards=paid,
        terminated=bool(terminated),
        truncated=bool(truncated),
        success=family.succeeded(paid, terminated),
        source=source,
        seed=seed,
        env_id=task.env_id,
        versions=family.versions(),
        facts={name: np.array([now[name] for now in facts], np.bool_) for name in facts[0]},
    )

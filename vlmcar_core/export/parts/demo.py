"""Shows what is paid: in the environment itself where its package is installed, else in recorded frames.

python demo.py
"""

import importlib.util
from typing import Any

import gymnasium as gym
import numpy as np
from recorded import Recorded, frame, told
from reward import Reward, succeeded
from wrapper import CheckerReward


def made() -> gym.Env[Any, Any] | None:
    """The environment; None where it cannot be had."""
    if importlib.util.find_spec("environment") is None:
        print("What draws its frames is not in this bundle, so recorded frames are shown; see card.md.")
        return None
    try:
        import environment

        env: gym.Env[Any, Any] = environment.make()
        return env
    except (ImportError, gym.error.Error) as error:
        missing = getattr(error, "name", None)
        why = f"{missing} is not installed" if missing else f"The environment cannot be made here ({error})"
        print(f"{why}, so recorded frames are shown; see requirements-demo.txt.")
        return None


def live(episode: dict[str, Any]) -> CheckerReward | None:
    """The environment at the recorded episode's beginning; None where it cannot be had."""
    inner = made()
    if inner is None:
        return None
    import environment

    env = CheckerReward(inner, Reward(), scene=environment.scene, succeeded=succeeded)
    env.reset(seed=episode["seed"])
    same = np.array_equal(environment.scene(env.env), frame(episode["frames"][episode["order"][0]]))
    print(f"{environment.ENV_ID} draws the {'same first frame as' if same else 'another first frame than'} recorded.")
    return env


def ending(env: CheckerReward, episode: dict[str, Any]) -> str:
    """Whether the environment came to where it was when it was recorded."""
    import environment

    same = np.array_equal(environment.scene(env.env), frame(episode["frames"][episode["order"][-1]]))
    return f"  the last frame is {'the same as' if same else 'another than'} recorded"


def play(env: CheckerReward, episode: dict[str, Any]) -> float:
    """Play the recorded actions and print what is paid; returns the sum of what the checkers paid."""
    env.reset(seed=episode["seed"])
    paid, continuous = 0.0, isinstance(env.action_space, gym.spaces.Box)
    for number, action in enumerate(episode["actions"], 1):
        taken = np.asarray(action, env.action_space.dtype) if continuous else action
        _, _, terminated, truncated, info = env.step(taken)
        step = info["vlmcar"]
        paid += step["reward"]
        for key, amount in step["components"].items():
            print(f"  step {number:4}: {amount:+.3f} for {key}")
        if terminated or truncated:
            break
    print(f"  {step['completed']} of {step['total']} sub-tasks done, {paid:.3f} paid by checkers")
    return paid


def main() -> None:
    """Play every recorded episode."""
    episodes = told()["episodes"]
    if not episodes:
        print("No episode was recorded with this bundle; `python -m unittest discover tests` asks about its frames.")
    for episode in episodes:
        print(f"{episode['name']} ({episode['source']}, {len(episode['order']) - 1} steps)")
        env = live(episode) if episode["seed"] is not None else None
        play(env or CheckerReward(Recorded(episode), Reward(), succeeded=succeeded), episode)
        if env is not None:
            print(ending(env, episode))
            env.close()


if __name__ == "__main__":
    main()

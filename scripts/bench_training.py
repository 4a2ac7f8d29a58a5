"""What a dense reward costs in training, beside the sparse one: python scripts/bench_training.py [--steps 20000]

PPO with the program's default settings on three rewards in turn, several rounds: the environment's own on MiniGrid as
it is installed (stock), the environment's own as this program makes it (sparse), and three sandboxed checkers beside it
at the default tile size (dense). Wall-clock time, as ratios within one run.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym

from vlmcar_core import pipeline, plugins
from vlmcar_core.episodes import EpisodeRecord
from vlmcar_core.reward import CheckerReward, Judge
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.training import Training
from vlmcar_core.types import Proposal, Recording

minigrid = plugins.load("envs", "minigrid")
MakeEnv = Callable[..., gym.Env[Any, Any]]


def seconds(make_env: MakeEnv, steps: int) -> float:
    """Of one training."""
    with tempfile.TemporaryDirectory(prefix="vlmcar-bench-") as folder:
        began = time.perf_counter()
        plugins.load("trainers", "ppo").learn(Training(make_env, steps, 0, Path(folder) / "model.zip"))
        return time.perf_counter() - began


def viewed(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return EpisodeRecord(minigrid.policy_view(env), minigrid.succeeded)


def dense(task: Any, proposal: Proposal, judge: Judge) -> gym.Env[Any, Any]:
    env = minigrid.make(task)
    return viewed(CheckerReward(env, proposal, judge, scene=minigrid.scene, frame_key=minigrid.frame_key))


def measure(env_id: str, steps: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="vlmcar-bench-") as folder:
        session = pipeline.create_from_env(Path(folder), "bench", env_id, recording=Recording(2, 1, 20))
        pipeline.record(session)
        proposal, task = pipeline.propose(session), session.task
    found: dict[str, list[float]] = {"stock": [], "sparse": [], "dense": []}
    shares = []
    for _ in range(rounds):
        found["stock"].append(
            seconds(lambda _view="": viewed(gym.make(env_id, render_mode="rgb_array", disable_env_checker=True)), steps)
        )
        found["sparse"].append(seconds(lambda _view="": viewed(minigrid.make(task)), steps))
        judge = Judge(CheckerProcess([step.checker for step in proposal.paid]))
        found["dense"].append(seconds(lambda _view="", judge=judge: dense(task, proposal, judge), steps))
        shares.append(judge.remembered / judge.asked)
        judge.close()
    ratios = [one / other for one, other in zip(found["dense"], found["sparse"], strict=True)]
    stock = [one / other for one, other in zip(found["stock"], found["dense"], strict=True)]
    speeds = ", ".join(f"{name} {steps / statistics.median(times):,.0f}" for name, times in found.items())
    print(f"{env_id}, {len(proposal.paid)} checkers, {steps:,} steps, median of {rounds}: steps a second {speeds}")
    print(
        f"  dense costs {statistics.median(ratios):.2f} times sparse ({min(ratios):.2f} to {max(ratios):.2f}); "
        f"stock MiniGrid on the sparse reward takes {statistics.median(stock):.2f} times as long as dense; "
        f"{min(shares):.1%} to {max(shares):.1%} of the answers were remembered"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}")
    for env_id in ("MiniGrid-DoorKey-5x5-v0", "MiniGrid-DoorKey-8x8-v0"):
        measure(env_id, options.steps, options.rounds)


if __name__ == "__main__":
    main()

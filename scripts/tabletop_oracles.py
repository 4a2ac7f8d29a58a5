"""How many layouts of each tabletop task the oracle solves, and what an action, a reset and a frame cost.

python scripts/tabletop_oracles.py --seeds 20 --out docs/experts_tabletop.md
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from vlmcar_core.envs import tabletop
from vlmcar_core.errors import NoExpert
from vlmcar_core.files import write_text
from vlmcar_core.types import Task

FIRST_SEED = 1000
FRAMES = 5
"""Drawn after each episode, to time them."""

IN_STEPS = ("Tabletop/put-block-in-bowl-v0",)
"""Tasks whose oracle is also measured in end-effector steps."""


@dataclass
class Measured:
    """What became of the episodes, and CPU seconds."""

    lengths: list[int] = field(default_factory=list)
    """Actions, of the solved ones."""
    resets: list[float] = field(default_factory=list)
    actions: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)


def measure(env_id: str, mode: str, seeds: range) -> Measured:
    """Each seed with an instruction of its own."""
    env = tabletop.make(Task(env_id, "tabletop", settings={"actions": mode, "instruction": -1}))
    found = Measured()
    for seed in seeds:
        timed(found.resets, env.reset, seed=seed)
        length = play(env, found.actions)
        found.lengths += [length] if length else []
        for _ in range(FRAMES):
            timed(found.frames, tabletop.scene, env)
    env.close()
    return found


def play(env: gym.Env[Any, Any], costs: list[float]) -> int:
    """How many actions the oracle took to success; 0 where it did not get there."""
    try:
        plan = tabletop.expert(env)
    except NoExpert as error:
        print(error)
        return 0
    rewards, terminated = [], False
    for action in plan:
        _, reward, terminated, _, _ = timed(costs, env.step, action)
        rewards.append(float(reward))
    return len(plan) if tabletop.succeeded(np.array(rewards), terminated) else 0


def timed(costs: list[float], act: Callable[..., Any], *given: Any, **named: Any) -> Any:
    began = time.process_time()
    done = act(*given, **named)
    costs.append(time.process_time() - began)
    return done


def row(env_id: str, mode: str, seeds: range) -> str:
    found = measure(env_id, mode, seeds)
    mean = f"{statistics.mean(found.lengths):.1f}" if found.lengths else "-"
    action = f"{statistics.mean(found.actions):.3f}" if found.actions else "-"
    reset, frame = (f"{statistics.median(costs) * 1000:.1f}" for costs in (found.resets, found.frames))
    return f"| {env_id} | {mode} | {len(found.lengths)} of {len(seeds)} | {mean} | {action} | {reset} | {frame} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--ids", nargs="+", default=[task.env_id for task in tabletop.tasks() if task.expert])
    parser.add_argument("--out", type=Path, help="also write the table there")
    options = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    lines = [
        "# The oracles of the CLIPort-style tabletop",
        "",
        f"`python scripts/tabletop_oracles.py --seeds {options.seeds}`",
        "",
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}, "
        f"pybullet {version('pybullet')}, gymnasium {version('gymnasium')}; {tabletop.versions()['simulator']}.",
        f"Layouts of seeds {seeds[0]} to {seeds[-1]}, an instruction for each; frames from above, 320 × 160.",
        "",
        "| environment | actions | solved | mean actions | mean CPU s an action | median CPU ms a reset "
        "| median CPU ms a frame |",
        "|---|---|---|---|---|---|---|",
    ]
    modes = [(env_id, "pick-and-place") for env_id in options.ids]
    for env_id, mode in modes + [(env_id, "steps") for env_id in options.ids if env_id in IN_STEPS]:
        lines.append(row(env_id, mode, seeds))
        print(lines[-1], flush=True)
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""How many layouts the planner solves, for every environment that it claims.

python scripts/expert_table.py --seeds 20 --out docs/experts.md
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

from vlmcar_core.envs import minigrid
from vlmcar_core.errors import NoExpert
from vlmcar_core.files import write_text
from vlmcar_core.types import Task


def row(env_id: str, seeds: int) -> str:
    env = minigrid.make(Task(env_id, "minigrid"))
    lengths, seconds = [], []
    for seed in range(seeds):
        env.reset(seed=seed)
        began = time.process_time()
        try:
            actions = minigrid.expert(env)
        except NoExpert:
            continue
        seconds.append(time.process_time() - began)
        rewards, terminated = [0.0], False
        for action in actions:
            _, reward, terminated, _, _ = env.step(action)
            rewards.append(float(reward))
        if minigrid.succeeded(np.array(rewards), terminated):
            lengths.append(len(actions))
    mean = f"{statistics.mean(lengths):.1f}" if lengths else "-"
    median = f"{statistics.median(seconds) * 1000:.0f}" if seconds else "-"
    return f"| {env_id} | {len(lengths)} of {seeds} | {mean} | {median} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--ids", nargs="+", default=[task.env_id for task in minigrid.tasks() if task.expert])
    parser.add_argument("--out", type=Path, help="also write the table there")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [
        "# The planner on MiniGrid",
        "",
        f"`python scripts/expert_table.py --seeds {options.seeds}`",
        "",
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}, "
        f"minigrid {version('minigrid')}; layouts of seeds 0 to {options.seeds - 1}.",
        "",
        "| environment | solved | mean steps | median CPU ms a plan |",
        "|---|---|---|---|",
    ]
    for env_id in options.ids:
        lines.append(row(env_id, options.seeds))
        print(lines[-1], flush=True)
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

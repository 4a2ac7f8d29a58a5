"""How many layouts a family's expert solves, for every environment that it claims.

python scripts/expert_table.py --family minigrid --seeds 20 --out docs/experts.md
python scripts/expert_table.py --family panda --seeds 50 --out docs/experts_panda.md
python scripts/expert_table.py --family metaworld --seeds 20 --out docs/experts_metaworld.md
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np

from vlmcar_core import plugins
from vlmcar_core.errors import NoExpert
from vlmcar_core.files import write_text
from vlmcar_core.types import Task


def row(family: ModuleType, name: str, env_id: str, seeds: range) -> str:
    env = family.make(Task(env_id, name))
    lengths, plans, steps = [], [], []
    for seed in seeds:
        env.reset(seed=seed)
        began = time.process_time()
        try:
            actions = family.expert(env)
        except NoExpert:
            continue
        planned = time.process_time()
        rewards, terminated = [0.0], False
        for action in actions:
            _, reward, terminated, _, _ = env.step(action)
            rewards.append(float(reward))
        plans.append(planned - began)
        steps.append((time.process_time() - planned) / max(len(actions), 1))
        if family.succeeded(np.array(rewards), terminated):
            lengths.append(len(actions))
    began = time.process_time()
    for _ in range(10):
        family.scene(env)
    frame = (time.process_time() - began) / 10
    env.close()
    mean = f"{statistics.mean(lengths):.1f}" if lengths else "-"
    plan, step = (f"{statistics.median(some) * 1000:.1f}" if some else "-" for some in (plans, steps))
    return f"| {env_id} | {len(lengths)} of {len(seeds)} | {mean} | {plan} | {step} | {frame * 1000:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="minigrid", choices=plugins.names("envs"))
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--ids", nargs="+", help="those that the expert claims, if not given")
    parser.add_argument("--out", type=Path, help="also write the table there")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    family = plugins.load("envs", options.family)
    claimed = [task.env_id for task in family.tasks() if task.works and task.expert]
    seeds = range(options.first, options.first + options.seeds)
    installed = ", ".join(f"{name} {version}" for name, version in family.versions().items() if name != "python")
    first = f" --first {options.first}" if options.first else ""
    lines = [
        f"# The expert on {family.TITLE}",
        "",
        f"`python scripts/expert_table.py --family {options.family} --seeds {options.seeds}{first}`",
        "",
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}; "
        f"{installed}; layouts of seeds {seeds[0]} to {seeds[-1]}. Medians of CPU time, other work beside.",
        "",
        "| environment | solved | mean steps | ms a plan | ms a step | ms a frame |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for env_id in options.ids or claimed:
        lines.append(row(family, options.family, env_id, seeds))
        print(lines[-1], flush=True)
    unclaimed = [task for task in family.tasks() if task.works and not task.expert]
    if unclaimed and not options.ids:
        lines += ["", "Without an expert:", ""]
        notes = sorted({task.note.removeprefix("no expert: ") for task in unclaimed})
        lines += [
            f"- {note}: {', '.join(task.env_id for task in unclaimed if task.note.endswith(note))}" for note in notes
        ]
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""What a frame of panda-gym costs: the bare scene for checkers against the stock render, in one run.

    python scripts/panda_render_cost.py --out docs/panda_render.md

All are drawn in turn, again and again, and medians of CPU time are taken, so that what else the machine does falls on
all alike; the ratios are what counts. A step is one of the stock environment, without any picture.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vlmcar_core.envs import panda
from vlmcar_core.envs._bullet import pybullet
from vlmcar_core.envs.panda.simulation import panda_of
from vlmcar_core.files import write_text
from vlmcar_core.types import Task

ENV = "PandaPush-v3"
SIZES = (84, 128, 256)


def bare(**settings: Any) -> Callable[[], Any]:
    env = panda.make(Task(ENV, "panda", settings=settings))
    env.reset(seed=0)
    return lambda: panda.scene(env)


def stock(size: int, shadow: bool) -> Callable[[], Any]:
    """As panda-gym's own `render` draws, but for the shadow."""
    env = panda.make(Task(ENV, "panda"))
    env.reset(seed=0)
    client = panda_of(env).client
    look = client.computeViewMatrixFromYawPitchRoll((0, 0, 0), 1.4, 45, -30, 0, 2)
    lens = client.computeProjectionMatrixFOV(60, 1.0, 0.1, 100.0)
    renderer = pybullet.ER_BULLET_HARDWARE_OPENGL
    return lambda: client.getCameraImage(size, size, look, lens, shadow=shadow, renderer=renderer)


def step() -> Callable[[], Any]:
    env = panda.make(Task(ENV, "panda"))
    env.reset(seed=0)
    action = env.action_space.sample() * 0
    return lambda: env.step(action)


def milliseconds(drawings: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in drawings}
    for _ in range(repeats + 1):
        for name, draw in drawings.items():
            began = time.process_time()
            draw()
            found[name].append(time.process_time() - began)
    return {name: statistics.median(times[1:]) * 1000 for name, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--out", type=Path, help="also write the table there")
    options = parser.parse_args()
    drawings: dict[str, Callable[[], Any]] = {"step": step()}
    for size in SIZES:
        drawings[f"{size} stock"] = stock(size, shadow=True)
        drawings[f"{size} stock, no shadow"] = stock(size, shadow=False)
        drawings[f"{size} one view"] = bare(size=size, views="front")
        drawings[f"{size} two views"] = bare(size=size)
        drawings[f"{size} shadows"] = bare(size=size, shadows=True)
        drawings[f"{size} meshes"] = bare(size=size, arm="stock meshes")
    found = milliseconds(drawings, options.repeats)
    installed = ", ".join(f"{name} {version}" for name, version in panda.versions().items() if name != "simulator")
    lines = [
        "# What a frame of panda-gym costs",
        "",
        f"`python scripts/panda_render_cost.py --repeats {options.repeats}`",
        "",
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores; {installed}. {ENV}; medians of CPU",
        f"time in ms, other work beside. A step without a picture: {found['step']:.1f} ms.",
        "",
        "| pixels a view | stock render | no shadow | one view | two views | with shadows | with the stock arm "
        "| stock / two views | two views / step |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for size in SIZES:
        whole, plain, one, two, shadows, meshes = (
            found[f"{size} {name}"]
            for name in ("stock", "stock, no shadow", "one view", "two views", "shadows", "meshes")
        )
        lines.append(
            f"| {size} | {whole:.1f} | {plain:.1f} | {one:.2f} | {two:.2f} | {shadows:.1f} | {meshes:.1f} | "
            f"{whole / two:.0f} | {two / found['step']:.2f} |"
        )
    print("\n".join(lines))
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

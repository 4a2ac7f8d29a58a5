"""What it costs to verify an edited checker again: python scripts/bench_verify.py [--random 100]

Records two experts and random episodes of full length, verifies the built-in proposal, changes one checker and verifies
again; beside it the same frames through the same function in this process, without a sandbox.
"""

import argparse
import dataclasses
import os
import platform
import tempfile
import time
from pathlib import Path

from vlmcar_core import pipeline, recordings, rollouts
from vlmcar_core.store import Session
from vlmcar_core.types import Checker, Recording


def edited(session: Session, number: int) -> tuple[str, str]:
    """A proposal with one checker changed, so that nothing is known of it; its key and source."""
    newest = session.proposal()
    step = newest.subtasks[0]
    source = f"{step.checker.source}\n# changed for the {number}th time\n"
    changed = dataclasses.replace(step, checker=Checker(step.key, source))
    pipeline.save_edit(session, pipeline.with_step(newest, changed), "a benchmark")
    return step.key, source


def in_process(session: Session, source: str) -> tuple[float, float, int, int]:
    """Seconds of the function alone and with reading the files, frames, and distinct ones."""
    names: dict[str, object] = {}
    exec(source, names)  # the built-in proposer's own code
    check = names["check"]
    frames = distinct = 0
    alone = 0.0
    began = time.perf_counter()
    for info in session.trajectories().items:
        pictures, _ = recordings.distinct_frames(session.trajectory(info.id).frames)
        frames, distinct = frames + info.steps + 1, distinct + len(pictures)
        start = time.perf_counter()
        for picture in pictures:
            check(pictures[0], picture)  # type: ignore[operator]
        alone += time.perf_counter() - start
    return alone, time.perf_counter() - began, frames, distinct


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="MiniGrid-DoorKey-8x8-v0")
    parser.add_argument("--random", type=int, default=100, help="random episodes of full length")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vlmcar-bench-") as folder:
        steps = rollouts.steps_limit(pipeline.find_task(options.env))
        wanted = Recording(2, options.random, steps)
        session = pipeline.create_from_env(Path(folder), "bench", options.env, recording=wanted)
        began = time.perf_counter()
        pipeline.record(session)
        recorded = time.perf_counter() - began
        pipeline.propose(session)
        began = time.perf_counter()
        pipeline.verify(session)
        first = time.perf_counter() - began
        times = []
        for number in range(options.rounds):
            _, source = edited(session, number)
            began = time.perf_counter()
            pipeline.verify(session)
            times.append(time.perf_counter() - began)
        alone, read, frames, distinct = in_process(session, source)
    again = sorted(times)[len(times) // 2]
    print("# What it costs to verify an edited checker again\n")
    print(f"`python scripts/bench_verify.py --random {options.random}`\n")
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()};")
    print(f"{options.env}, 2 experts and {options.random} random episodes of at most {steps} steps:")
    print(f"{frames:,} frames, {distinct:,} distinct within their episodes.\n")
    print("| | seconds | frames a second | ratio |\n|---|---|---|---|")
    print(f"| recording | {recorded:.1f} | {frames / recorded:,.0f} | |")
    print(f"| all checkers for the first time | {first:.1f} | {frames / first:,.0f} | |")
    print(f"| **one edited checker again** | **{again:.1f}** | {frames / again:,.0f} | {again / read:.2f} |")
    print(f"| the same function in this process, files read | {read:.1f} | {frames / read:,.0f} | 1 |")
    print(f"| … the function alone | {alone:.1f} | {frames / alone:,.0f} | {alone / read:.2f} |")


if __name__ == "__main__":
    main()

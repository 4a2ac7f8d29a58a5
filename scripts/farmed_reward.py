"""What happens to a badly assembled reward: the same checkers paid once, at every rising edge, or at every frame.

python scripts/farmed_reward.py --seeds 3 --steps 100000 --out docs/farmed_reward.md
"""

import argparse
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from vlmcar_core import jobs, payments, pipeline, runs, study
from vlmcar_core.files import write_text
from vlmcar_core.verdicts import interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="MiniGrid-DoorKey-5x5-v0")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--episodes", type=int, default=5, help="recorded of each policy, to count its actions")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        session = pipeline.create_from_env(Path(folder), "farmed", options.env)
        pipeline.record(session)
        pipeline.propose(session)
        for pay in study.WAYS:
            pipeline.start_training(session, ["dense"], range(options.seeds), steps=options.steps, pay=pay)
        while any(run.job.running for run in runs.runs(session).items):
            time.sleep(1.0)
        found = runs.runs(session).items
        failed = [f"{run.number}: {jobs.read(run.folder).message}" for run in found if run.job.state != "success"]
        if failed:
            raise SystemExit(f"runs failed: {'; '.join(failed)}")
        for run in found:
            pipeline.watch(session, run.number, options.episodes)
        rows = study.compared(session, found)
    text = document(options, rows)
    print(text)
    if options.out:
        write_text(options.out, text)


def document(options: argparse.Namespace, rows: list[study.Paid]) -> str:
    names = ("torch", "stable-baselines3", "minigrid")
    packages = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in names)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, no GPU"
    lines = [
        "# Farmed rewards",
        "",
        f"`python scripts/farmed_reward.py --env {options.env} --seeds {options.seeds} --steps {options.steps}`",
        "",
        f"{machine}, CPython {platform.python_version()}, {packages}. PPO with the default settings, "
        "the built-in proposer's checkers beside the environment's own reward, which is kept.",
        "",
        "| paid | runs | solved, last evaluations | learned return an episode | hack alarms | most frequent actions |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = interval(row.solved)
        solved = f"{row.solved.hits} of {row.solved.total} ({100 * low:.0f} to {100 * high:.0f} %)"
        paid = "-" if row.learned_return is None else f"{row.learned_return:.1f}"
        cells = (payments.WAYS[row.pay], row.runs, solved, paid, f"{row.alarms} of {row.runs}", row.habit)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()

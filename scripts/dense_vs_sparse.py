"""Sparse against dense: does the verified reward make an agent learn faster?

Makes a session in a temporary folder with the built-in proposer, verifies it, then trains on the environment's own
reward (sparse) and on the checkers' beside it (dense), several seeds each, with the program's default settings where
none are given.

    python scripts/dense_vs_sparse.py --env MiniGrid-DoorKey-6x6-v0 --seeds 3 --steps 150000 --out docs/results.md
    python scripts/dense_vs_sparse.py --env PandaReach-v3 --seeds 3 --steps 4000 --scale 10 --out docs/results.md

The file keeps a section for each environment; the one that was run is replaced.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from vlmcar_core import jobs, pipeline, runs, verdicts
from vlmcar_core.files import write_text

HEAD = """# Sparse against dense

Made by `scripts/dense_vs_sparse.py`; each section names its command.
"""


def with_section(document: str, section: str) -> str:
    """A document of `## ` sections with one more, in place of the one that has its heading."""
    head, *sections = document.split("\n## ")
    kept = {text.partition("\n")[0]: text.strip() for text in sections}
    name, _, body = section.removeprefix("## ").partition("\n")
    kept[name] = f"{name}\n\n{body.strip()}"
    return "\n\n## ".join([head.strip(), *kept.values()]) + "\n"


def prepared(root: Path, env_id: str):
    session = pipeline.create_from_env(root, "measured", env_id)
    pipeline.record(session)
    proposal = pipeline.propose(session)
    judged = verdicts.judge_whole(pipeline.verify(session))
    return session, f"Proposal by {proposal.author}: {judged.judgement}; it {judged.reason}."


def row(run: runs.Run) -> str:
    evaluations = runs.read_evaluations(run.folder)
    found = runs.summary(evaluations)
    rates = [each["successes"] / each["episodes"] for each in evaluations]
    mean = f"{sum(rates) / len(rates):.0%}" if rates else "-"
    learned = f"{found.steps_to_learned:,}" if found.steps_to_learned is not None else "never"
    final = f"{found.final_success:.0%} of {found.episodes}" if found.final_success is not None else "-"
    rows = runs.read_progress(run.folder)
    minutes = rows[-1]["seconds"] / 60 if rows else 0.0
    reached = next((row["seconds"] / 60 for row in rows if row["steps"] >= (found.steps_to_learned or 10**12)), None)
    soon = f"{reached:.1f}" if reached is not None else "never"
    speed = rows[-1]["steps_per_second"] if rows else 0.0
    remembered = run.job.result.get("remembered")
    memory = f"{remembered:.1%}" if remembered is not None else "-"
    if run.job.state != "success":
        final += f" (stopped after {rows[-1]['steps']:,} steps)" if rows else " (not begun)"
    cells = (run.config.reward, run.config.seed, learned, soon, final, mean, f"{minutes:.1f}", f"{speed:.0f}", memory)
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="MiniGrid-DoorKey-6x6-v0")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=runs.RunConfig.steps)
    parser.add_argument(
        "--scale", type=float, default=runs.RunConfig.scale, help="what checkers pay an episode, in all"
    )
    parser.add_argument("--trainer", help="what fits the environment's actions, if not given")
    parser.add_argument("--settings", type=json.loads, default={}, help="of the trainer, a JSON object")
    parser.add_argument("--out", type=Path, help="also put the section into this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        session, verdict = prepared(Path(folder), options.env)
        started = pipeline.start_training(
            session,
            ("sparse", "dense"),
            range(options.seeds),
            steps=options.steps,
            scale=options.scale,
            settings=options.settings,
            **({"trainer": options.trainer} if options.trainer else {}),
        )
        while any(jobs.read(job.folder).running for job in started):
            time.sleep(1.0)
        listed = sorted(runs.runs(session).items, key=lambda run: (run.config.reward, run.config.seed), reverse=True)
        names = ("torch", "stable-baselines3", "sb3-contrib", "minigrid", "panda-gym", "pybullet")
        packages = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in names)
        config = runs.read_config(started[0].folder)
        asked = f" --scale {options.scale:g}" * (options.scale != runs.RunConfig.scale)
        asked += f" --trainer {options.trainer}" if options.trainer else ""
        asked += f" --settings '{json.dumps(options.settings)}'" if options.settings else ""
        lines = [
            f"## {options.env}",
            "",
            f"`python scripts/dense_vs_sparse.py --env {options.env} --seeds {options.seeds} "
            f"--steps {options.steps}{asked}`",
            "",
            f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, no GPU, CPython "
            f"{platform.python_version()}, {packages}. {config.trainer.upper()}, two runs at a time, "
            f"one torch thread each. {verdict}",
            "",
            "Success is the environment's own, in 20 episodes on seeds that training does not use, 20 times a run.",
            "",
            "| reward | seed | steps to 80 % success | minutes to it | final success | mean of all evaluations "
            "| minutes in all | steps a second | answers remembered |",
            "|---|---|---|---|---|---|---|---|---|",
            *(row(run) for run in listed),
        ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        write_text(options.out, with_section(options.out.read_text() if options.out.exists() else HEAD, text))


if __name__ == "__main__":
    main()

"""Sparse against dense: does the verified reward make an agent learn faster?

Makes a session in a temporary folder with the built-in proposer, verifies it, then trains on the environment's own
reward (sparse) and on the checkers' beside it, paid in each of some ways, several seeds each, with the program's
default settings where none are given.

    python scripts/dense_vs_sparse.py --env MiniGrid-DoorKey-6x6-v0 --steps 150000 --out docs/results.md
    python scripts/dense_vs_sparse.py --env PandaReach-v3 --seeds 3 --steps 4000 --scale 10 --out docs/results.md

The file keeps a section for each environment; the one that was run is replaced.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from vlmcar_core import jobs, payments, pipeline, runs, seeds, verdicts
from vlmcar_core.files import write_text
from vlmcar_core.store import Session

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


def prepared(root: Path, env_id: str) -> tuple[Session, str]:
    """A session with a verified proposal, and what verification found, in a sentence."""
    session = pipeline.create_from_env(root, "measured", env_id)
    pipeline.record(session)
    proposal = pipeline.propose(session)
    judged = verdicts.judge_whole(pipeline.verify(session))
    titles = "; ".join(step.title for step in proposal.paid)
    return session, f"Proposal by {proposal.author} ({titles}): {judged.judgement}; it {judged.reason}."


def row(run: runs.Run) -> str:
    """Of the table of all runs."""
    evaluations = runs.read_evaluations(run.folder)
    found = runs.summary(evaluations)
    rates = [each["successes"] / each["episodes"] for each in evaluations]
    mean = f"{sum(rates) / len(rates):.0%}" if rates else "-"
    final = f"{found.final_success:.0%}" if found.final_success is not None else "-"
    rows = runs.read_progress(run.folder)
    minutes = rows[-1]["seconds"] / 60 if rows else 0.0
    speed = rows[-1]["steps_per_second"] if rows else 0.0
    remembered = run.job.result.get("remembered")
    memory = f"{remembered:.1%}" if remembered is not None else "-"
    if run.job.state != "success":
        final += f" (stopped after {rows[-1]['steps']:,} steps)" if rows else " (not begun)"
    learned = "never" if found.steps_to_learned is None else f"{found.steps_to_learned:,}"
    cells = (seeds.paid_by(run.config), run.config.seed, learned, final, mean, f"{minutes:.1f}", f"{speed:.0f}", memory)
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def section(options: argparse.Namespace, verdict: str, found: Sequence[runs.Run]) -> str:
    names = ("torch", "stable-baselines3", "sb3-contrib", "minigrid", "panda-gym", "pybullet")
    packages = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in names)
    config = found[0].config
    asked = f" --scale {options.scale:g}" * (options.scale != runs.RunConfig.scale)
    asked += f" --pay {' '.join(options.pay)}" if options.pay else ""
    asked += f" --trainer {options.trainer}" if options.trainer else ""
    asked += f" --settings '{json.dumps(options.settings)}'" if options.settings else ""
    asked += f" --weights '{json.dumps(options.weights)}'" if options.weights else ""
    together = seeds.table(seeds.groups(found))
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
        f"Success is the environment's own, in {config.eval_episodes} episodes on seeds that training does not use, "
        f"{config.evaluations} times a run. {seeds.TABLE_NOTE}",
        "",
        f"| {' | '.join(together[0])} |",
        f"|{'---|' * len(together[0])}",
        *(f"| {' | '.join(line.values())} |" for line in together),
        "",
        "Every run:",
        "",
        "| paid | seed | steps to 80 % success | final success | mean of all evaluations "
        "| minutes in all | steps a second | answers remembered |",
        "|---|---|---|---|---|---|---|---|",
        *(row(run) for run in found),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="MiniGrid-DoorKey-6x6-v0")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=runs.RunConfig.steps)
    parser.add_argument(
        "--pay", nargs="+", choices=list(payments.WAYS), help="once and potential, or what fits, if none"
    )
    parser.add_argument(
        "--scale", type=float, default=runs.RunConfig.scale, help="what checkers pay an episode, in all"
    )
    parser.add_argument("--trainer", help="what fits the environment's actions, if not given")
    parser.add_argument("--settings", type=json.loads, default={}, help="of the trainer, a JSON object")
    parser.add_argument("--weights", type=json.loads, default={}, help="of sub-tasks by checker key, a JSON object")
    parser.add_argument("--out", type=Path, help="also put the section into this file")
    parser.add_argument("--keep", type=Path, help="also keep the session, with every run, in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        session, verdict = prepared(Path(folder), options.env)
        usual = pipeline.default_pay(session)
        given = {"trainer": options.trainer} if options.trainer else {}
        asked = {"steps": options.steps, "scale": options.scale, "settings": options.settings, **given}
        repeats = range(options.seeds)
        started = pipeline.start_training(session, ["sparse"], repeats, **asked)
        for pay in options.pay or (["once", "potential"] if usual == "once" else [usual]):
            started += pipeline.start_training(session, ["dense"], repeats, pay=pay, weights=options.weights, **asked)
        while any(jobs.read(job.folder).running for job in started):
            time.sleep(1.0)
        text = section(options, verdict, runs.runs(session).items)
        if options.keep:
            shutil.copytree(session.folder, options.keep)
    print(text)
    if options.out:
        write_text(options.out, with_section(options.out.read_text() if options.out.exists() else HEAD, text))


if __name__ == "__main__":
    main()

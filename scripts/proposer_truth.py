"""How well the built-in proposer's checkers agree with the simulator, on layouts that it never saw.

For each task a proposal is made from the first and the expert's last frame of one seed. Its checkers are then asked
about expert and random episodes of other seeds, and compared with the simulator's facts, which serve only here.

An episode counts as a hit when a checker fires in it and the fact becomes true in it; as a false alarm when it
fires before the fact or without it; as missed when the fact becomes true and it does not fire. The offset is the
frame of the first fire less the frame in which the fact became true. "frames" compares every single frame with the
fact of that frame (of whether it was ever true so far, for what is picked up and may be put down again).

    python scripts/proposer_truth.py --seeds 50 --proposing 0 1 --out docs/proposer_truth.md
"""

import argparse
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import rollouts
from vlmcar_core.files import write_text
from vlmcar_core.proposers import builtin
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Proposal, Task, Trajectory
from vlmcar_core.verify import ask

FACTS = {
    "MiniGrid-DoorKey-6x6-v0": ("key held", "door open", "goal reached"),
    "MiniGrid-DoorKey-8x8-v0": ("key held", "door open", "goal reached"),
    "MiniGrid-Unlock-v0": ("key held", "door open"),
    "MiniGrid-UnlockPickup-v0": ("key held", "door open", "box held"),
}
UNSEEN = 100_000
RANDOM_STEPS = 100


@dataclass
class Tally:
    """What was seen of one sub-task."""

    hits: int = 0
    false_alarms: int = 0
    missed: int = 0
    offsets: list[int] = field(default_factory=list)
    frames_right: int = 0
    frames: int = 0

    def add(self, fired: NDArray[np.bool_], truth: NDArray[np.bool_]) -> None:
        first_fire = int(np.argmax(fired)) if fired.any() else None
        first_true = int(np.argmax(truth)) if truth.any() else None
        if first_fire is not None and (first_true is None or first_fire < first_true):
            self.false_alarms += 1
        elif first_fire is not None and first_true is not None:
            self.hits += 1
        elif first_true is not None:
            self.missed += 1
        if first_fire is not None and first_true is not None:
            self.offsets.append(first_fire - first_true)
        self.frames += len(fired)
        self.frames_right += int((fired == truth).sum())

    def row(self) -> str:
        fires, truths = self.hits + self.false_alarms, self.hits + self.missed
        precision = f"{self.hits / fires:.3f}" if fires else "-"
        recall = f"{self.hits / truths:.3f}" if truths else "-"
        values, counts = np.unique(self.offsets, return_counts=True)
        offsets = ", ".join(f"{value:+d}: {count}" for value, count in zip(values, counts, strict=True)) or "-"
        frames = f"{self.frames_right / self.frames:.4f}" if self.frames else "-"
        return f"{precision} ({self.hits}/{fires}) | {recall} ({self.hits}/{truths}) | {offsets} | {frames}"


def proposal_for(env_id: str, seed: int) -> Proposal:
    expert = rollouts.record_expert(Task(env_id, "minigrid"), seed)
    return builtin.propose(expert.frames[0], expert.frames[-1], lambda *_: None)


def episodes(env_id: str, seeds: int) -> list[Trajectory]:
    task = Task(env_id, "minigrid")
    chosen = range(UNSEEN, UNSEEN + seeds)
    experts = [rollouts.record_expert(task, seed) for seed in chosen]
    return experts + [rollouts.record_random(task, seed, RANDOM_STEPS) for seed in chosen]


def judge(proposal: Proposal, facts: tuple[str, ...], trajectories: list[Trajectory]) -> list[Tally]:
    tallies = [Tally() for _ in facts]
    with CheckerProcess([step.checker for step in proposal.subtasks]) as process:
        for trajectory in trajectories:
            for tally, step, fact in zip(tallies, proposal.subtasks, facts, strict=True):
                fired = ask(process, step.checker, trajectory).done
                truth = trajectory.facts[fact]
                if step.title.startswith("Pick up"):
                    truth = np.logical_or.accumulate(truth)
                tally.add(fired, truth)
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50, help="unseen layouts per task")
    parser.add_argument("--proposing", type=int, nargs="+", default=[0], help="seeds to propose from, one table each")
    parser.add_argument("--tasks", nargs="+", default=list(FACTS), choices=list(FACTS))
    parser.add_argument("--out", type=Path, help="also write the table there")
    options = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    seeds = " ".join(str(seed) for seed in options.proposing)
    say("# The built-in proposer's checkers against the simulator\n")
    say(f"`python scripts/proposer_truth.py --seeds {options.seeds} --proposing {seeds}`\n")
    say(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()};")
    say(f"{options.seeds} unseen layouts a task, an expert and a random episode of {RANDOM_STEPS} steps on each.\n")
    say("| task | proposed from | sub-task | precision | recall | first-fire offset, frames: episodes | frames |")
    say("|---|---|---|---|---|---|---|")
    for env_id in options.tasks:
        trajectories = episodes(env_id, options.seeds)
        for seed in options.proposing:
            proposal = proposal_for(env_id, seed)
            if len(proposal.subtasks) != len(FACTS[env_id]):
                say(
                    f"| {env_id} | seed {seed} | {len(proposal.subtasks)} sub-tasks, not {len(FACTS[env_id])} | | | | |"
                )
                continue
            tallies = judge(proposal, FACTS[env_id], trajectories)
            for step, fact, tally in zip(proposal.subtasks, FACTS[env_id], tallies, strict=True):
                say(f"| {env_id} | seed {seed} | {step.title} ({fact}) | {tally.row()} |")
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

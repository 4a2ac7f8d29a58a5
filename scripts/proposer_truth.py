"""How well the built-in proposer's checkers agree with the simulator, on layouts that it never saw.

For each task a proposal is made from the first and the expert's last frame of one seed. Its checkers are then asked
about expert and random episodes of other seeds, and compared with the simulator's facts, which serve only here.

An episode counts as a hit when a checker fires in it and the fact becomes true in it; as a false alarm when it
fires before the fact or without it; as missed when the fact becomes true and it never fires. "First fire" counts by
how many frames the first fire came before (-) or after (+) the fact. "frames" compares every single frame with the
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
from vlmcar_core.errors import NoExpert
from vlmcar_core.files import write_text
from vlmcar_core.proposers import builtin
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Proposal, Task, Trajectory
from vlmcar_core.verify import ask

MINIGRID = {
    "key": "key held",
    "door": "door open",
    "onto": "goal reached",
    "box": "box held",
    "ball": "ball held",
}
PANDA = {
    "red thing to the yellow": "hand at target",
    "red thing to the green": "hand at object",
    "green thing onto the yellow": "object at target",
    "green thing to the yellow": "object at target",
}
TABLE = {
    "Bring 1 of 2 ": "half in place",
    "Bring 1 of 3 ": "a third in place",
    "Bring 2 of 3 ": "two thirds in place",
    "Bring 1 of 4 ": "a quarter in place",
    "Bring 2 of 4 ": "half in place",
    "Bring 3 of 4 ": "three quarters in place",
    "Bring": "all in place",
}
FACTS = {
    "MiniGrid-DoorKey-6x6-v0": MINIGRID,
    "MiniGrid-DoorKey-8x8-v0": MINIGRID,
    "MiniGrid-Unlock-v0": MINIGRID,
    "MiniGrid-UnlockPickup-v0": MINIGRID,
    "MiniGrid-KeyCorridorS3R1-v0": {"through the door": "locked door open", **MINIGRID, "door": "unlocked door open"},
    "PandaReach-v3": PANDA,
    "PandaPush-v3": PANDA,
    "PandaPushJoints-v3": PANDA,
    "PandaSlideJoints-v3": PANDA,
    "PandaPickAndPlace-v3": PANDA,
    "Tabletop/put-block-in-bowl-v0": TABLE,
    "Tabletop/separating-piles-v0": TABLE,
    "Tabletop/packing-box-pairs-v0": TABLE,
    "Tabletop/packing-shapes-v0": TABLE,
}
"""For each task, what a sub-task's title holds and the fact that it means; the first that fits."""

UNSEEN = 100_000
RANDOM_STEPS = 100


@dataclass
class Tally:
    """What was seen of one sub-task."""

    hits: int = 0
    false_alarms: int = 0
    early: int = 0
    """Of the false alarms those that came one frame before the fact."""
    missed: int = 0
    offsets: list[int] = field(default_factory=list)
    frames_right: int = 0
    frames: int = 0

    def add(self, fired: NDArray[np.bool_], truth: NDArray[np.bool_]) -> None:
        first_fire = int(np.argmax(fired)) if fired.any() else None
        first_true = int(np.argmax(truth)) if truth.any() else None
        if first_fire is not None and (first_true is None or first_fire < first_true):
            self.false_alarms += 1
            self.early += first_true is not None and first_fire == first_true - 1
        elif first_fire is not None and first_true is not None:
            self.hits += 1
        elif first_true is not None:
            self.missed += 1
        if first_fire is not None and first_true is not None:
            self.offsets.append(first_fire - first_true)
        self.frames += len(fired)
        self.frames_right += int((fired == truth).sum())

    def row(self) -> str:
        fires, found = self.hits + self.false_alarms, len(self.offsets)
        truths = found + self.missed
        precision = f"{self.hits / fires:.2f} ({self.hits}/{fires})" if fires else "-"
        lenient = f"{(self.hits + self.early) / fires:.2f}" if fires else "-"
        recall = f"{found / truths:.2f} ({found}/{truths})" if truths else "-"
        frames = f"{self.frames_right / self.frames:.3f}" if self.frames else "-"
        return f"{precision} | {lenient} | {recall} | {_counted(self.offsets)} | {frames}"


def _counted(offsets: list[int]) -> str:
    """ "-1: 3, +0: 40", the rest beyond two frames summed up."""
    near = [f"{value:+d}: {offsets.count(value)}" for value in (-2, -1, 0, 1, 2) if value in offsets]
    before, after = sum(value < -2 for value in offsets), sum(value > 2 for value in offsets)
    far = [f"earlier: {before}"] * (before > 0) + [f"later: {after}"] * (after > 0)
    return ", ".join(near + far) or "-"


def family_of(env_id: str) -> str:
    return "minigrid" if env_id.startswith("MiniGrid") else "panda" if env_id.startswith("Panda") else "tabletop"


def expert(env_id: str, seed: int) -> Trajectory | None:
    """None where the expert does not solve a seed."""
    try:
        return rollouts.record_expert(Task(env_id, family_of(env_id)), seed)
    except NoExpert:
        return None


def proposal_for(env_id: str, seed: int) -> Proposal | None:
    found = expert(env_id, seed)
    return builtin.propose(found.frames[0], found.frames[-1], lambda *_: None) if found else None


def episodes(env_id: str, seeds: int) -> list[Trajectory]:
    """An expert and a random one on each of the seeds that the expert solves."""
    chosen = range(UNSEEN, UNSEEN + seeds)
    experts = [found for found in (expert(env_id, seed) for seed in chosen) if found is not None]
    task = Task(env_id, family_of(env_id))
    return experts + [rollouts.record_random(task, seed, RANDOM_STEPS) for seed in chosen]


def fact_for(env_id: str, title: str) -> str | None:
    return next((fact for words, fact in FACTS[env_id].items() if words in title), None)


def judge(proposal: Proposal, env_id: str, trajectories: list[Trajectory]) -> list[tuple[str, str, Tally]]:
    """Title, fact and tally of each sub-task that means a fact."""
    found = []
    with CheckerProcess([step.checker for step in proposal.subtasks]) as process:
        for step in proposal.subtasks:
            fact = fact_for(env_id, step.title)
            if fact is None:
                found.append((step.title, "no fact", Tally()))
                continue
            tally = Tally()
            for trajectory in trajectories:
                truth = trajectory.facts[fact]
                if step.title.startswith("Pick up"):
                    truth = np.logical_or.accumulate(truth)
                tally.add(ask(process, step.checker, trajectory).done, truth)
            found.append((step.title, fact, tally))
    return found


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
    say("| task | proposed from | sub-task (fact) | precision | one frame early too | recall | first fire | frames |")
    say("|---|---|---|---|---|---|---|---|")
    for env_id in options.tasks:
        trajectories = episodes(env_id, options.seeds)
        for seed in options.proposing:
            proposal = proposal_for(env_id, seed)
            if proposal is None:
                say(f"| {env_id} | seed {seed} | the expert does not solve it | | | | | |")
                continue
            for title, fact, tally in judge(proposal, env_id, trajectories):
                say(f"| {env_id} | seed {seed} | {title} ({fact}) | {tally.row()} |")
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

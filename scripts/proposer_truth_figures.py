"""As `proposer_truth`, for Gymnasium's worlds of small figures, which have no expert of their own: FrozenLake on maps
whose start, goal and holes are anywhere, and CliffWalking, which has one map.

What is true is the environment's word: the last frame of an episode that it calls solved, and no other. The way there
is the shortest one in the table of transitions that these environments hold.

    python -m scripts.proposer_truth_figures --seeds 50 --out docs/proposer_truth_figures.md
"""

import argparse
import json
import os
import platform
from collections import deque
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from scripts.proposer_truth import RANDOM_STEPS, UNSEEN, Tally
from vlmcar_core import rollouts
from vlmcar_core.files import write_text
from vlmcar_core.proposers import builtin
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Proposal, Task, Trajectory
from vlmcar_core.verify import ask

FAMILY = "gymnasium_discrete"
HOLES = 0.2


def lake(side: int, seed: int) -> Task:
    """FrozenLake on a map of its own."""
    chance = np.random.default_rng([side, seed])
    letters = np.where(chance.random(side * side) < HOLES, "H", "F")
    start, goal = chance.choice(side * side, 2, replace=False)
    letters[start], letters[goal] = "S", "G"
    rows = ["".join(row) for row in letters.reshape(side, side)]
    kwargs = json.dumps({"desc": rows, "is_slippery": False})
    return Task("FrozenLake-v1", FAMILY, seed, settings={"kwargs": kwargs})


def cliff(seed: int) -> Task:
    return Task("CliffWalking-v1", FAMILY, seed)


WORLDS = {
    "FrozenLake-v1, 4 × 4": lambda seed: lake(4, seed),
    "FrozenLake-v1, 8 × 8": lambda seed: lake(8, seed),
    "CliffWalking-v1": cliff,
}


def way(task: Task) -> list[int] | None:
    """The shortest one; None where there is none."""
    kwargs = json.loads(str(task.settings.get("kwargs", "{}")))
    env: Any = gym.make(str(task.env_id), render_mode="rgb_array", **kwargs)
    env.reset(seed=task.seed)
    table, start = env.unwrapped.P, int(env.unwrapped.s)
    env.close()
    ways: dict[int, list[int]] = {start: []}
    pending = deque([start])
    while pending:
        state = pending.popleft()
        for action, outcomes in table[state].items():
            _, then, _, ended = max(outcomes)
            if ended and _is_goal(task, outcomes):
                return [*ways[state], int(action)]
            if not ended and then not in ways:
                ways[then] = [*ways[state], int(action)]
                pending.append(then)
    return None


def _is_goal(task: Task, outcomes: list[tuple[float, int, float, bool]]) -> bool:
    """CliffWalking ends at its goal alone; FrozenLake pays there."""
    return task.env_id == "CliffWalking-v1" or max(outcomes)[2] > 0


def episodes(world: str, seeds: range) -> list[tuple[Trajectory, bool]]:
    """The shortest way and a random walk on each map that can be solved, with whether it ended at the goal."""
    found = []
    for seed in seeds:
        task = WORLDS[world](seed)
        actions = way(task)
        if actions is None:
            continue
        found.append((rollouts.record_actions(task, seed, actions, "expert"), True))
        walked = rollouts.record_random(task, seed, RANDOM_STEPS)
        found.append((walked, walked.terminated and (task.env_id == "CliffWalking-v1" or walked.rewards.sum() > 0)))
    return found


def judge(proposal: Proposal, trajectories: list[tuple[Trajectory, bool]]) -> list[tuple[str, Tally]]:
    found = []
    with CheckerProcess([step.checker for step in proposal.subtasks]) as process:
        for step in proposal.subtasks:
            tally = Tally()
            for trajectory, solved in trajectories:
                truth = np.zeros(trajectory.steps + 1, np.bool_)
                truth[-1] = solved
                tally.add(ask(process, step.checker, trajectory).done, truth)
            found.append((step.title, tally))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50, help="unseen maps a world")
    parser.add_argument("--proposing", type=int, nargs="+", default=[0, 1, 2], help="maps to propose from")
    parser.add_argument("--out", type=Path, help="also write the table there")
    options = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    maps = " ".join(str(seed) for seed in options.proposing)
    say("# The built-in proposer's checkers in worlds of small figures\n")
    say(f"`python -m scripts.proposer_truth_figures --seeds {options.seeds} --proposing {maps}`\n")
    say(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()};")
    say(f"{options.seeds} unseen maps, less those without a way; the shortest way and a random walk of at most")
    say(f"{RANDOM_STEPS} steps on each. Proposed from the first and last frame of the shortest way on another map.\n")
    say("| world | proposed from | sub-task | precision | one frame early too | recall | first fire | frames |")
    say("|---|---|---|---|---|---|---|---|")
    for world in WORLDS:
        unseen = episodes(world, range(UNSEEN, UNSEEN + options.seeds))
        for seed in options.proposing:
            actions = way(WORLDS[world](seed))
            if actions is None:
                say(f"| {world} | map {seed} | it has no way | | | | | |")
                continue
            shown = rollouts.record_actions(WORLDS[world](seed), seed, actions, "expert")
            proposal = builtin.propose(shown.frames[0], shown.frames[-1], lambda *_: None)
            for title, tally in judge(proposal, unseen):
                say(f"| {world} | map {seed} | {title} | {tally.row()} |")
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""What training costs, and what a dense reward adds: python scripts/bench_training.py [--out docs/training_cost.md]

PPO with the program's settings, several rounds, each of them in turn: the environment's own reward on MiniGrid as it is
installed, in Stable-Baselines3's copies (stock); the environment's own reward as this program trains on it (sparse);
three sandboxed checkers beside it at the default tile size (dense). CPU time is that of all processes together, the
checkers' among them. Ratios are taken within a round, so that a busy machine hurts all three alike.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from vlmcar_core import pipeline, plugins, runs
from vlmcar_core.copies import Copies, Moment, Payments, Settled, Shown, Stepped
from vlmcar_core.episodes import EpisodeCopies, EpisodeRecord
from vlmcar_core.known import Known
from vlmcar_core.paying import CheckerPay
from vlmcar_core.reward import CheckerReward, Judge
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.train import simulated
from vlmcar_core.trainers import _defaults
from vlmcar_core.training import Stretch, Training
from vlmcar_core.types import Proposal, Recording, Task

minigrid = plugins.load("envs", "minigrid")
SEEDS = pipeline.DEFAULT_SEEDS
"""Of a run, by default."""
TASKS = ("MiniGrid-DoorKey-5x5-v0", "MiniGrid-DoorKey-8x8-v0")
STOCK = (
    *("n_steps", "batch_size", "n_epochs", "learning_rate", "gamma", "gae_lambda"),
    *("ent_coef", "vf_coef", "max_grad_norm", "clip_range", "normalize_advantage"),
)
"""Settings that Stable-Baselines3's PPO is told; the networks are its own."""
MINIGRID = _defaults.TUNINGS["minigrid"]["ppo"]


class Cost(NamedTuple):
    """Of one training."""

    wall: float
    cpu: float
    solved: float
    """Share of the last 100 training episodes."""
    stepping: float = 0.0
    """Of the time on the wall what the copies took, with asking checkers about them."""
    remembered: float = 0.0
    """Share of the questions to checkers that were not put to them."""


class Clock:
    """Seconds on the wall, and CPU seconds of this process and all below it that still run."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._spent()

    @staticmethod
    def _spent() -> float:
        me = psutil.Process()
        times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
        return sum(spent.user + spent.system for spent in times)

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, self._spent() - self._cpu


class Timed:
    """`Copies`, and how long they take."""

    def __init__(self, copies: Copies) -> None:
        self._copies, self.seconds = copies, 0.0
        self.count, self.pay_later, self.close = copies.count, copies.pay_later, copies.close
        self.observation_space, self.action_space = copies.observation_space, copies.action_space

    def reset(self, seed: int | None = None) -> NDArray[Any]:
        began = time.perf_counter()
        found = self._copies.reset(seed)
        self.seconds += time.perf_counter() - began
        return found

    def step(self, actions: NDArray[Any]) -> Stepped:
        began = time.perf_counter()
        found = self._copies.step(actions)
        self.seconds += time.perf_counter() - began
        return found

    def settle(self) -> Settled:
        began = time.perf_counter()
        found = self._copies.settle()
        self.seconds += time.perf_counter() - began
        return found


def train(
    trainer: str,
    steps: int,
    settings: dict[str, Any],
    make_env: Callable[[str], gym.Env[Any, Any]],
    make_copies: Callable[[int, str], Copies | None] | None = None,
    judge: Judge | None = None,
) -> Cost:
    """One training, from the first reset to the last update."""
    records: list[dict[str, Any]] = []

    def watch(stretch: Stretch) -> None:
        records.extend(stretch.records)

    timed: list[Timed] = []

    def make_timed(count: int, view: str) -> Copies | None:
        copies = make_copies(count, view) if make_copies is not None else None
        if copies is not None:
            timed.append(Timed(copies))
        return timed[-1] if copies is not None else None

    with tempfile.TemporaryDirectory(prefix="vlmcar-bench-") as folder:
        asked = Training(make_env, steps, 0, Path(folder) / "model.zip", settings, watch, make_copies=make_timed)
        clock = Clock()
        plugins.load("trainers", trainer).learn(asked)
        wall, cpu = clock.read()
    share = judge.remembered / judge.asked if judge is not None and judge.asked else 0.0
    return Cost(wall, cpu, _solved(records), sum(copies.seconds for copies in timed), share)


def _solved(records: Sequence[Mapping[str, Any]]) -> float:
    return float(np.mean([record["success"] for record in records[-100:]])) if records else 0.0


def proposed(env_id: str, experts: int = 2) -> tuple[Proposal, Task]:
    with tempfile.TemporaryDirectory(prefix="vlmcar-bench-") as folder:
        session = pipeline.create_from_env(Path(folder), "bench", env_id, recording=Recording(experts, 1, 20))
        pipeline.record(session)
        return pipeline.propose(session), session.task


def stock(env_id: str, steps: int) -> Cost:
    """MiniGrid and Stable-Baselines3 as they are installed; the one-hot view is this program's, and so are settings."""

    def make_env() -> gym.Env[Any, Any]:
        env = gym.make(env_id, render_mode="rgb_array", disable_env_checker=True)
        return EpisodeRecord(minigrid.policy_view(env), minigrid.succeeded)

    torch.set_num_threads(1)
    envs = DummyVecEnv([make_env] * _defaults.PPO["n_envs"])
    model = PPO("MlpPolicy", envs, seed=0, device="cpu", **{name: _defaults.PPO[name] for name in STOCK})
    ended = Ended()
    clock = Clock()
    model.learn(steps, ended, log_interval=None)
    return Cost(*clock.read(), _solved(ended.records))


class Ended(BaseCallback):
    """Keeps what is told of ended episodes."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        self.records += [info["episode_record"] for info in self.locals["infos"] if "episode_record" in info]
        return True


class Unpaid:
    """A `Payer` that asks checkers what another would, and keeps the pay."""

    def __init__(self, payer: CheckerPay) -> None:
        self.env_reward, self.keys = True, payer.keys
        self._payer = payer
        self.begin = payer.begin

    def step(self, solved: Mapping[int, bool], shown: Shown) -> Payments:
        return _kept(self._payer.step(solved, shown))

    def settle(self, moments: Sequence[Moment], solved: Sequence[Mapping[int, bool]]) -> Iterable[Payments]:
        return map(_kept, self._payer.settle(moments, solved))


def _kept(paid: Payments) -> Payments:
    return Payments(0 * paid.rewards, paid.completed, 0 * paid.components)


def ours(
    task: Task,
    steps: int,
    settings: dict[str, Any],
    proposal: Proposal | None,
    before: Known | None = None,
    unpaid: bool = False,
) -> Cost:
    """As `vlmcar train` does it, with what earlier runs of the same checkers left in `before`."""
    judge = Judge(CheckerProcess([step.checker for step in proposal.paid]), known=before) if proposal else None

    def make_copies(count: int, _view: str) -> Copies:
        simulation, _ = simulated(minigrid, task, count)
        frames = before.frames if before else None
        payer = CheckerPay(simulation.count, proposal, judge, frames=frames) if proposal and judge else None
        return EpisodeCopies(simulation, minigrid.succeeded, Unpaid(payer) if payer and unpaid else payer)

    try:
        return train("ppo", steps, settings, lambda _view: minigrid.make(task), make_copies, judge)
    finally:
        if judge is not None:
            judge.close()


def ratios(over: Sequence[Cost], under: Sequence[Cost], field: str) -> str:
    found = [getattr(one, field) / getattr(other, field) for one, other in zip(over, under, strict=True)]
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def speed(costs: Sequence[Cost], steps: int, field: str) -> str:
    return f"{steps / statistics.median(getattr(cost, field) for cost in costs):,.0f}"


def measure_ppo(env_id: str, steps: int, rounds: int) -> list[str]:
    """A table of one task."""
    proposal, task = proposed(env_id)
    found: dict[str, list[Cost]] = {}
    ours(task, 256, {"n_steps": 16}, proposal)  # what is compiled, painted and imported once
    for _ in range(rounds):
        before, asked = Known(), Known()
        found.setdefault("stock", []).append(stock(env_id, steps))
        found.setdefault("sparse", []).append(ours(task, steps, MINIGRID, None))
        for name in ("asked, first run", "asked, second run"):
            found.setdefault(name, []).append(ours(task, steps, MINIGRID, proposal, asked, True))
        found.setdefault("dense, first run", []).append(ours(task, steps, MINIGRID, proposal, before))
        found.setdefault("dense, second run", []).append(ours(task, steps, MINIGRID, proposal, before))
    lines = [
        f"## {env_id}: PPO, {len(proposal.paid)} checkers, {steps:,} steps, median of {rounds}",
        "",
        "| reward | steps a second | steps a CPU second | solved at the end | answers remembered |",
        "|---|---|---|---|---|",
    ]
    for name, costs in found.items():
        solved = statistics.median(cost.solved for cost in costs)
        share = f"{statistics.median(cost.remembered for cost in costs):.1%}" if "run" in name else "-"
        row = (name, speed(costs, steps, "wall"), speed(costs, steps, "cpu"), f"{solved:.0%}", share)
        lines.append(f"| {' | '.join(row)} |")
    lines += [
        "",
        "| ratio | of time on the wall | of CPU time |",
        "|---|---|---|",
    ]
    for label, over, under in (
        ("asked over sparse, first run", "asked, first run", "sparse"),
        ("asked over sparse, second run", "asked, second run", "sparse"),
        ("dense over sparse, first run", "dense, first run", "sparse"),
        ("dense over sparse, second run", "dense, second run", "sparse"),
        ("stock over dense, first run", "stock", "dense, first run"),
        ("stock over dense, second run", "stock", "dense, second run"),
    ):
        both = [ratios(found[over], found[under], field) for field in ("wall", "cpu")]
        lines.append(f"| {label} | {both[0]} | {both[1]} |")
    names = ("asked, first run", "asked, second run")
    alike = [cost.wall - cost.stepping for name in ("sparse", *names) for cost in found[name]]
    learning = statistics.median(alike)
    sparse, first, later = (
        learning + statistics.median(cost.stepping for cost in found[name]) for name in ("sparse", *names)
    )
    mixed = (first + (SEEDS - 1) * later) / SEEDS
    return [
        *lines,
        "",
        f"Sparse and asked learn the same from the same, which took {min(alike):.1f} to {max(alike):.1f} s. With the "
        f"median of that for all of them, and for the rest what each took, asked over sparse is "
        f"**{first / sparse:.2f}** in a first run, **{later / sparse:.2f}** in a later one, and "
        f"{mixed / sparse:.2f} for {SEEDS} seeds one after the other.",
        "",
    ]


def measure_steps(env_id: str, steps: int) -> list[str]:
    """The environment alone, under random actions."""
    proposal, task = proposed(env_id)
    chance = np.random.default_rng(0)
    cells = []
    for count in (16, 64, 256):
        for checkers in (None, proposal):
            judge = Judge(CheckerProcess([step.checker for step in proposal.paid]))
            simulation, _ = simulated(minigrid, task, count)
            payer = CheckerPay(simulation.count, checkers, judge) if checkers else None
            copies = EpisodeCopies(simulation, minigrid.succeeded, payer)
            copies.reset(0)
            # CPU time is counted in hundredths of a second.
            actions = chance.integers(0, 7, (max(1, steps * (1 if checkers else 20) // count), count))
            for row in actions:  # what is seen often is known by then
                copies.step(row)
            clock = Clock()
            for row in actions:
                copies.step(row)
            cells.append(f"{actions.size / clock.read()[1]:,.0f}")
            copies.close()
            judge.close()
    env = minigrid.policy_view(gym.make(env_id, render_mode="rgb_array", disable_env_checker=True))
    env.reset(seed=0)
    clock = Clock()
    for action in chance.integers(0, 7, 1000).tolist():
        if any(env.step(action)[2:4]):
            env.reset()
    return [f"| {env_id} | {1000 / clock.read()[1]:,.0f} | {' | '.join(cells)} |"]


def measure_panda(env_id: str, steps: int, rounds: int) -> list[str]:
    """SAC with goals changed in hindsight."""
    panda = plugins.load("envs", "panda")
    proposal, task = proposed(env_id)
    found: dict[str, list[Cost]] = {"sparse": [], "dense": []}
    for _ in range(rounds):
        for reward in found:
            judge = Judge(CheckerProcess([step.checker for step in proposal.paid]))

            def make_env(_view: str, reward: str = reward, judge: Judge = judge) -> gym.Env[Any, Any]:
                env = panda.make(task)
                if reward == "dense":
                    key = getattr(panda, "frame_key", None)
                    env = CheckerReward(env, proposal, judge, True, panda.scene, None, panda.succeeded, key)
                return EpisodeRecord(panda.goal_view(env), panda.succeeded)

            found[reward].append(train("sac", steps, {}, make_env, None, judge))
            judge.close()
    return [
        f"| {env_id}, {len(proposal.paid)} checkers | {speed(found['sparse'], steps, 'wall')} "
        f"| {speed(found['dense'], steps, 'wall')} | {ratios(found['dense'], found['sparse'], 'wall')} "
        f"| {ratios(found['dense'], found['sparse'], 'cpu')} |"
    ]


def measure_whole(env_id: str) -> list[str]:
    """`vlmcar train` as a person asks for it, with all that a run writes down."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        session = pipeline.create_from_env(root, "whole", env_id, recording=Recording(1, 1, 5))
        pipeline.record(session)
        pipeline.propose(session)
        own = {"VLMCAR_QUEUE": str(root / "queue"), "VLMCAR_CACHE": str(root / "cache")}
        clock = time.perf_counter()
        command = [sys.executable, "-m", "vlmcar_core", "--root", place, "train", "whole"]
        subprocess.run(command, env={**os.environ, **own}, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - clock
        configs = [runs.read_config(folder) for folder in session.run_folders()]
        steps = sum(config.steps for config in configs)
    return [f"| {env_id} | {len(configs)} of {configs[0].steps:,} | {seconds:.0f} | {steps / seconds:,.0f} |"]


def report(options: argparse.Namespace) -> Iterator[str]:
    """The lines of the tables, as they are measured."""
    usual = ", ".join(f"{name} {_defaults.PPO[name]}" for name in ("n_envs", "n_steps", "batch_size", "n_epochs"))
    chosen = ", ".join(f"{name} {value}" for name, value in MINIGRID.items())
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "stable-baselines3", "minigrid", "numba"))
    yield from (
        "# What training costs",
        "",
        f"`scripts/bench_training.py --steps {options.steps} --rounds {options.rounds}`, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.machine()}, CPython {platform.python_version()}, {packages}.",
        "",
        "Stock: MiniGrid and Stable-Baselines3 as they are installed, on the environment's own reward. Sparse: the",
        "same reward as this program trains on it. Dense: the built-in proposer's checkers beside it, sealed, at the",
        "default tile size. Asked: the same, but that nothing is paid for the answers, so it is the very training that",
        "sparse is; an agent that is paid solves its episodes sooner and so begins more of them, which costs, too. CPU",
        "time counts the checkers' processes. Ratios are taken within a round; in brackets are the least and the most.",
        "",
        "A first run of some checkers knows nothing of any frame; a second one knows what the first asked (known.py),",
        "as all later runs on the same machine do, and those that go on beside it.",
        "",
        f"Stock trains with {usual}; sparse and dense with this program's default for MiniGrid, {chosen}.",
        "",
    )
    for env_id in TASKS:
        yield from measure_ppo(env_id, options.steps, options.rounds)
    heads = " | ".join(f"{count} copies{more}" for count in (16, 64, 256) for more in ("", ", checkers"))
    yield from ("## The environment alone, random actions, steps a CPU second", "")
    yield from (f"| task | stock, one copy | {heads} |", "|---" * 8 + "|")
    for env_id in TASKS:
        yield from measure_steps(env_id, 20_000)
    if options.whole:
        yield from ("", "## `vlmcar train`: both rewards, 3 seeds, with evaluations, videos and checkpoints", "")
        yield from ("| task | runs and their steps | seconds in all | steps a second |", "|---" * 4 + "|")
        yield from measure_whole(TASKS[-1])
    if options.panda_steps:
        yield from ("", f"## panda-gym: SAC with hindsight, {options.panda_steps:,} steps", "")
        yield from ("| task | sparse, steps a second | dense | dense over sparse, wall | CPU |", "|---" * 5 + "|")
        for env_id in ("PandaReach-v3", "PandaPush-v3"):
            yield from measure_panda(env_id, options.panda_steps, options.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_480, help="of each PPO training")
    parser.add_argument("--panda-steps", type=int, default=1_500, help="of each SAC training; 0 leaves panda-gym out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="also what `vlmcar train` takes in all, about two minutes")
    parser.add_argument("--out", type=Path, help="write the tables there, too")
    options = parser.parse_args()
    lines = []
    for line in report(options):
        print(line, flush=True)
        lines.append(line)
    if options.out:
        options.out.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()

"""Environment + reward + trainer → progress, evaluations under the environment's own success, a policy."""

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from vlmcar_core import plugins, rollouts, runs
from vlmcar_core.copies import Copies, Simulation
from vlmcar_core.envs import _views
from vlmcar_core.episodes import EpisodeCopies, EpisodeRecord
from vlmcar_core.errors import BadInput
from vlmcar_core.one_by_one import OneByOne
from vlmcar_core.paying import CheckerPay
from vlmcar_core.policies import Act, alone
from vlmcar_core.reward import CheckerReward, Judge
from vlmcar_core.rollouts import View
from vlmcar_core.runs import RunConfig
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.store import Session
from vlmcar_core.trainers import _defaults
from vlmcar_core.training import Stretch, Training
from vlmcar_core.types import Progress, Proposal, Task

WINDOW = 100
"""Training episodes over which rates are taken."""

ENOUGH = 20
"""Fewer give no rate: the first episodes to end are the ones that succeeded early."""

TELL_SECONDS = 1.0
"""Progress is told at least so often within a stretch, so that a person who wants it to stop is heard soon."""

HELD_OUT_SEED = 1_000_000
"""Evaluations reset to seeds from here on, which training does not use; a small environment may have the same layout
under both."""

WATCH_SEED = 2_000_000


def train(session: Session, folder: Path, config: RunConfig, progress: Progress) -> dict[str, Any]:
    """Train one agent; writes rows and the policy into `folder` as it goes.

    Raises:
        Cancelled: through `progress`; the policy so far is saved.
        BadInput: the session has no environment, or a setting makes no sense.
        CheckerDisabled: a checker had to be ended three times, and the run stops then; the policy so far is saved.
    """
    task = session.task
    if task.family is None:
        raise BadInput(f"session {session.name!r} has two frames and no environment; there is nothing to train in")
    family = plugins.load("envs", task.family)
    proposal = session.proposal(config.proposal) if config.reward == "dense" else None
    checkers = [step.checker for step in proposal.paid] if proposal else []
    judge = Judge(CheckerProcess(checkers), stop_when_disabled=config.when_disabled == "stop")
    log = _Log(folder, config, [checker.key for checker in checkers], family, task, progress, judge.faults)

    def make_copies(count: int, view: str) -> Copies | None:
        if view != "policy":
            return None
        simulation, log.how = simulated(family, task, count, _other_view(family, config))
        return EpisodeCopies(simulation, family.succeeded, _payer(simulation, proposal, judge, config))

    try:
        asked = Training(
            make_env=lambda view: _training_env(family, task, proposal, judge, config, view),
            steps=config.steps,
            seed=config.seed,
            settings=config.settings,
            watch=log.after_stretch,
            tick=log.tick,
            save_to=folder / runs.MODEL,
            make_copies=make_copies,
        )
        plugins.load("trainers", config.trainer).learn(asked)
    finally:
        judge.close()
    found = runs.summary(runs.read_evaluations(folder))
    share = judge.remembered / judge.asked if judge.asked else None
    return {
        "steps_to_learned": found.steps_to_learned,
        "final_success": found.final_success,
        "remembered": share,
        "copies": log.how,
    }


def simulated(family: ModuleType, task: Task, count: int, view: View | None = None) -> tuple[Simulation, str]:
    """So many copies, and how they are stepped: "in arrays" where the family can do that, else "one by one".

    Args:
        family: of the environment.
        task: what is copied.
        count: how many.
        view: what the policy sees; the family's usual one, which alone is there in arrays, if None.
    """
    together = family.copies(task, count) if view is None and hasattr(family, "copies") else None
    if together is not None:
        return together, "in arrays"
    envs = [family.make(task) for _ in range(count)]
    return OneByOne(envs, view or family.policy_view, family.scene, getattr(family, "frame_key", None)), "one by one"


def watch(session: Session, number: int, episodes: int, progress: Progress) -> list[str]:
    """Record episodes of a run's policy as trajectories, on layouts of their own; returns their ids.

    Raises:
        BadInput: the run has no policy yet.
    """
    folder = session.run_folder(number)
    if not (folder / runs.MODEL).is_file():
        raise BadInput(f"run {number} has saved no policy yet; wait for its first evaluation")
    config, task = runs.read_config(folder), session.task
    family = plugins.load("envs", task.family or "")
    act = plugins.load("trainers", config.trainer).load(folder / runs.MODEL)
    limit = rollouts.steps_limit(task)
    there = {info.seed for info in session.trajectories().items if info.source == "policy"}
    seeds = [seed for seed in range(WATCH_SEED, WATCH_SEED + len(there) + episodes) if seed not in there][:episodes]
    ids = []
    for done, seed in enumerate(seeds):
        progress(done, episodes, f"episode {done + 1} of {episodes}")
        trajectory = rollouts.record_policy(task, seed, alone(act), limit, lambda env: policy_view(family, env, config))
        versions = {**trajectory.versions, "run": folder.name}
        ids.append(session.add_trajectory(dataclasses.replace(trajectory, versions=versions)))
    progress(episodes, episodes, f"{episodes} episodes of run {number} recorded")
    return ids


def _payer(simulation: Simulation, proposal: Proposal | None, judge: Judge, config: RunConfig) -> CheckerPay | None:
    if proposal is None:
        return None
    return CheckerPay(simulation, proposal, judge, config.env_reward, config.payment(_discount(config)))


def _training_env(
    family: ModuleType, task: Task, proposal: Proposal | None, judge: Judge, config: RunConfig, view: str
) -> gym.Env[Any, Any]:
    if view == "goal":
        _check_hindsight(family, config)
    env: gym.Env[Any, Any] = family.make(task)
    if proposal is not None:
        payment = config.payment(_discount(config))
        key = getattr(family, "frame_key", None)
        env = CheckerReward(env, proposal, judge, config.env_reward, family.scene, payment, family.succeeded, key)
    seen = family.goal_view(env) if view == "goal" else policy_view(family, env, config)
    return EpisodeRecord(seen, family.succeeded)


def policy_view(family: ModuleType, env: gym.Env[Any, Any], config: RunConfig) -> gym.Env[Any, Any]:
    """What a run's policy sees of an environment, in training and after; a policy with goals is given their parts flat.

    Raises:
        UnknownName: the family has no such observation.
        BadInput: the trainer needs to be told which actions do nothing, and the family does not tell.
    """
    seen: gym.Env[Any, Any] = family.policy_view(env, config.observation or next(iter(family.VIEWS)))
    if config.trainer not in _defaults.MASKED:
        return seen
    if not hasattr(family, "action_mask"):
        raise BadInput(f"{config.trainer} needs to be told which actions do nothing, and {family.TITLE} does not tell")
    return _views.MaskedView(seen, family.action_mask)


def _other_view(family: ModuleType, config: RunConfig) -> View | None:
    """What the policy sees, where that is not the family's usual view."""
    usual = config.observation in (None, next(iter(family.VIEWS))) and config.trainer not in _defaults.MASKED
    return None if usual else lambda env: policy_view(family, env, config)


def _discount(config: RunConfig) -> float:
    """The learner's γ."""
    return float(_defaults.merged(_defaults.DEFAULTS[config.trainer], config.settings)["gamma"])


def _check_hindsight(family: ModuleType, config: RunConfig) -> None:
    instead = "set hindsight_goals to 0"
    if not hasattr(family, "goal_view"):
        raise BadInput(f"{family.TITLE} has no goals that could be changed in hindsight; {instead}")
    if config.observation not in (None, next(iter(family.VIEWS))):
        raise BadInput(f"in hindsight goals are numbers, and the policy is to see {config.observation!r}; {instead}")
    if config.reward == "dense" and not config.env_reward:
        raise BadInput(
            "in hindsight the environment's own reward is worked out anew, and this run leaves it out; keep it, or "
            + instead
        )


class _Log:
    """Writes a row after each stretch of training, and evaluates when it is time."""

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        keys: Sequence[str],
        family: ModuleType,
        task: Task,
        progress: Progress,
        faults: Mapping[str, str],
    ) -> None:
        self._folder, self._config, self._keys = folder, config, keys
        self._family, self._task, self._progress, self._faults = family, task, progress, faults
        self._recent: deque[dict[str, Any]] = deque(maxlen=WINDOW)
        self._episodes = 0
        self._evaluated = 0
        self._said = "no episode has ended yet"
        self.how = "one by one"
        """How the copies of the environment are stepped."""
        self._began = self._told = time.monotonic()

    def tick(self, steps: int) -> None:
        """Say how far it is, if that was not said lately."""
        if steps < self._config.steps and time.monotonic() - self._told > TELL_SECONDS:
            self._tell(steps)

    def _tell(self, steps: int) -> None:
        self._told = time.monotonic()
        self._progress(steps, self._config.steps, f"{self._said}; copies {self.how}")

    def after_stretch(self, stretch: Stretch) -> None:
        steps = stretch.steps
        self._recent.extend(stretch.records)
        self._episodes += len(stretch.records)
        row = self._row(steps)
        runs.append(self._folder, runs.PROGRESS, row)
        rate = row["success_rate"]
        if rate is not None:
            self._said = f"{rate:.0%} of the last {len(self._recent)} episodes solved"
        self._tell(min(steps, self._config.steps))
        due = min(self._config.evaluations, steps * self._config.evaluations // self._config.steps)
        if due > self._evaluated:
            self._evaluated = due
            stretch.save()
            last = self._config.steps - 1
            found = evaluate(
                self._family,
                self._task,
                stretch.act,
                self._config.eval_episodes,
                lambda: self.tick(min(steps, last)),
                _other_view(self._family, self._config),
            )
            runs.append(self._folder, runs.EVALUATION, {"steps": steps, **found})

    def _row(self, steps: int) -> dict[str, Any]:
        seconds = time.monotonic() - self._began
        dense = self._config.reward == "dense"
        return {
            "steps": steps,
            "seconds": seconds,
            "steps_per_second": steps / seconds,
            "episodes": self._episodes,
            "success_rate": self._mean("success"),
            "env_return": self._mean("env_return"),
            "learned_return": self._mean("learned_return") if dense else None,
            "episode_length": self._mean("length"),
            "completions": {key: self._share(key) for key in self._keys} if self._recent else {},
            "faults": dict(self._faults),
        }

    def _mean(self, name: str) -> float | None:
        enough = len(self._recent) >= ENOUGH
        return float(np.mean([record[name] for record in self._recent])) if enough else None

    def _share(self, key: str) -> float:
        return float(np.mean([key in record["paid"] for record in self._recent]))


def evaluate(
    family: ModuleType,
    task: Task,
    act: Act,
    episodes: int,
    tick: Callable[[], None] = lambda: None,
    view: View | None = None,
) -> dict[str, Any]:
    """Episodes on held-out seeds under the environment's own success; no checker is asked.

    Args:
        family: of the environment.
        task: what is tried.
        act: the policy.
        episodes: how many, side by side.
        tick: called after each step of all the copies; may raise to stop.
        view: what the policy sees; the family's usual one if None.

    Returns:
        episodes, successes, and mean_length in steps.
    """
    together = family.copies(task, episodes) if view is None and hasattr(family, "copies") else None
    if together is not None:
        records = _played_together(EpisodeCopies(together, family.succeeded), act, tick)
    else:
        records = _played_one_by_one(family, task, act, episodes, tick, view or family.policy_view)
    successes = sum(bool(record["success"]) for record in records)
    return {"episodes": episodes, "successes": successes, "mean_length": float(np.mean([r["length"] for r in records]))}


def _played_together(copies: Copies, act: Act, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """The record of each copy's first episode. What a copy does after that does not matter."""
    seen, records = copies.reset(HELD_OUT_SEED), []
    going, starts = np.arange(copies.count), np.ones(copies.count, bool)
    while len(going):
        tick()
        step = copies.step(act(seen, starts))  # those that ended are asked, too: a memory keeps to its row
        seen, starts = step.observations, np.zeros(copies.count, bool)
        over = [number for number in going.tolist() if number in step.infos]
        records += [step.infos[number]["episode_record"] for number in over]
        going = np.setdiff1d(going, over)
    copies.close()
    return records


def _played_one_by_one(
    family: ModuleType, task: Task, act: Act, episodes: int, tick: Callable[[], None], view: View
) -> list[dict[str, Any]]:
    envs = [EpisodeRecord(view(family.make(task)), family.succeeded) for _ in range(episodes)]
    seen = [env.reset(seed=HELD_OUT_SEED + number)[0] for number, env in enumerate(envs)]
    records: list[dict[str, Any]] = []
    going, starts = list(range(episodes)), np.ones(episodes, bool)
    while going:
        tick()
        actions = act(np.stack(seen), starts)  # of those that ended, too: a memory keeps to its row
        starts = np.zeros(episodes, bool)
        for number in list(going):
            seen[number], _, terminated, truncated, info = envs[number].step(actions[number])
            if terminated or truncated:
                records.append(info["episode_record"])
                going.remove(number)
    for env in envs:
        env.close()
    return records

"""Environment + reward + trainer → progress, evaluations under the environment's own success, a policy."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from vlmcar_core import known, plugins, rollouts, runs
from vlmcar_core.copies import Copies, Simulation
from vlmcar_core.envs import _views, solved
from vlmcar_core.episodes import EpisodeCopies, EpisodeRecord
from vlmcar_core.errors import BadInput
from vlmcar_core.logbook import HELD_OUT_SEED, Evaluation, Logbook
from vlmcar_core.one_by_one import OneByOne
from vlmcar_core.paying import CheckerPay
from vlmcar_core.policies import Act, alone
from vlmcar_core.reward import CheckerReward, Judge
from vlmcar_core.rollouts import View
from vlmcar_core.runs import RunConfig
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.store import Session
from vlmcar_core.trainers import _defaults
from vlmcar_core.training import Training
from vlmcar_core.types import Progress, Proposal, Task

WATCH_SEED = 2_000_000


def train(session: Session, folder: Path, config: RunConfig, progress: Progress) -> dict[str, Any]:
    """Train one agent; writes rows and the policy into `folder` as it goes. Where the folder has a checkpoint, training
    goes on from there.

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
    before = known.shared(checkers, task, family.versions()) if checkers else known.Known()
    judge = Judge(CheckerProcess(checkers), stop_when_disabled=config.when_disabled == "stop", known=before)

    def payer(simulation: Simulation) -> CheckerPay | None:
        if proposal is None:
            return None
        payment = config.payment(_discount(config))
        return CheckerPay(simulation.count, proposal, judge, config.env_reward, payment, before.frames)

    def make_env(view: str) -> gym.Env[Any, Any]:
        return _training_env(family, task, proposal, judge, config, view)

    def make_copies(count: int, view: str) -> Copies | None:
        if view != "policy" or hasattr(family, "success_in"):
            return None  # where success is told by each environment itself, each keeps its own record
        simulation, log.how = simulated(family, task, count, _other_view(family, config))
        return EpisodeCopies(simulation, family.succeeded, payer(simulation))

    def evaluated(act: Act, tick: Callable[[], None]) -> Evaluation:
        usual = _other_view(family, config) is None and hasattr(family, "copies")
        together = family.copies(task, config.eval_episodes) if usual else None
        if together is None:
            return evaluate([make_env("policy") for _ in range(config.eval_episodes)], act, tick)
        return evaluate_together(EpisodeCopies(together, family.succeeded, payer(together)), act, tick)

    there = runs.checkpoint(folder)
    log = Logbook(folder, config, task, [checker.key for checker in checkers], judge, evaluated, progress)
    try:
        asked = Training(
            make_env=make_env,
            steps=config.steps,
            seed=config.seed,
            settings=config.settings,
            watch=log.after_stretch,
            tick=log.tick,
            save_to=folder / runs.MODEL,
            make_copies=make_copies,
            resume=there[0] if there else None,
        )
        plugins.load("trainers", config.trainer).learn(asked)
    finally:
        judge.close()
        log.close()
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


def _training_env(
    family: ModuleType, task: Task, proposal: Proposal | None, judge: Judge, config: RunConfig, view: str
) -> gym.Env[Any, Any]:
    if view == "goal":
        _check_hindsight(family, config)
    env: gym.Env[Any, Any] = family.make(task)
    succeeded = solved(family, env)
    if proposal is not None:
        payment = config.payment(_discount(config))
        key = getattr(family, "frame_key", None)
        env = CheckerReward(env, proposal, judge, config.env_reward, family.scene, payment, succeeded, key)
    seen = family.goal_view(env) if view == "goal" else policy_view(family, env, config)
    return EpisodeRecord(seen, succeeded)


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


def evaluate_together(copies: Copies, act: Act, tick: Callable[[], None] = lambda: None) -> Evaluation:
    """The first episode of each copy, on held-out seeds, under the environment's own success, and what checkers pay.

    Args:
        copies: closed afterwards. What one does after its first episode does not matter.
        act: the policy.
        tick: called after each step of all the copies; may raise to stop.
    """
    seen = copies.reset(HELD_OUT_SEED)
    records: dict[int, dict[str, Any]] = {}
    taken: list[list[Any]] = [[] for _ in range(copies.count)]
    going, starts = np.arange(copies.count), np.ones(copies.count, bool)
    while len(going):
        tick()
        actions = act(seen, starts)  # those that ended are asked, too: a memory keeps to its row
        for number in going.tolist():
            taken[number].append(actions[number])
        step = copies.step(actions)
        seen, starts = step.observations, np.zeros(copies.count, bool)
        over = [number for number in going.tolist() if number in step.infos]
        records |= {number: step.infos[number]["episode_record"] for number in over}
        going = np.setdiff1d(going, over)
    copies.close()
    return Evaluation.of([records[number] for number in range(copies.count)], taken)


def evaluate(envs: Sequence[gym.Env[Any, Any]], act: Act, tick: Callable[[], None] = lambda: None) -> Evaluation:
    """The same where copies are stepped one by one, an episode in each, with `EpisodeRecord` around it."""
    seen = [env.reset(seed=HELD_OUT_SEED + number)[0] for number, env in enumerate(envs)]
    records: dict[int, dict[str, Any]] = {}
    taken: list[list[Any]] = [[] for _ in envs]
    starts = np.ones(len(envs), bool)
    while len(records) < len(envs):
        tick()
        actions = act(np.stack(seen), starts)  # of those that ended, too: a memory keeps to its row
        starts = np.zeros(len(envs), bool)
        for number in sorted(set(range(len(envs))) - set(records)):
            taken[number].append(actions[number])
            seen[number], _, terminated, truncated, info = envs[number].step(actions[number])
            if terminated or truncated:
                records[number] = info["episode_record"]
    for env in envs:
        env.close()
    return Evaluation.of([records[number] for number in range(len(envs))], taken)

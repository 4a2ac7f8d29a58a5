"""Copies that are stepped together, behind Stable-Baselines3's interface, and in evaluations."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from tests.test_train import TASK, TINY, config
from vlmcar_core import plugins, runs
from vlmcar_core.copies import Copies
from vlmcar_core.episodes import EpisodeCopies, EpisodeRecord
from vlmcar_core.policies import Act
from vlmcar_core.store import Session
from vlmcar_core.train import evaluate, evaluate_together, simulated, train
from vlmcar_core.trainers._copies import Together, copies
from vlmcar_core.training import Training
from vlmcar_core.types import Task

minigrid = plugins.load("envs", "minigrid")
DOOR = Task("MiniGrid-DoorKey-5x5-v0", "minigrid", settings={"tile_size": 8, "max_steps": 40})
PLAIN = Task("MiniGrid-Fetch-5x5-N2-v0", "minigrid", settings={"tile_size": 8})


def asked(task: Task, folder: Path, together: bool, **settings: Any) -> Training:
    def make_copies(count: int, _view: str) -> Copies | None:
        return EpisodeCopies(simulated(minigrid, task, count)[0], minigrid.succeeded) if together else None

    return Training(
        lambda _view: EpisodeRecord(minigrid.policy_view(minigrid.make(task)), minigrid.succeeded),
        512,
        3,
        folder / "model.zip",
        {**TINY, **settings},
        make_copies=make_copies,
    )


@pytest.mark.parametrize("task", [DOOR, PLAIN])
def test_together_gives_what_copies_one_by_one_give(tmp_path: Path, task: Task) -> None:
    """Observations, rewards, ends, terminal observations, truncations and records, seeds and later resets among them."""
    together, apart = (copies(asked(task, tmp_path, kind), 3) for kind in (True, False))
    assert isinstance(together, Together) and isinstance(apart, DummyVecEnv)
    assert together.observation_space == apart.observation_space and together.action_space == apart.action_space
    chance = np.random.default_rng(0)
    ends = 0
    for seed in (5, None):
        if seed is not None:
            together.seed(seed), apart.seed(seed)
        assert np.array_equal(together.reset(), apart.reset())
        for _ in range(130):
            actions = chance.integers(0, 7, 3)
            one, other = together.step(actions), apart.step(actions)
            for number in range(3):
                assert np.array_equal(one[number], other[number])
            for found, wanted in zip(one[3], other[3], strict=True):
                if "episode_record" in wanted:
                    ends += 1
                    assert np.array_equal(found["terminal_observation"], wanted["terminal_observation"])
                    for name in ("episode_record", "TimeLimit.truncated"):
                        assert found[name] == wanted[name]
                else:
                    assert found == {}
    assert ends >= 9
    together.close(), apart.close()


def test_ppo_learns_the_same_policy_in_either(tmp_path: Path) -> None:
    learned = []
    for kind in (True, False):
        (tmp_path / str(kind)).mkdir()
        told = asked(DOOR, tmp_path / str(kind), kind)
        plugins.load("trainers", "ppo").learn(told)
        with zipfile.ZipFile(told.save_to) as saved:
            learned.append({name: saved.read(name) for name in saved.namelist()})
    assert learned[0] == learned[1]


def test_an_evaluation_is_the_same_in_arrays_and_one_by_one() -> None:
    task = Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"max_steps": 60})
    seen: list[list[bytes]] = [[], []]

    def acting(told: list[bytes]) -> Act:
        chance = np.random.default_rng(0)

        def act(observations: Any, _starts: Any = None) -> Any:
            told.append(np.ascontiguousarray(observations).tobytes())
            return chance.choice([0, 1, 2, 3, 5], len(observations), p=[0.15, 0.15, 0.4, 0.15, 0.15])

        return act

    together = evaluate_together(EpisodeCopies(simulated(minigrid, task, 6)[0], minigrid.succeeded), acting(seen[0]))
    envs = [EpisodeRecord(minigrid.policy_view(minigrid.make(task)), minigrid.succeeded) for _ in range(6)]
    apart = evaluate(envs, acting(seen[1]))
    assert together.row(dense=False) == apart.row(dense=False) and any(apart.solved)
    assert all(np.array_equal(one, other) for one, other in zip(together.actions, apart.actions, strict=True))
    assert seen[0][0] == seen[1][0]


@pytest.mark.parametrize(("task", "how"), [(TASK, "in arrays"), (PLAIN, "one by one")])
def test_a_run_says_how_its_copies_were_stepped(tmp_path: Path, task: Task, how: str) -> None:
    made = Session.create(tmp_path, "room", task)
    folder = made.new_run_folder()
    told: list[str] = []
    found = train(
        made, folder, config(steps=256, evaluations=1, settings=TINY), lambda _done, _all, said: told.append(said)
    )
    assert found["copies"] == how and all(how in said for said in told)
    assert runs.read_evaluations(folder)


def test_what_has_no_environment_of_its_own_cannot_be_set(tmp_path: Path) -> None:
    together = copies(asked(DOOR, tmp_path, True), 2)
    assert together.get_attr("render_mode") == [None, None] and together.get_attr("count", [1]) == [2]
    assert together.env_is_wrapped(EpisodeRecord) == [False, False]
    with pytest.raises(AttributeError, match="colour"):
        together.set_attr("colour", 1)
    together.close()


def test_listing_and_help_do_without_numba() -> None:
    code = (
        "import sys; from vlmcar_core import plugins; import vlmcar_core.train, vlmcar_core.cli; "
        "family = plugins.load('envs', 'minigrid'); family.tasks(); "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

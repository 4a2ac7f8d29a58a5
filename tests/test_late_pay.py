"""PPO that is paid once a rollout is whole learns what one that is paid at every step learns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlmcar_core import pipeline, plugins, policies
from vlmcar_core.copies import Copies
from vlmcar_core.episodes import EpisodeCopies
from vlmcar_core.paying import CheckerPay
from vlmcar_core.payments import Payment
from vlmcar_core.reward import Judge
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.trainers import _learning
from vlmcar_core.trainers._distinct import DistinctPPO
from vlmcar_core.trainers._late import LatePPO
from vlmcar_core.training import Stretch, Training
from vlmcar_core.types import Recording

minigrid = plugins.load("envs", "minigrid")
SETTINGS = {"n_envs": 8, "n_steps": 40, "batch_size": 80, "n_epochs": 2}
STEPS = 8 * 40 * 6


class Watched(EpisodeCopies):
    """Counts how often they were settled."""

    settled = 0

    def settle(self) -> Any:
        self.settled += 1
        return super().settle()


@pytest.mark.parametrize("env_reward", [True, False])
@pytest.mark.parametrize("way", ["once", "potential"])
def test_it_learns_the_same_and_tells_the_same(tmp_path: Path, way: str, env_reward: bool) -> None:
    session = pipeline.create_from_env(tmp_path, "five", "MiniGrid-DoorKey-5x5-v0", recording=Recording(1, 1, 5))
    pipeline.record(session)
    made = pipeline.propose(session)
    found = {}
    for kind in (DistinctPPO, LatePPO):
        judge = Judge(CheckerProcess([step.checker for step in made.paid]))
        copies: list[Watched] = []
        records: list[dict[str, Any]] = []

        def make_copies(count: int, _view: str, judge: Judge = judge, copies: list[Watched] = copies) -> Copies:
            simulation = minigrid.copies(session.task, count)
            pay = CheckerPay(simulation.count, made, judge, env_reward, Payment(way))
            copies.append(Watched(simulation, minigrid.succeeded, pay))
            return copies[0]

        def watch(stretch: Stretch, records: list[dict[str, Any]] = records) -> None:
            records += stretch.records

        path = tmp_path / f"{kind.__name__}.zip"
        _learning.learn(
            "ppo",
            kind,
            Training(
                lambda _view: minigrid.make(session.task), STEPS, 3, path, SETTINGS, watch, make_copies=make_copies
            ),
        )
        judge.close()
        assert copies[0].settled == (6 if kind is LatePPO else 0)
        found[kind] = policies.read(path), records
    (policy, records), (late_policy, late_records) = found[DistinctPPO], found[LatePPO]
    assert records == late_records and sum(len(record["paid"]) for record in records) >= 3
    for (weight, bias), (late_weight, late_bias) in zip(policy.layers, late_policy.layers, strict=True):
        np.testing.assert_allclose(weight, late_weight, rtol=0, atol=1e-4)
        np.testing.assert_allclose(bias, late_bias, rtol=0, atol=1e-4)

"""The planner over every family that it claims, and what is recorded."""

import numpy as np
import pytest

from vlmcar_core import rollouts
from vlmcar_core.envs import minigrid
from vlmcar_core.errors import BadInput, NoExpert
from vlmcar_core.types import Task

CLAIMED = [task.env_id for task in minigrid.tasks() if task.expert]
LARGE = ("S3R3", "S4R3", "S5R3", "S6R3", "LockedRoom", "16x16", "1Dlhb", "BlockedUnlock")


@pytest.mark.filterwarnings("ignore:.*out of date.*")
@pytest.mark.parametrize("env_id", CLAIMED)
def test_the_planner_solves_what_it_claims(env_id: str) -> None:
    """At least 19 of 20 layouts; 3 of 3 of the large ones here (scripts/expert_table.py runs 20 of them)."""
    seeds = range(3) if any(part in env_id for part in LARGE) else range(20)
    env = minigrid.make(Task(env_id, "minigrid"))
    solved = 0
    for seed in seeds:
        env.reset(seed=seed)
        try:
            actions = minigrid.expert(env)
        except NoExpert:
            continue
        rewards = [0.0]
        terminated = False
        for action in actions:
            _, reward, terminated, _, _ = env.step(action)
            rewards.append(float(reward))
        solved += minigrid.succeeded(np.array(rewards), bool(terminated))
    assert solved >= len(seeds) * 0.95 - 1e-9


def test_every_family_of_the_list_is_claimed() -> None:
    families = (
        "DoorKey Unlock-v0 UnlockPickup BlockedUnlockPickup KeyCorridor MultiRoom FourRooms LavaGap LavaCrossing "
        "SimpleCrossing Empty GoToDoor GoToObject Fetch PutNear RedBlueDoors LockedRoom DistShift Memory ObstructedMaze-1Dl"
    )
    for family in families.split():
        assert any(env_id.startswith(f"MiniGrid-{family}") for env_id in CLAIMED), family
    assert not any("Dynamic" in env_id or "BabyAI" in env_id for env_id in CLAIMED)


def test_the_papers_four_come_first() -> None:
    assert tuple(task.env_id for task in minigrid.tasks()[:4]) == minigrid.PAPER


def test_the_facts_tell_an_experts_way_in_order() -> None:
    found = rollouts.record_expert(Task("MiniGrid-DoorKey-6x6-v0", "minigrid"), 5)
    firsts = [int(np.argmax(found.facts[name])) for name in ("key held", "door open", "goal reached")]
    assert firsts == sorted(firsts) and firsts[0] > 0 and firsts[-1] == found.steps
    assert found.success and found.terminated and found.rewards[-1] > 0


def test_a_random_episode_is_the_same_for_the_same_seed_and_ends_where_it_is_cut() -> None:
    task = Task("MiniGrid-DoorKey-6x6-v0", "minigrid")
    one, same, other = (rollouts.record_random(task, seed, 30) for seed in (3, 3, 4))
    assert np.array_equal(one.frames, same.frames) and np.array_equal(one.actions, same.actions)
    assert not np.array_equal(one.frames[0], other.frames[0]) or not np.array_equal(one.actions, other.actions)
    assert one.steps == 30 and not one.terminated and not one.truncated and one.success is False
    assert len(set(one.actions.tolist())) > 4


def test_the_first_frame_is_the_stock_render_with_the_settings_that_were_asked_for() -> None:
    task = Task("MiniGrid-Unlock-v0", "minigrid", 7)
    assert np.array_equal(rollouts.first_frame(task), rollouts.record_random(task, 7, 1).frames[0])
    small = Task("MiniGrid-Unlock-v0", "minigrid", 7, {"tile_size": 8, "highlight": False})
    assert rollouts.first_frame(small).shape[0] * 4 == rollouts.first_frame(task).shape[0]


@pytest.mark.parametrize("settings", [{"tile_size": 0}, {"tile_size": "8"}, {"highlight": 1}, {"max_steps": True}])
def test_a_setting_out_of_range_is_refused(settings: dict) -> None:
    with pytest.raises(BadInput, match=next(iter(settings))):
        minigrid.make(Task("MiniGrid-Unlock-v0", "minigrid", settings=settings))

"""What a policy may see of each family, and which actions MiniGrid says do nothing."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from minigrid.core.world_object import Ball, Key

from vlmcar_core import plugins
from vlmcar_core.envs import _views
from vlmcar_core.envs.minigrid import masks, states
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.runs import RunConfig
from vlmcar_core.train import policy_view
from vlmcar_core.types import Task

MINIGRID = plugins.load("envs", "minigrid")


def made(env_id: str = "MiniGrid-DoorKey-5x5-v0", family: str = "minigrid") -> gym.Env[Any, Any]:
    return plugins.load("envs", family).make(Task(env_id, family))  # type: ignore[no-any-return]


FIRST = {
    name: next((task.env_id for task in plugins.load("envs", name).tasks() if task.works), None)
    for name in plugins.names("envs")
} | {"gymnasium_continuous": "Pendulum-v1"}
"""MuJoCo strews the skies of Gymnasium's own tasks at random whenever it makes one, so their pictures are never alike."""


@pytest.mark.parametrize("name", [name for name, env_id in FIRST.items() if env_id])
def test_every_view_of_a_family_fits_its_space_and_follows_the_seed(name: str) -> None:
    family = plugins.load("envs", name)
    for view, words in family.VIEWS.items():
        assert words.endswith(".")
        seen = [family.policy_view(made(str(FIRST[name]), name), view) for _ in range(2)]
        first, second = (env.reset(seed=3)[0] for env in seen)
        assert np.array_equal(first, second) and seen[0].observation_space.contains(first)
        seen[0].action_space.seed(0)
        later = seen[0].step(seen[0].action_space.sample())[0]
        assert seen[0].observation_space.contains(later)
        if view == "image":
            assert first.dtype == np.uint8 and min(first.shape[:2]) >= 36 and first.shape[2] == 3
            assert first.std() > 1, "there is something to see"
        else:
            assert first.dtype == np.float32 and first.ndim == 1
        for env in seen:
            env.close()
    with pytest.raises(UnknownName, match="observation 'smell'"):
        family.policy_view(made(str(FIRST[name]), name), "smell")


def test_the_symbolic_view_holds_the_same_as_the_one_hot_view() -> None:
    both = [MINIGRID.policy_view(made(), view) for view in ("one-hot", "symbolic")]
    for seed in range(5):
        one_hot, symbolic = (env.reset(seed=seed)[0] for env in both)
        cells = one_hot[:-4].reshape(49, 20)
        parts = np.split(cells, [11, 17], axis=1)
        numbers = np.stack([part.argmax(1) / (part.shape[1] - 1) for part in parts], axis=1)
        assert np.allclose(numbers.ravel(), symbolic[:-4]) and np.array_equal(one_hot[-4:], symbolic[-4:])


def test_a_picture_view_is_what_the_agent_sees_drawn() -> None:
    env = made()
    seen = MINIGRID.policy_view(env, "image").reset(seed=1)[0]
    assert seen.shape == (56, 56, 3)
    assert np.array_equal(seen, env.unwrapped.get_pov_render(tile_size=8))  # type: ignore[attr-defined]


# Masks

TRIED = [
    "MiniGrid-BlockedUnlockPickup-v0",
    "MiniGrid-DistShift1-v0",
    "MiniGrid-DoorKey-6x6-v0",
    "MiniGrid-Empty-5x5-v0",
    "MiniGrid-Fetch-5x5-N2-v0",
    "MiniGrid-KeyCorridorS3R1-v0",
    "MiniGrid-LavaGapS5-v0",
    "MiniGrid-LavaCrossingS9N1-v0",
    "MiniGrid-MultiRoom-N2-S4-v0",
    "MiniGrid-ObstructedMaze-1Dlhb-v0",
    "MiniGrid-RedBlueDoors-6x6-v0",
    "MiniGrid-SimpleCrossingS9N1-v0",
    "MiniGrid-Unlock-v0",
    "MiniGrid-UnlockPickup-v0",
    "MiniGrid-LockedRoom-v0",
    "MiniGrid-FourRooms-v0",
]


@pytest.mark.parametrize("env_id", TRIED)
def test_an_action_is_ruled_out_just_where_it_leaves_everything_as_it_was(env_id: str) -> None:
    env = made(env_id)
    chance = np.random.default_rng(0)
    ruled = 0
    for seed in range(4):
        env.reset(seed=seed)
        for _ in range(60):
            here = states.save(env.unwrapped)  # type: ignore[arg-type]
            allowed = MINIGRID.action_mask(env)
            for action in range(7):
                states.restore(env.unwrapped, here)  # type: ignore[arg-type]
                reward, over = states.step(env.unwrapped, action)  # type: ignore[arg-type]
                idle = reward == 0 and not over and states.save(env.unwrapped) == here  # type: ignore[arg-type]
                assert idle == (not allowed[action]), (env_id, seed, action)
            ruled += int((~allowed).sum())
            states.restore(env.unwrapped, here)  # type: ignore[arg-type]
            if states.step(env.unwrapped, int(chance.choice(np.flatnonzero(allowed))))[1]:  # type: ignore[arg-type]
                break
    assert ruled


@pytest.mark.parametrize("env_id", ["MiniGrid-GoToDoor-5x5-v0", "MiniGrid-PutNear-6x6-N2-v0", "BabyAI-GoToObj-v0"])
def test_where_an_idle_action_may_end_the_episode_none_is_ruled_out(env_id: str) -> None:
    env = made(env_id)
    env.reset(seed=0)
    assert MINIGRID.action_mask(env).all()


def test_every_id_that_is_claimed_is_tried() -> None:
    assert all(any(env_id.removeprefix("MiniGrid-").startswith(name) for env_id in TRIED) for name in masks.KNOWN)


def test_a_masked_view_ends_with_the_mask_of_the_state_it_shows() -> None:
    env = policy_view(MINIGRID, made(), RunConfig(reward="sparse", trainer="maskable_ppo"))
    seen, _ = env.reset(seed=0)
    for action in (2, 2, 1, 2, 3, 4):
        assert env.observation_space.contains(seen)
        assert np.array_equal(seen[-7:] > 0, MINIGRID.action_mask(env))
        assert np.array_equal(env.get_wrapper_attr("action_masks")(), seen[-7:] > 0)
        seen = env.step(action)[0]


def test_a_family_that_does_not_tell_has_no_masked_view() -> None:
    tabletop = plugins.load("envs", "tabletop")
    with pytest.raises(BadInput, match="maskable_ppo needs to be told"):
        policy_view(
            tabletop, made(str(FIRST["tabletop"]), "tabletop"), RunConfig(reward="sparse", trainer="maskable_ppo")
        )


def test_what_is_carried_decides_what_dropping_and_toggling_do() -> None:
    env = made("MiniGrid-DoorKey-5x5-v0")
    env.reset(seed=0)
    grid: Any = env.unwrapped
    assert not MINIGRID.action_mask(env)[4]
    grid.carrying = Key("yellow")
    front = grid.grid.get(*grid.front_pos)
    assert MINIGRID.action_mask(env)[4] == (front is None)
    grid.grid.set(*grid.front_pos, Ball("red"))
    assert list(MINIGRID.action_mask(env)[3:6]) == [False, False, False]
    grid.carrying = None
    assert list(MINIGRID.action_mask(env)[3:6]) == [True, False, False]


def test_a_small_scene_keeps_its_proportions() -> None:
    scene = np.zeros((100, 300, 3), np.uint8)
    env = _views.SceneView(made(), lambda _env: scene)
    assert env.reset(seed=0)[0].shape == (64, 192, 3)

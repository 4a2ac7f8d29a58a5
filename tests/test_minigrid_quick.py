"""The quick observation and frame are MiniGrid's own, to the last bit, on every environment there is."""

import copy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from minigrid.minigrid_env import MiniGridEnv

from vlmcar_core import pipeline, plugins
from vlmcar_core.envs.minigrid import quick
from vlmcar_core.reward import CheckerReward
from vlmcar_core.types import Frame, Recording, Task

minigrid = plugins.load("envs", "minigrid")
IDS = [found.env_id for found in minigrid.tasks() if found.works]
STEPS = 7


def same(env: MiniGridEnv) -> bool:
    """Whether the stock ways, called on the very same state, give the same."""
    stock, ours = MiniGridEnv.gen_obs(env), env.gen_obs()
    frames = [
        np.array_equal(MiniGridEnv.get_full_render(env, highlight, tile), env.get_full_render(highlight, tile))
        for highlight, tile in ((True, 8), (False, 8), (True, 8))
    ]
    view = (ours["direction"], ours["mission"]) == (stock["direction"], stock["mission"])
    return view and np.array_equal(stock["image"], ours["image"]) and all(frames)


@pytest.mark.parametrize("start", range(0, len(IDS), 20))
def test_every_environment_looks_the_same(start: int) -> None:
    for env_id in IDS[start : start + 20]:
        env = minigrid.make(Task(env_id, "minigrid"))
        grid = env.unwrapped
        assert isinstance(grid, quick.Quick), env_id
        env.reset(seed=1)
        chance = np.random.default_rng(1)
        for step in range(STEPS):
            assert same(grid), (env_id, step)
            _, _, terminated, truncated, _ = env.step(int(chance.integers(6)))
            if terminated or truncated:
                env.reset(seed=2)
        env.close()


def test_things_that_are_carried_doors_and_boxes_look_the_same() -> None:
    for env_id in ("MiniGrid-UnlockPickup-v0", "MiniGrid-KeyCorridorS3R1-v0", "MiniGrid-ObstructedMaze-1Dlh-v0"):
        env = minigrid.make(Task(env_id, "minigrid"))
        for seed in range(2):
            env.reset(seed=seed)
            for action in minigrid.expert(env) if "Obstructed" not in env_id else [2, 5, 3] * 20:
                assert same(env.unwrapped)
                env.step(action)
        env.close()


def test_an_observation_and_a_frame_are_not_changed_by_what_comes_after() -> None:
    env = minigrid.make(Task("MiniGrid-DoorKey-6x6-v0", "minigrid"))
    observation = env.reset(seed=0)[0]["image"]
    frame = minigrid.scene(env)
    kept = observation.copy(), frame.copy()
    for action in (0, 2, 1, 2, 2):
        env.step(action)
        minigrid.scene(env)
    assert np.array_equal(observation, kept[0]) and np.array_equal(frame, kept[1])
    frame[:] = 0
    assert minigrid.scene(env).any()


def test_a_copy_is_an_environment_of_its_own() -> None:
    env = minigrid.make(Task("MiniGrid-DoorKey-6x6-v0", "minigrid"))
    env.reset(seed=0)
    before = minigrid.scene(env)
    other = copy.deepcopy(env)
    for action in (0, 2, 1, 2):
        other.step(action)
        assert same(other.unwrapped)
    assert np.array_equal(minigrid.scene(env), before) and not np.array_equal(minigrid.scene(other), before)


def test_an_environment_with_a_render_of_its_own_is_left_alone() -> None:
    class Own(MiniGridEnv):
        def get_full_render(self, highlight: bool, tile_size: int) -> np.ndarray:
            return np.zeros((1, 1, 3), np.uint8)

    env = Own.__new__(Own)
    quick.quicken(env)
    assert type(env) is Own


def test_equal_keys_mean_equal_frames_and_other_frames_have_other_keys() -> None:
    frames: dict[bytes, np.ndarray] = {}
    for settings in ({}, {"highlight": False}, {"tile_size": 16}):
        env = minigrid.make(Task("MiniGrid-DoorKey-6x6-v0", "minigrid", settings=settings))
        for seed in range(3):
            env.reset(seed=seed)
            chance = np.random.default_rng(seed)
            for _ in range(150):
                key, frame = minigrid.frame_key(env), minigrid.scene(env)
                assert np.array_equal(frames.setdefault(key, frame), frame)
                if env.step(int(chance.integers(6)))[2]:
                    env.reset(seed=seed)
        env.close()
    assert len({frame.tobytes() for frame in frames.values()}) > 0.8 * len(frames) > 100


def test_a_reward_that_draws_only_what_it_must_pays_the_same(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "door", "MiniGrid-DoorKey-5x5-v0", recording=Recording(1, 1, 5))
    pipeline.record(session)
    proposal = pipeline.propose(session)
    drawn: list[int] = []

    def scene(env: gym.Env[Any, Any]) -> Frame:
        drawn.append(1)
        return minigrid.scene(env)

    told = []
    for key in (None, minigrid.frame_key):
        drawn.clear()
        env = CheckerReward(minigrid.make(session.task), proposal, scene=scene, frame_key=key)
        rows = []
        for seed in (0, 1, 0):
            env.reset(seed=seed)
            plan = minigrid.expert(env.env) if seed == 0 else np.random.default_rng(1).integers(0, 6, 80).tolist()
            rows += [(*env.step(action)[1:3], env.step(1)[4]["vlmcar"]["completed"]) for action in plan]
        told.append((rows, len(drawn)))
        env.close()
    assert told[0][0] == told[1][0] and any(row[0] > 0 for row in told[0][0])
    assert told[1][1] < 0.7 * told[0][1]

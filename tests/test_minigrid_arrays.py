"""Copies in arrays are played beside minigrid's own environments, stock, and never differ from them in a bit."""

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from vlmcar_core import plugins
from vlmcar_core.envs.minigrid import arrays, compiled
from vlmcar_core.envs.minigrid.observation import OneHotView
from vlmcar_core.episodes import EpisodeCopies, EpisodeRecord
from vlmcar_core.errors import NoExpert
from vlmcar_core.types import Task

minigrid = plugins.load("envs", "minigrid")
FAMILIES = (
    *("BlockedUnlockPickup", "DistShift", "DoorKey", "Empty", "FourRooms", "KeyCorridor", "LavaCrossing", "LavaGap"),
    *("LockedRoom", "MultiRoom", "SimpleCrossing", "Unlock-", "UnlockPickup"),
)
IDS = [found.env_id for found in minigrid.tasks() if found.works]
COVERED = [env_id for env_id in IDS if env_id.removeprefix("MiniGrid-").startswith(FAMILIES)]
SLOW_PLANS = ("S3R3", "S4R3", "S5R3", "S6R3", "LockedRoom", "BlockedUnlock", "N6", "N4")
STEPS = 200
TILE = 6


class Beside:
    """Three copies in arrays, and three stock environments with the same seeds."""

    def __init__(self, env_id: str, seed: int, **settings: Any) -> None:
        settings = {"tile_size": TILE, **settings}
        simulation = minigrid.copies(Task(env_id, "minigrid", settings=settings), 3)
        assert isinstance(simulation, arrays.Arrays)
        self.simulation = simulation
        self.copies = EpisodeCopies(simulation, minigrid.succeeded)
        options = {"render_mode": "rgb_array", "disable_env_checker": True, **settings}
        self.stock = [gym.make(env_id, **options) for _ in range(3)]
        self.viewed = [EpisodeRecord(OneHotView(env), minigrid.succeeded) for env in self.stock]
        self.plans: list[Iterator[int]] = [iter(()) for _ in self.stock]
        self.frames: dict[bytes, bytes] = {}
        self.ended: list[bool] = []
        seen = self.copies.reset(seed)
        for number, env in enumerate(self.viewed):
            assert np.array_equal(seen[number], env.reset(seed=seed + number)[0])
        self.look(range(3))

    def plan(self, number: int) -> None:
        """Have a copy walk the planner's way to the end of its episode."""
        try:
            self.plans[number] = iter(minigrid.expert(self.stock[number]))
        except NoExpert:
            self.plans[number] = iter(())

    def look(self, numbers: Any) -> None:
        """Frames and their keys, and that only equal frames have equal keys."""
        keys = self.simulation.frame_keys(np.ones(3, np.bool_))
        for number in numbers:
            frame = np.asarray(self.stock[number].render())
            assert np.array_equal(self.simulation.frame(number), frame)
            assert self.frames.setdefault(keys[number].tobytes(), frame.tobytes()) == frame.tobytes()

    def step(self, actions: list[int]) -> None:
        step = self.copies.step(np.array(actions))
        for number, (env, action) in enumerate(zip(self.viewed, actions, strict=True)):
            seen, reward, terminated, truncated, info = env.step(action)
            assert step.rewards[number] == np.float32(reward)
            assert (step.terminated[number], step.truncated[number]) == (terminated, truncated)
            over = terminated or truncated
            assert over == (number in step.infos)
            if over:
                told = step.infos[number]
                assert told["episode_record"] == info["episode_record"]
                assert np.array_equal(told["terminal_observation"], seen)
                self.ended.append(terminated and reward > 0)
                seen = env.reset()[0]
            assert np.array_equal(step.observations[number], seen)
            assert self.simulation.directions[number] == self.stock[number].unwrapped.agent_dir  # type: ignore[attr-defined]

    def play(self, steps: int, chance: np.random.Generator, frames: int) -> None:
        for count in range(steps):
            wild = chance.choice(7, 3, p=[0.15, 0.15, 0.3, 0.15, 0.1, 0.14, 0.01]).tolist()
            self.step([next(plan, action) for plan, action in zip(self.plans, wild, strict=True)])
            self.look(range(3) if count % frames == 0 else ())

    def close(self) -> None:
        self.copies.close()
        for env in self.stock:
            env.close()


@pytest.mark.parametrize("env_id", COVERED)
def test_every_covered_environment_is_played_the_same(env_id: str) -> None:
    """Chance in one copy, the planner's way and then chance in the others, through several episodes."""
    for seed in (0, 31) if not any(part in env_id for part in SLOW_PLANS) else (7,):
        beside = Beside(env_id, seed)
        chance = np.random.default_rng(seed)
        for _ in range(3):
            beside.plan(1)
            if seed == 0:
                beside.plan(2)
            beside.play(STEPS // 3, chance, frames=11)
        assert sum(beside.ended) >= (1 if "MultiRoom-N4-S5-v0" not in env_id else 0), env_id
        beside.close()


@pytest.mark.parametrize("env_id", ["MiniGrid-DoorKey-5x5-v0", "MiniGrid-UnlockPickup-v0", "MiniGrid-LavaGapS5-v0"])
def test_long_play_is_the_same(env_id: str) -> None:
    beside = Beside(env_id, 1000)
    chance = np.random.default_rng(5)
    for _ in range(12):
        for number in range(3):
            if chance.random() < 0.5:
                beside.plan(number)
        beside.play(100, chance, frames=7)
    assert len(beside.ended) >= 10
    beside.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"highlight": False},
        {"tile_size": 32},
        {"max_steps": 7},
        {"tile_size": 9, "max_steps": 50, "highlight": False},
    ],
)
def test_every_setting_is_the_same(settings: dict[str, Any]) -> None:
    beside = Beside("MiniGrid-DoorKey-6x6-v0", 3, **settings)
    beside.play(60, np.random.default_rng(1), frames=4)
    assert len(beside.ended) >= 3 or "max_steps" not in settings
    beside.close()


def test_one_more_object_is_there_after_every_reset() -> None:
    task = Task("MiniGrid-Empty-8x8-v0", "minigrid", settings={"tile_size": 8, "extra": "ball green 3 4"})
    simulation = minigrid.copies(task, 2)
    assert simulation is not None
    env = minigrid.make(task)
    env.reset(seed=4)
    simulation.reset(4)
    for _ in range(2):
        assert np.array_equal(simulation.frame(0), minigrid.scene(env))
        simulation.restart(np.arange(2))
        env.reset()
    simulation.close()


def test_frames_of_other_settings_have_other_keys() -> None:
    keys = set()
    for settings in ({}, {"tile_size": 8}, {"highlight": False}):
        simulation = minigrid.copies(Task("MiniGrid-DoorKey-5x5-v0", "minigrid", settings=settings), 1)
        assert simulation is not None
        simulation.reset(0)
        keys.add(simulation.frame_keys(np.ones(1, np.bool_)).tobytes())
        simulation.close()
    assert len(keys) == 3


@pytest.mark.parametrize("env_id", IDS)
def test_only_environments_whose_rules_are_known_are_put_into_arrays(env_id: str) -> None:
    env = minigrid.make(Task(env_id, "minigrid"))
    rule = arrays.rule_of(env, type(env.unwrapped).__bases__[-1])
    assert (rule is not None) == (env_id in COVERED), env_id
    env.close()


def test_an_environment_of_somebodys_own_is_left_alone() -> None:
    from minigrid.envs import DoorKeyEnv, EmptyEnv

    class Paying(EmptyEnv):
        def _reward(self) -> float:
            return 2.0

    class Icy(DoorKeyEnv):
        def step(self, action: Any) -> Any:
            return super().step(2)

    for kind in (Paying, Icy):
        assert arrays.rule_of(kind(), kind) is None
        kind.__module__, kind.__name__ = EmptyEnv.__module__, kind.__bases__[0].__name__
        assert arrays.rule_of(kind(), kind) is None


@pytest.mark.parametrize("actions", [[0, 7], [-1, 0], [0], [0, 0, 0]])
def test_actions_that_there_are_not_are_refused(actions: list[int]) -> None:
    simulation = minigrid.copies(Task("MiniGrid-Empty-5x5-v0", "minigrid"), 2)
    assert simulation is not None
    simulation.reset(0)
    with pytest.raises(ValueError, match="actions"):
        simulation.step(np.array(actions))
    simulation.close()


def test_what_was_given_is_not_changed_by_what_comes_after() -> None:
    simulation = minigrid.copies(Task("MiniGrid-DoorKey-5x5-v0", "minigrid"), 2)
    assert simulation is not None
    simulation.reset(0)
    seen, frame = simulation.observations(), simulation.frame(0)
    kept = seen.copy(), frame.copy()
    for action in (1, 1, 2, 2):
        simulation.step(np.full(2, action))
        simulation.observations(), simulation.frame(0)
    assert np.array_equal(seen, kept[0]) and np.array_equal(frame, kept[1])
    assert np.array_equal(simulation.first_frame(0), kept[1])
    simulation.close()


def test_the_compiled_words_are_minigrids() -> None:
    from minigrid.core.constants import COLOR_TO_IDX, DIR_TO_VEC, OBJECT_TO_IDX, STATE_TO_IDX

    words = {"empty": compiled.EMPTY, "wall": compiled.WALL, "floor": compiled.FLOOR, "door": compiled.DOOR}
    words |= {"key": compiled.KEY, "ball": compiled.BALL, "box": compiled.BOX, "goal": compiled.GOAL}
    assert {**OBJECT_TO_IDX, **words, "lava": compiled.LAVA} == OBJECT_TO_IDX
    assert STATE_TO_IDX == {"open": compiled.OPEN, "closed": compiled.CLOSED, "locked": compiled.LOCKED}
    assert np.array_equal(np.array(DIR_TO_VEC), compiled.AHEAD)
    assert (len(OBJECT_TO_IDX), len(COLOR_TO_IDX)) == (compiled.TYPES, compiled.COLOURS)

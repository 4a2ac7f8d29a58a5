"""Meta-World: seeds, scripted experts, pay and pictures; on the real suite where it is installed and can draw."""

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from vlmcar_core.envs import metaworld
from vlmcar_core.errors import BadInput, NoExpert
from vlmcar_core.rollouts import first_frame, record_expert
from vlmcar_core.types import Frame, Task

needs_suite = pytest.mark.skipif(find_spec("metaworld") is None, reason=metaworld.MISSING)


def make(name: str, **settings: Any) -> Any:
    """An environment, or a skipped test where MuJoCo cannot draw."""
    try:
        return metaworld.make(Task(f"Meta-World/{name}", "metaworld", settings=settings))
    except BadInput as error:
        if "cannot draw" not in str(error):
            raise
        pytest.skip(str(error))


def row_of_the_cyan_finger(frame: Frame) -> float:
    red, green, blue = (frame[..., channel].astype(int) for channel in range(3))
    rows = np.nonzero((red < 60) & (green > 120) & (blue > 120))[0]
    assert len(rows) > 3
    return float(rows.mean())


def test_without_the_package_every_task_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metaworld, "find_spec", lambda name: None)
    listed = metaworld.tasks()
    assert len(listed) == 50 and not any(task.works for task in listed)
    assert all("pip install" in task.note for task in listed)
    with pytest.raises(BadInput, match="pip install"):
        metaworld.make(Task("Meta-World/reach-v3", "metaworld"))


@needs_suite
def test_the_names_written_down_are_the_suites_own() -> None:
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS, MT10_V3

    assert set(metaworld.NAMES) == set(ALL_V3_ENVIRONMENTS)
    assert set(metaworld.NAMES[:10]) == set(MT10_V3)


@needs_suite
def test_object_and_goal_follow_the_seed() -> None:
    env, other = make("push-v3"), make("push-v3")
    first = env.reset(seed=3)[0]
    assert not np.array_equal(first, env.reset(seed=4)[0])
    assert np.array_equal(first, env.reset(seed=3)[0])
    unseeded = env.reset()[0]
    assert not np.array_equal(first, unseeded)
    assert np.array_equal(unseeded, other.reset(seed=env.seed)[0]), "an episode is known by its seed, given or drawn"


@needs_suite
def test_the_first_frame_shows_the_goal_of_this_episode() -> None:
    env = make("push-back-v3")
    for seed in (5, 6):
        env.reset(seed=seed)
        suite = env.unwrapped
        assert np.allclose(suite.data.site("goal").xpos, suite._target_pos)
        for _ in range(10):
            env.step(np.ones(4, np.float32))


@needs_suite
@pytest.mark.parametrize("name", ["reach", "push", "pick-place", "door-open", "button-press-topdown", "window-open"])
def test_the_scripted_policy_solves_a_seed_that_it_was_not_counted_on(name: str) -> None:
    make(f"{name}-v3").close()
    found = record_expert(Task(f"Meta-World/{name}-v3", "metaworld", settings={"size": 32}), 1000)
    assert found.success and found.rewards[-1] == 1.0 and found.rewards.sum() == 1.0
    assert found.actions.dtype == np.float32 and found.actions.shape == (found.steps, 4)
    assert not found.facts["success"][0] and found.facts["success"][-1]
    assert found.versions["simulator"].startswith("MuJoCo")


@needs_suite
def test_a_block_is_approached_before_it_is_held_and_held_before_it_is_there() -> None:
    make("pick-place-v3").close()
    found = record_expert(Task("Meta-World/pick-place-v3", "metaworld", settings={"size": 32}), 1)
    near, held, there = (int(np.argmax(found.facts[name])) for name in ("near object", "grasp success", "success"))
    assert 0 < near < held < there


@needs_suite
def test_a_policy_that_fails_often_is_no_expert() -> None:
    env = make("stick-pull-v3")
    env.reset(seed=0)
    with pytest.raises(NoExpert, match="five seeds of twenty"):
        metaworld.expert(env)


@needs_suite
def test_the_suites_own_reward_is_paid_where_it_is_wished_for() -> None:
    env = make("reach-v3", dense_reward=True)
    env.reset(seed=0)
    rewards, terminated = [], False
    for action in metaworld.expert(env):
        _, reward, terminated, _, _ = env.step(action)
        rewards.append(reward)
    assert all(reward > 0 for reward in rewards) and rewards[-1] > rewards[0]
    assert metaworld.succeeded(np.array(rewards), terminated)
    assert not metaworld.succeeded(np.array(rewards[:-1]), False)


@needs_suite
@pytest.mark.parametrize("camera", ["corner", "corner2", "corner3", "corner4"])
def test_what_is_raised_goes_up_in_the_picture(camera: str) -> None:
    env = make("reach-v3", camera=camera)
    env.reset(seed=0)
    before = row_of_the_cyan_finger(metaworld.scene(env))
    for _ in range(15):
        env.step(np.array([0, 0, 1, 0], np.float32))
    assert row_of_the_cyan_finger(metaworld.scene(env)) < before - 3


@needs_suite
def test_size_and_shadows_are_what_was_chosen_and_another_camera_sees_another_picture() -> None:
    frames = {}
    for settings in ({}, {"camera": "topview"}, {"shadows": True}):
        env = make("door-open-v3", size=96, **settings)
        env.reset(seed=0)
        frames[str(settings)] = metaworld.scene(env)
        env.close()
    plain, top, shadowed = frames.values()
    assert plain.shape == top.shape == shadowed.shape == (96, 96, 3)
    assert not np.array_equal(plain, top) and not np.array_equal(plain, shadowed)
    assert shadowed.mean() < plain.mean(), "shadows are dark"


@needs_suite
def test_closing_one_environment_leaves_the_pictures_of_the_others() -> None:
    first, second = make("push-v3"), make("door-open-v3", size=64)
    frames = []
    for env in (first, second, first, second):
        env.reset(seed=0)
        frames.append(metaworld.scene(env))
    assert np.array_equal(frames[0], frames[2]) and np.array_equal(frames[1], frames[3])
    second.close()
    assert np.array_equal(frames[0], metaworld.scene(first))
    for _ in range(3):
        first = make("push-v3")  # the one before goes without being closed
        first.reset(seed=0)
        assert np.array_equal(frames[0], metaworld.scene(first))


@needs_suite
def test_every_thread_draws_its_own() -> None:
    here = make("push-v3")
    here.reset(seed=0)
    expected = metaworld.scene(here)
    task = Task("Meta-World/push-v3", "metaworld")
    with ThreadPoolExecutor(3) as pool:
        drawn = list(pool.map(first_frame, [task] * 6))
    assert all(np.array_equal(frame, expected) for frame in [*drawn, metaworld.scene(here)])


def test_a_camera_that_the_suite_does_not_have_is_refused() -> None:
    with pytest.raises(BadInput, match="corner4"):
        metaworld.make(Task("Meta-World/reach-v3", "metaworld", settings={"camera": "ceiling"}))

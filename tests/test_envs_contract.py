"""Every file in envs/ keeps the contract that its folder states."""

import subprocess
import sys
from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from vlmcar_core import plugins
from vlmcar_core.driving import Driver
from vlmcar_core.envs import Pressed
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.types import Task

FAMILIES = plugins.names("envs")
HEAVY = ("torch", "stable_baselines3", "pybullet", "panda_gym", "mujoco", "metaworld", "cliport")


def claimed(name: str) -> list[str]:
    """The ids that the family can make here and that its expert claims."""
    return [found.env_id for found in plugins.load("envs", name).tasks() if found.works and found.expert]


MADE = [name for name in FAMILIES if claimed(name)]
"""Families of which something can be made with what is installed."""


def task_of(name: str) -> Task:
    return Task(claimed(name)[0], name)


def test_the_families_that_need_nothing_but_what_is_installed_are_there() -> None:
    assert {"minigrid", "panda", "tabletop"} <= set(MADE)


@pytest.mark.parametrize("name", FAMILIES)
def test_listing_tasks_imports_nothing_that_simulates(name: str) -> None:
    source = f"""
import sys
from vlmcar_core import plugins
plugins.load("envs", {name!r}).tasks()
print(*(heavy for heavy in {HEAVY!r} if heavy in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", FAMILIES)
def test_what_cannot_be_made_says_what_is_missing(name: str) -> None:
    family = plugins.load("envs", name)
    for found in [task for task in family.tasks() if not task.works][:2]:
        assert found.note
        with pytest.raises(BadInput):
            family.make(Task(found.env_id, name))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_setting_has_a_label_and_a_default_that_it_takes_itself(name: str) -> None:
    for setting in plugins.load("envs", name).SETTINGS.values():
        assert setting.label and setting.problem(setting.default) == "" and setting.problem(None)


@pytest.mark.parametrize("name", FAMILIES)
def test_tasks_are_told_apart_and_the_papers_come_first(name: str) -> None:
    tasks = plugins.load("envs", name).tasks()
    assert len({task.env_id for task in tasks}) == len(tasks) > 0
    assert [task.paper for task in tasks] == sorted((task.paper for task in tasks), reverse=True)
    assert all(task.expert or task.note for task in tasks), "who has no expert says why"


@pytest.mark.parametrize("name", MADE)
def test_a_used_environment_resets_to_the_same_as_a_fresh_one_bit_for_bit(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    used = family.make(task)
    for seed in range(3):
        used.reset(seed=100 + seed)
        used.action_space.seed(seed)
        for _ in range(40):
            if any(used.step(used.action_space.sample())[2:4]):
                break
        fresh = family.make(task)
        views = [family.policy_view(env).reset(seed=seed)[0] for env in (used, fresh)]
        assert np.array_equal(*views)
        assert np.array_equal(family.scene(used), family.scene(fresh))
        assert family.facts(used) == family.facts(fresh)
        for _ in range(20):
            action = fresh.action_space.sample()
            one, other = used.step(action), fresh.step(action)
            assert one[1:4] == other[1:4]
            assert np.array_equal(family.scene(used), family.scene(fresh))
            if one[2] or one[3]:
                break
        fresh.close()


@pytest.mark.parametrize("name", MADE)
def test_the_scene_is_the_environments_own_render(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    env = family.make(task)
    env.reset(seed=0)
    scene = family.scene(env)
    assert scene.dtype == np.uint8 and scene.ndim == 3 and scene.shape[2] == 3
    assert np.array_equal(scene, env.render())


@pytest.mark.parametrize("name", MADE)
def test_the_expert_ends_in_success_and_leaves_the_environment_as_it_was(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    env = family.make(task)
    env.reset(seed=0)
    before = family.scene(env)
    actions = family.expert(env)
    assert np.array_equal(family.scene(env), before)
    assert np.array_equal(family.expert(env), actions)
    rewards, names = [], set(family.facts(env))
    for action in actions:
        _, reward, terminated, _, _ = env.step(action)
        rewards.append(float(reward))
        assert set(family.facts(env)) == names
    assert family.succeeded(np.array(rewards), terminated)
    assert not family.succeeded(np.zeros(len(rewards)), False)


@pytest.mark.parametrize("name", MADE)
def test_who_has_no_expert_says_so_instead_of_searching(name: str) -> None:
    family = plugins.load("envs", name)
    for found in [task for task in family.tasks() if task.works and not task.expert][:3]:
        env = family.make(Task(found.env_id, name))
        env.reset(seed=0)
        with pytest.raises(NoExpert, match=found.env_id):
            family.expert(env)


@pytest.mark.parametrize("name", MADE)
def test_the_policys_view_is_a_flat_box_and_a_proper_environment(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    env = family.policy_view(family.make(task))
    assert isinstance(env.observation_space, gym.spaces.Box)
    assert env.observation_space.dtype == np.float32 and len(env.observation_space.shape) == 1
    check_env(env, skip_render_check=True, skip_close_check=True)
    assert family.steps_limit(env) > 1


@pytest.mark.parametrize("name", MADE)
def test_an_unknown_id_and_a_bad_setting_are_named(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    with pytest.raises(UnknownName, match="Nowhere-v0"):
        family.make(Task("Nowhere-v0", name))
    with pytest.raises(BadInput, match="nonsense"):
        family.make(Task(task.env_id, name, settings={"nonsense": 1}))


@pytest.mark.parametrize("name", [name for name in MADE if hasattr(plugins.load("envs", name), "goal_view")])
def test_a_goal_changed_in_hindsight_is_paid_as_the_environment_pays(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    env = family.goal_view(family.make(task))
    seen, _ = env.reset(seed=0)
    assert set(seen) == {"observation", "achieved_goal", "desired_goal"}
    check_env(env, skip_render_check=True, skip_close_check=True)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(5):
        seen, reward, *_ = env.step(env.action_space.sample())
        pay = env.unwrapped.compute_reward
        assert pay(seen["achieved_goal"], seen["desired_goal"], {}) == pytest.approx(reward)
    reached = np.stack([seen["achieved_goal"], seen["achieved_goal"] + 1.0])
    here, far = env.unwrapped.compute_reward(reached, np.stack([seen["achieved_goal"]] * 2), {})
    assert here == 0.0 and far < 0.0
    env.close()


@pytest.mark.parametrize("name", MADE)
def test_everything_that_can_be_pressed_is_an_action_of_the_environment(name: str) -> None:
    with closing(Driver(task_of(name))) as driver:
        controls = driver.controls
        names, keys = [one.name for one in controls.keys], [one.key.lower() for one in controls.keys if one.key]
        assert len(set(names)) == len(names) and len(set(keys)) == len(keys) and (names or controls.points)
        assert not {"r", "c", "tab", "escape"} & set(keys), "Streamlit and the browser take these"
        wishes = [Pressed((one,), share=share) for one in names for share in (0.2, 1.0)]
        middles = tuple((0.4 + 0.1 * number, 0.5) for number in range(len(controls.points)))
        wishes += [Pressed(points=middles, turn=-0.5)] if middles else []
        wishes += [Pressed(tuple(names))] if controls.together else []
        for wish in wishes:
            driver.begin(0)
            driver.press(wish)
            assert driver._env.action_space.contains(driver.episode.actions[0])
        driver.undo()
        assert driver.episode.steps == 0

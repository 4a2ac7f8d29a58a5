"""Every file in envs/ keeps the contract that its folder states."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from vlmcar_core import plugins
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.types import Task

FAMILIES = plugins.names("envs")


def task_of(name: str) -> Task:
    """A task that the family's expert claims."""
    return Task(next(found.env_id for found in plugins.load("envs", name).tasks() if found.expert), name)


def test_there_is_a_family() -> None:
    assert "minigrid" in FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_tasks_are_told_apart_and_the_papers_come_first(name: str) -> None:
    tasks = plugins.load("envs", name).tasks()
    assert len({task.env_id for task in tasks}) == len(tasks) > 0
    assert [task.paper for task in tasks] == sorted((task.paper for task in tasks), reverse=True)
    assert all(task.expert or task.note for task in tasks), "who has no expert says why"


@pytest.mark.parametrize("name", FAMILIES)
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


@pytest.mark.parametrize("name", FAMILIES)
def test_the_scene_is_the_environments_own_render(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    env = family.make(task)
    env.reset(seed=0)
    scene = family.scene(env)
    assert scene.dtype == np.uint8 and scene.ndim == 3 and scene.shape[2] == 3
    assert np.array_equal(scene, env.render())


@pytest.mark.parametrize("name", FAMILIES)
def test_the_expert_ends_in_success_and_leaves_the_environment_as_it_was(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    env = family.make(task)
    env.reset(seed=0)
    before = family.scene(env)
    actions = family.expert(env)
    assert np.array_equal(family.scene(env), before)
    assert family.expert(env) == actions
    rewards, names = [], set(family.facts(env))
    for action in actions:
        _, reward, terminated, _, _ = env.step(action)
        rewards.append(float(reward))
        assert set(family.facts(env)) == names
    assert family.succeeded(np.array(rewards), terminated)
    assert not family.succeeded(np.zeros(len(rewards)), False)


@pytest.mark.parametrize("name", FAMILIES)
def test_who_has_no_expert_says_so_instead_of_searching(name: str) -> None:
    family = plugins.load("envs", name)
    for found in [task for task in family.tasks() if task.works and not task.expert][:3]:
        env = family.make(Task(found.env_id, name))
        env.reset(seed=0)
        with pytest.raises(NoExpert, match=found.env_id):
            family.expert(env)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_policys_view_is_a_flat_box_and_a_proper_environment(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    env = family.policy_view(family.make(task))
    assert isinstance(env.observation_space, gym.spaces.Box)
    assert env.observation_space.dtype == np.float32 and len(env.observation_space.shape) == 1
    check_env(env, skip_render_check=True, skip_close_check=True)
    assert family.steps_limit(env) > 1


@pytest.mark.parametrize("name", FAMILIES)
def test_an_unknown_id_and_a_bad_setting_are_named(name: str) -> None:
    family, task = plugins.load("envs", name), task_of(name)
    with pytest.raises(UnknownName, match="Nowhere-v0"):
        family.make(Task("Nowhere-v0", name))
    with pytest.raises(BadInput, match="nonsense"):
        family.make(Task(task.env_id, name, settings={"nonsense": 1}))

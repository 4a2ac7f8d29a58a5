"""panda-gym: repeatable, drawn for checkers, and solved by scripted experts."""

import itertools
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray

from vlmcar_core.envs import panda
from vlmcar_core.envs._bullet import pybullet
from vlmcar_core.envs._camera import FAR, NEAR
from vlmcar_core.envs.panda.drawing import SEES, VIEWS
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.types import Task

HUES = {"red": 0, "green": 60, "yellow": 26, "blue": 115, "magenta": 157}


def made(env_id: str, **settings: Any) -> gym.Env[Any, Any]:
    return panda.make(Task(env_id, "panda", settings=settings))


def mask(frame: NDArray[np.uint8], colour: str) -> NDArray[np.bool_]:
    hsv = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2HSV).astype(int)
    apart = np.abs(hsv[..., 0] - HUES[colour])
    return (np.minimum(apart, 180 - apart) < 8) & (hsv[..., 1] > 120)


def acted(env: gym.Env[Any, Any], actions: Any) -> list[Any]:
    told = []
    for action in actions:
        told.append(env.step(action))
        if told[-1][2] or told[-1][3]:
            break
    return told


def test_every_environment_can_be_made_acted_in_and_drawn() -> None:
    for task in panda.tasks():
        env = made(task.env_id, size=64)
        env.reset(seed=0)
        env.step(env.action_space.sample())
        assert panda.scene(env).shape == (64, 130, 3) and panda.steps_limit(env) in (50, 100)
        assert panda.facts(env)
        env.close()


@pytest.mark.parametrize("kind", ["Push", "PickAndPlace", "Slide", "Stack", "Flip"])
def test_what_was_touched_before_does_not_change_what_a_seed_gives(kind: str) -> None:
    used, fresh = made(f"Panda{kind}-v3"), made(f"Panda{kind}-v3")
    for seed in range(3):
        used.reset(seed=100 + seed)
        down = np.zeros(used.action_space.shape, np.float32)  # type: ignore[arg-type]
        down[2] = -1.0
        rng = np.random.default_rng(seed)
        pushes = [np.concatenate([rng.uniform(-1, 1, 2), down[2:]]).astype(np.float32) for _ in range(30)]
        acted(used, [down] * 4 + pushes)
        (one, _), (other, _) = used.reset(seed=seed), fresh.reset(seed=seed)
        assert all(np.array_equal(one[name], other[name]) for name in one)
        assert panda.facts(used) == panda.facts(fresh)
        fresh.action_space.seed(seed)
        for _ in range(15):
            action = fresh.action_space.sample()
            a, b = used.step(action), fresh.step(action)
            assert all(np.array_equal(a[0][name], b[0][name]) for name in a[0]) and a[1:4] == b[1:4]
        assert np.array_equal(panda.scene(used), panda.scene(fresh))
    used.close()
    fresh.close()


def test_flips_goal_comes_from_the_seed() -> None:
    env = made("PandaFlip-v3")
    goals = [env.reset(seed=seed)[0]["desired_goal"] for seed in (0, 1, 0)]
    assert np.array_equal(goals[0], goals[2]) and not np.allclose(goals[0], goals[1])
    assert np.linalg.norm(goals[0]) == pytest.approx(1.0, abs=1e-5)
    env.close()


def test_two_environments_do_not_disturb_each_other() -> None:
    alone, one, other = (made("PandaPush-v3", size=64) for _ in range(3))
    for env, seed in ((alone, 1), (one, 1), (other, 2)):
        env.reset(seed=seed)
        env.action_space.seed(seed)
    for _ in range(20):
        action = one.action_space.sample()
        expected = alone.step(action)
        other.step(other.action_space.sample())
        panda.scene(other)
        seen = one.step(action)
        assert np.array_equal(seen[0]["observation"], expected[0]["observation"])
        assert np.array_equal(panda.scene(one), panda.scene(alone))


@pytest.mark.parametrize("kind", ["Push", "PickAndPlace", "Slide"])
def test_the_target_is_told_from_the_object_by_its_colour_in_both_views(kind: str) -> None:
    env = made(f"Panda{kind}-v3")
    for seed in range(8):
        env.reset(seed=seed)
        frame = panda.scene(env)
        for view in (frame[:, :128], frame[:, 130:]):
            green, yellow = mask(view, "green"), mask(view, "yellow")
            assert green.sum() > 20 and yellow.sum() > 8 and not (green & yellow).any()
    env.close()


def test_what_is_drawn_is_where_the_simulator_has_it() -> None:
    env = made("PandaPickAndPlace-v3")
    hits = 0
    for seed in range(6):
        env.reset(seed=seed)
        frame = panda.scene(env)
        inner = panda_of(env)
        for number, name in enumerate(("front", "side")):
            view = frame[:, 130 * number : 130 * number + 128]
            for colour, at in (("green", inner.place("object")), ("yellow", inner.goal)):
                x, y = projected(name, at)
                near = mask(view, colour)[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
                hits += bool(near.any())
    assert hits >= 22  # of 24; one may be in front of another


def projected(name: str, at: NDArray[np.float64]) -> tuple[int, int]:
    """The pixel (x, y) of a point, by the camera's own matrices."""
    view = VIEWS[SEES["PickAndPlace"]][name]
    look = pybullet.computeViewMatrixFromYawPitchRoll(view.target, view.distance, view.yaw, view.pitch, 0.0, 2)
    lens = pybullet.computeProjectionMatrixFOV(view.field, 1.0, NEAR, FAR)
    clip = np.reshape(lens, (4, 4)).T @ np.reshape(look, (4, 4)).T @ np.append(at, 1.0)
    across, up = clip[:2] / clip[3]
    return int((across + 1) / 2 * 128), int((1 - up) / 2 * 128)


def panda_of(env: gym.Env[Any, Any]) -> Any:
    from vlmcar_core.envs.panda.simulation import panda_of as find

    return find(env)


def test_settings_change_the_picture_as_they_say() -> None:
    def shown(**settings: Any) -> NDArray[np.uint8]:
        env = made("PandaPush-v3", **settings)
        env.reset(seed=1)
        frame = panda.scene(env)
        env.close()
        return frame

    plain = shown()
    assert plain.shape == (128, 258, 3)
    assert np.array_equal(shown(views="front"), plain[:, :128]) and np.array_equal(shown(views="side"), plain[:, 130:])
    assert shown(views="overhead", size=84).shape == (84, 84, 3)
    assert mask(shown(zoom=1.5), "green").sum() > 1.5 * mask(plain, "green").sum()
    assert not np.array_equal(shown(shadows=True), plain)
    assert len(np.unique(shown(ambient=1.0, arm=False).reshape(-1, 3), axis=0)) < len(
        np.unique(plain.reshape(-1, 3), axis=0)
    )
    bare = shown(arm=False)
    assert mask(bare, "red").sum() >= mask(plain, "red").sum() > 0 and not np.array_equal(bare, plain)


@pytest.mark.parametrize("settings", [{"size": 10}, {"views": "below"}, {"zoom": 0.0}, {"shadows": 1}, {"ambient": 2}])
def test_a_bad_setting_is_refused_by_name_and_value(settings: dict[str, Any]) -> None:
    ((name, value),) = settings.items()
    with pytest.raises(BadInput, match=rf"{name}.*{value!r}"):
        made("PandaPush-v3", **settings)
    with pytest.raises(UnknownName, match="light"):
        made("PandaPush-v3", light=1)


@pytest.mark.parametrize(
    "env_id",
    ["PandaReach-v3", "PandaPush-v3", "PandaPushJoints-v3", "PandaPickAndPlace-v3", "PandaSlide-v3", "PandaStack-v3"],
)
def test_the_expert_succeeds_and_its_plan_can_be_repeated(env_id: str) -> None:
    env = made(env_id)
    solved = 0
    for seed in range(200, 205):
        env.reset(seed=seed)
        before = panda.scene(env)
        try:
            actions = panda.expert(env)
        except NoExpert as error:
            assert env_id in str(error) and str(seed) in str(error)
            continue
        assert np.array_equal(panda.scene(env), before)
        first = acted(env, actions)
        env.reset(seed=seed)
        again = acted(env, actions)
        assert [told[1] for told in first] == [told[1] for told in again]
        solved += first[-1][2]
    assert solved >= 4
    env.close()


def test_what_fell_off_the_table_is_not_drawn() -> None:
    env = made("PandaPush-v3")
    env.reset(seed=0)
    inner = panda_of(env)
    inner.stock.sim.set_base_pose("object", np.array([0.1, 0.9, -0.3]), np.array([0.0, 0.0, 0.0, 1.0]))
    assert not mask(panda.scene(env), "green").any()
    facts = panda.facts(env)
    assert facts["object moved"] and not facts["object at target"] and not facts["object lifted"]
    env.close()


def test_the_policys_view_is_the_goals_view_flattened() -> None:
    env = made("PandaPush-v3")
    flat, goals = panda.policy_view(env), panda.goal_view(env)
    seen, _ = goals.reset(seed=3)
    expected, _ = flat.reset(seed=3)
    assert np.array_equal(spaces.flatten(goals.observation_space, seen), expected)
    env.close()


def test_closing_leaves_no_simulation_behind() -> None:
    def connected() -> int:
        return sum(pybullet.isConnected(client) for client in range(50))

    before = connected()
    env = made("PandaPush-v3")
    env.reset(seed=0)
    panda.scene(env)
    panda.expert(env)
    assert connected() > before
    env.close()
    assert connected() == before


def test_without_a_seed_every_episode_differs_and_can_still_be_planned() -> None:
    env = made("PandaReach-v3")
    goals = [env.reset()[0]["desired_goal"] for _ in range(4)]
    assert all(not np.array_equal(one, other) for one, other in itertools.combinations(goals, 2))
    assert acted(env, panda.expert(env))[-1][2]
    env.close()

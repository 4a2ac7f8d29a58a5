"""panda-gym: repeatable, drawn for checkers, and solved by scripted experts."""

import itertools
import subprocess
import sys
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray

from vlmcar_core.envs import panda
from vlmcar_core.envs._bullet import pybullet
from vlmcar_core.envs._camera import FAR, NEAR, View
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
        wider = 26 if "Slide" in task.env_id else 0
        assert panda.scene(env).shape == (64, 130 + wider, 3)
        assert panda.steps_limit(env) == (100 if "Stack" in task.env_id else 50)
        assert panda.facts(env)
        env.close()


@pytest.mark.parametrize("kind", ["Push", "PickAndPlace", "Slide", "Stack", "Flip"])
def test_a_plan_holds_in_an_environment_that_was_used(kind: str) -> None:
    """Bit for bit: what a twin went through happens again after other episodes with contacts."""
    env_id = "PandaFlipJoints-v3" if kind == "Flip" else f"Panda{kind}-v3"
    used, fresh = made(env_id, size=64), made(env_id, size=64)
    planned = []
    for seed in (11, 12):
        used.reset(seed=seed)
        planned.append(panda.expert(used))
        acted(used, planned[-1])
    for seed, actions in zip((11, 12), planned, strict=True):
        used.reset(seed=seed)
        fresh.reset(seed=seed)
        for action in actions:
            one, other = used.step(action), fresh.step(action)
            assert all(np.array_equal(one[0][name], other[0][name]) for name in one[0]) and one[1:4] == other[1:4]
            assert panda.facts(used) == panda.facts(fresh)
        assert other[2] and np.array_equal(panda.scene(used), panda.scene(fresh))
    used.close()
    fresh.close()


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
    across, up = on_screen(VIEWS[SEES["PickAndPlace"]][name], at)
    return int((across + 1) / 2 * 128), int((1 - up) / 2 * 128)


def on_screen(view: View, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Across and up, each in [-1, 1] where it is in the picture."""
    look = pybullet.computeViewMatrixFromYawPitchRoll(view.target, view.distance, view.yaw, view.pitch, 0.0, 2)
    lens = pybullet.computeProjectionMatrixFOV(view.field, view.aspect, NEAR, FAR)
    clip = np.reshape(lens, (4, 4)).T @ np.reshape(look, (4, 4)).T @ np.append(at, 1.0)
    return np.asarray(clip[:2] / clip[3])


@pytest.mark.parametrize("kind", panda.KINDS)
def test_wherever_objects_and_targets_are_put_every_view_shows_them(kind: str) -> None:
    env = made(f"Panda{kind}-v3")
    inner = panda_of(env)
    for seed in range(40):
        env.reset(seed=seed)
        places = [inner.place(name) for name in inner.objects]
        if kind != "Flip":  # its goal is a rotation
            places += list(np.reshape(inner.goal, (-1, 3)))
        for view, place in itertools.product(VIEWS[SEES[kind]].values(), places):
            assert np.abs(on_screen(view, place)).max() < 0.93
    env.close()


def test_the_drawn_table_ends_where_the_real_one_does() -> None:
    def seen_at(kind: str, x: float, y: float) -> tuple[int, ...]:
        env = made(f"Panda{kind}-v3", views="overhead", arm="hidden", zoom=0.5, ambient=1.0)
        env.reset(seed=0)
        inner = panda_of(env)
        for name in inner.objects:
            inner.stock.sim.set_base_pose(name, np.array([0.0, 0.0, -1.0]), np.array([0.0, 0.0, 0.0, 1.0]))
        stock = VIEWS[SEES[kind]]["overhead"]
        field = 2 * np.degrees(np.arctan(np.tan(np.radians(stock.field) / 2) * 2))
        wide = View(stock.target, stock.distance, stock.yaw, stock.pitch, float(field))
        across, up = on_screen(wide, np.array([x, y, 0.0]))
        pixel = panda.scene(env)[int((1 - up) * 64), int((across + 1) * 64)]
        env.close()
        return tuple(pixel.tolist())

    on_table, on_floor = seen_at("Push", -0.2, 0.3), seen_at("Push", 0.3, 0.3)
    assert on_table != on_floor
    assert seen_at("Push", 0.23, 0.3) == on_table and seen_at("Push", -0.2, 0.38) == on_floor
    assert seen_at("Slide", 0.57, 0.3) == on_table and seen_at("Slide", 0.63, 0.3) == on_floor


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
    bare, real = shown(arm="hidden"), shown(arm="stock meshes")
    assert colours(shown(ambient=1.0, arm="hidden")) < colours(bare) < colours(plain) < colours(real)
    assert mask(bare, "red").sum() >= mask(plain, "red").sum() > 0
    assert mask(real, "red").sum() > 0, "whatever draws the arm, its fingers are red"


def colours(frame: NDArray[np.uint8]) -> int:
    return len(np.unique(frame.reshape(-1, 3), axis=0))


@pytest.mark.parametrize(
    "settings", [{"size": 10}, {"views": "below"}, {"zoom": 0.0}, {"shadows": 1}, {"ambient": 2}, {"arm": "cubist"}]
)
def test_a_bad_setting_is_refused_by_name_and_value(settings: dict[str, Any]) -> None:
    ((name, value),) = settings.items()
    with pytest.raises(BadInput, match=rf"{name}.*{value!r}"):
        made("PandaPush-v3", **settings)
    with pytest.raises(UnknownName, match="light"):
        made("PandaPush-v3", light=1)


@pytest.mark.parametrize(
    "env_id",
    [f"Panda{kind}-v3" for kind in ("Reach", "Push", "PickAndPlace", "Slide", "Stack")]
    + [f"Panda{kind}Joints-v3" for kind in ("Push", "PickAndPlace", "Slide", "Stack", "Flip")],
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


def test_nothing_is_printed() -> None:
    source = """
from vlmcar_core.envs import panda
from vlmcar_core.types import Task
env = panda.make(Task("PandaPushJoints-v3", "panda", settings={"arm": "stock meshes", "size": 64}))
env.reset(seed=0)
panda.scene(env)
panda.expert(env)
env.close()
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


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


def test_two_copies_that_were_given_no_seed_differ() -> None:
    copies = [made("PandaReach-v3", size=64) for _ in range(2)]
    one, other = (env.reset()[0]["desired_goal"] for env in copies)
    assert not np.array_equal(one, other)
    for env in copies:
        env.close()


def test_what_starts_solved_is_shown_by_no_expert() -> None:
    env = made("PandaPush-v3")
    seed = next(seed for seed in range(100) if env.reset(seed=seed)[1]["is_success"])
    with pytest.raises(NoExpert, match=f"seed {seed}.*starts solved"):
        panda.expert(env)
    assert env.step(np.zeros(3, np.float32))[2]
    env.close()


def test_flip_is_solved_with_the_joints_only() -> None:
    claims = {task.env_id: task.expert for task in panda.tasks() if "Flip" in task.env_id}
    assert claims == {
        "PandaFlip-v3": False,
        "PandaFlipJoints-v3": True,
        "PandaFlipDense-v3": False,
        "PandaFlipJointsDense-v3": True,
    }


def test_the_arms_kinematics_are_the_simulators() -> None:
    from vlmcar_core.envs.panda import flipping, motion

    env = made("PandaFlipJoints-v3")
    env.reset(seed=0)
    inner = panda_of(env)
    for _ in range(5):
        env.step(env.action_space.sample())
        places, turned = flipping.hand(motion.angles(inner)[None])
        state = inner.client.getLinkState(inner.stock.sim._bodies_idx["panda"], 11, computeForwardKinematics=1)
        assert np.allclose(places[0], state[4], atol=1e-5)
        assert np.allclose(turned[0], flipping.rotation(np.array(state[5])), atol=1e-5)
    env.close()


def test_many_copies_live_side_by_side() -> None:
    copies = [made("PandaPush-v3", size=64) for _ in range(12)]
    for env in copies:
        env.reset(seed=5)
    frames = [panda.scene(env) for env in copies]
    assert all(np.array_equal(frame, frames[0]) for frame in frames)
    for env in copies:
        env.close()

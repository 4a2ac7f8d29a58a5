"""A person's episodes: the same as anybody's, undone without a trace, kept with the name of who drove."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from minigrid.core.grid import Grid

from tests.conftest import ALWAYS, proposal
from vlmcar_core import pipeline, rollouts
from vlmcar_core.driving import Driver, _hook
from vlmcar_core.envs import Pressed
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.store import Session
from vlmcar_core.types import Recording, Task, Trajectory

EMPTY = "MiniGrid-Empty-5x5-v0"
TO_THE_GOAL = ("forward", "forward", "turn right", "forward", "forward")
PUSH_BLOCKS = "Tabletop/put-block-in-bowl-v0"


def driver_of(env_id: str, **settings: Any) -> Driver:
    return Driver(pipeline.find_task(env_id, settings=settings))


def press(driver: Driver, *names: str) -> None:
    """One step each."""
    for name in names:
        driver.press(Pressed((name,)))


def same(one: Trajectory, other: Trajectory) -> bool:
    parts = ("frames", "actions", "rewards")
    facts = one.facts.keys() == other.facts.keys() and all(
        np.array_equal(one.facts[k], other.facts[k]) for k in one.facts
    )
    told = ("terminated", "truncated", "success", "seed", "env_id", "versions", "source")
    return (
        all(np.array_equal(getattr(one, part), getattr(other, part)) for part in parts)
        and all(getattr(one, part) == getattr(other, part) for part in told)
        and facts
    )


def test_what_is_driven_is_recorded_as_every_other_episode_is() -> None:
    with closing(driver_of(EMPTY)) as driver:
        press(driver, *TO_THE_GOAL)
        driven = driver.trajectory("expert")
    task = Task(EMPTY, "minigrid")
    assert same(driven, rollouts.record_actions(task, 0, [2, 2, 1, 2, 2], "expert"))
    assert driven.success and driven.terminated and driven.steps == 5 and len(driven.frames) == 6


def test_an_episode_that_is_over_takes_no_further_step_until_one_is_undone() -> None:
    with closing(driver_of(EMPTY)) as driver:
        press(driver, *TO_THE_GOAL)
        with pytest.raises(BadInput, match="the episode is over"):
            press(driver, "forward")
        driver.undo()
        assert not driver.episode.over
        press(driver, "forward")
        assert driver.episode.success


@pytest.mark.parametrize(
    "env_id", ["MiniGrid-DoorKey-5x5-v0", "MiniGrid-Dynamic-Obstacles-6x6-v0", "PandaPickAndPlace-v3"]
)
def test_what_was_undone_leaves_no_trace(env_id: str) -> None:
    with closing(driver_of(env_id, **({"size": 64} if "Panda" in env_id else {}))) as driver:
        names = [control.name for control in driver.controls.keys][:3]
        press(driver, *names)
        steps = driver.episode.steps
        press(driver, names[0])
        detour = driver.episode.steps - steps
        for _ in range(detour):
            driver.undo()
        press(driver, names[1])
        undone = driver.trajectory("near-miss")
        driver.begin(0)
        press(driver, *names, names[1])
        assert same(undone, driver.trajectory("near-miss"))
        while driver.episode.steps:
            driver.undo()
        with pytest.raises(BadInput, match="no step to undo"):
            driver.undo()


def test_a_rehearsal_touches_nothing_and_does_what_is_slow_the_first_time() -> None:
    with closing(driver_of("MiniGrid-DoorKey-5x5-v0", tile_size=33)) as driver:
        drawn = len(Grid.tile_cache)
        driver.rehearse()
        assert driver.episode.steps == 0 and len(Grid.tile_cache) > drawn
        drawn = len(Grid.tile_cache)
        press(driver, *["turn left"] * 4)
        driver.undo()
        assert len(Grid.tile_cache) == drawn and driver.episode.steps == 3


class Moody(gym.Env[np.ndarray, int]):
    """Its picture depends on how often it was ever reset, which no seed tells."""

    action_space = gym.spaces.Discrete(2)
    resets = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        Moody.resets += 1
        self.shade = Moody.resets
        return np.zeros(1), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return np.zeros(1), 0.0, False, False, {}


def moody_family() -> SimpleNamespace:
    return SimpleNamespace(
        make=lambda task: Moody(),
        scene=lambda env: np.full((8, 8, 3), env.shade, np.uint8),
        facts=lambda env: {},
        succeeded=lambda rewards, terminated: None,
        versions=dict,
    )


def test_where_the_same_actions_lead_elsewhere_undo_says_so_and_changes_nothing() -> None:
    with closing(Driver(Task("Moody-v0", "moody"), moody_family())) as driver:
        assert [control.name for control in driver.controls.keys] == ["action 0", "action 1"]
        press(driver, "action 1", "action 0")
        before = driver.trajectory("near-miss")
        with pytest.raises(BadInput, match="do not lead to the same frame"):
            driver.undo()
        assert same(before, driver.trajectory("near-miss"))
        press(driver, "action 1")
        assert driver.episode.actions == [1, 0, 1]


@pytest.mark.parametrize(
    ("pressed", "message"),
    [
        (Pressed(("fly",)), "no control 'fly'; there are: turn left, turn right, forward"),
        (Pressed(("forward", "toggle")), "one action at a time"),
        (Pressed(), "nothing is pressed"),
        (Pressed(points=((0.5, 0.5), (0.5, 0.5))), "takes 0 points"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(pressed: Pressed, message: str) -> None:
    with closing(driver_of(EMPTY)) as driver:
        with pytest.raises(BadInput, match=message):
            driver.press(pressed)
        assert driver.episode.steps == 0


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_what_is_no_seed_is_refused_and_the_episode_stays(seed: int) -> None:
    with closing(driver_of(EMPTY)) as driver:
        press(driver, "forward")
        with pytest.raises(BadInput, match="a seed is a whole number"):
            driver.begin(seed)
        assert driver.episode.steps == 1


@pytest.mark.parametrize("wrong", [{"points": ((0.5, 1.5),)}, {"turn": 2.0}, {"share": 0.0}, {"share": 1.1}])
def test_what_nobody_can_press_is_no_press(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Pressed(**wrong)


# The families


def test_discrete_actions_without_more_are_pressed_by_their_names() -> None:
    env = SimpleNamespace(action_space=gym.spaces.Discrete(3, start=5))
    controls, action_of = _hook(SimpleNamespace(ACTION_NAMES=("left", "right")), env)  # type: ignore[arg-type]
    assert [control.name for control in controls.keys] == ["left", "right", "action 7"]
    assert [action_of(env, Pressed((control.name,))) for control in controls.keys] == [5, 6, 7]  # type: ignore[arg-type]


def test_each_part_of_a_continuous_action_has_a_key_for_more_and_for_less() -> None:
    space = gym.spaces.Box(np.float32([-2.0, 0.0]), np.float32([2.0, 1.0]), dtype=np.float32)
    env = SimpleNamespace(action_space=space)
    controls, action_of = _hook(SimpleNamespace(), env)  # type: ignore[arg-type]
    assert controls.together
    pushed = action_of(env, Pressed(("part 1 −", "part 2 +"), share=0.5))  # type: ignore[arg-type]
    assert pushed.tolist() == [-1.0, 0.75] and space.contains(pushed)
    assert action_of(env, Pressed(("wait",))).tolist() == [0.0, 0.5]  # type: ignore[arg-type]


def test_no_default_key_is_one_that_streamlit_takes_and_none_is_there_twice() -> None:
    for env_id in (EMPTY, "PandaPickAndPlace-v3", "PandaReachJoints-v3"):
        with closing(driver_of(env_id)) as driver:
            keys = [control.key for control in driver.controls.keys]
            assert not {"r", "c", "R", "C", "Tab", "Escape"} & set(keys) and len(set(keys)) == len(keys)


@pytest.mark.parametrize("env_id", ["PandaReach-v3", "PandaPickAndPlaceJoints-v3"])
@pytest.mark.parametrize(("name", "axis", "sign"), [("x +", 0, 1), ("y −", 1, -1), ("z +, up", 2, 1)])
def test_a_direction_moves_the_hand_that_way(env_id: str, name: str, axis: int, sign: int) -> None:
    with closing(driver_of(env_id, size=64)) as driver:
        panda = driver._env
        start = panda.hand.copy()  # type: ignore[attr-defined]
        press(driver, name, name, name)
        way = panda.hand - start  # type: ignore[attr-defined]
        assert sign * way[axis] > 0.02 and np.abs(way).argmax() == axis


def test_a_closed_hand_stays_closed_until_it_is_opened_and_undo_knows() -> None:
    with closing(driver_of("PandaPickAndPlace-v3", size=64)) as driver:
        press(driver, "open", "close", "x +")
        assert [float(action[3]) for action in driver.episode.actions] == [1.0, -1.0, -1.0]
        driver.undo()
        driver.undo()
        assert driver.staying == "open"
        press(driver, "wait")
        assert float(driver.episode.actions[-1][3]) == 1.0


def towards(driver: Driver, goal: Any, near: float = 0.008) -> None:
    """Press directions as a person would, until the hand is there."""
    names = [("x −", "x +"), ("y −", "y +"), ("z −, down", "z +, up")]
    for _ in range(40):
        way = goal - driver._env.hand  # type: ignore[attr-defined]
        axis = int(np.abs(way).argmax())
        if abs(way[axis]) < near:
            return
        driver.press(
            Pressed((names[axis][int(way[axis] > 0)],), share=float(np.clip(abs(way[axis]) / 0.05, 0.02, 1.0)))
        )


def test_keys_are_enough_to_pick_a_cube_up() -> None:
    with closing(driver_of("PandaPickAndPlace-v3", size=64)) as driver:
        panda: Any = driver._env
        cube = panda.place("object").copy()
        press(driver, "open", "wait")
        towards(driver, cube + np.array([0.0, 0.0, 0.06]))
        towards(driver, cube)
        press(driver, "close", "wait", *["z +, up"] * 3)
        assert panda.facts()["object lifted"]
        driver.undo()
        driver.undo()
        press(driver, "z +, up", "z +, up")
        assert driver._env.facts()["object lifted"]  # type: ignore[attr-defined]


def test_several_directions_are_one_step() -> None:
    with closing(driver_of("PandaReach-v3", size=64)) as driver:
        driver.press(Pressed(("x +", "y +"), share=0.5))
        assert driver.episode.actions[0].tolist() == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)


def middle_of(env: Any, body: int, views: int) -> tuple[float, float]:
    """Where a body is in the first view of the picture, by the numbers of the bodies that pybullet draws."""
    import pybullet

    view, height = env.world._views[0], env.world._height
    width = round(height * view.aspect)
    look = pybullet.computeViewMatrixFromYawPitchRoll(view.target, view.distance, view.yaw, view.pitch, 0.0, 2)
    lens = pybullet.computeProjectionMatrixFOV(view.field, view.aspect, 0.05, 10.0)
    drawn = pybullet.getCameraImage(
        width, height, look, lens, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=env.world.client
    )[4]
    rows, columns = np.nonzero(np.reshape(drawn, (height, width)) == body)
    whole = views * width + 2 * (views - 1)
    return (float(np.median(columns)) + 0.5) / whole, (float(np.median(rows)) + 0.5) / height


@pytest.mark.parametrize("views", ["overhead", "overhead and side", "side"])
def test_a_block_that_is_clicked_goes_into_the_bowl_that_is_clicked(views: str) -> None:
    with closing(driver_of(PUSH_BLOCKS, views=views)) as driver:
        env: Any = driver._env
        block = next(thing for thing in env.goal.things if thing.role == "wanted")
        bowl = next(thing for thing in env.goal.things if thing.role == "place")
        count = len(views.split(" and "))
        points = tuple(middle_of(env, thing.body, count) for thing in (block, bowl))
        driver.press(Pressed(points=points))
        assert driver.episode.rewards[0] > 0
        driver.undo()
        assert driver.episode.steps == 0


@pytest.fixture(scope="module")
def table() -> Iterator[Driver]:
    with closing(driver_of(PUSH_BLOCKS, views="overhead and side")) as driver:
        yield driver


def test_a_click_between_two_views_or_on_one_point_only_is_refused(table: Driver) -> None:
    with pytest.raises(BadInput, match="between two views"):
        table.press(Pressed(points=((0.5, 0.5), (0.2, 0.5))))
    with pytest.raises(BadInput, match="takes 2 points"):
        table.press(Pressed(points=((0.2, 0.5),)))


def test_the_tool_of_the_table_goes_in_steps_where_the_setting_says_so() -> None:
    with closing(driver_of(PUSH_BLOCKS, actions="steps")) as driver:
        env: Any = driver._env
        start = env.world.tool.copy()
        press(driver, "x +", "suck", "z −, down")
        assert (env.world.tool - start).round(3).tolist() == [0.03, 0.0, -0.03]
        assert [float(action[3]) for action in driver.episode.actions] == [0.0, 1.0, 1.0]


# What is kept


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return pipeline.create_from_env(tmp_path, "driven", EMPTY, recording=Recording(2, 0, 5))


def driven(seed: int, names: tuple[str, ...], source: Any = "expert") -> Trajectory:
    with closing(driver_of(EMPTY)) as driver:
        driver.begin(seed)
        press(driver, *names)
        return driver.trajectory(source)


def test_a_persons_expert_counts_in_verification_and_bears_the_name(session: Session) -> None:
    for seed in (0, 1):
        pipeline.save_driven(session, driven(seed, TO_THE_GOAL), " Ada ")
    infos = session.trajectories().items
    assert [info.id for info in infos] == ["expert-000", "expert-001"]
    assert {info.origin for info in infos} == {"driven by Ada"}
    assert session.goal is not None and session.goal_origin().kind == "expert"  # type: ignore[union-attr]
    session.add_proposal(proposal(("moved", ALWAYS)))
    assert pipeline.verify(session).expert.total == 2


def test_recording_keeps_what_people_drove_also_when_all_else_is_recorded_anew(session: Session) -> None:
    pipeline.save_driven(session, driven(1, ("turn left", *(["turn right"]), *TO_THE_GOAL)), "Ada")
    assert pipeline.record(session).experts == 2
    before = session.trajectory("expert-000").frames
    assert pipeline.record(session, replace=True).experts == 2
    assert np.array_equal(session.trajectory("expert-000").frames, before)
    seeds = {info.seed: info.origin for info in session.trajectories().items}
    assert seeds == {0: "", 1: "driven by Ada"}


def test_only_what_is_solved_is_an_experts_and_only_what_is_not_is_a_near_miss(session: Session) -> None:
    with pytest.raises(BadInput, match="does not call this episode solved"):
        pipeline.save_driven(session, driven(0, TO_THE_GOAL[:3]), "Ada")
    with pytest.raises(BadInput, match="it is no near miss"):
        pipeline.save_driven(session, driven(0, TO_THE_GOAL, "near-miss"), "Ada")
    with pytest.raises(BadInput, match="nothing was done"):
        pipeline.save_driven(session, driven(0, ()), "Ada")
    with pytest.raises(BadInput, match="enter yours"):
        pipeline.save_driven(session, driven(0, TO_THE_GOAL), "  ")
    assert not session.trajectories().items
    assert pipeline.save_driven(session, driven(0, TO_THE_GOAL[:3], "near-miss"), "Ada") == "near-miss-000"
    assert session.goal is None


def test_the_same_episode_is_kept_once(session: Session) -> None:
    pipeline.save_driven(session, driven(0, TO_THE_GOAL), "Ada")
    with pytest.raises(BadInput, match="expert-000 is the very same episode"):
        pipeline.save_driven(session, driven(0, TO_THE_GOAL), "Grace")


def test_a_frame_becomes_the_initial_or_the_goal_frame(session: Session) -> None:
    frame = driven(0, ("forward",)).frames[-1]
    pipeline.set_initial_from_driving(session, frame)
    pipeline.set_goal_from_driving(session, frame, "Ada", 0, 1)
    assert np.array_equal(session.initial, frame) and np.array_equal(session.goal, frame)
    origin = session.goal_origin()
    assert origin is not None and (origin.kind, origin.frame, origin.name) == ("driven", 1, "Ada from seed 0")
    other = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(BadInput, match="must come from the same camera"):
        pipeline.set_goal_from_driving(session, other, "Ada", 0, 1)
    with pytest.raises(BadInput, match="must come from the same camera"):
        pipeline.set_initial_from_driving(session, other)


def test_an_unknown_control_names_those_that_there_are() -> None:
    with closing(driver_of(EMPTY)) as driver, pytest.raises(UnknownName):
        press(driver, "r")

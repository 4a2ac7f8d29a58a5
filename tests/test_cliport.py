"""CLIPort: without a checkout it says how to get one; with one it is a seeded, step-counting environment.

The checkout here is a small one that the test writes: classes, functions and call signatures are those of the real
one, and none of its code.
"""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlmcar_core.envs import cliport
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.rollouts import record_expert, record_random
from vlmcar_core.types import Task

needs_packages = pytest.mark.skipif(
    any(cliport.find_spec(module) is None for module in cliport.NEEDED),
    reason=f"not all installed: {', '.join(cliport.NEEDED.values())}",
)

FILES = {
    "__init__.py": "from cliport import agents\n",
    "agents.py": "raise RuntimeError('the agents are heavy, and nobody needs them here')\n",
    "environments/__init__.py": "",
    "utils/__init__.py": "",
    "utils/utils.py": """
import kornia
import matplotlib.pyplot as plt
import meshcat.geometry as g
import torch
from omegaconf import OmegaConf
from transforms3d import euler

import pybullet as p


def turn_of(rotation):
    return euler.quat2euler((rotation[3], *rotation[:3]))[2]


class Rotator:
    def turn(self, image):
        angle: torch.tensor = kornia.angle_to_rotation_matrix(image)
        return angle
""",
    "tasks/cameras.py": """
import numpy as np
import pybullet as p

SHAPE = {"image_size": (480, 640), "zrange": (0.01, 10.0), "noise": False}
LENS = (450.0, 0, 320.0, 0, 450.0, 240.0, 0, 0, 1)


class RealSenseD415:
    CONFIG = [
        {**SHAPE, "intrinsics": LENS, "position": (0.5, side, 1.2), "rotation": p.getQuaternionFromEuler((0, np.pi, 0))}
        for side in (0.0, 0.3, -0.3)
    ]


class Oracle:
    CONFIG = [{**RealSenseD415.CONFIG[0], "position": (0.5, 0.0, 1.0)}]
""",
    "tasks/task.py": """
import collections
import random

import numpy as np
import pybullet as p
from cliport.tasks import cameras
from cliport.utils import utils


class Task:
    def __init__(self):
        self.max_steps = 10
        self.mode = "train"
        self.oracle_cams = cameras.Oracle.CONFIG
        self.speed = 0.01

    def set_assets_root(self, assets_root):
        self.assets_root = assets_root

    def reset(self, env):
        self.colour = random.choice(["red", "blue"])
        self.max_steps = 4
        self.goals, self.rewards = [], 0.0
        for _ in range(2):
            place = np.random.uniform([0.3, -0.4, 0.02], [0.7, 0.4, 0.02])
            self.goals.append((env.add_object("cube.urdf", (place, (0, 0, 0, 1))), np.array([0.5, 0.0, 0.02])))

    def oracle(self, env):
        def act(obs, info):
            cube, goal = self.goals[0]
            position, rotation = p.getBasePositionAndOrientation(cube)
            assert abs(utils.turn_of(rotation)) < 0.1
            nudge = np.random.uniform(-0.005, 0.005, 3)
            turned = (0.0, 0.0, np.sin(0.3), np.cos(0.3))
            return {"pose0": (np.asarray(position), np.array([0, 0, 0, 1])), "pose1": (goal + nudge, turned)}

        return collections.namedtuple("OracleAgent", ["act"])(act)

    def primitive(self, movej, movep, ee, pose0, pose1):
        timeout = movej(np.append(pose0[0], 0.0), self.speed)
        if not timeout and self.goals:
            cube, _ = self.goals[0]
            near = np.linalg.norm(np.subtract(p.getBasePositionAndOrientation(cube)[0], pose0[0])) < 0.03
            timeout = movej(np.append(pose1[0], 2 * np.arctan2(pose1[1][2], pose1[1][3])), self.speed)
            if near and not timeout:
                p.resetBasePositionAndOrientation(cube, pose1[0], pose1[1])
        return timeout

    def reward(self):
        cube, goal = self.goals[0]
        there = np.linalg.norm(np.subtract(p.getBasePositionAndOrientation(cube)[0], goal)[:2]) < 0.02
        if there:
            self.goals.pop(0)
            self.rewards += 0.5
        return 0.5 * there, {}

    def done(self):
        return not self.goals

    def get_lang_goal(self):
        return f"put the {self.colour} cubes in the middle" if self.goals else "task completed."
""",
    "tasks/__init__.py": """
from cliport.tasks.task import Task


class Stuck(Task):
    def __init__(self):
        super().__init__()
        self.speed = 0.0


names = {
    "put-block-in-bowl-seen-colors": Task,
    "align-rope": Stuck,
    "block-insertion-sixdof": Task,
    "packing-seen-google-objects-seq": Task,
}
""",
    "environments/environment.py": """
import time

import gym
import imageio
import numpy as np
import pybullet as p
from cliport.tasks import cameras
from cliport.utils import utils


class Environment(gym.Env):
    def __init__(self, assets_root, task=None, disp=False, shared_memory=False, hz=240, record_cfg=None):
        self.assets_root = assets_root
        self.agent_cams = cameras.RealSenseD415.CONFIG
        self.position_bounds = gym.spaces.Box(
            low=np.array([0.25, -0.5, 0.0], np.float32), high=np.array([0.75, 0.5, 0.28], np.float32), dtype=np.float32
        )
        self.obj_ids = {"fixed": [], "rigid": [], "deformable": []}
        client = p.connect(p.DIRECT)
        assert p.loadPlugin("fileIOPlugin", physicsClientId=client) >= 0
        p.setTimeStep(1.0 / hz)

    def add_object(self, urdf, pose, category="rigid"):
        found = p.loadURDF(self.assets_root + "/" + urdf, pose[0], pose[1])
        self.obj_ids[category].append(found)
        return found

    def set_task(self, task):
        task.set_assets_root(self.assets_root)
        self.task = task

    def reset(self):
        p.resetSimulation(p.RESET_USE_DEFORMABLE_WORLD)
        self.arm = np.zeros(4)
        self.task.reset(self)
        obs, _, _, _ = self.step()
        return obs

    def step(self, action=None):
        if action is not None:
            timeout = self.task.primitive(self.movej, None, None, action["pose0"], action["pose1"])
            if timeout:
                return {"color": self.pictures()}, 0.0, True, self.info
        reward, info = self.task.reward() if action is not None else (0, {})
        return {"color": self.pictures()}, reward, self.task.done(), {**info, **self.info}

    @property
    def info(self):
        return {"lang_goal": self.get_lang_goal()}

    def get_lang_goal(self):
        return self.task.get_lang_goal()

    def pictures(self):
        return tuple(self.render_camera(config)[0] for config in self.agent_cams)

    def step_simulation(self):
        p.stepSimulation()

    def movej(self, targj, speed=0.01, timeout=5):
        t0 = time.time()
        while (time.time() - t0) < timeout:
            away = targj - self.arm
            if np.all(np.abs(away) < 1e-2):
                return False
            self.arm = self.arm + np.clip(away, -speed, speed)
            self.step_simulation()
        return True

    def render_camera(self, config, image_size=None, shadow=1):
        height, width = image_size or config["image_size"]
        field = np.rad2deg(2 * np.arctan(height / 2 / config["intrinsics"][0]))
        x, y, z = config["position"]
        _, _, color, depth, segm = p.getCameraImage(
            width,
            height,
            p.computeViewMatrix((x, y, z), (x, y, 0), (-1, 0, 0)),
            p.computeProjectionMatrixFOV(field, width / height, *config["zrange"]),
            shadow=shadow,
            renderer=p.ER_BULLET_HARDWARE_OPENGL,
        )
        return np.reshape(color, (height, width, 4))[..., :3].astype(np.uint8), depth, segm
""",
    "environments/assets/cube.urdf": """<?xml version="1.0" ?>
<robot name="cube"><link name="base"><inertial><mass value="0"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0"
izz="1"/></inertial><visual><geometry><box size="0.06 0.06 0.04"/></geometry><material name="red"><color
rgba="0.9 0.1 0.1 1"/></material></visual></link></robot>
""",
}


def forget_the_checkout() -> None:
    cliport._loaded.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "cliport"]:
        del sys.modules[name]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout of our own that the environment variable names."""
    for path, source in FILES.items():
        file = tmp_path / "checkout" / "cliport" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    monkeypatch.setenv(cliport.ROOT_VARIABLE, str(tmp_path / "checkout"))
    forget_the_checkout()
    yield tmp_path / "checkout"
    forget_the_checkout()


def make(name: str = "put-block-in-bowl-seen-colors", **settings: Any) -> Any:
    return cliport.make(Task(f"CLIPort/{name}", "cliport", settings=settings))


def test_without_a_checkout_the_papers_tasks_say_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cliport.ROOT_VARIABLE, raising=False)
    listed = cliport.tasks()
    assert [task.env_id for task in listed] == [f"CLIPort/{name}" for name in cliport.PAPER]
    assert all(task.paper and not task.works for task in listed)
    for words in ("no CLIPort checkout is named", "git clone", "pip install", "transforms3d", cliport.ROOT_VARIABLE):
        assert words in listed[0].note
    with pytest.raises(BadInput) as refused:
        make()
    assert listed[0].note in str(refused.value)


def test_a_folder_that_is_no_checkout_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cliport.ROOT_VARIABLE, str(tmp_path))
    with pytest.raises(BadInput, match=str(tmp_path)):
        make()


def test_a_package_that_is_missing_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cliport, "find_spec", lambda module: None if module == "transforms3d" else True)
    assert "not installed: transforms3d." in cliport.tasks()[0].note
    with pytest.raises(BadInput, match="not installed: transforms3d"):
        make()


def test_the_checkouts_tasks_are_listed_without_running_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cliport, "find_spec", lambda module: True)
    listed = {task.env_id.removeprefix("CLIPort/"): task for task in cliport.tasks()}
    assert next(iter(listed)) == "put-block-in-bowl-seen-colors" and len(listed) == 4
    assert listed["put-block-in-bowl-seen-colors"].works and listed["put-block-in-bowl-seen-colors"].expert
    assert not listed["block-insertion-sixdof"].expert and "tilts" in listed["block-insertion-sixdof"].note
    google = listed["packing-seen-google-objects-seq"]
    assert not google.works and "download" in google.note
    assert "cliport" not in sys.modules


@needs_packages
def test_the_expert_is_the_checkouts_oracle_and_its_partial_rewards_are_paid(root: Path) -> None:
    found = record_expert(Task("CLIPort/put-block-in-bowl-seen-colors", "cliport", settings={"size": 48}), 7)
    assert found.success and found.terminated and list(found.rewards) == [0.5, 0.5]
    assert found.actions.shape == (2, 8) and found.actions.dtype == np.float32
    assert found.frames.shape == (3, 48, 64, 3)
    assert list(found.facts["success"]) == [False, False, True]
    assert list(found.facts["partly done"]) == [False, True, True]
    assert found.versions["simulator"] == "CLIPort checkout of unknown commit"


@needs_packages
def test_environments_side_by_side_do_not_touch_each_other(root: Path) -> None:
    env, other = make(), make()
    env.reset(seed=0)
    before = cliport.scene(env)
    other.reset(seed=1)
    assert not np.array_equal(before, cliport.scene(other))
    cliport.expert(env)
    assert np.array_equal(before, cliport.scene(env))
    other.reset(seed=0)
    for action in cliport.expert(env):
        assert np.array_equal(env.step(action)[0], other.step(action)[0])
        assert np.array_equal(cliport.scene(env), cliport.scene(other))


@needs_packages
def test_the_random_numbers_of_everybody_else_are_left_alone(root: Path) -> None:
    np.random.seed(3)
    random.seed(3)
    expected = np.random.random(), random.random()
    np.random.seed(3)
    random.seed(3)
    env = make()
    env.reset(seed=0)
    cliport.expert(env)
    assert (np.random.random(), random.random()) == expected


@needs_packages
def test_a_motion_that_never_ends_is_cut_after_simulated_seconds_and_not_a_clocks(root: Path) -> None:
    env = make("align-rope")
    env.reset(seed=0)
    simulated = []
    count = env.simulation.step_simulation
    env.simulation.step_simulation = lambda: (simulated.append(1), count())
    _, reward, terminated, _, _ = env.step(np.zeros(8, np.float32))
    assert len(simulated) == 5 * cliport.STEPS_PER_SECOND
    assert terminated and reward == 0.0 and not cliport.succeeded(np.array([reward]), terminated)
    with pytest.raises(NoExpert, match=r"0\.00 of the reward"):
        cliport.expert(env)


@needs_packages
def test_a_motion_that_ends_in_time_ends_the_same_on_a_machine_whose_clock_runs_fast(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = make()
    env.reset(seed=0)
    actions = cliport.expert(env)
    hours = iter(range(0, 10**9, 3600))
    monkeypatch.setattr(time, "time", lambda: float(next(hours)))
    assert [env.step(action)[1] for action in actions] == [0.5, 0.5]


@needs_packages
def test_actions_and_poses_are_one_to_one(root: Path) -> None:
    env = make()
    env.reset(seed=0)
    for action in (env.action_space.sample() for _ in range(20)):
        assert env.action(env.poses(action)) == pytest.approx(action, abs=1e-6)
    corner = env.poses(np.array([-1, -1, -1, 0, 1, 1, 1, 0.5], np.float32))
    assert corner["pose0"][0] == pytest.approx([0.25, -0.5, 0.0])
    assert corner["pose1"][0] == pytest.approx([0.75, 0.5, 0.28])
    assert corner["pose1"][1] == pytest.approx([0, 0, np.sqrt(0.5), np.sqrt(0.5)]), "a quarter turn"


@needs_packages
def test_an_episode_is_cut_after_the_tasks_own_number_of_actions(root: Path) -> None:
    found = record_random(Task("CLIPort/put-block-in-bowl-seen-colors", "cliport", settings={"size": 48}), 0, 50)
    assert found.steps == 4 and found.truncated and not found.success


@needs_packages
def test_what_is_imported_meanwhile_means_afterwards_what_it_meant_before(root: Path) -> None:
    before = {name: sys.modules.get(name) for name in ("gym", "torch", "kornia", "pybullet", "imageio", "meshcat")}
    make()
    assert {name: sys.modules.get(name) for name in before if name != "pybullet"} == {
        name: found for name, found in before.items() if name != "pybullet"
    }
    assert not isinstance(sys.modules["pybullet"], cliport.OneClient)


@needs_packages
def test_a_damaged_checkout_and_a_second_one_are_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = shutil.copytree(root, tmp_path / "broken")
    (broken / "cliport" / "utils" / "utils.py").write_text("from os import no_such_thing\n")
    monkeypatch.setenv(cliport.ROOT_VARIABLE, str(broken))
    with pytest.raises(BadInput, match="no_such_thing"):
        make()
    monkeypatch.setenv(cliport.ROOT_VARIABLE, str(root))
    make()
    monkeypatch.setenv(cliport.ROOT_VARIABLE, str(shutil.copytree(root, tmp_path / "second")))
    with pytest.raises(BadInput, match="already uses"):
        make()


def test_a_session_cannot_name_a_folder_whose_code_is_imported(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = shutil.copytree(root, tmp_path / "evil")
    (evil / "cliport" / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (evil / "cliport" / "tasks" / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nnames = {{}}\n")
    monkeypatch.delenv(cliport.ROOT_VARIABLE)
    with pytest.raises(UnknownName, match="no setting 'root'"):
        make(root=str(evil))
    assert not (tmp_path / "ran").exists()


@needs_packages
def test_an_unknown_task_and_a_tilted_one(root: Path) -> None:
    with pytest.raises(UnknownName, match="stack-the-moon"):
        make("stack-the-moon")
    env = make("block-insertion-sixdof")
    env.reset(seed=0)
    with pytest.raises(NoExpert, match="CLIPort/block-insertion-sixdof"):
        cliport.expert(env)


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_is_read_from_the_checkout_itself(tmp_path: Path, packed: bool) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        return subprocess.run(
            ["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert cliport._commit(tmp_path) == "of unknown commit"
    git("init")
    git("commit", "--allow-empty", "-m", "first")
    if packed:
        git("pack-refs", "--all")
    assert cliport._commit(tmp_path) == git("rev-parse", "HEAD")[:12]
    git("checkout", "--detach")
    assert cliport._commit(tmp_path) == git("rev-parse", "HEAD")[:12]

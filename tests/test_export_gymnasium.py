"""What makes and draws Gymnasium's environments, and Meta-World's, in a bundle: the same frames as in the studio."""

import importlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.conftest import NEVER, proposal
from tests.test_gymnasium import MODULE, REACHED, STILL, TO_THE_END, named
from vlmcar_core import export, jobs, pipeline, plugins, runs
from vlmcar_core.envs import Standalone, _gymnasium
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.export import copying
from vlmcar_core.rollouts import record_actions
from vlmcar_core.runs import RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Checker, Proposal, Recording, SubTask, Task

__all__ = ["named"]

SMALL = {**STILL, "height": 64}


def executed(alone: Standalone) -> dict[str, Any]:
    """What its environment.py defines."""
    names: dict[str, Any] = {}
    exec(compile(alone.source, "environment.py", "exec"), names)
    return names


def assert_same(family: ModuleType, task: Task, names: dict[str, Any], seed: int = 3) -> tuple[int, ...]:
    """Both draw and pay the same for random actions, to an end or for thirty steps; returns the shape of a frame."""
    try:
        ours = family.make(task)
    except BadInput as error:
        pytest.skip(str(error))  # what it needs is not installed, or MuJoCo cannot draw here
    theirs = names["make"]()
    for env in (ours, theirs):
        env.reset(seed=seed)
    ours.action_space.seed(seed)
    ended = False
    for _ in range(30):
        assert np.array_equal(family.scene(ours), names["scene"](theirs))
        if ended:
            break
        action = ours.action_space.sample()
        told = ours.step(action)[1:4]
        assert told == theirs.step(action)[1:4]
        ended = told[1] or told[2]
    shape: tuple[int, ...] = names["scene"](theirs).shape
    for env in (ours, theirs):
        env.close()
    return shape


@pytest.mark.parametrize(
    ("env_id", "settings", "shape", "extra"),
    [
        ("CartPole-v1", {}, (400, 600, 3), "classic-control"),
        ("FrozenLake-v1", {**STILL, "height": 100}, (100, 100, 3), "toy-text"),
        ("Pendulum-v1", {"height": 65, "max_steps": 20}, (65, 65, 3), "classic-control"),
        ("HalfCheetah-v5", {"height": 96, "max_steps": 8}, (96, 96, 3), "mujoco"),
    ],
)
def test_it_draws_what_the_studio_draws_of_public_packages(
    env_id: str, settings: dict[str, Any], shape: tuple[int, ...], extra: str
) -> None:
    kind = "continuous" if env_id in ("Pendulum-v1", "HalfCheetah-v5") else "discrete"
    family, task = plugins.load("envs", f"gymnasium_{kind}"), Task(env_id, f"gymnasium_{kind}", 0, settings)
    alone = family.standalone(task)
    assert "vlmcar" not in alone.source and not alone.modules
    assert alone.packages == (f"gymnasium[{extra}]  # made with {gym.__version__}",)
    assert ("libegl1" in alone.note) == (extra == "mujoco")
    names = executed(alone)
    assert names["ENV_ID"] == env_id
    assert assert_same(family, task, names) == shape


def test_a_package_that_the_person_has_named_is_imported_with_its_wrappers(named: None) -> None:
    family = plugins.load("envs", "gymnasium_discrete")
    settings = {"wrappers": f"{MODULE}:Slower,{MODULE}:Slower", "kwargs": '{"goal": 2}', "height": 40}
    task = Task("Square-v0", "gymnasium_discrete", 0, settings)
    alone = family.standalone(task)
    names = executed(alone)
    assert names["IMPORTED"] == (MODULE,) and not alone.packages
    assert "`tests`" in alone.note, "it lies on the path, and no distribution brought it"
    env = names["make"]()
    assert type(env).__name__ == type(env.env).__name__ == "Slower" and env.unwrapped.goal == (2, 2)
    assert assert_same(family, task, names) == (40, 40, 3)


def test_a_packages_distribution_is_asked_for_where_it_was_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_gymnasium.MODULES_VARIABLE, "minigrid,gymnasium")
    wrappers = "minigrid.wrappers:NoDeath,gymnasium.wrappers:TimeAwareObservation"
    task = Task("FrozenLake-v1", "gymnasium_discrete", 0, {"wrappers": wrappers})
    alone = plugins.load("envs", "gymnasium_discrete").standalone(task)
    assert [line.split()[0] for line in alone.packages] == ["gymnasium[toy-text]", "minigrid"] and not alone.note


@pytest.mark.parametrize("settings", [{}, {"wrappers": f"{MODULE}:Slower"}])
def test_what_the_person_has_not_named_is_not_imported_there_either(settings: dict[str, Any]) -> None:
    task = Task("FrozenLake-v1" if settings else "Unheard-v0", "gymnasium_discrete", 0, settings)
    with pytest.raises(BadInput, match="--gym-module"):
        plugins.load("envs", "gymnasium_discrete").standalone(task)


def test_words_of_a_session_stay_words() -> None:
    words = 'S"""\n{x}\');import os#\u2028ſ'
    kwargs = {"desc": [words, "G"], "map_name": words, "is_slippery": None}
    task = Task("FrozenLake-v1", "gymnasium_discrete", 0, {"kwargs": json.dumps(kwargs)})
    alone = plugins.load("envs", "gymnasium_discrete").standalone(task)
    assert alone.source.isascii() and executed(alone)["ARGUMENTS"] == kwargs


def lake(folder: Path, name: str, env_id: str = "FrozenLake-v1") -> Session:
    """An expert's way, and random walks; a checker for the goal and one that sees nothing."""
    session = pipeline.create_from_env(folder, name, env_id, 0, SMALL, Recording(0, 3, 20))
    pipeline.record(session)
    session.add_trajectory(record_actions(session.task, 0, TO_THE_END, "expert"))
    never = SubTask("See nothing", Checker("nothing", NEVER))
    session.add_proposal(Proposal(SubTask("Stand on the present", Checker("goal", REACHED)), (never,), "a person"))
    pipeline.verify(session)
    return session


def test_a_bundles_demo_acts_in_the_environment_and_says_that_it_draws_the_same(tmp_path: Path) -> None:
    session = lake(tmp_path, "lake")
    export.write(pipeline.export(session), tmp_path / "bundle")
    card = (tmp_path / "bundle" / "card.md").read_text()
    assert "import environment" in card and "not in this bundle" not in card
    found = demo(tmp_path / "bundle")
    assert found.count("FrozenLake-v1 draws the same first frame as recorded") == 2
    assert found.count("the last frame is the same as recorded") == 2


def demo(bundle: Path) -> str:
    found = subprocess.run([sys.executable, "demo.py"], cwd=bundle, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_bundle_of_an_environment_that_is_not_here_shows_recorded_frames_and_says_why(tmp_path: Path) -> None:
    session = lake(tmp_path, "lake")
    header = session.folder / "session.json"
    header.write_text(header.read_text().replace("FrozenLake-v1", "Unheard-v1"))
    session = Session.open(tmp_path, "lake")
    made = pipeline.export(session)
    assert "environment.py" not in made.files
    assert any("Unheard-v1" in note and "--gym-module" in note for note in made.notes)
    assert "draws the frames that the checkers look at is not in this bundle" in made.files["card.md"].decode()
    export.write(made, tmp_path / "bundle")
    assert demo(tmp_path / "bundle").count("What draws its frames is not in this bundle, so recorded frames") == 2


def test_an_environment_that_cannot_be_made_any_more_is_told_of(tmp_path: Path) -> None:
    export.write(pipeline.export(lake(tmp_path, "lake")), tmp_path / "bundle")
    environment = tmp_path / "bundle" / "environment.py"
    environment.write_text(environment.read_text().replace("ENV_ID = 'FrozenLake-v1'", "ENV_ID = 'FrozenLake-v77'"))
    assert demo(tmp_path / "bundle").count("The environment cannot be made here (Environment version `v77`") == 2


LEANS = """
def check(initial, current):
    return bool((current != initial).any())
"""


@pytest.mark.parametrize("settings", [{}, {"success_by": "return", "success_return": 9.5}, {"success_by": "unknown"}])
def test_a_potential_takes_a_bundles_word_on_success_as_the_studio_takes_its_own(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    session = pipeline.create_from_env(
        tmp_path, "pole", "CartPole-v1", 0, {"height": 100, **settings}, Recording(0, 3, 200)
    )
    pipeline.record(session)
    session.add_proposal(proposal(("lean", LEANS), goal=LEANS))
    pipeline.verify(session)
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig(proposal=0, pay="potential"))
    with jobs.running(folder, "train"):
        pass
    made = pipeline.export(session)
    told = json.loads(made.files["tests/recorded.json"])["episodes"]
    assert told and all(one["terminated"] for one in told) and {"once", "potential"} == set(told[0]["paid"])
    export.write(made, tmp_path / "bundle")
    command = [sys.executable, "-m", "unittest", "discover", "tests"]
    found = subprocess.run(command, cwd=tmp_path / "bundle", capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    known = "succeeded = None" not in made.files["reward.py"].decode()
    assert known == (settings.get("success_by") != "unknown")


@pytest.mark.skipif(find_spec("metaworld") is None, reason="Meta-World is not installed")
def test_meta_world_is_drawn_by_a_copy_of_the_studios_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family = plugins.load("envs", "metaworld")
    task = Task("Meta-World/door-open-v3", "metaworld", 0, {"size": 64, "camera": "corner2"})
    alone = family.standalone(task)
    for path, text in {**copying.copied(alone.modules), "environment.py": alone.source}.items():
        place = tmp_path / "door_bundle" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    assert [line.split()[0] for line in alone.packages] == ["metaworld", "mujoco", "pillow"]
    monkeypatch.syspath_prepend(str(tmp_path))
    names = vars(importlib.import_module("door_bundle.environment"))
    assert names["SeededTask"].__module__ == "door_bundle.studio.envs.metaworld"
    assert assert_same(family, task, names) == (64, 64, 3)
    with pytest.raises(UnknownName, match="door-open-v77"):
        family.standalone(Task("Meta-World/door-open-v77", "metaworld"))

"""A bundle pays what the studio pays, says what it is, and holds nothing of the studio's that is not in it."""

import ast
import importlib
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import NEVER, RED_AT_LEAST, proposal, trajectory
from tests.studio_sessions import framed, recorded, verified
from vlmcar_core import export, jobs, pipeline, plugins, runs
from vlmcar_core.cli import cli
from vlmcar_core.errors import BadInput
from vlmcar_core.export import code, copying
from vlmcar_core.export.parts import asking
from vlmcar_core.marks import Mark
from vlmcar_core.payments import WAYS, Payment
from vlmcar_core.reward import CheckerReward
from vlmcar_core.runs import RunConfig
from vlmcar_core.sandbox.inside import program
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal, Task

EXAMPLES = Path(__file__).parent.parent / "sessions"
PAYMENTS = [
    *(Payment(way) for way in WAYS),
    Payment(weights={"take-the-key": 3.0}, undo=0.5, scale=2.0),
    Payment("potential", discount=0.9),
]


def doorkey() -> Session:
    return Session.open(EXAMPLES, "example-doorkey-6x6")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Session, str], ModuleType]:
    """Write a session's bundle and import one of its modules, as a part of a package."""
    name = f"bundle_{random.randrange(10**9)}"
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(session: Session, module: str) -> ModuleType:
        if not (tmp_path / name).is_dir():
            export.write(pipeline.export(session), tmp_path / name)
        return importlib.import_module(f"{name}.{module}")

    return load


def told(env: gym.Env[Any, Any], actions: list[Any], seed: int) -> list[tuple[float, dict[str, Any]]]:
    """(reward, info["vlmcar"]) of a reset and every step of an episode."""
    _, info = env.reset(seed=seed)
    found = [(0.0, info["vlmcar"])]
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
        found.append((float(reward), info["vlmcar"]))
        if terminated or truncated:
            break
    return found


@pytest.mark.parametrize("payment", PAYMENTS, ids=lambda payment: f"{payment.way}-{payment.undo:g}")
def test_the_wrapper_answers_as_the_studios_own_on_recorded_episodes(load: Any, payment: Payment) -> None:
    session = doorkey()
    family = plugins.load("envs", "minigrid")
    reward, wrapper = load(session, "reward"), load(session, "wrapper")
    ours = CheckerReward(
        family.make(session.task),
        session.proposal(),
        scene=family.scene,
        payment=payment,
        succeeded=family.succeeded,
    )
    made = reward.Payment(payment.way, payment.scale, payment.weights, payment.undo, payment.discount)
    theirs = wrapper.CheckerReward(
        family.make(session.task), reward.Reward(made), scene=family.scene, succeeded=reward.succeeded
    )
    completed = []
    for id in ("expert-000", "expert-001", "policy-001", "random-002", "random-006"):
        episode = session.trajectory(id)
        assert episode.seed is not None
        one, other = (told(env, episode.actions.tolist(), episode.seed) for env in (ours, theirs))
        assert one == other
        completed.append(one[-1][1]["completed"])
    assert completed[:2] == [3, 3] and min(completed) < 3
    ours.close()


def test_a_checker_that_fails_pays_nothing_and_is_told_as_in_the_studio(load: Any, tmp_path: Path) -> None:
    session = verified(tmp_path)
    reward = load(session, "reward").Reward()
    frames = session.trajectory("expert-000").frames
    reward.begin(frames[0])
    with pytest.warns(UserWarning, match="fails"):
        paid = [reward(frame) for frame in frames[1:]]
    assert [round(total, 3) for total, _ in paid] == [0, 0.333, 0, 0]
    assert reward.faults == {"fails": "ValueError: red is here"} and reward.completed == 1
    assert set(paid[0][1]) == {"see-red", "fails", "silent"}


def test_answers_are_read_as_the_sandbox_reads_them() -> None:
    class Whole(int):
        pass

    values: list[Any] = [
        *(True, False, 0, 1, 2, -1, 0.5, 1.0, 1 + 1e-7, 1 + 1e-5, -1e-7, -1e-5, float("nan"), float("inf"), 10**400),
        *(np.True_, np.float32(0.25), np.int64(1), np.uint8(2), np.float16(0.5), np.longdouble(1)),
        *(None, "1", [1], np.array(1.0), np.timedelta64(1), Whole(1), 1j),
    ]
    for value in values:
        sandboxed = program.progress(value)
        try:
            assert asking.progress(value) == sandboxed
        except (TypeError, ValueError):
            assert isinstance(sandboxed, dict), value


def test_it_needs_gymnasium_and_numpy_alone_but_for_pictures_and_its_checkers() -> None:
    made = pipeline.export(doorkey())
    imported: dict[str, set[str]] = {}
    for path, data in made.files.items():
        if path.endswith(".py"):
            assert b"vlmcar_core" not in data, path
            for node in ast.walk(ast.parse(data)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                imported.setdefault(path, set()).update(name.split(".")[0] for name in names)
    own = {"checkers", "paying", "recorded", "reward", "wrapper", "environment"}
    foreign = {path: names - own - set(sys.stdlib_module_names) for path, names in imported.items()}
    assert foreign["wrapper.py"] == {"gymnasium", "numpy"} and foreign["reward.py"] == {"numpy"}
    assert foreign["sb3_wrapper.py"] == {"numpy", "stable_baselines3"}
    rest = set().union(*(names for path, names in foreign.items() if path not in ("sb3_wrapper.py", "environment.py")))
    assert rest <= {"gymnasium", "numpy", "cv2"}


def test_its_manifest_and_card_say_what_it_is() -> None:
    session = doorkey()
    made = pipeline.export(session)
    manifest = json.loads(made.files["manifest.json"])
    verification = session.verification(0)
    assert verification is not None
    assert [row["sha256"] for row in manifest["checkers"]] == [step.checker.digest for step in session.proposal().steps]
    assert manifest["verification"]["judgement"] == "accepted"
    assert manifest["verification"]["random"] | {"interval_95": 0} == {"hits": 0, "total": 30, "interval_95": 0}
    assert {row["id"] for row in manifest["trajectories"]} == set(verification.trajectories)
    assert all(len(row["sha256"]) == 64 for row in manifest["trajectories"])
    assert manifest["task"] == {"env_id": "MiniGrid-DoorKey-6x6-v0", "family": "minigrid", "seed": 0, "settings": {}}
    assert set(manifest["files"]) == set(made.files) - {"manifest.json"}
    card = made.files["card.md"].decode()
    for words in ("Nothing contains the checkers", "built-in, no VLM", "0 of 30", "at most 50 steps", "100% of 20"):
        assert words in card, words


def test_a_model_is_named_with_its_prompts_by_hash() -> None:
    session = Session.open(EXAMPLES, "example-recorded-answers")
    manifest = json.loads(pipeline.export(session, 2).files["manifest.json"])
    assert manifest["proposal"]["number"] == 2 and [row["number"] for row in manifest["made_from"]] == [0, 1]
    assert manifest["models"] and all(len(digest) == 64 for digest in manifest["models"][0]["prompts_sha256"].values())
    assert "goal" in manifest["models"][0]["prompts_sha256"]


def test_first_fires_the_frame_before_and_negatives_are_its_tests() -> None:
    session = doorkey()
    cases = json.loads(pipeline.export(session).files["tests/recorded.json"])["cases"]
    key = [case for case in cases if case["checker"] == "open-the-door"]
    fires = [case for case in key if case["why"] == "first done here"]
    before = [case for case in key if case["why"] == "one before it is done"]
    negatives = [case for case in key if case["why"] == "not done here"]
    assert fires and len(fires) == len(before) <= 4 and 1 <= len(negatives) <= 6
    assert {case["value"] for case in fires} == {1.0} and max(case["value"] for case in (*before, *negatives)) < 1.0
    assert all(not case["trajectory"].startswith("expert") for case in negatives)


def test_ways_to_pay_that_runs_used_are_in_it(tmp_path: Path) -> None:
    session = verified(tmp_path)
    for pay in ("once", "progress", "progress"):
        folder = session.new_run_folder()
        runs.write_config(folder, RunConfig(proposal=0, pay=pay, weights={"see-red": 2.0}))
        with jobs.running(folder, "train"):
            pass
    made = pipeline.export(session)
    manifest = json.loads(made.files["manifest.json"])
    assert list(manifest["payments"]) == ["once", "once-run-0", "progress"]
    paid = json.loads(made.files["tests/recorded.json"])["episodes"][0]["paid"]
    assert paid["once"] == [{"step": 2, "key": "see-red", "amount": pytest.approx(1 / 3)}]
    assert paid["once-run-0"] == [{"step": 2, "key": "see-red", "amount": pytest.approx(1 / 2)}]


def test_names_that_are_no_words_of_python_and_hostile_titles_do_no_harm(load: Any, tmp_path: Path) -> None:
    session = framed(tmp_path)
    session.add_trajectory(trajectory([0, 2, 4, 6, 9]))
    evil = '"""); import os  # \n# {x} [a](http://b) <img src=x> \u2028\\'
    made = proposal(("pass", RED_AT_LEAST.format(pixels=2)), ("2-reds", RED_AT_LEAST.format(pixels=4)))
    named = tuple(replace(step, title=evil, doubt=evil) for step in made.subtasks)
    session.add_proposal(Proposal(replace(made.goal, title=evil), named, author=evil, reason=evil, doubts=(evil,)))
    pipeline.verify(session)
    reward = load(session, "reward")
    assert [step.key for step in reward.STEPS] == ["pass", "2-reds"]
    assert all(step.title.startswith('"""); import os # # {x} [a](http') for step in reward.STEPS)
    totals, _ = reward.compute_reward(list(session.trajectory("expert-000").frames))
    assert totals.tolist() == [0.5, 0.5, 0.0, 0.0]
    card = pipeline.export(session).files["card.md"].decode()
    assert "<img" not in card.replace("\\<", "") and "[a](" not in card and "http://" not in card


def test_frames_are_bounded(tmp_path: Path) -> None:
    session = framed(tmp_path)
    chance = np.random.default_rng(0)
    for source, success in (("expert", True), ("random", False)):
        noisy = trajectory([0, 2, 4, 9], source=source, success=success)  # type: ignore[arg-type]
        frames = chance.integers(0, 256, (4, 128, 128, 3), np.uint8)  # 50 kB a picture, not to be compressed
        session.add_trajectory(replace(noisy, frames=frames))
    session.add_proposal(proposal(("a", NEVER)))
    pipeline.verify(session)
    made = pipeline.export(session, mebibytes=0.2)
    sizes = [len(data) for path, data in made.files.items() if path.startswith("tests/frames/")]
    assert 1 <= len(sizes) <= 4 and sum(sizes) <= 0.2 * 2**20 and any("0.2 MiB" in note for note in made.notes)


def test_what_cannot_be_a_bundle_is_refused_with_what_to_do(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with pytest.raises(BadInput, match="first: vlmcar verify red"):
        pipeline.export(session)
    session.add_proposal(proposal(("old", _program())))
    with pytest.raises(BadInput, match="released style"):
        pipeline.export(session)


def _program() -> str:
    from vlmcar_core import programs

    text = (Path(__file__).parent / "programs" / "sound" / "paid_once.py").read_text()
    name = next(node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    return programs.with_reading(text, programs.Reading(name, "check_and_progress"))


def test_the_command_writes_a_folder_or_a_zip_and_leaves_what_is_there_alone(tmp_path: Path) -> None:
    def vlmcar(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["--root", str(EXAMPLES), "export", "example-unlock", "--to", *arguments])

    answer = vlmcar(str(tmp_path / "made"))
    assert answer.exit_code == 0 and "decisive frames" in answer.output and "Nothing contains" in answer.output
    assert (tmp_path / "made" / "reward.py").is_file()
    assert isinstance(vlmcar(str(tmp_path / "made")).exception, BadInput)
    assert vlmcar(str(tmp_path / "made.zip")).exit_code == 0
    with zipfile.ZipFile(tmp_path / "made.zip") as archive:
        packed = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    made = tmp_path / "made"
    assert packed == {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    assert isinstance(vlmcar(str(tmp_path / "nowhere" / "made")).exception, BadInput)


def test_sb3s_copies_are_paid_the_same_over_the_ends_of_episodes(load: Any) -> None:
    from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

    session = doorkey()
    family = plugins.load("envs", "minigrid")
    reward, wrapper, sb3 = (load(session, name) for name in ("reward", "wrapper", "sb3_wrapper"))
    short = replace(session.task, settings={"max_steps": 12})
    copies = DummyVecEnv([lambda: wrapper.ShowsFrame(family.policy_view(family.make(short))) for _ in range(2)])
    envs = sb3.VecCheckerReward(VecMonitor(copies), reward.Reward)
    alone = [CheckerReward(family.make(short), session.proposal(), scene=family.scene) for _ in range(2)]
    envs.seed(3)
    envs.reset()
    for index, env in enumerate(alone):
        env.reset(seed=3 + index)
    chance = np.random.default_rng(0)
    paid = 0.0
    for _ in range(150):
        actions = chance.integers(0, 7, 2)
        _, rewards, dones, infos = envs.step(actions)
        for index, env in enumerate(alone):
            _, expected, terminated, truncated, info = env.step(int(actions[index]))
            assert rewards[index] == pytest.approx(expected) and infos[index]["vlmcar"] == info["vlmcar"]
            assert dones[index] == (terminated or truncated)
            paid += info["vlmcar"]["reward"]
            if dones[index]:
                env.reset()
    assert paid > 0
    envs.close()
    for env in alone:
        env.close()


def test_a_copy_without_frames_is_told_of(load: Any) -> None:
    from stable_baselines3.common.vec_env import DummyVecEnv

    reward, sb3 = load(doorkey(), "reward"), load(doorkey(), "sb3_wrapper")
    envs = sb3.VecCheckerReward(DummyVecEnv([lambda: gym.make("CartPole-v1")]), reward.Reward)
    with pytest.raises(KeyError, match="ShowsFrame"):
        envs.reset()


def test_it_runs_from_its_own_folder_and_as_a_package(tmp_path: Path) -> None:
    export.write(pipeline.export(Session.open(EXAMPLES, "example-unlock")), tmp_path / "made")
    run = [sys.executable, "-P", "-c", "from made.reward import STEPS; print(len(STEPS))"]
    found = subprocess.run(run, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert found.stdout == "2\n", found.stderr


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [
        ("MiniGrid-DoorKey-6x6-v0", {}),
        ("MiniGrid-UnlockPickup-v0", {"tile_size": 8, "highlight": False}),
        ("BabyAI-GoToRedBall-v0", {"max_steps": 9}),
    ],
)
def test_an_environment_of_public_packages_draws_what_the_studio_draws(env_id: str, settings: dict[str, Any]) -> None:
    family, task = plugins.load("envs", "minigrid"), Task(env_id, "minigrid", settings=settings)
    alone = family.standalone(task)
    text, packages = alone.source, alone.packages
    names: dict[str, Any] = {}
    exec(compile(text, "environment.py", "exec"), names)
    assert names["ENV_ID"] == env_id and packages[0].startswith("minigrid")
    ours, theirs = family.make(task), names["make"]()
    for seed in (0, 7):
        for env in (ours, theirs):
            env.reset(seed=seed)
        for action in (0, 2, 2, 3, 1, 2):
            assert np.array_equal(family.scene(ours), names["scene"](theirs))
            assert ours.step(action)[1:4] == theirs.step(action)[1:4]
    assert family.standalone(replace(task, settings={"extra": "ball green 3 1"})) is None


@pytest.mark.parametrize(
    ("family", "env_id"), [("panda", "PandaStack-v3"), ("tabletop", "Tabletop/separating-piles-v0")]
)
def test_what_is_copied_for_a_simulator_imports_only_what_is_asked_for(family: str, env_id: str) -> None:
    alone = plugins.load("envs", family).standalone(Task(env_id, family))
    modules = copying.copied(alone.modules)
    assert len(modules) > 10 and f"studio/envs/{family}/simulation.py" in modules
    names = {name for text in (*modules.values(), alone.source) for name in imported(text)} - sys.stdlib_module_names
    assert "vlmcar_core" not in names
    distributions = metadata.packages_distributions()
    found = {distributions[name][0].lower().replace("_", "-") for name in names - {"studio"}}
    assert found <= {*code.ALWAYS, *(line.split()[0] for line in alone.packages)}


def imported(text: str) -> set[str]:
    """Top-level names of what a module imports, but from beside it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
    return found


def test_a_potential_asks_for_the_word_on_success(load: Any) -> None:
    reward, wrapper = load(doorkey(), "reward"), load(doorkey(), "wrapper")
    paying = reward.Reward(reward.Payment("potential"))
    with pytest.raises(ValueError, match="pass succeeded"):
        wrapper.CheckerReward(gym.make("CartPole-v1"), paying)


def test_the_same_session_gives_the_same_bundle_to_the_last_bit() -> None:
    one, other = (export.zipped(pipeline.export(doorkey())) for _ in range(2))
    assert one == other


def test_people_who_looked_are_named(tmp_path: Path) -> None:
    session = verified(tmp_path)
    session.add_mark(Mark("expert-000", 2, 3, "see-red", True, "Ada *", "so it is"))
    made = pipeline.export(session)
    assert json.loads(made.files["manifest.json"])["marks"] == {"Ada *": 1}
    assert "Ada \\* looked at recorded frames and marked 1 spans" in made.files["card.md"].decode()


def test_progress_goes_from_nothing_to_all_by_every_trajectory() -> None:
    told: list[tuple[int, int, str]] = []
    session = doorkey()
    pipeline.export(session, progress=lambda *step: told.append(step))
    shares = [done for done, _, _ in told]
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0, 100)
    assert {total for _, total, _ in told} == {100}
    words = {said for _, _, said in told}
    assert {f"answers about {info.id}" for info in session.trajectories().items} <= words
    assert "frames of expert-000" in words and "hashing random-000" in words

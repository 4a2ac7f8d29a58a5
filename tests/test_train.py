"""Training runs: what they write, that they learn, stop when told, and survive damaged files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import NEVER, picture, proposal
from vlmcar_core import files, jobs, pipeline, plugins, runs, seeds
from vlmcar_core.cli import cli
from vlmcar_core.errors import BadInput, Cancelled, DamagedFile, UnknownName
from vlmcar_core.runs import RunConfig
from vlmcar_core.store import Session
from vlmcar_core.train import EpisodeRecord, evaluate, train, watch
from vlmcar_core.training import Stretch, Training
from vlmcar_core.types import Task

TASK = Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8})
TINY: dict[str, Any] = {"n_envs": 4, "n_steps": 32, "batch_size": 64}
CHANGED = """
def check(initial, current):
    return bool((initial != current).any())
"""


def silent(_done: int, _total: int, _message: str) -> None:
    pass


def config(**fields: Any) -> RunConfig:
    return RunConfig(**{"reward": "sparse", "steps": 512, "evaluations": 2, "eval_episodes": 3, **fields})


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """An empty room, and a proposal whose first sub-task is done by any change and whose second never is."""
    made = Session.create(tmp_path, "room", TASK)
    made.set_initial(picture(0))
    made.add_proposal(proposal(("move", CHANGED), ("never", NEVER)))
    return made


class Guess(gym.Env[Any, Any]):
    """One step long: the action that the observation shows pays 1."""

    observation_space = gym.spaces.Box(0.0, 1.0, (4,), np.float32)
    action_space = gym.spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.right = int(self.np_random.integers(4))
        return np.eye(4, dtype=np.float32)[self.right], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.zeros(4, np.float32), float(action == self.right), True, False, {}


def paid(rewards: Any, _terminated: bool) -> bool:
    return bool(rewards[-1] > 0)


def learn(folder: Path, steps: int, **others: Any) -> tuple[list[dict[str, Any]], Any]:
    """The ended episodes and the policy at the end."""
    ppo = plugins.load("trainers", "ppo")
    records: list[dict[str, Any]] = []
    chosen = {**TINY, **others}

    def collect(stretch: Stretch) -> None:
        records.extend(stretch.records)

    ppo.learn(Training(lambda _view: EpisodeRecord(Guess(), paid), steps, 0, folder / runs.MODEL, chosen, collect))
    return records, ppo.load(folder / runs.MODEL)


# The trainer


def test_ppo_learns_to_copy_and_the_saved_policy_still_knows(tmp_path: Path) -> None:
    records, act = learn(tmp_path, 6_000)
    solved = [record["success"] for record in records]
    assert np.mean(solved[:128]) < 0.6 < 0.9 < np.mean(solved[-128:])
    shown = np.tile(np.eye(4, dtype=np.float32), (50, 1))
    assert np.mean(act(shown) == shown.argmax(1)) > 0.9


def test_the_same_seed_trains_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert learn(tmp_path / "a", 512)[0] == learn(tmp_path / "b", 512)[0]


@pytest.mark.parametrize("chosen", [{"n_envs": 0}, {"learning_rate": -1.0}, {"n_steps": 1.5}, {"gamma": True}])
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, chosen: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=next(iter(chosen))):
        learn(tmp_path, 128, **chosen)


def test_a_setting_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="n_envs"):
        learn(tmp_path, 128, n_env=2)


def test_a_policy_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    (tmp_path / runs.MODEL).write_bytes(b"PK no policy")
    with pytest.raises(DamagedFile, match=r"model\.zip"):
        plugins.load("trainers", "ppo").load(tmp_path / runs.MODEL)


# A run


def test_a_dense_run_writes_rows_evaluations_and_a_policy(session: Session) -> None:
    folder = session.new_run_folder()
    told: list[tuple[int, int]] = []
    wanted = config(reward="dense", proposal=0, steps=1024, settings=TINY)
    found = train(session, folder, wanted, lambda done, total, _: told.append((done, total)))
    rows = runs.read_progress(folder)
    assert [row["steps"] for row in rows] == list(range(128, 1025, 128))
    assert {(row["steps"], 1024) for row in rows} <= set(told)  # and more often where a stretch takes long
    assert told == sorted(told)
    assert set(rows[-1]) == {
        *("steps", "seconds", "steps_per_second", "episodes", "success_rate"),
        *("learned_return", "env_return", "episode_length", "completions", "paid", "losses", "faults"),
        *("asked", "remembered", "resumed"),
    }
    assert [row["steps"] for row in runs.read_evaluations(folder)] == [512, 1024]
    assert (folder / runs.MODEL).is_file() and not list(folder.glob(".draft*"))
    assert 0.5 < found["remembered"] < 1.0


def test_completions_and_learned_return_count_what_the_checkers_paid(session: Session) -> None:
    folder = session.new_run_folder()
    train(session, folder, config(reward="dense", proposal=0, steps=4096, evaluations=1, settings=TINY), silent)
    row = runs.read_progress(folder)[-1]
    assert row["episodes"] >= 20
    assert row["completions"] == {"move": 1.0, "never": 0.0}
    assert row["learned_return"] == pytest.approx(0.5)
    assert row["paid"] == {"move": pytest.approx(0.5), "never": 0.0}
    assert row["asked"] >= row["remembered"] > 0
    evaluated = runs.read_evaluations(folder)[-1]
    assert evaluated["learned"] == (0.5,) * 3 and len(evaluated["solved"]) == 3


def test_a_sparse_run_has_no_learned_return_and_asks_no_checker(session: Session) -> None:
    folder = session.new_run_folder()
    found = train(session, folder, config(steps=4096, evaluations=1, settings=TINY), silent)
    row = runs.read_progress(folder)[-1]
    assert row["learned_return"] is None and row["completions"] == {} and row["env_return"] is not None
    assert found["remembered"] is None


def test_a_cancelled_run_keeps_its_rows_and_its_policy(session: Session) -> None:
    folder = session.new_run_folder()

    def stop(done: int, _total: int, _message: str) -> None:
        if done > 256:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        train(session, folder, config(steps=20_000, settings=TINY), stop)
    assert [row["steps"] for row in runs.read_progress(folder)][:2] == [128, 256]
    assert len(runs.read_progress(folder)) <= 3
    assert plugins.load("trainers", "ppo").load(folder / runs.MODEL) is not None


def test_frames_alone_cannot_be_trained_on(make_session: Callable[..., Session]) -> None:
    alone = make_session()
    with pytest.raises(BadInput, match="no environment"):
        train(alone, alone.new_run_folder(), config(), silent)


def test_a_trained_policy_is_watched_on_new_layouts_each_time(session: Session) -> None:
    folder = session.new_run_folder()
    runs.write_config(folder, config())
    with pytest.raises(BadInput, match="no policy yet"):
        watch(session, 0, 1, silent)
    train(session, folder, config(steps=128, evaluations=1, settings=TINY), silent)
    first, second = watch(session, 0, 2, silent), watch(session, 0, 1, silent)
    seeds = [session.trajectory(id).seed for id in [*first, *second]]
    assert len(set(seeds)) == 3
    assert {session.trajectory(id).source for id in first} == {"policy"}


def test_an_evaluation_counts_the_environments_own_success() -> None:
    family = plugins.load("envs", "minigrid")
    reached = iter([2, 2, 1, 2, 2])  # the goal of the empty 5 x 5 room: forward twice, right, forward twice

    def walk(observations: Any, _starts: Any = None) -> Any:
        return np.full(len(observations), next(reached))

    def make() -> EpisodeRecord:
        return EpisodeRecord(family.policy_view(family.make(TASK)), family.succeeded)

    walked = evaluate([make() for _ in range(3)], walk)
    assert (walked.solved, walked.lengths, walked.learned) == ((True,) * 3, (5,) * 3, (0.0,) * 3)
    assert [actions.tolist() for actions in walked.actions] == [[2, 2, 1, 2, 2]] * 3
    assert walked.row(dense=False) | {"env_returns": ()} == {
        **{"episodes": 3, "successes": 3, "mean_length": 5.0},
        **{"solved": (True,) * 3, "lengths": (5,) * 3, "env_returns": (), "learned": ()},
    }
    spin = evaluate([make(), make()], lambda seen, _starts: np.zeros(len(seen), int))
    assert spin.solved == (False, False) and spin.env_returns == (0.0, 0.0)


# Its folder


@pytest.mark.parametrize(
    "fields",
    [
        {"reward": "wild"},
        {"reward": "dense", "proposal": None},
        {"reward": "dense", "proposal": "newest"},
        {"steps": 0},
        {"steps": 1.5},
        {"steps": "many"},
        {"steps": True},
        {"seed": -1},
        {"evaluations": 0},
        {"eval_episodes": 10_000},
        {"env_reward": "no"},
        {"trainer": 3},
        {"settings": [1]},
    ],
)
def test_a_config_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        config(**fields)


def test_a_config_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = config(reward="dense", proposal=3, env_reward=False, seed=7, settings={"gamma": 0.9})
    runs.write_config(tmp_path, written)
    assert runs.read_config(tmp_path) == written


@pytest.mark.parametrize("content", [{"reward": "sparse", "speed": 1}, {"reward": "sparse", "steps": "a"}, None])
def test_a_damaged_config_is_named_and_the_other_runs_are_listed(
    session: Session, content: dict[str, Any] | None
) -> None:
    for _ in range(2):
        folder = session.new_run_folder()
        runs.write_config(folder, config())
        with jobs.running(folder, "train-run"):
            pass
    damaged = session.run_folder(0) / runs.CONFIG
    damaged.unlink() if content is None else files.write_json(damaged, content)
    listing = runs.runs(session)
    assert [run.number for run in listing.items] == [1]
    assert len(listing.problems) == 1 and "run 000" in listing.problems[0] and runs.CONFIG in listing.problems[0]


ROWS = [{"steps": 10 * n, "episodes": 4, "successes": n, "mean_length": 3.5} for n in range(1, 4)]
LATER = {**ROWS[0], "steps": 100}


def told(folder: Path) -> list[dict[str, Any]]:
    """What evaluation.jsonl tells, without what is filled in."""
    return [{name: row[name] for name in ROWS[0]} for row in runs.read_evaluations(folder)]


@settings(deadline=None)
@given(cut=st.integers(0, 500))
def test_a_file_cut_anywhere_gives_its_whole_rows_and_takes_new_ones(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for row in ROWS:
        runs.append(folder, runs.EVALUATION, row)
    path = folder / runs.EVALUATION
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    lengths = np.cumsum([len(json.dumps(row)) + 1 for row in ROWS])
    whole = int(sum(length - 1 <= len(data) for length in lengths))  # a row is whole without its newline, too
    assert told(folder) == ROWS[:whole]
    runs.append(folder, runs.EVALUATION, LATER)
    assert told(folder) == [*ROWS[:whole], LATER]


@pytest.mark.parametrize(
    "line", ["", "null", "[1]", "{}", '{"steps": 1}', '{"successes": 1}', '{"steps": true, "episodes": 1}', "\x00\xff"]
)
def test_lines_that_are_no_rows_are_left_out(tmp_path: Path, line: str) -> None:
    for name, read in ((runs.PROGRESS, runs.read_progress), (runs.EVALUATION, runs.read_evaluations)):
        runs.append(tmp_path, name, ROWS[0])
        with (tmp_path / name).open("a") as file:
            file.write(line + "\n")
        runs.append(tmp_path, name, ROWS[1])
        assert [{name: row[name] for name in ROWS[0]} for row in read(tmp_path)] == ROWS[:2]
        assert runs.summary(read(tmp_path)).episodes == 4


def test_a_run_that_wrote_nothing_yet_has_nothing_to_show(tmp_path: Path) -> None:
    assert (runs.read_progress(tmp_path), runs.read_evaluations(tmp_path)) == ([], [])
    nothing = runs.summary([])
    assert (nothing.steps_to_learned, nothing.final_success) == (None, None)


def test_a_summary_has_the_first_evaluation_at_80_percent_and_the_last_rate() -> None:
    rates = [(100, 3), (200, 8), (300, 10), (400, 7)]
    found = runs.summary([{"steps": steps, "episodes": 10, "successes": wins} for steps, wins in rates])
    assert (found.steps_to_learned, found.final_success, found.episodes) == (200, 0.7, 10)
    never = runs.summary([{"steps": 100, "episodes": 10, "successes": 7}])
    assert (never.steps_to_learned, never.final_success) == (None, 0.7)


def test_options_that_make_no_sense_start_no_run(session: Session) -> None:
    with pytest.raises(BadInput):
        pipeline.start_training(session, ["sparse"], [0], steps=0)
    assert session.run_folders() == []


def test_what_a_run_pays_is_asked_of_it_and_told(session: Session) -> None:
    command = [
        "--root",
        str(session.folder.parent),
        "train",
        session.name,
        "--reward",
        "dense",
        "--seeds",
        "1",
        "--detach",
    ]

    def asked(*options: str) -> Result:
        return CliRunner().invoke(cli, [*command, *options])

    assert asked().exit_code == 0
    assert asked("--pay", "once", "--undo", "0.5", "--weight", "move=3").exit_code == 0
    first, second = (run.config for run in runs.runs(session).items)
    assert (first.pay, first.undo, first.weights) == ("once", 0.0, {})
    assert (second.pay, second.undo, second.weights) == ("once", 0.5, {"move": 3.0})
    assert seeds.describe(second) == "dense, proposal 0, weighted, undoing costs 0.5"
    assert seeds.experiment(first) != seeds.experiment(second)
    for told, *wrong in (
        ("'mvoe'", "--weight", "mvoe=3"),
        ("KEY=NUMBER", "--weight", "=3"),
        ("'move=much'", "--weight", "move=much"),
        ("'potential'", "--pay", "potential", "--undo", "1"),
    ):
        result = asked(*wrong)
        assert result.exit_code != 0 and told in f"{result.output}{result.exception}"
    assert len(session.run_folders()) == 2


def test_where_a_step_costs_1_the_rest_of_the_task_is_what_it_costs(tmp_path: Path) -> None:
    reach = pipeline.create_from_env(tmp_path, "reach", "PandaReach-v3")
    door = pipeline.create_from_env(tmp_path, "door", "MiniGrid-DoorKey-5x5-v0")
    assert (pipeline.default_pay(reach), pipeline.default_pay(reach, 10.0)) == ("remaining", "once")
    assert pipeline.default_pay(door) == "once"


def test_a_run_is_paid_as_it_asks(session: Session) -> None:
    returns = {}
    for pay in ("once", "level"):
        folder = session.new_run_folder()
        train(
            session,
            folder,
            config(reward="dense", proposal=0, steps=4096, evaluations=1, pay=pay, settings=TINY),
            silent,
        )
        returns[pay] = runs.read_progress(folder)[-1]["learned_return"]
    assert returns["level"] > 3 * returns["once"] > 0

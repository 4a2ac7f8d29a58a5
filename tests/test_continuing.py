"""Runs that go on, runs made from runs, runs beside each other; from Python and from a shell."""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.conftest import NEVER, picture, proposal, trajectory
from vlmcar_core import continuing, films, jobs, pipeline, runs
from vlmcar_core.cli import cli
from vlmcar_core.contrast import contrast
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.runs import Run, RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Task

TASK = Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8})
TINY: dict[str, Any] = {"n_envs": 4, "n_steps": 32, "batch_size": 64}
MOVED = "def check(initial, current):\n    return bool((initial != current).any())\n"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """An empty room with a proposal; its runs share their free cores with nobody else's."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    made = Session.create(tmp_path, "room", TASK)
    made.set_initial(picture(0))
    made.add_proposal(proposal(("move", MOVED), ("never", NEVER)))
    return made


def ended(session: Session, rates: tuple[float, ...] = (0.5,), **fields: Any) -> Run:
    """A run as if it had ended, with an evaluation each."""
    asked = {"proposal": 0, "steps": 4000, "eval_episodes": 10, "evaluations": 4, "settings": TINY, **fields}
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig(**asked))
    for number, rate in enumerate(rates, 1):
        row = {"steps": 1000 * number, "episodes": 10, "successes": round(10 * rate)}
        runs.append(folder, runs.EVALUATION, row)
        told = {"steps_per_second": 100.0 * number, "learned_return": rate, "success_rate": rate}
        runs.append(folder, runs.PROGRESS, {"steps": 1000 * number, "episodes": 50 * number, **told})
    with jobs.running(folder, "train-run"):
        pass
    return continuing.run(session, int(folder.name))


def wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def vlmcar(session: Session, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--root", str(session.folder.parent), *arguments])


# Going on


def test_a_run_without_a_checkpoint_and_one_that_is_done_cannot_go_on(session: Session) -> None:
    run = ended(session)
    with pytest.raises(BadInput, match="no checkpoint"):
        continuing.resume(session, run.number)
    runs.keep_checkpoint(run.folder, 4000, lambda path: path.write_bytes(b"all") and None)
    with pytest.raises(BadInput, match="made its 4,000 steps"):
        continuing.resume(session, run.number)
    assert jobs.read(run.folder).state == "success"


def test_a_run_that_does_not_exist_is_named(session: Session) -> None:
    with pytest.raises(UnknownName, match="run"):
        continuing.resume(session, 7)
    result = vlmcar(session, "resume", "room", "7")
    assert result.exit_code == 1 and isinstance(result.exception, UnknownName)


# Made from another


def test_a_clone_has_the_settings_of_its_run_but_for_what_is_changed(session: Session) -> None:
    run = ended(session, pay="edge", undo=0.0, settings={**TINY, "gamma": 0.9})
    changes = {"pay": "once", "steps": 256, "learning_rate": 0.01, "seed": 4}
    config = continuing.changed(run, changes)
    assert (config.pay, config.steps, config.seed, config.cloned_from) == ("once", 256, 4, run.number)
    assert config.settings == {**TINY, "gamma": 0.9, "learning_rate": 0.01}
    other = continuing.changed(run, {"trainer": "sac"})
    assert other.settings == {} and other.trainer == "sac"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"stepz": 5}, "'stepz'"),
        ({"steps": 0}, "number of steps"),
        ({"gamma": 7}, "gamma"),
        ({"trainer": "none"}, "'none'"),
        ({"trainer": "sac"}, "trainer for this environment"),
        ({"settings": {}}, "'settings'"),
        ({"cloned_from": 9}, "'cloned_from'"),
    ],
)
def test_changes_that_make_no_sense_start_no_run(session: Session, changes: dict[str, Any], told: str) -> None:
    run = ended(session)
    with pytest.raises((BadInput, UnknownName), match=told):
        continuing.clone(session, run.number, changes)
    assert len(session.run_folders()) == 1


def test_a_clone_is_trained(session: Session) -> None:
    run = ended(session)
    result = vlmcar(
        session, "clone-run", "room", "0", "--set", "steps=256", "--set", "evaluations=1", "--set", "pay=edge"
    )
    assert result.exit_code == 0, result.output
    folder = session.run_folder(1)
    wait_for(lambda: not jobs.read(folder).running)
    assert jobs.read(folder).state == "success", jobs.log(folder)
    assert (runs.read_config(folder).pay, runs.read_config(folder).cloned_from) == ("edge", run.number)
    assert [row["steps"] for row in runs.read_evaluations(folder)] == [256]
    assert "KEY" not in result.output and vlmcar(session, "clone-run", "room", "0", "--set", "steps").exit_code == 2


def test_a_clone_that_goes_on_needs_a_checkpoint_and_more_steps(session: Session) -> None:
    run = ended(session)
    with pytest.raises(BadInput, match="no checkpoint"):
        continuing.clone(session, run.number, {}, go_on=True)
    runs.keep_checkpoint(run.folder, 4000, lambda path: path.write_bytes(b"all") and None)
    with pytest.raises(BadInput, match="has 4,000 steps already"):
        continuing.clone(session, run.number, {}, go_on=True)
    assert len(session.run_folders()) == 1


# Beside each other


def test_runs_beside_each_other_tell_what_differs_and_by_how_much(session: Session) -> None:
    first, second = ended(session, (0.2, 0.8)), ended(session, (0.5, 0.9, 1.0), pay="progress", seed=3)
    found = contrast([first, second])
    assert dict(found.settings) == {"pay": ("once", "progress"), "seed": ("0", "3")}
    outcomes = {outcome.name: outcome for outcome in found.outcomes}
    assert outcomes["final success"].values == (80.0, 100.0) and outcomes["final success"].deltas == (None, 20.0)
    assert (
        outcomes["steps to 80 %"].words(0) == "2,000 steps" and outcomes["steps to 80 %"].words(1) == "2,000 steps (+0)"
    )
    other = contrast([first, second], baseline=1)
    assert {outcome.name: outcome for outcome in other.outcomes}["final success"].words(0) == "80 % (−20)"
    untold = contrast([first, ended(session, ())])
    assert all(outcome.words(1) == "-" for outcome in untold.outcomes)


def test_runs_are_compared_in_a_shell(session: Session) -> None:
    ended(session, (0.2,))
    ended(session, (0.9,), settings={**TINY, "gamma": 0.9})
    text = vlmcar(session, "compare-runs", "room", "0", "1", "--baseline", "1").output
    assert "settings: gamma" in text and "20 % (−70)" in text and "against run 1" in text


def test_seeds_are_taken_together_in_the_list_of_runs(session: Session) -> None:
    for seed in range(3):
        ended(session, (0.9,), seed=seed)
        ended(session, (0.1,), seed=seed, reward="sparse", proposal=None)
    text = vlmcar(session, "runs", "room").output
    assert "dense, proposal 0  3" in text and "1,000 (1,000 to 1,000)" in text and "1.00 (1.00 to 1.00)" in text


# Paid for nothing


def kept(session: Session) -> Run:
    """A run that has kept two episodes that were paid and not solved, and raises the alarm."""
    run = ended(session, (), pay="edge")
    for number in range(1, 9):
        told = {
            "solved": [False] * 10,
            "lengths": [9] * 10,
            "learned": [float(number * (1 + place)) for place in range(10)],
        }
        runs.append(run.folder, runs.EVALUATION, {"steps": 500 * number, "episodes": 10, "successes": 0, **told})
    for seed in (1_000_000, 1_000_004):
        episode = trajectory([0, 1, 0, 1], "adversarial", success=False, seed=seed)
        films.keep_hack(run.folder, episode, 500, 3.0)
    return run


def test_episodes_that_a_run_was_paid_for_and_did_not_solve_become_standing_negatives(session: Session) -> None:
    run = kept(session)
    ids = continuing.keep_hacks(session, run.number)
    assert ids == ["adversarial-000", "adversarial-001"]
    assert continuing.keep_hacks(session, run.number) == ids, "the same ones are not added again"
    (first, _) = (session.trajectory(id) for id in ids)
    assert (first.source, first.success, first.seed) == ("adversarial", False, 1_000_000)
    assert first.versions["search"] == "run 000" and "paid 3.00" in first.versions["reason"]
    verification = pipeline.verify(session)
    assert set(ids) <= set(verification.trajectories)


def test_the_alarm_and_what_was_kept_are_told_in_a_shell(session: Session) -> None:
    kept(session)
    assert "hack alarm, run 0: the learned return went from" in vlmcar(session, "runs", "room").output
    result = vlmcar(session, "keep-hacks", "room", "0")
    assert result.exit_code == 0 and "adversarial-000 adversarial-001" in result.output
    ended(session)
    assert "has kept none" in vlmcar(session, "keep-hacks", "room", "1").output


def test_a_damaged_episode_is_passed_over_and_the_others_are_kept(session: Session) -> None:
    run = kept(session)
    (run.folder / films.HACKS / "000000999-5.zip").write_bytes(b"no zip")
    assert len(continuing.keep_hacks(session, run.number)) == 2


# For other tools


def test_a_run_is_exported_as_tables_and_for_tensorboard(session: Session, tmp_path: Path) -> None:
    ended(session, (0.2, 0.8))
    to = tmp_path / "out" / "run"
    result = vlmcar(session, "export-run", "room", "0", "--to", str(to))
    assert result.exit_code == 0 and result.output.split() == [
        "config.json",
        "evaluation.csv",
        "progress.csv",
        "tensorboard",
    ]
    assert [row["successes"] for row in csv.DictReader((to / "evaluation.csv").open())] == ["2", "8"]
    assert json.loads((to / "config.json").read_text())["steps"] == 4000
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(to / "tensorboard"))
    found.Reload()
    assert [event.value for event in found.Scalars("evaluation/success_rate")] == pytest.approx([0.2, 0.8])


def test_an_export_to_where_nothing_can_be_written_says_so(session: Session, tmp_path: Path) -> None:
    ended(session)
    (tmp_path / "file").write_text("mine")
    result = vlmcar(session, "export-run", "room", "0", "--to", str(tmp_path / "file"))
    assert isinstance(result.exception, BadInput) and (tmp_path / "file").read_text() == "mine"


def test_help_names_every_command() -> None:
    for command in ("resume", "clone-run", "compare-runs", "keep-hacks", "export-run"):
        assert CliRunner().invoke(cli, [command, "--help"]).exit_code == 0

"""Sweeps: what a grid is, what is started of it, once and again, and what its cells came to."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import picture, proposal
from vlmcar_core import files, jobs, queue, runs, sweeps, work
from vlmcar_core.errors import BadInput, UnknownName, VlmcarError
from vlmcar_core.store import Session
from vlmcar_core.sweeps import Cell, Outcome, Plan
from vlmcar_core.types import Task

MOVED = """
def check(initial, current):
    return bool((initial != current).any())
"""
TINY = {"n_envs": (2,), "n_steps": (32,), "batch_size": (64,), "evaluations": (1,), "eval_episodes": (1,)}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("VLMCAR_CORES", "2")
    made = room(tmp_path, "room")
    yield made
    for entry in reversed(queue.entries()):
        jobs.cancel(Path(entry.folder), grace_seconds=1.0)
    wait_for(lambda: not queue.entries())


def room(root: Path, name: str) -> Session:
    made = Session.create(root, name, Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8}))
    made.set_initial(picture(0))
    made.add_proposal(proposal(("move", MOVED)))
    return made


def wait_for(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def states(session: Session) -> list[str]:
    return [sweeps.state(folder) for folder in session.run_folders()]


def test_a_grid_is_read_from_names_and_values() -> None:
    assert sweeps.parse(["gamma=0.95, 0.99", "pay=once,potential", "env_reward=true,false", "steps=1000"]) == {
        "gamma": (0.95, 0.99),
        "pay": ("once", "potential"),
        "env_reward": (True, False),
        "steps": (1000,),
    }


@pytest.mark.parametrize("wrong", [["gamma"], ["=1"], ["gamma="], ["gamma=1,,2"], ["gamma=1", "gamma=2"]])
def test_what_is_no_grid_is_refused(wrong: list[str]) -> None:
    with pytest.raises(BadInput):
        sweeps.parse(wrong)


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"no_such": (1,)}, "no setting 'no_such'"),
        ({"gamma": (2.0,)}, "gamma"),
        ({"pay": ("twice",)}, "no way to pay 'twice'"),
        ({"reward": ("rich",)}, "a reward is one of"),
        ({"seed": (1, 2)}, "cannot be swept over"),
        ({"settings": (1,)}, "cannot be swept over"),
        ({"../x": (1,)}, "cannot be swept over"),
        ({"pay": ("once \x1b[31m",)}, "is a number, true, false, or a word"),
        ({"gamma": (0.9, 0.9)}, "each of them once"),
        ({"trainer": ("sac",)}, "no trainer 'sac' for this environment"),
        ({"steps": tuple(range(1, 100)), "scale": tuple(range(1, 100))}, "too many"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_anything_is_made(
    session: Session, grid: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        sweeps.start(session, sweeps.plan([session], grid, 3))
    assert not session.run_folders() and not sweeps.sweeps(session).items


def test_settings_of_checkers_make_no_cells_of_a_sparse_run(session: Session) -> None:
    grid = {"reward": ("dense", "sparse"), "pay": ("once", "potential"), "gamma": (0.9, 0.99)}
    plan = sweeps.plan([session], {**grid, "scale": (2.0,)}, 1)
    labels = [sweeps.label(plan, cell) for cell in sweeps.cells(plan)]
    assert len(labels) == 6 and "reward=sparse, gamma=0.9" in labels


def test_a_sweep_runs_every_cell_with_every_seed_and_tells_what_it_came_to(session: Session) -> None:
    grid = {**TINY, "reward": ("dense", "sparse"), "gamma": (0.9,)}
    _kept, started = sweeps.start(session, sweeps.plan([session], grid, 2, steps=128))
    configs = [runs.read_config(job.folder) for job in started]
    found = [(config.reward, config.settings["gamma"], config.seed) for config in configs]
    assert found == [("dense", 0.9, 0), ("dense", 0.9, 1), ("sparse", 0.9, 0), ("sparse", 0.9, 1)]
    assert all(config.proposal == 0 for config in configs if config.reward == "dense")
    wait_for(lambda: set(states(session)) == {"success"})
    outcomes = sweeps.outcomes(session, sweeps.sweep(session))
    assert [one.states for one in outcomes] == [{"success": 2}] * 2
    for one in outcomes:
        assert len(one.final) == 2 and one.iqm is not None and 0.0 <= one.iqm <= 1.0
    manifest = json.loads((session.folder / "sweeps" / "000.json").read_text())
    assert manifest["plan"]["grid"]["gamma"] == [0.9] and len(manifest["members"]) == 4


def test_asked_for_again_only_what_is_missing_is_started(session: Session) -> None:
    plan = sweeps.plan([session], {**TINY, "reward": ("sparse",)}, 3, steps=128)
    kept, _ = sweeps.start(session, plan)
    jobs.cancel(session.run_folder(2))
    wait_for(lambda: not any(state in ("waiting", "started") for state in states(session)))
    assert states(session)[:2] == ["success", "success"] and states(session)[2] in ("cancelled", "success")
    files.write_json(
        session.run_folder(1) / jobs.STATUS,
        {**files.read_json(session.run_folder(1) / jobs.STATUS), "state": "error"},
    )
    before = states(session).count("success")
    again, started = sweeps.start(session, sweeps.plan([session], {**TINY, "reward": ("sparse",)}, 3, steps=128))
    assert again.number == kept.number and len(started) == 3 - before
    assert {job.folder.name for job in started} >= {"001"} and len(session.run_folders()) == 3
    wait_for(lambda: states(session) == ["success"] * 3)
    assert [len(runs.read_evaluations(folder)) for folder in session.run_folders()] == [1, 1, 1], (
        "no row is there twice"
    )
    assert sweeps.go_on(session, kept.number)[1] == []


def test_a_sweep_that_is_killed_while_it_starts_is_completed_and_nothing_runs_twice(session: Session) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom vlmcar_core import pipeline, sweeps\n"
        "from vlmcar_core.store import Session\n"
        "session, seen, real = Session(Path(sys.argv[1])), [], pipeline.start_run\n"
        "def start(place, folder, launcher, address):\n"
        "    seen.append(folder)\n"
        "    if len(seen) == 3:\n        os.kill(os.getpid(), 9)\n"
        "    return real(place, folder, launcher, address)\n"
        "pipeline.start_run = start\n"
        f"grid = { ({**TINY, 'reward': ('sparse',)})!r}\n"
        "sweeps.start(session, sweeps.plan([session], grid, 4, steps=128))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(session.folder)], check=False)
    assert done.returncode == -9 and len(session.run_folders()) == 3
    assert states(session)[2] == "missing"
    kept, started = sweeps.start(session, sweeps.plan([session], {**TINY, "reward": ("sparse",)}, 4, steps=128))
    assert [job.folder.name for job in started][-2:] == ["002", "003"]
    wait_for(lambda: states(session) == ["success"] * 4)
    assert len(kept.members) == 4


def test_a_sweep_over_two_sessions_keeps_its_runs_in_each(session: Session, tmp_path: Path) -> None:
    other = room(tmp_path, "other")
    kept, started = sweeps.start(session, sweeps.plan([session, other], {**TINY, "reward": ("sparse",)}, 1, steps=64))
    assert [job.folder.parent.parent.name for job in started] == ["room", "other"]
    wait_for(lambda: states(session) + states(other) == ["success"] * 2)
    assert [one.cell.session for one in sweeps.outcomes(session, kept)] == ["room", "other"]


def test_iqm_and_median_steps_of_seeds() -> None:
    cell = Cell("room", {})
    four = Outcome(cell, {"success": 4}, (0.0, 0.5, 1.0, 1.0), (None, 900, 100, 300))
    assert four.iqm == pytest.approx(0.75) and four.median == 0.75 and four.median_steps == 600
    assert Outcome(cell, {}, (0.0, 0.3), (None, None)).median_steps is None
    assert Outcome(cell, {}, (0.1, 0.2, 0.6), (1, None, None)).iqm == pytest.approx(0.3)
    assert Outcome(cell, {}).iqm is None and Outcome(cell, {}).median_steps is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value["plan"].update(sessions=["../room"]),
        lambda value: value["plan"].update(seeds=10**9),
        lambda value: value["plan"].update(grid={"x" * 100: [1]}),
        lambda value: value["plan"].update(grid={"gamma": [[1]]}),
        lambda value: value.update(members=[{"cell": 0, "seed": 0, "run": 2**62}]),
        lambda value: value.update(launcher="ray"),
    ],
)
def test_a_strangers_sweep_is_named_and_not_taken(session: Session, spoil: Callable[[Any], None]) -> None:
    path = session.folder / "sweeps" / "000.json"
    sweeps.add(session, Plan(("room",), {"reward": ("sparse",)}, 1, 64, (0,)))
    value = json.loads(path.read_text())
    spoil(value)
    path.write_text(json.dumps(value))
    listing = sweeps.sweeps(session)
    assert not listing.items and "sweeps/000.json" in listing.problems[0]
    with pytest.raises(UnknownName):
        sweeps.go_on(session, 0)


def test_a_link_in_place_of_the_folder_is_not_entered(session: Session, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (session.folder / "sweeps").symlink_to(tmp_path / "outside")
    assert sweeps.sweeps(session).problems
    with pytest.raises(VlmcarError):
        sweeps.start(session, sweeps.plan([session], {"reward": ("sparse",)}, 1, 64))
    assert not list((tmp_path / "outside").iterdir()) and not session.run_folders()


def test_what_is_under_way_is_listed_over_all_sessions_with_what_it_uses(session: Session, tmp_path: Path) -> None:
    other = room(tmp_path, "other")
    away = room(tmp_path / "away", "far")
    grid = {**TINY, "reward": ("sparse",)}
    for place in (session, other, away):
        sweeps.start(place, sweeps.plan([place], grid, 1, steps=3_000_000))
    folders = [place.run_folder(0) for place in (session, other, away)]
    wait_for(lambda: all((folder / jobs.STATUS).exists() for folder in folders[:2]))
    found = work.under_way(tmp_path).items
    assert [(one.session, one.label, one.place, one.elsewhere) for one in found] == [
        ("room", "runs/000", 0, False),
        ("other", "runs/000", 0, False),
        ("far", "runs/000", 1, True),
    ]
    used = work.usage(folders[0])
    assert used is not None and used.memory_bytes > 20 * 2**20 and math.isfinite(used.cores)
    assert work.usage(folders[2]) is None
    for folder in (folders[2], *folders[:2]):
        jobs.cancel(folder, grace_seconds=1.0)
    wait_for(lambda: not work.under_way(tmp_path).items)


def vlmcar(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vlmcar_core", "--root", str(root), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "120"},
        check=False,
    )


def test_a_sweep_from_a_shell(session: Session, tmp_path: Path) -> None:
    tiny = [word for name, values in TINY.items() for word in ("--grid", f"{name}={values[0]}")]
    asked = ("sweep", "room", "--grid", "reward=sparse", "--grid", "gamma=0.9,0.99", "--seeds", "1", "--steps", "64")
    done = vlmcar(tmp_path, *asked, *tiny)
    assert done.returncode == 0 and "sweep 0: 2 of 2 runs started" in done.stdout, done.stderr
    wait_for(lambda: states(session) == ["success", "success"])
    shown = vlmcar(tmp_path, "sweep-status", "room").stdout
    assert "gamma=0.99" in shown and shown.count("1 success") == 2 and "missing" not in shown
    assert "0 of 2 runs started" in vlmcar(tmp_path, *asked, *tiny).stdout
    assert "0 of 2 runs started" in vlmcar(tmp_path, "sweep", "room", "--again", "0").stdout
    done = vlmcar(
        tmp_path, "sweep", "room", "--env", "MiniGrid-Empty-6x6-v0", *asked[2:4], "--seeds", "1", *asked[8:], *tiny
    )
    assert "sweep 1: 2 of 2 runs started" in done.stdout, done.stderr
    other = Session(tmp_path / "room-minigrid-empty-6x6-v0")
    assert other.task.env_id == "MiniGrid-Empty-6x6-v0" and other.proposal().number == 0
    wait_for(lambda: states(other) == ["success"] and not queue.entries())
    assert "room-minigrid-empty-6x6-v0: all seeds" in vlmcar(tmp_path, "sweep-status", "room").stdout
    assert "nothing runs and nothing waits" in vlmcar(tmp_path, "queue").stdout
    assert "does not wait" in vlmcar(tmp_path, "move-up", "room", "0").stderr

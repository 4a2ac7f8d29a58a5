"""What a run writes down: rows, evaluations, checkpoints, videos, episodes paid for nothing, files for other tools."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import NEVER, picture, proposal
from vlmcar_core import boards, films, recordings, rows, runs
from vlmcar_core.errors import DamagedFile
from vlmcar_core.logbook import HELD_OUT_SEED, Evaluation, Logbook
from vlmcar_core.reward import Judge
from vlmcar_core.runs import RunConfig
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.store import Session
from vlmcar_core.train import train
from vlmcar_core.training import Stretch
from vlmcar_core.types import Checker, Task

TASK = Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8})
TINY: dict[str, Any] = {"n_envs": 4, "n_steps": 32, "batch_size": 64}
WALK, SPIN = np.array([2, 2, 1, 2, 2]), np.array([0] * 6)
"""To the goal of the room, and on the spot."""


def silent(_done: int, _total: int, _message: str) -> None:
    pass


def config(**fields: Any) -> RunConfig:
    return RunConfig(**{"proposal": 0, "steps": 400, "evaluations": 4, "eval_episodes": 2, **fields})


def evaluation(learned: tuple[float, float] = (0.5, 0.4), solved: tuple[bool, bool] = (True, False)) -> Evaluation:
    return Evaluation(solved, (5, 6), (0.9, 0.0), learned, (WALK, SPIN))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "003"
    made.mkdir()
    return made


@pytest.fixture
def judge() -> Any:
    made = Judge(CheckerProcess([Checker("a", NEVER)]))
    yield made
    made.close()


def record(success: bool, learned: float, **components: float) -> dict[str, Any]:
    told = {"success": success, "env_return": float(success), "learned_return": learned, "length": 9}
    return {**told, "paid": list(components), "components": components}


def stretch(steps: int, records: Sequence[dict[str, Any]] = (), **fields: Any) -> Stretch:
    return Stretch(steps, list(records), lambda seen: seen, lambda: None, **fields)


def book(folder: Path, judge: Judge, found: Evaluation | None = None, **fields: Any) -> Logbook:
    told = found or evaluation()
    return Logbook(folder, config(**fields), TASK, ["a"], judge, lambda _act, _tick: told, silent)


# Rows


def test_a_row_tells_what_was_paid_for_what_and_what_the_learner_measured(folder: Path, judge: Judge) -> None:
    records = [record(True, 1.0, a=0.75)] * 15 + [record(False, 0.0)] * 15
    book(folder, judge).after_stretch(stretch(50, records, losses={"loss": 0.5, "entropy_loss": float("nan")}))
    (row,) = runs.read_progress(folder)
    assert (row["success_rate"], row["learned_return"], row["episode_length"]) == (0.5, 0.5, 9.0)
    assert (row["completions"], row["paid"], row["losses"]) == ({"a": 0.5}, {"a": 0.375}, {"loss": 0.5})
    assert row["steps_per_second"] > 0 and row["resumed"] is None


def test_episodes_that_do_not_tell_what_was_paid_for_what_are_not_counted_as_nothing(
    folder: Path, judge: Judge
) -> None:
    untold = {name: value for name, value in record(True, 1.0, a=1.0).items() if name != "components"}
    book(folder, judge).after_stretch(stretch(50, [untold] * 30))
    assert runs.read_progress(folder)[0]["paid"] == {}


def test_questions_are_counted_for_each_stretch(folder: Path, judge: Judge) -> None:
    log = book(folder, judge)
    frame = picture(3)
    for steps, times in ((50, 3), (60, 5)):
        for _ in range(times):
            judge.ask(Checker("a", NEVER), frame, b"first", frame, b"frame")
        log.after_stretch(stretch(steps))
    assert [(row["asked"], row["remembered"]) for row in runs.read_progress(folder)] == [(3, 2), (5, 5)]


def test_a_row_of_fewer_or_as_many_steps_takes_the_place_of_those_that_were_lost(tmp_path: Path) -> None:
    for steps in (10, 20, 30, 40, 30, 40, 50):
        runs.append(tmp_path, runs.PROGRESS, {"steps": steps, "episodes": steps})
    assert [row["steps"] for row in runs.read_progress(tmp_path)] == [10, 20, 30, 40, 50]


def test_a_file_that_grows_is_read_on_and_one_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / runs.PROGRESS
    runs.append(tmp_path, runs.PROGRESS, {"steps": 1, "episodes": 0})
    first = runs.read_progress(tmp_path)
    with path.open("a") as file:
        file.write('{"steps": 2, "epis')
    assert runs.read_progress(tmp_path) == first
    with path.open("a") as file:
        file.write('odes": 7}\n')
    assert [row["episodes"] for row in runs.read_progress(tmp_path)] == [0, 7]
    path.write_text('{"steps": 3, "episodes": 1}\n{"steps": 4, "episodes": 1}\n{"steps": 5, "episodes": 1}\n')
    assert [row["steps"] for row in runs.read_progress(tmp_path)] == [3, 4, 5]
    path.write_text("")
    assert runs.read_progress(tmp_path) == []
    path.unlink()
    assert runs.read_progress(tmp_path) == []


def test_rows_of_earlier_versions_are_read(tmp_path: Path) -> None:
    runs.append(tmp_path, runs.EVALUATION, {"steps": 5, "episodes": 4, "successes": 1, "mean_length": 3.0})
    (row,) = runs.read_evaluations(tmp_path)
    assert (row["solved"], row["learned"], row["lengths"]) == ((), (), ())


@pytest.mark.parametrize(
    "more",
    [
        {"solved": [True]},
        {"learned": ["1", "2"]},
        {"learned": [1e999, 0]},
        {"lengths": [1.5, 2]},
        {"solved": [1, 0]},
    ],
)
def test_an_evaluation_whose_episodes_cannot_be_is_left_out(tmp_path: Path, more: dict[str, Any]) -> None:
    row = {"steps": 5, "episodes": 2, "successes": 1, **more}
    (tmp_path / runs.EVALUATION).write_text(json.dumps(row) + "\n")
    assert runs.read_evaluations(tmp_path) == []


def test_a_link_in_place_of_rows_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"steps": 5, "episodes": 2}\n')
    (tmp_path / runs.PROGRESS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedFile, match="is a link"):
        rows.read(tmp_path / runs.PROGRESS, rows.Progressed)


# Checkpoints


def test_a_checkpoint_is_kept_with_each_evaluation_in_place_of_the_one_before(folder: Path, judge: Judge) -> None:
    log = book(folder, judge)
    for steps in (50, 100, 150, 200):
        log.after_stretch(stretch(steps, checkpoint=lambda path, steps=steps: path.write_bytes(b"%d" % steps)))
    there = runs.checkpoint(folder)
    assert there is not None and there[1] == 200 and there[0].read_bytes() == b"200"
    assert [path.name for path in folder.glob("*checkpoint*")] == ["checkpoint-000000200.zip"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(folder: Path) -> None:
    runs.keep_checkpoint(folder, 100, lambda path: path.write_bytes(b"whole") and None)

    def fail(path: Path) -> None:
        path.write_bytes(b"ha")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        runs.keep_checkpoint(folder, 200, fail)
    there = runs.checkpoint(folder)
    assert there is not None and there[1] == 100 and list(folder.glob(".*")) == []


def test_a_run_that_goes_on_says_from_where_and_counts_on(folder: Path, judge: Judge) -> None:
    log = book(folder, judge)
    log.after_stretch(stretch(50, [record(True, 1.0)] * 5))
    log.after_stretch(
        stretch(100, [record(True, 1.0)] * 5, checkpoint=lambda path: path.write_bytes(b"at 100") and None)
    )
    log.after_stretch(stretch(150, [record(True, 1.0)] * 5))
    seconds = runs.read_progress(folder)[1]["seconds"]
    again = book(folder, judge)
    again.after_stretch(stretch(140, [record(True, 1.0)] * 2))
    again.after_stretch(stretch(190, [record(True, 1.0)] * 2))
    again.after_stretch(stretch(240))
    found = runs.read_progress(folder)
    assert [row["steps"] for row in found] == [50, 100, 140, 190, 240]
    assert [row["episodes"] for row in found] == [5, 10, 12, 14, 14]
    assert [row["resumed"] for row in found] == [None, None, 100, None, None]
    assert found[2]["seconds"] > seconds
    assert [row["steps"] for row in runs.read_evaluations(folder)] == [100, 240]


# Episodes that are kept


def test_videos_are_kept_at_the_first_and_every_so_many_th_evaluation(folder: Path, judge: Judge) -> None:
    log = book(folder, judge, steps=600, evaluations=6, video_every=3)
    for steps in range(50, 650, 50):
        log.after_stretch(stretch(steps))
    listing = films.kept(folder, films.VIDEOS)
    assert [info.id for info in listing.items] == ["000000100", "000000300", "000000600"] and not listing.problems
    shown = films.read(folder, films.VIDEOS, "000000300")
    assert (shown.seed, shown.success, shown.source) == (HELD_OUT_SEED, True, "policy")
    assert shown.actions.tolist() == WALK.tolist()
    assert (shown.versions["run"], shown.versions[films.STEPS]) == ("003", "300")


def test_no_videos_are_kept_where_none_are_asked_for(folder: Path, judge: Judge) -> None:
    book(folder, judge, video_every=0).after_stretch(stretch(400))
    assert films.kept(folder, films.VIDEOS).items == ()


def test_episodes_that_are_paid_in_full_and_not_solved_are_kept_the_worst_of_them(folder: Path, judge: Judge) -> None:
    for number, paid in enumerate((3.0, 9.0, 1.0, 7.0, 5.0, 4.0, 8.0, 0.2), 1):
        log = book(folder, judge, evaluation((1.0, paid)), steps=100 * number, evaluations=1)
        log.after_stretch(stretch(100 * number))
    listing = films.kept(folder, films.HACKS)
    assert sorted(films.paid(info) for info in listing.items) == [4.0, 5.0, 7.0, 8.0, 9.0]
    worst = films.read(folder, films.HACKS, f"000000200-{HELD_OUT_SEED + 1}")
    assert (worst.source, worst.success, worst.actions.tolist()) == ("adversarial", False, SPIN.tolist())


def test_a_strangers_file_among_the_videos_is_named_and_a_link_is_not_followed(folder: Path, judge: Judge) -> None:
    book(folder, judge).after_stretch(stretch(100))
    (folder / films.VIDEOS / "000000999.zip").write_bytes(b"no zip")
    (folder / films.VIDEOS / "notes.txt").write_text("mine")
    listing = films.kept(folder, films.VIDEOS)
    assert len(listing.items) == 1 and len(listing.problems) == 1 and "000000999.zip" in listing.problems[0]
    (folder / films.HACKS).symlink_to(folder / films.VIDEOS)
    assert "is a link" in films.kept(folder, films.HACKS).problems[0]
    for id in ("../000000100", "x", ""):
        with pytest.raises(DamagedFile):
            films.read(folder, films.VIDEOS, id)
    with pytest.raises(DamagedFile, match="any more"):
        films.read(folder, films.VIDEOS, "000000001")


def test_a_gif_shows_the_frames_and_a_box_for_each_sub_task(folder: Path) -> None:
    frames = np.stack([picture(pixels) for pixels in (0, 40, 160)])
    with Image.open(io.BytesIO(films.gif(frames, [0, 1, 2], 2))) as shown:
        assert shown.n_frames == 3 and shown.size == (256, 256 + films.BAR_PIXELS)
        boxes = []
        for number in range(3):
            shown.seek(number)
            pixels = np.asarray(shown.convert("RGB"))
            boxes.append([tuple(pixels[256 + 6, x]) == films.DONE for x in (20, 200)])
    assert boxes == [[False, False], [True, False], [True, True]]


# In a real run


def test_a_run_keeps_videos_and_episodes_paid_for_nothing_that_play_again_the_same(tmp_path: Path) -> None:
    session = Session.create(tmp_path, "room", TASK)
    session.set_initial(picture(0))
    session.add_proposal(
        proposal(("move", "def check(initial, current):\n    return bool((initial != current).any())\n"))
    )
    folder = session.new_run_folder()
    asked = config(steps=512, evaluations=2, eval_episodes=8, settings=TINY, video_every=1)
    runs.write_config(folder, asked)
    train(session, folder, asked, silent)
    evaluations = runs.read_evaluations(folder)
    videos = films.kept(folder, films.VIDEOS).items
    assert [int(info.id) for info in videos] == [row["steps"] for row in evaluations] == [256, 512]
    for info, row in zip(videos, evaluations, strict=True):
        assert (info.steps, info.success) == (row["lengths"][0], row["solved"][0])
    unsolved = [
        paid for row in evaluations for paid, solved in zip(row["learned"], row["solved"], strict=True) if not solved
    ]
    worst = films.kept(folder, films.HACKS).items
    assert len(worst) == min(films.HACKS_MAX, len(unsolved)) > 0
    for info in worst:
        again = recordings.read(folder / films.HACKS / f"{info.id}.zip")
        steps, seed = (int(part) for part in info.id.split("-"))
        row = next(row for row in evaluations if row["steps"] == steps)
        place = seed - HELD_OUT_SEED
        assert (again.steps, again.success) == (row["lengths"][place], False)
        assert again.rewards.sum() == pytest.approx(row["env_returns"][place])


# For other tools


def test_tensorboard_reads_what_a_run_told(folder: Path, judge: Judge) -> None:
    log = book(folder, judge)
    for steps in (50, 100, 150, 200):
        log.after_stretch(stretch(steps, [record(True, 0.5, a=0.5)] * 20, losses={"entropy_loss": -steps / 100}))
    log.close()
    told = accumulated(folder / boards.FOLDER)
    assert told("losses/entropy_loss") == [(50, -0.5), (100, -1.0), (150, -1.5), (200, -2.0)]
    assert told("checkers/paid/a") == [(steps, 0.5) for steps in (50, 100, 150, 200)]
    assert told("evaluation/success_rate") == [(100, 0.5), (200, 0.5)]


def test_tensorboard_forgets_what_was_lost_before_a_resume(folder: Path, judge: Judge) -> None:
    log = book(folder, judge)
    kept: Callable[[Path], None] = lambda path: path.write_bytes(b"") and None  # noqa: E731
    for steps in (50, 100, 150):
        log.after_stretch(stretch(steps, losses={"loss": 1.0}, checkpoint=kept))
    log.close()
    again = book(folder, judge)
    again.after_stretch(stretch(140, losses={"loss": 2.0}))
    again.close()
    assert accumulated(folder / boards.FOLDER)("losses/loss") == [(50, 1.0), (100, 1.0), (140, 2.0)]


def accumulated(folder: Path) -> Callable[[str], list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return lambda tag: [(event.step, pytest.approx(event.value)) for event in found.Scalars(tag)]


def test_the_name_of_the_machine_is_in_no_file_for_tensorboard(folder: Path, judge: Judge) -> None:
    import platform

    book(folder, judge).after_stretch(stretch(50))
    (path,) = (folder / boards.FOLDER).iterdir()
    assert platform.node() not in path.name and platform.node().encode() not in path.read_bytes()


def test_a_run_leaves_tables_with_a_column_for_each_value(folder: Path, judge: Judge) -> None:
    log = book(folder, judge)
    for steps in (50, 100):
        log.after_stretch(stretch(steps, [record(True, 0.5, a=0.5)] * 20))
    log.close()
    progress = list(csv.DictReader((folder / "progress.csv").open()))
    assert [(row["steps"], row["paid/a"], row["success_rate"]) for row in progress] == [
        ("50", "0.5", "1.0"),
        ("100", "0.5", "1.0"),
    ]
    (evaluated,) = csv.DictReader((folder / "evaluation.csv").open())
    assert (evaluated["steps"], evaluated["successes"]) == ("100", "1") and "solved" not in evaluated


def test_a_strangers_words_are_no_formula_in_a_spreadsheet() -> None:
    text = boards.table([{"steps": -5, "faults": {"=1+1": "@SUM(A1)", "+x": "a\r\n=b"}}])
    ((first, *_), (second, *_)) = csv.reader(io.StringIO(text))
    rows_found = list(csv.DictReader(io.StringIO(text)))
    assert (first, second) == ("steps", "-5")
    assert rows_found[0]["faults/=1+1"] == "'@SUM(A1)" and rows_found[0]["faults/+x"] == "a =b"

"""The report as one file, and the figures."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import NEVER, RED_AT_LEAST, proposal, trajectory
from tests.studio_sessions import framed, verified
from vlmcar_core import jobs, pipeline, report, runs
from vlmcar_core.errors import BadInput
from vlmcar_core.examinations import Coverage, Examination, Examined, Mutation
from vlmcar_core.marks import Mark
from vlmcar_core.runs import RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Count, Recording


def trained(root: Path) -> Session:
    """A session with a dense and a sparse run of two seeds each, as if they had ended."""
    session = pipeline.create_from_env(root, "red", "MiniGrid-Empty-5x5-v0", recording=Recording(2, 30, 3))
    pipeline.record(session)
    pipeline.propose(session)
    pipeline.verify(session)
    for seed in (0, 1):
        for reward in ("dense", "sparse"):
            folder = session.new_run_folder()
            runs.write_config(folder, RunConfig(reward=reward, proposal=0 if reward == "dense" else None, seed=seed))
            for steps in (1000, 2000, 3000):
                rate = min(1.0, steps / 3000 + 0.1 * seed)
                learned = rate if reward == "dense" else None
                row = {"steps": steps, "seconds": 1.0, "episodes": 50, "success_rate": rate, "learned_return": learned}
                runs.append(folder, runs.PROGRESS, row)
                runs.append(folder, runs.EVALUATION, {"steps": steps, "episodes": 20, "successes": round(20 * rate)})
            with jobs.running(folder, "train"):
                pass
    return session


def test_the_file_holds_everything_and_asks_the_network_for_nothing(tmp_path: Path) -> None:
    session = trained(tmp_path)
    page = pipeline.report(session)
    for words in (
        "built-in, no VLM",
        "MiniGrid-Empty-5x5-v0",
        "accepted",
        "Steps",
        "30 random",
        "at most 3 steps",
        "dense",
    ):
        assert words.lower() in page.lower(), words
    for step in session.proposal().steps:
        assert step.checker.digest[:12] in page
    body = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert "Final success, IQM" in body and "100% (100 to 100 %)" in body and "Hack alarm" not in body
    assert "data-replay" in body
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", body)
    assert page.count("data:image/png;base64,") >= 3
    assert len(page) < 8_000_000


def test_a_hostile_session_cannot_put_markup_into_the_report(tmp_path: Path) -> None:
    session = verified(tmp_path)
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    hostile = proposal(("a", f"# {evil}\n" + NEVER))
    named = replace(hostile.subtasks[0], title=evil, doubt=evil)
    session.add_proposal(replace(hostile, subtasks=(named,), author=evil, reason=evil, doubts=(evil,)))
    page = pipeline.report(session)
    assert "<script>alert" not in page and "<img src=x" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 4


def embedded(page: str) -> list[dict[str, Any]]:
    """What the replay player of a report is given, by episode."""
    found = re.findall(r'<script type="application/json" id="replay-\d+">(.*?)</script>', page, re.S)
    return [json.loads(text) for text in found]


def test_decisive_episodes_are_in_the_report_with_what_the_code_saw(tmp_path: Path) -> None:
    session = verified(tmp_path)
    session.add_mark(Mark("expert-000", 2, 3, "see-red", False, "Ada", "too early"))
    episodes = embedded(pipeline.report(session))
    assert [episode["id"] for episode in episodes] == ["expert-000", "expert-001", "random-000"]
    track = episodes[0]["tracks"][0]
    assert track["order"] == [0, 1, 2, 3, 4] and len(track["frames"]) == 5
    lanes = {lane["title"]: lane for lane in track["lanes"]}
    assert lanes["see red"]["values"] == [0.0, 0.0, 1.0, 1.0, 1.0] and lanes["see red"]["completed"] == 2
    assert lanes["see red"]["expected"] == [None, None, False, False, None]
    assert lanes["fails"]["faults"]["1"].startswith("ValueError: red is here")
    assert [item["text"] for item in track["overlays"]["4"] if item["name"] == "red"] == ["mask of 9 pixels"]
    assert any("it failed here" in item["reason"] for item in track["wrong"])


def test_the_replay_is_bounded_and_can_be_left_out(tmp_path: Path) -> None:
    session = framed(tmp_path)
    chance = np.random.default_rng(0)
    frames = chance.integers(0, 256, (5, 128, 128, 3), np.uint8)  # 50 kB a picture, not to be compressed
    session.add_trajectory(replace(trajectory([0, 2, 4, 6, 9]), frames=frames))
    session.add_proposal(proposal(("a", RED_AT_LEAST.format(pixels=4))))
    pipeline.verify(session)
    page = pipeline.report(session, 0.2)
    (episode,) = embedded(page)
    assert episode["tracks"][0]["order"] == [0, 1, 2, 3] and "the first 3" in page
    assert len(episode["tracks"][0]["lanes"][0]["values"]) == 4
    assert embedded(pipeline.report(session, 0)) == [] and "class Player" not in pipeline.report(session, 0)
    with pytest.raises(BadInput, match="0 to 256 MiB"):
        pipeline.report(session, -1)


def test_what_the_laboratory_found_is_told(tmp_path: Path) -> None:
    session = verified(tmp_path)
    examined = Examined(
        "see-red", "0" * 64, None, (), (), mutation=Mutation(Count(7, 9)), coverage=Coverage(Count(3, 4))
    )
    session.add_examination(Examination(0, (examined,), episodes=3, made=11))
    page = pipeline.report(session, 0)
    assert "In the laboratory" in page and "7 of 9" in page and "3 of 4" in page and "3 recorded and 11 made" in page
    assert "In the laboratory" not in pipeline.report(verified(tmp_path, "other"), 0)


def test_a_bare_session_says_what_is_not_there_yet(tmp_path: Path) -> None:
    page = pipeline.report(framed(tmp_path))
    assert "Nothing is proposed yet" in page and "Not trained yet" in page and "two frames" in page


def test_success_and_learned_return_are_figures_of_their_own(tmp_path: Path) -> None:
    curves = [(run, runs.read_progress(run.folder)) for run in runs.runs(trained(tmp_path)).items]
    success, learned = report.success_figure(curves), report.return_figure(curves)
    assert [trace.name for trace in success.data] == [
        *("dense, proposal 0, run 0, seed 0", "dense, proposal 0, run 2, seed 1", None, "dense, proposal 0, IQM of 2"),
        *("sparse, run 1, seed 0", "sparse, run 3, seed 1", None, "sparse, IQM of 2"),
    ]
    assert {trace.line.dash for trace in success.data if trace.name} == {"solid", "dash"}
    assert all("dense" in trace.name for trace in learned.data if trace.name) and len(learned.data) == 4
    middle = next(trace for trace in success.data if trace.name == "dense, proposal 0, IQM of 2")
    assert list(middle.y) == pytest.approx([1 / 3 + 0.05, 2 / 3 + 0.05, 1.0])
    band = success.data[2]
    assert list(band.y)[:3] == pytest.approx([1 / 3 + 0.1, 2 / 3 + 0.1, 1.0])  # of two seeds, from one to the other
    assert [trace.visible for trace in success.data][:2] == ["legendonly"] * 2
    assert all(trace.visible is None for trace in report.success_figure(curves, raw=True).data)


def test_seeds_are_taken_together_only_over_runs_that_differ_in_their_seed_alone(tmp_path: Path) -> None:
    session = trained(tmp_path)
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig(proposal=0, env_reward=False, seed=5))
    runs.append(folder, runs.PROGRESS, {"steps": 1000, "seconds": 1.0, "episodes": 50, "success_rate": 0.0})
    with jobs.running(folder, "train"):
        pass
    curves = [(run, runs.read_progress(run.folder)) for run in runs.runs(session).items]
    names = [trace.name for trace in report.success_figure(curves).data]
    assert "dense, proposal 0, IQM of 2" in names and "dense, proposal 0, checkers alone, run 4, seed 5" in names
    assert not any("IQM of 3" in (name or "") for name in names)


def test_a_run_that_is_farmed_is_named_in_the_report(tmp_path: Path) -> None:
    session = trained(tmp_path)
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig(proposal=0, pay="edge"))
    for number in range(1, 9):
        told = {"solved": [False] * 10, "lengths": [9] * 10, "learned": [number * 1.5 + place for place in range(10)]}
        runs.append(folder, runs.EVALUATION, {"steps": 500 * number, "episodes": 10, "successes": 0, **told})
    with jobs.running(folder, "train"):
        pass
    assert "<b>Hack alarm, run 4</b>: the learned return went from" in pipeline.report(session)


def test_damaged_files_are_named_in_the_report(tmp_path: Path) -> None:
    session = trained(tmp_path)
    (session.run_folder(0) / "config.json").write_text("{")
    session.trajectory_path("expert-001").write_bytes(b"no zip")
    page = pipeline.report(session)
    assert "run 000: config.json is not valid JSON" in page and "expert-001.zip" in page


def test_the_firing_figure_has_a_row_per_trajectory_and_a_mark_per_first_fire(tmp_path: Path) -> None:
    session = verified(tmp_path)
    made, infos = session.proposal(), {info.id: info for info in session.trajectories().items}
    said = {id: {step.key: session.answers(step.checker.digest, id) for step in made.steps} for id in infos}
    figure = report.firing_figure(made, infos, said)
    marks = {trace.name: list(zip(trace.y, trace.x, strict=True)) for trace in figure.data if trace.type == "scatter"}
    assert marks["see red"] == [("expert-000", 2), ("expert-001", 2)]
    assert marks["Goal"] == [("expert-000", 4), ("expert-001", 4)]
    heat = next(trace for trace in figure.data if trace.type == "heatmap")
    assert list(heat.y) == list(infos) and heat.z[0][1] == 0 and heat.z[0][2] == 1

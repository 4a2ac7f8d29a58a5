"""The laboratory's page, run without a browser."""

import dataclasses
from pathlib import Path

import pytest

from tests.studio_sessions import framed, opened, recorded, said
from vlmcar_core import jobs, laboratory, pipeline
from vlmcar_core.types import Recording


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    return tmp_path


def test_empty_states_say_what_to_do(root: Path) -> None:
    framed(root)
    assert "Nothing is proposed yet" in said(opened("examine", "red"))
    recorded(root, "other")
    assert "Proposal 0 is not examined yet" in said(opened("examine", "other"))


def test_what_was_found_is_shown(root: Path) -> None:
    session = recorded(root)
    laboratory.examine(session)
    app = opened("examine", "red")
    assert not app.exception
    text = said(app)
    assert "fires in 12 of 12 episodes that should have it" in text
    assert "fault in expert-000, frame 1" in text
    assert "missed in expert-000, frame 4" in text
    assert "no recorded frame is called done" in text
    assert "“red”" in text
    assert app.dataframe


def test_a_named_fact_goes_with_the_next_examination(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = recorded(root)
    asked: list[list[str]] = []
    monkeypatch.setattr(pipeline, "launch", lambda _session, _stage, arguments: asked.append(list(arguments)))
    app = opened("examine", "red")
    app.selectbox(key="fact-silent").set_value("red").run()
    app.toggle(key="mutants").set_value(False).run()
    next(button for button in app.button if button.label == "Examine").click().run()
    assert asked == [["--proposal", "0", "--fact", "silent=red", "--no-mutants"]]
    assert session.examination(0) is None


def test_what_a_checker_may_be_about_is_named_with_one_click(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = recorded(root)
    laboratory.examine(session, mutants=False)
    asked: list[list[str]] = []
    monkeypatch.setattr(pipeline, "launch", lambda _session, _stage, arguments: asked.append(list(arguments)))
    app = opened("examine", "red")
    app.button(key="about-silent-red").click().run()
    assert asked == [["--proposal", "0", "--fact", "silent=red"]]
    laboratory.examine(session, mutants=False, facts={"silent": "red"})
    assert not [button for button in opened("examine", "red").button if button.key == "about-silent-red"]


def test_survivors_and_sub_tasks_out_of_order_are_told_in_plain_words(root: Path) -> None:
    laboratory.examine(recorded(root))
    app = opened("examine", "red")
    told = [line for frame in app.dataframe if "To tell it, record" in frame.value for line in frame.value["What"]]
    assert told and all(line.startswith("Nothing recorded") for line in told)
    order = next(frame.value for frame in app.dataframe if "Paid before its turn" in frame.value)
    assert list(order["Paid before its turn"]) == [0] * len(order)


def test_near_misses_and_attacks_begin_and_what_they_found_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = pipeline.create_from_env(root, "door", "MiniGrid-DoorKey-5x5-v0", recording=Recording(2, 2, 10))
    pipeline.record(session)
    pipeline.propose(session)
    asked: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(pipeline, "launch", lambda _session, stage, arguments: asked.append((stage, list(arguments))))
    app = opened("examine", "door")
    next(button for button in app.button if button.label == "Record near misses").click().run()
    next(button for button in app.button if button.label == "Attack").click().run()
    assert asked == [("near-misses", []), ("attack", ["--proposal", "0", "--kind", "reachable"])]
    with jobs.running(session.new_job_folder("attack"), "attack") as job:
        job.finish("success", "all 260 states were looked at", {"finds": 0})
    assert "Attack: all 260 states were looked at" in said(opened("examine", "door"))
    framed(root)
    assert not [button for button in opened("examine", "red").button if button.label == "Attack"]


def test_what_attacks_found_is_listed_with_the_way_to_its_replay(root: Path) -> None:
    session = recorded(root)
    assert "Found by attacks" not in said(opened("examine", "red"))
    expert = session.trajectory("expert-000")
    for number in range(21):
        versions = {"search": "cem", "reason": f"*paid* after {number} steps"}
        session.add_trajectory(dataclasses.replace(expert, source="adversarial", success=False, versions=versions))
    app = opened("examine", "red")
    assert not app.exception
    links = [link for link in app.get("page_link") if "trajectory=adversarial-" in link.proto.query_string]
    assert len(links) == 20 and "and 1 more" in said(app)
    assert "\\*paid\\* after" in links[0].proto.label
    assert f"trajectory=adversarial-000&frame={expert.steps}" in links[0].proto.query_string


def test_where_an_episode_came_from_is_told_where_trajectories_are_listed(root: Path) -> None:
    session = pipeline.create_from_env(root, "door", "MiniGrid-DoorKey-5x5-v0", recording=Recording(1, 1, 5))
    pipeline.record(session)
    versions = {"search": "cem", "scene": "*a key*"}
    expert = session.trajectory("expert-000")
    odd = dataclasses.replace(expert, source="adversarial", success=False, versions=versions)
    id = session.add_trajectory(odd)
    listed = opened("record", "door").dataframe[0].value
    found = dict(zip(listed["Trajectory"], listed["Origin"], strict=True))
    assert found == {id: "found by cem, beside *a key*", "expert-000": "", "random-000": ""}

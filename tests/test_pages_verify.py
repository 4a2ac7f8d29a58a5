"""The verify page, run without a browser."""

from pathlib import Path

import pytest

from tests.conftest import RED_AT_LEAST, proposal, trajectory
from tests.studio_sessions import framed, opened, recorded, said, verified


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    return tmp_path


def test_without_a_proposal_the_page_says_what_to_do(root: Path) -> None:
    framed(root)
    app = opened("verify", "red")
    assert not app.exception
    assert "Nothing is proposed yet" in said(app)


def test_a_proposal_newer_than_its_verification_is_said_to_be_unverified(root: Path) -> None:
    session = verified(root)
    session.add_proposal(proposal(("see-red", RED_AT_LEAST.format(pixels=5))))
    app = opened("verify", "red")
    assert "Proposal 1 is not verified yet" in said(app)


def test_trajectories_recorded_after_the_verification_are_said(root: Path) -> None:
    verified(root).add_trajectory(trajectory([0, 1], source="random", success=False))
    assert "1 trajectories were recorded since" in said(opened("verify", "red"))


def test_each_checker_has_its_judgement_with_counts_and_the_random_length(root: Path) -> None:
    verified(root)
    text = said(opened("verify", "red"))
    assert "fires in 2 of 2 expert trajectories" in text
    assert "fires in 0 of 2 expert trajectories; all must" in text
    assert "line 4: ValueError" in text
    assert "random episodes of at most 100 steps" in text


def test_first_wrong_frame_opens_that_trajectory_at_that_frame(root: Path) -> None:
    verified(root)
    app = opened("verify", "red")
    app.button(key="wrong-fails").click().run()
    assert app.session_state["trajectory"] == "expert-000"
    assert app.query_params["frame"] == "1"
    assert app.selectbox(key="seen-by").value == "fails"


def test_a_link_leads_to_a_trajectory_and_a_frame(root: Path) -> None:
    verified(root)
    app = opened("verify", "red", trajectory="expert-001", frame="3")
    assert app.selectbox(key="trajectory").value == "expert-001"


def test_the_list_can_be_narrowed_to_one_source(root: Path) -> None:
    verified(root)
    app = opened("verify", "red")
    app.button_group(key="sources").set_value(["random"]).run()
    assert not app.exception
    assert app.selectbox(key="trajectory").value == "random-000"


def test_a_frame_that_is_no_number_opens_the_first(root: Path) -> None:
    recorded(root)
    app = opened("verify", "red", trajectory="expert-000", frame="-1e9")
    assert not app.exception
    assert app.query_params["frame"] == "0"


def test_a_session_without_trajectories_says_that_its_verdicts_stay_undecided(root: Path) -> None:
    framed(root).add_proposal(proposal(("see-red", RED_AT_LEAST.format(pixels=5))))
    assert "its verdicts will stay undecided" in said(opened("verify", "red"))

"""The verify page, run without a browser."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import NumberInput

from tests.conftest import RED_AT_LEAST, proposal, trajectory
from tests.studio_sessions import framed, opened, recorded, said, verified
from vlmcar_core import marks


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


def test_the_figure_of_fires_says_how_one_comes_to_a_frame(root: Path) -> None:
    verified(root)
    text = said(opened("verify", "red"))
    assert "A click on a mark shows its frame" in text and "By keyboard: choose the trajectory" in text


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


def frames(app: AppTest) -> list[NumberInput]:
    """The first and the last frame in the form for marks."""
    return [field for field in app.number_input if field.label in ("First frame", "Last frame")]


def keep(app: AppTest, reason: str = "") -> AppTest:
    app.text_input(key="mark-reason").set_value(reason)
    return app.button(key="mark-keep").click().run()


def test_a_mark_is_kept_with_author_and_reason_and_stands_in_the_table(root: Path) -> None:
    session = verified(root)
    app = opened("verify", "red", trajectory="expert-000", frame="0")
    app.selectbox(key="mark-key").select("silent").run()
    frames(app)[0].set_value(3).run()
    frames(app)[1].set_value(4).run()
    app.text_input(key="author").set_value("Ada").run()
    keep(app, "it **is** there")
    (mark,) = session.marks().items
    assert (mark.trajectory, mark.first, mark.last, mark.key, mark.done) == ("expert-000", 3, 4, "silent", True)
    assert (mark.author, mark.reason) == ("Ada", "it **is** there")
    row = app.dataframe[-1].value.iloc[0]
    assert (row["Sub-task"], row["Only person"], row["Both done"]) == ("silent", 2, 0)
    assert row["Marks that agree"].startswith("0 of 1, 0%")
    assert "silent: should be done: it **is** there (Ada," in said(app)
    assert app.text_input(key="mark-reason").value == ""


def test_undo_takes_a_mark_out_of_the_table_and_stays_on_disk(root: Path) -> None:
    session = verified(root)
    app = keep(opened("verify", "red", trajectory="expert-000"))
    app.button(key="mark-undo-0").click().run()
    assert marks.standing(session.marks().items) == ()
    assert [mark.undoes for mark in session.marks().items] == [None, 0]
    assert "Nobody has marked anything yet" in said(app)


def test_the_form_begins_at_the_frame_that_is_shown(root: Path) -> None:
    verified(root)
    app = opened("verify", "red", trajectory="expert-001", frame="3")
    assert (frames(app)[0].value, frames(app)[1].value) == (3, 3)


def test_a_span_that_ends_before_it_begins_is_refused_in_words(root: Path) -> None:
    session = verified(root)
    app = opened("verify", "red", trajectory="expert-000", frame="2")
    frames(app)[1].set_value(1).run()
    assert "not from 2 to 1" in said(keep(app))
    assert session.marks().items == ()


def test_without_a_name_nothing_is_marked(root: Path) -> None:
    session = verified(root)
    app = opened("verify", "red", trajectory="expert-000")
    app.text_input(key="author").set_value(" ").run()
    assert "type your name" in said(keep(app))
    assert session.marks().items == ()


def test_damaged_marks_are_said_and_the_rest_stays_usable(root: Path) -> None:
    session = verified(root)
    (session.folder / "marks.jsonl").write_text("[]\n")
    app = opened("verify", "red", trajectory="expert-000")
    assert "line 1 of marks.jsonl is no mark" in said(app)
    keep(app)
    assert len(session.marks().items) == 1


def test_the_list_can_be_narrowed_to_where_one_sub_task_is_wrong(root: Path) -> None:
    verified(root)
    app = opened("verify", "red")
    assert set(app.dataframe[0].value["Trajectory"]) == {"expert-000", "expert-001", "random-000"}
    app.button_group(key="wrong-in").set_value(["silent"]).run()
    assert set(app.dataframe[0].value["Trajectory"]) == {"expert-000", "expert-001"}


def test_a_jump_puts_the_chips_back_only_where_they_would_hide_its_place(root: Path) -> None:
    verified(root)
    app = opened("verify", "red")
    app.button_group(key="sources").set_value(["expert"]).run()
    app.button(key="wrong-fails").click().run()
    assert app.session_state["sources"] == ["expert"]
    app.button_group(key="sources").set_value(["random"]).run()
    app.button(key="wrong-fails").click().run()
    assert app.session_state["sources"] == []
    assert app.session_state["trajectory"] == "expert-000"


def test_a_second_trajectory_stands_in_the_address_until_it_is_put_away(root: Path) -> None:
    verified(root)
    app = opened("verify", "red", trajectory="expert-000", beside="random-000")
    assert app.selectbox(key="beside").value == "random-000"
    assert app.query_params["beside"] == "random-000"
    app.selectbox(key="beside").select("").run()
    assert not app.exception
    assert "beside" not in app.query_params


def test_a_trajectory_that_is_recorded_meanwhile_joins_the_list(root: Path) -> None:
    session = verified(root)
    app = opened("verify", "red")
    session.add_trajectory(trajectory([0, 1], source="random", success=False))
    app.run()
    assert "random-001" in set(app.dataframe[0].value["Trajectory"])

"""The pages around models, without a browser: who proposes, models, candidates, repair, comparison."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.recorded_answers import ANSWERS, AT_LEAST, MODEL, painted, record, recorded, serving
from tests.studio_sessions import opened, said
from vlmcar_core import (
    authoring,
    candidates,
    compare,
    comparisons,
    dialogues,
    pipeline,
    prices,
    prompts,
    repair,
    servers,
)
from vlmcar_core.authoring import Wish
from vlmcar_core.comparisons import Plan
from vlmcar_core.servers import Server

KEY = "paint-seven-pixels"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    for name in (servers.KEY_VARIABLE, servers.URL_VARIABLE, servers.MODEL_VARIABLE, "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def headings(app: AppTest) -> list[str]:
    return [item.value for item in app.header]


def button(app: AppTest, label: str):
    return next(item for item in app.button if item.label == label)


def test_without_a_model_the_page_says_what_to_do_and_asks_nobody(root: Path) -> None:
    painted(root)
    app = opened("propose", "red", by="openai")
    assert "No model is chosen yet" in said(app) and button(app, "Ask the model").disabled


def test_a_chat_page_is_asked_by_copy_and_paste(root: Path) -> None:
    session = painted(root)
    app = opened("propose", "red", by="clipboard")
    app.text_area(key="hint").set_value("It is paint.").run()
    button(app, "Begin").click().run()
    code = next(item.value for item in app.code if "What do you think the final goal is?" in item.value)
    assert "It is paint." in code and "# What a checker is" in code.replace("##", "#")
    button(app, "Take this answer").click().run()
    assert "the answer is empty" in said(app)
    for number, answer in enumerate(ANSWERS):
        app.text_area(key=f"pasted-0-{number}").set_value(answer)
        button(app, "Take this answer").click().run()
    assert not app.exception and session.proposal().author == "pasted from a chat page"
    assert session.proposal().subtasks[1].title == "Paint seven pixels" and "Proposal 0" in headings(app)


def test_a_pasted_answer_that_cannot_be_used_says_why_and_is_kept(root: Path) -> None:
    session = painted(root)
    record(session, ANSWERS[:1])
    app = opened("propose", "red", by="clipboard")
    app.text_area(key="pasted-0-1").set_value("I see nothing.")
    button(app, "Take this answer").click().run()
    assert "no numbered list of sub-tasks" in said(app)
    assert dialogues.read(session.dialogue_folder(0)).exchanges[1].reply.text == "I see nothing."


def test_recorded_answers_are_offered_only_where_there_are_some(root: Path) -> None:
    painted(root)
    assert "Nothing is recorded in this session yet" in said(opened("propose", "red", by="replay"))
    recorded(root, "other")
    app = opened("propose", "other", by="replay")
    assert not button(app, "Replay").disabled


def test_a_stopped_conversation_is_shown_and_can_go_on(root: Path) -> None:
    session = recorded(root)
    with serving(session, "--fault", "ok*2", "--fault", "refusal") as replay:
        servers.save(root, replay.server())
        with pytest.raises(Exception, match="declined"):
            authoring.carry_on(session, authoring.begin(session, Wish(replay.server())), replay.server())
    app = opened("propose", "red", by="openai")
    text = said(app)
    assert "stopped before" in text and f"{MODEL}" in text
    assert not button(app, "Go on from there").disabled


def test_a_prompt_is_worded_differently_for_one_session_and_a_wrong_one_is_refused(root: Path) -> None:
    session = painted(root)
    app = opened("propose", "red", by="clipboard")
    app.selectbox(key="prompt-name").select("goal").run()
    area = next(area for area in app.text_area if area.label == "Wording")
    assert area.value == prompts.shipped()["goal"]
    area.set_value("What is $this?").run()
    button(app, "Save for this session").click().run()
    assert "fills in $this" in said(app) and "Your text is kept" in said(app)
    next(area for area in app.text_area if area.label == "Wording").set_value("$frames\nWhat?\n$form\n").run()
    button(app, "Save for this session").click().run()
    assert session.own_prompts() == {"goal": "$frames\nWhat?\n$form\n"}
    button(app, "Back to the shipped wording").click().run()
    assert session.own_prompts() == {}


def test_models_are_listed_tested_and_kept_without_the_key(root: Path) -> None:
    session = recorded(root)
    secret = "sk-secret-of-a-test-123"
    with serving(session, key=secret) as replay:
        app = opened("models", "")
        app.selectbox[0].select("other").run()
        next(field for field in app.text_input if field.label == "Address").set_value(replay.url).run()
        button(app, "Load the list").click().run()
        assert "wants a key and there is none" in said(app)
        next(field for field in app.text_input if field.label.startswith("Key")).set_value(secret).run()
        assert "Used: the key from: typed" in said(app)
        button(app, "Load the list").click().run()
        next(box for box in app.selectbox if box.label == "Model").select(MODEL).run()
        button(app, "Test connection").click().run()
        assert "named all four colours" in said(app)
    assert servers.load(root).model == MODEL and servers.load(root).base_url == replay.url
    assert not any(secret.encode() in path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_a_model_that_does_not_see_is_told_from_one_that_does_not_answer(root: Path) -> None:
    session = recorded(root)
    with serving(session, "--blind") as replay:
        servers.save(root, replay.server())
        app = opened("models", "")
        button(app, "Test connection").click().run()
        assert "does not see the picture" in said(app)
    button(app, "Test connection").click().run()
    assert "no server answers at" in said(app)


def test_an_address_that_is_none_is_refused_and_nothing_is_lost(root: Path) -> None:
    app = opened("models", "")
    next(field for field in app.text_input if field.label == "Address").set_value("http://me:pw@x/v1").run()
    assert "it would be written to disk" in said(app) and servers.load(root) == Server()
    (root / servers.FILE).write_text("{")
    app = opened("models", "")
    assert "vlm.json is not valid JSON" in said(app)
    button(app, "Begin with new settings").click().run()
    assert servers.load(root) == Server()


def test_candidates_are_ranked_adopted_and_merged(root: Path) -> None:
    session = recorded(root)
    for answers in (ANSWERS, (*ANSWERS[:3], AT_LEAST.format(pixels=99), ANSWERS[4])):
        pipeline.verify(session, record(session, answers, candidate=True).proposal)
    app = opened("candidates", "red")
    assert list(app.dataframe[0].value["Proposal"]) == ["1", "2"]
    assert list(app.dataframe[0].value["Verdict"]) == ["accepted", "rejected"]
    button(app, "Let it stand").click().run()
    assert session.proposal().number == 3 and session.proposal().parent == 1
    button(app, "Merge into a new proposal").click().run()
    assert session.proposal().number == 4 and not app.exception


def rejected(root: Path):
    session = painted(root)
    record(session, (*ANSWERS[:3], AT_LEAST.format(pixels=99), ANSWERS[4]))
    pipeline.verify(session)
    return session


def test_verification_leads_to_mending_with_the_wrong_frames_shown(root: Path) -> None:
    rejected(root)
    app = opened("repair", "red")
    text = said(app)
    assert "Answered not done (it returned 0)" in text.replace("*", "") and "done by this frame" in text
    assert next(box for box in app.selectbox if box.label == "Checker").value == KEY


def test_a_mended_checker_is_offered_with_its_table_and_accepted(root: Path) -> None:
    session = rejected(root)
    for answer in (AT_LEAST.format(pixels=98), ANSWERS[3]):
        tried = repair.rounds(session, 0, KEY)
        number = tried[-1].proposal if tried else None
        dialogue = repair.begin(session, Server(), KEY, "clipboard", number)
        authoring.answer_by_hand(session, dialogue, answer)
    app = opened("repair", "red", checker=KEY)
    assert "mends 0 of 2" in said(app) and "mends 2 of 2" in said(app)
    assert list(app.dataframe[1].value["Trajectories"]) == [2, 0, 0, 30]
    button(app, "Accept it").click().run()
    assert session.proposal().reason == f"mends {KEY}" and not session.proposal().candidate


def test_a_try_may_be_edited_by_hand(root: Path) -> None:
    session = rejected(root)
    dialogue = repair.begin(session, Server(), KEY, "clipboard")
    authoring.answer_by_hand(session, dialogue, AT_LEAST.format(pixels=98))
    app = opened("repair", "red", checker=KEY)
    assert button(app, "Accept it").disabled
    button(app, "Edit it by hand").click().run()
    assert session.draft is not None and "98" in session.draft.subtasks[1].checker.source


def test_what_a_person_says_on_the_review_page_goes_into_the_next_round(root: Path) -> None:
    session = recorded(root)
    app = opened("review", "red")
    app.text_area(key="feedback-0").set_value("The red is on the left.").run()
    button(app, "By the clipboard").click().run()
    brief = dialogues.dialogues(session).items[-1].header.brief
    assert brief.feedback == "The red is on the left." and brief.previous is not None and brief.previous.number == 0


def test_a_comparison_is_shown_with_its_intervals(root: Path) -> None:
    session = recorded(root)
    with serving(session) as replay:
        plan = Plan((MODEL, comparisons.BUILTIN), ("red",), replay.server(), repeats=1)
        compare.run(compare.create(root, plan))
    app = opened("compare", "")
    table = app.dataframe[0].value
    assert list(table["Model"]) == [MODEL, "built-in, no VLM"]
    assert list(table["Whole accepted"]) == ["1 of 1, 100% (3% to 100%)", "0 of 1, 0% (0% to 98%)"]
    assert not app.exception


def test_prices_and_settings_files_are_json_with_a_version(root: Path) -> None:
    prices.save(root, prices.SHIPPED)
    servers.save(root, Server(model="m"))
    for name in (prices.FILE, servers.FILE):
        assert json.loads((root / name).read_text())["version"] == 1


def test_a_damaged_conversation_is_named_and_the_rest_is_usable(root: Path) -> None:
    session = recorded(root)
    record(session)
    (session.dialogue_folder(0) / "dialogue.json").write_text("{")
    app = opened("propose", "red")
    assert "dialogue 000" in said(app) and not app.exception
    assert candidates.accounts(session).spent.answers == 5

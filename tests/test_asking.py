"""Whole conversations over HTTP with a real server process, and every way in which servers fail."""

import time
from pathlib import Path

import pytest

from tests.conftest import picture
from tests.recorded_answers import ANSWERS, AT_LEAST, MODEL, OBJECTS, STAGES, record, recorded, serving
from vlmcar_core import authoring, dialogues, prices
from vlmcar_core.asking import Meter
from vlmcar_core.authoring import Wish
from vlmcar_core.dialogue import Budget
from vlmcar_core.errors import (
    BadInput,
    BadRequest,
    BudgetSpent,
    Cancelled,
    ConnectionLost,
    ContextTooLong,
    EmptyAnswer,
    NotUnderstood,
    NoVision,
    Overloaded,
    QuotaSpent,
    RateLimited,
    RefusedToAnswer,
    TimedOut,
    UnknownModel,
    Unreachable,
    Unreadable,
    VlmError,
    WrongKey,
)
from vlmcar_core.prices import Price
from vlmcar_core.servers import Key, Server
from vlmcar_core.store import GoalOrigin
from vlmcar_core.types import GOAL


@pytest.mark.parametrize("stream", [True, False])
def test_four_questions_in_sequence_become_a_proposal(tmp_path: Path, stream: bool) -> None:
    session = recorded(tmp_path)
    with serving(session) as replay:
        server = replay.server(stream=stream, detail="high")
        dialogue = authoring.begin(session, Wish(server))
        proposal = authoring.carry_on(session, dialogue, server)
    assert proposal.author == MODEL and proposal.dialogue == dialogue.number and proposal.goal.key == GOAL
    assert [step.title for step in proposal.subtasks] == ["Paint four pixels", "Paint seven pixels"]
    assert not any(step.doubt for step in proposal.steps)
    assert [request["turns"] for request in replay.requests] == [0, 1, 2, 3, 4]
    assert all(request["pictures"] == [[768, 768, 3]] * 2 for request in replay.requests)
    assert all(request["details"] == ["high", "high"] and request["stream"] == stream for request in replay.requests)
    done = dialogues.read(dialogue.folder)
    assert [one.stage for one in done.exchanges] == list(STAGES) and done.proposal == proposal.number
    assert all(one.reply.prompt_tokens and one.reply.answer_tokens for one in done.exchanges)
    assert [one.reply.text for one in done.exchanges] == list(ANSWERS)


def test_pictures_that_differ_from_the_recorded_ones_are_noticed_by_the_server(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session) as replay:
        session.set_goal(picture(8), GoalOrigin("upload"))
        dialogue = authoring.begin(session, Wish(replay.server()))
        with pytest.raises(BadRequest, match="picture 2 of the request differs"):
            authoring.carry_on(session, dialogue, replay.server())


FATAL = [
    ("401", WrongKey, "wants a key and there is none"),
    ("403", WrongKey, "403"),
    ("404", UnknownModel, "has no model 'tiny-vlm'"),
    ("quota", QuotaSpent, "no credit left"),
    ("refusal", RefusedToAnswer, "declined: I cannot help"),
    ("filter", RefusedToAnswer, "filter"),
    ("context", ContextTooLong, "longer than tiny-vlm can read"),
    ("no-vision", NoVision, "choose a model with vision"),
    ("one-image", NoVision, "side by side"),
    ("json", NotUnderstood, "not the chat-completions protocol"),
    ("html", VlmError, "protocol|no chat completion|without any choice"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("fault", "kind", "words"), FATAL)
def test_a_fault_that_does_not_pass_is_told_at_once(
    tmp_path: Path, fault: str, kind: type[VlmError], words: str, stream: bool
) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", fault) as replay:
        server = replay.server(stream=stream, retries=0 if fault == "html" else 2)
        dialogue = authoring.begin(session, Wish(server))
        with pytest.raises(kind, match=words):
            authoring.carry_on(session, dialogue, server)
        assert len(replay.requests) == 1
        assert authoring.carry_on(session, dialogues.read(dialogue.folder), server).author == MODEL


PASSING = [
    ("500", Overloaded),
    ("503:1", Overloaded),
    ("429", RateLimited),
    ("silence:6", TimedOut),
    ("cut", ConnectionLost),
    ("end", ConnectionLost),
    ("empty", EmptyAnswer),
    ("nothing", EmptyAnswer),
    ("stream-error", Overloaded),
    ("slow:6", TimedOut),
]


@pytest.mark.parametrize(("fault", "kind"), PASSING)
def test_a_fault_that_passes_is_waited_for_and_the_question_sent_again(
    tmp_path: Path, fault: str, kind: type[VlmError]
) -> None:
    session = recorded(tmp_path)
    told: list[str] = []
    with serving(session, "--fault", "ok", "--fault", fault) as replay:
        server = replay.server(silence_seconds=1.0)
        dialogue = authoring.begin(session, Wish(server))
        proposal = authoring.carry_on(session, dialogue, server, progress=lambda _d, _t, text: told.append(text))
        assert proposal.author == MODEL
        assert len(replay.requests) == 6
        assert dialogues.read(dialogue.folder).exchanges[1].reply.tries == 2
    assert any("waiting" in text for text in told)


@pytest.mark.parametrize(("fault", "kind"), PASSING[:5])
def test_a_fault_that_stays_is_given_up_and_everything_before_it_is_kept(
    tmp_path: Path, fault: str, kind: type[VlmError]
) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", "ok*2", "--fault", f"{fault}*2") as replay:
        server = replay.server(retries=1, silence_seconds=1.0)
        dialogue = authoring.begin(session, Wish(server))
        with pytest.raises(kind):
            authoring.carry_on(session, dialogue, server)
        kept = dialogues.read(dialogue.folder)
        assert [one.stage for one in kept.exchanges] == ["goal", "subtasks"]
        proposal = authoring.carry_on(session, kept, server)
        assert len(proposal.subtasks) == 2
        assert len(replay.requests) == 2 + 2 + 3  # what was answered is not asked again


@pytest.mark.parametrize("fault", ["429:1.5", "503:1.5"])
def test_the_wait_that_a_server_asks_for_is_kept(tmp_path: Path, fault: str) -> None:
    session = recorded(tmp_path)
    told: list[str] = []
    with serving(session, "--fault", fault) as replay:
        dialogue = authoring.begin(session, Wish(replay.server()))
        began = time.monotonic()
        authoring.carry_on(session, dialogue, replay.server(), progress=lambda _d, _t, text: told.append(text))
        assert time.monotonic() - began >= 1.5
    assert any("as the server asks" in text for text in told)


def test_a_server_that_wants_to_be_left_alone_for_long_is_not_waited_for(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", "429:3600") as replay:
        dialogue = authoring.begin(session, Wish(replay.server()))
        began = time.monotonic()
        with pytest.raises(RateLimited, match="asks to wait 3600 s"):
            authoring.carry_on(session, dialogue, replay.server())
        assert time.monotonic() - began < 10


def test_a_schema_is_asked_for_and_done_without_where_it_is_refused(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", "no-schema*") as replay:
        dialogue = authoring.begin(session, Wish(replay.server()))
        authoring.carry_on(session, dialogue, replay.server())
        assert [request["schema"] for request in replay.requests] == [True, True, *[False] * 5]
    asked = dialogues.read(dialogue.folder).exchanges[0].messages[-1].text
    assert "JSON" not in asked and "one sentence and nothing else" in asked


def test_settings_that_a_server_does_not_know_are_left_out(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", "no-stream-options*") as replay:
        dialogue = authoring.begin(session, Wish(replay.server()))
        authoring.carry_on(session, dialogue, replay.server())
        assert len(replay.requests) == 6
    assert dialogues.read(dialogue.folder).exchanges[0].reply.prompt_tokens is None


def test_an_answer_that_cannot_be_read_is_asked_again_with_the_reason_and_kept(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", "ok", "--fault", "garbled", "--fault", "length") as replay:
        server = replay.server(structured="off")
        dialogue = authoring.begin(session, Wish(server))
        authoring.carry_on(session, dialogue, server)
        kept = dialogues.read(dialogue.folder).exchanges
    assert [(one.stage, one.attempt) for one in kept[:4]] == [
        ("goal", 1),
        ("subtasks", 1),
        ("subtasks", 2),
        ("subtasks", 3),
    ]
    assert kept[1].reply.text == "Certainly! That is a lovely picture." and "numbered list" in kept[1].problem
    assert "numbered list" in kept[2].messages[-1].text and kept[2].messages[-2].text == kept[1].reply.text
    assert "cut off" in kept[2].problem and not kept[3].problem


def test_after_so_many_unreadable_answers_a_person_is_asked_and_may_go_on(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", "ok", "--fault", "garbled*2") as replay:
        server = replay.server(structured="off", tries=2)
        dialogue = authoring.begin(session, Wish(server))
        with pytest.raises(Unreadable, match="asked 2 times"):
            authoring.carry_on(session, dialogue, server)
        kept = dialogues.read(dialogue.folder)
        assert [bool(one.problem) for one in kept.exchanges] == [False, True, True]
        assert authoring.carry_on(session, kept, server).author == MODEL


def test_code_that_the_sandbox_refuses_or_that_fails_is_asked_again(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    bad = "```python\nimport os\n\n\ndef check(initial, current):\n    return True\n```"
    fails = "```python\ndef check(initial, current):\n    return initial.size / 0\n```"
    dialogue = record(session, (ANSWERS[0], OBJECTS, bad, fails, AT_LEAST.format(pixels=4)), "by hand")
    problems = [one.problem for one in dialogue.exchanges]
    assert "line 1: 'os' may not be imported" in problems[2]
    assert "failed on the initial frame in line 2 (error)" in problems[3] and "ZeroDivisionError" in problems[3]
    assert problems[4] == ""


def test_what_does_not_fit_the_two_frames_is_a_doubt_and_not_refused(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    answers = (*ANSWERS[:3], AT_LEAST.format(pixels=99), AT_LEAST.format(pixels=0))
    record(session, answers, "by hand")
    proposal = session.proposal()
    assert [step.doubt for step in proposal.steps] == [
        "",
        "its checker does not call the goal frame done",
        "its checker calls the initial frame done already",
    ]


def test_a_long_conversation_is_shortened_where_the_model_cannot_read_it(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", "ok*3", "--fault", "context", "--any-pictures") as replay:
        dialogue = authoring.begin(session, Wish(replay.server()))
        authoring.carry_on(session, dialogue, replay.server())
        assert [request["turns"] for request in replay.requests] == [0, 1, 2, 3, 2, 2]
    assert dialogues.read(dialogue.folder).header.brief.short


def test_a_wish_to_stop_is_heeded_while_nothing_comes(tmp_path: Path) -> None:
    session = recorded(tmp_path)

    def stop(_done: int, _total: int, _text: str) -> None:
        if time.monotonic() > until:
            raise Cancelled("stopped")

    with serving(session, "--fault", "ok", "--fault", "slow:30") as replay:
        server = replay.server(silence_seconds=60.0)
        dialogue = authoring.begin(session, Wish(server))
        until = time.monotonic() + 3.0
        with pytest.raises(Cancelled):
            authoring.carry_on(session, dialogue, server, progress=stop)
        assert time.monotonic() - until < 2.0
    assert [one.stage for one in dialogues.read(dialogue.folder).exchanges] == ["goal"]


def test_an_answer_that_takes_too_long_in_all_is_given_up(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", "slow:30*3") as replay:
        server = replay.server(silence_seconds=60.0, answer_seconds=1.0, retries=0)
        with pytest.raises(TimedOut, match="within 1 s"):
            authoring.carry_on(session, authoring.begin(session, Wish(server)), server)


def test_a_budget_stops_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session) as replay:
        dialogue = authoring.begin(session, Wish(replay.server()))
        with pytest.raises(BudgetSpent, match="budget of 100 tokens"):
            authoring.carry_on(session, dialogue, replay.server(), meter=Meter(Budget(tokens=100)))
        assert len(dialogues.read(dialogue.folder).exchanges) == 1
        with pytest.raises(BudgetSpent, match="no price"):
            authoring.carry_on(session, dialogue, replay.server(), meter=Meter(Budget(money=1.0)))
        prices.save(tmp_path, [Price(MODEL, 1000.0, 1000.0, "2026-01-01")])
        with pytest.raises(BudgetSpent, match=r"budget of \$0.5 is spent"):
            authoring.carry_on(
                session, dialogues.read(dialogue.folder), replay.server(), meter=Meter(Budget(money=0.5))
            )
    assert dialogues.spent(session).money > 0.5


def test_a_key_is_sent_and_found_nowhere(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    secret = "sk-very-secret-0123456789"
    with serving(session, key=secret) as replay:
        dialogue = authoring.begin(session, Wish(replay.server()))
        with pytest.raises(WrongKey) as without:
            authoring.carry_on(session, dialogue, replay.server())
        with pytest.raises(WrongKey, match="does not accept the key from: typed") as wrong:
            authoring.carry_on(session, dialogue, replay.server(), Key("sk-wrong-0123456789", "typed"))
        authoring.carry_on(session, dialogue, replay.server(), Key(secret, "typed"))
    said = f"{without.value} {wrong.value} {Key(secret, 'typed')!r}"
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret not in said and "sk-wrong" not in said and secret.encode() not in everything


def test_nobody_at_the_address_is_told_plainly(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    server = Server(preset="other", base_url="http://127.0.0.1:9/v1", model="m", retries=0)
    with pytest.raises(Unreachable, match="no server answers at http:"):
        authoring.carry_on(session, authoring.begin(session, Wish(server)), server)


def test_no_model_and_no_goal_frame_are_told_before_anything_is_asked(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    server = Server(preset="other", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(BadInput, match="no model is chosen"):
        authoring.carry_on(session, authoring.begin(session, Wish(server)), server)
    (session.folder / "frames" / "goal.png").unlink()
    with pytest.raises(BadInput, match="no goal frame yet"):
        authoring.begin(session, Wish(server))


def test_an_unknown_address_on_the_server_is_told_as_such(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session) as replay:
        server = replay.server()
        wrong = Server(preset="other", base_url=replay.url.removesuffix("/v1"), model=MODEL, retries=0)
        with pytest.raises(BadRequest, match="does the address end in /v1"):
            authoring.carry_on(session, authoring.begin(session, Wish(server)), wrong)


def test_both_frames_in_one_picture_for_models_that_take_only_one(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, "--any-pictures") as replay:
        server = replay.server(side_by_side=True)
        authoring.carry_on(session, authoring.begin(session, Wish(server)), server)
        assert replay.requests[0]["pictures"] == [[768, 1552, 3]]


def test_answers_are_replayed_without_a_server(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    dialogue = authoring.begin(session, Wish(Server(), "replay"))
    proposal = authoring.carry_on(session, dialogue, Server())
    assert proposal.author == f"replay of dialogue 0: {MODEL}" and len(proposal.subtasks) == 2
    with pytest.raises(BadInput, match="no recorded conversation 7"):
        authoring.carry_on(session, authoring.begin(session, Wish(Server(), "replay")), Server(model="7"))


def test_the_next_round_carries_the_proposal_and_what_a_person_says(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    dialogue = authoring.begin(
        session, Wish(Server(), "clipboard", feedback="The red must be brighter.", previous=0, hint="It is paint.")
    )
    asked = authoring.due(dialogue).asked.text
    assert "The red must be brighter." in asked and "Paint seven pixels" in asked and "It is paint." in asked
    assert "identify_red" in asked
    for answer in ANSWERS:
        dialogue = authoring.answer_by_hand(session, dialogue, answer)
    proposal = session.proposal()
    assert proposal.parent == 0 and proposal.reason == "next round; told: The red must be brighter."

"""Whole conversations over HTTP with servers in another process, and every way in which servers fail."""

import contextlib
import itertools
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import picture
from tests.recorded_answers import ANSWERS, AT_LEAST, MODEL, OBJECTS, STAGES, Serving, record, recorded, serving
from tests.servers import Servers, refusing, servers_elsewhere, streamed, whole
from vlmcar_core import authoring, dialogues, prices, replaying
from vlmcar_core.asking import Meter
from vlmcar_core.authoring import Wish
from vlmcar_core.dialogue import Budget
from vlmcar_core.dialogues import Dialogue
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
from vlmcar_core.store import GoalOrigin, Session
from vlmcar_core.types import GOAL

SECRET = "sk-very-secret-0123456789"


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with servers_elsewhere() as found:
        yield found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a session with recorded answers is; it is copied, never changed."""
    return recorded(tmp_path_factory.mktemp("kept")).folder.parent


@pytest.fixture
def session(kept: Path, tmp_path: Path) -> Session:
    return copied(kept, tmp_path)


def copied(kept: Path, root: Path) -> Session:
    shutil.copytree(kept, root, dirs_exist_ok=True)
    return Session.open(root, "red")


def asked(
    session: Session, dialogue: Dialogue, server: Server, key: Key = Key(), count: int = 1, told: Any = None
) -> Dialogue:
    """The conversation, stopped once so many answers could be used."""

    def enough(done: int, _total: int, text: str) -> None:
        if done >= count:
            raise Cancelled("enough")
        if told is not None:
            told.append((time.monotonic(), text))

    with contextlib.suppress(Cancelled):
        authoring.carry_on(session, dialogue, server, key, progress=enough)
    return dialogues.read(dialogue.folder)


def stages(dialogue: Dialogue) -> list[str]:
    return [one.stage for one in dialogue.exchanges]


# Conversations in which nothing fails


@pytest.mark.parametrize("stream", [True, False])
def test_four_questions_in_sequence_become_a_proposal(session: Session, servers: Servers, stream: bool) -> None:
    replay = servers.replaying(session)
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
    assert stages(done) == list(STAGES) and done.proposal == proposal.number
    assert all(one.reply.prompt_tokens and one.reply.answer_tokens for one in done.exchanges)
    assert [one.reply.text for one in done.exchanges] == list(ANSWERS)
    assert authoring.carry_on(session, dialogue, server) == proposal and len(replay.requests) == 5


def test_pictures_that_differ_from_the_recorded_ones_are_noticed_by_the_server(
    session: Session, servers: Servers
) -> None:
    replay = servers.replaying(session)
    session.set_goal(picture(8), GoalOrigin("upload"))
    dialogue = authoring.begin(session, Wish(replay.server()))
    with pytest.raises(BadRequest, match="picture 2 of the request differs"):
        authoring.carry_on(session, dialogue, replay.server())
    assert len(replay.requests) == 1


def test_both_frames_in_one_picture_for_models_that_take_only_one(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session, any_pictures=True)
    server = replay.server(side_by_side=True)
    assert stages(asked(session, authoring.begin(session, Wish(server)), server)) == ["goal"]
    assert replay.requests[0]["pictures"] == [[768, 1552, 3]]


def test_answers_are_replayed_without_a_server(session: Session) -> None:
    dialogue = authoring.begin(session, Wish(Server(), "replay"))
    proposal = authoring.carry_on(session, dialogue, Server())
    assert proposal.author == f"replay of dialogue 0: {MODEL}" and len(proposal.subtasks) == 2
    with pytest.raises(BadInput, match="no recorded conversation 7"):
        authoring.carry_on(session, authoring.begin(session, Wish(Server(), "replay")), Server(model="7"))


def test_the_next_round_carries_the_proposal_and_what_a_person_says(session: Session) -> None:
    dialogue = authoring.begin(
        session, Wish(Server(), "clipboard", feedback="The red must be brighter.", previous=0, hint="It is paint.")
    )
    text = authoring.due(dialogue).asked.text
    assert "The red must be brighter." in text and "Paint seven pixels" in text and "It is paint." in text
    assert "identify_red" in text
    for answer in ANSWERS:
        dialogue = authoring.answer_by_hand(session, dialogue, answer)
    proposal = session.proposal()
    assert proposal.parent == 0 and proposal.reason == "next round; told: The red must be brighter."


# Faults that do not pass

FATAL = [
    ("401", WrongKey, "wants a key and there is none .*; set VLMCAR_API_KEY"),
    ("403", WrongKey, "wants a key and there is none .*403"),
    ("404", UnknownModel, "has no model 'tiny-vlm' .*choose one of its list"),
    ("quota", QuotaSpent, "no credit left .*add some"),
    ("refusal", RefusedToAnswer, "declined: I cannot help"),
    ("filter", RefusedToAnswer, "filter .*change the hint or the frames"),
    ("context", ContextTooLong, "longer than tiny-vlm can read .*smaller pictures"),
    ("no-vision", NoVision, "choose a model with vision"),
    ("one-image", NoVision, "send both frames side by side"),
    ("json", NotUnderstood, "not the chat-completions protocol .*does the address end in /v1"),
    ("html", VlmError, "protocol|no chat completion|without any choice"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("fault", "kind", "words"), FATAL)
def test_a_fault_that_does_not_pass_is_told_at_once(
    session: Session, servers: Servers, fault: str, kind: type[VlmError], words: str, stream: bool
) -> None:
    replay = servers.replaying(session, fault)
    server = replay.server(stream=stream, retries=0 if fault == "html" else 2)
    dialogue = authoring.begin(session, Wish(server))
    with pytest.raises(kind, match=words):
        authoring.carry_on(session, dialogue, server)
    assert len(replay.requests) == 1 and not dialogues.read(dialogue.folder).exchanges
    assert stages(asked(session, dialogue, server)) == ["goal"] and len(replay.requests) == 2


def test_a_failure_at_the_third_question_keeps_the_two_before_it(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session, "ok*2", "401")
    dialogue = authoring.begin(session, Wish(replay.server()))
    with pytest.raises(WrongKey):
        authoring.carry_on(session, dialogue, replay.server())
    assert stages(dialogues.read(dialogue.folder)) == ["goal", "subtasks"] and len(session.proposals().items) == 1
    proposal = authoring.carry_on(session, dialogue, replay.server())
    assert len(proposal.subtasks) == 2
    assert [request["turns"] for request in replay.requests] == [0, 1, 2, 2, 3, 4]  # no answer is asked for again


def test_nobody_at_the_address_is_told_plainly(session: Session) -> None:
    server = Server(preset="other", base_url="http://127.0.0.1:9/v1", model="m", retries=0)
    with pytest.raises(Unreachable, match=r"no server answers at http:.*start it, or correct the address"):
        authoring.carry_on(session, authoring.begin(session, Wish(server)), server)


def test_no_model_and_no_goal_frame_are_told_before_anything_is_asked(session: Session) -> None:
    server = Server(preset="other", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(BadInput, match="no model is chosen"):
        authoring.carry_on(session, authoring.begin(session, Wish(server)), server)
    (session.folder / "frames" / "goal.png").unlink()
    with pytest.raises(BadInput, match="no goal frame yet"):
        authoring.begin(session, Wish(server))


def test_an_unknown_address_on_the_server_is_told_as_such(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session)
    wrong = Server(preset="other", base_url=replay.url.removesuffix("/v1"), model=MODEL, retries=0)
    with pytest.raises(BadRequest, match="does the address end in /v1"):
        authoring.carry_on(session, authoring.begin(session, Wish(replay.server())), wrong)


# Faults that may pass

PASSING = [
    ("500", Overloaded, "overloaded or failed .*The server had an error"),
    ("503", Overloaded, "overloaded or failed .*overloaded"),
    ("429", RateLimited, "takes no more requests for now .*Rate limit"),
    ("slow:4", TimedOut, r"sent nothing for 1\.5 s; .*needs a longer silence"),
    ("silence:4", TimedOut, r"sent nothing for 1\.5 s; .*needs a longer silence"),
    ("cut", ConnectionLost, "connection to http.* was lost"),
    ("end", ConnectionLost, "broke off before its end; it is asked again"),
    ("empty", EmptyAnswer, "without any choice; ask again"),
    ("nothing", EmptyAnswer, "without a word; ask again"),
    ("stream-error", Overloaded, "failed while it answered"),
]
ONLY_STREAMED = ("end", "stream-error")
CASES = [
    (*case, stream)
    for case, stream in itertools.product(PASSING, (True, False))
    if stream or case[0] not in ONLY_STREAMED
]


@dataclass(frozen=True)
class Outcome:
    """What came of a conversation in which a fault happened three times."""

    error: VlmError | None
    """Of the first two times, with one try more allowed."""

    requests_before: int
    requests: int
    done: Dialogue
    told: list[str]


@pytest.fixture(scope="module")
def outcomes(kept: Path, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Outcome]:
    """Every case, side by side: most of their time is waiting."""
    session = copied(kept, tmp_path_factory.mktemp("passing"))
    begun = []
    for fault, _, _, stream in CASES:
        replay = servers.replaying(session, f"{fault}*3")
        server = replay.server(stream=stream, retries=1, silence_seconds=1.5)
        begun.append((replay, server, authoring.begin(session, Wish(server))))

    def outcome(replay: Serving, server: Server, dialogue: Dialogue) -> Outcome:
        error, told = None, []
        try:
            authoring.carry_on(session, dialogue, server)
        except VlmError as raised:
            error = raised
        before = len(replay.requests)
        done = asked(session, dialogue, server, told=told)
        return Outcome(error, before, len(replay.requests), done, [text for _, text in told])

    with ThreadPoolExecutor(len(begun)) as pool:
        found = pool.map(lambda one: outcome(*one), begun)
        return {(fault, stream): one for (fault, _, _, stream), one in zip(CASES, found, strict=True)}


@pytest.mark.parametrize(("fault", "kind", "words", "stream"), CASES)
def test_a_fault_that_may_pass_is_tried_again_as_often_as_is_set_and_then_told(
    outcomes: dict[tuple[str, bool], Outcome], fault: str, kind: type[VlmError], words: str, stream: bool
) -> None:
    found = outcomes[fault, stream]
    assert found.requests_before == 2
    with pytest.raises(kind, match=words):
        raise found.error or AssertionError("nothing was raised")


@pytest.mark.parametrize(("fault", "kind", "words", "stream"), CASES)
def test_a_fault_that_passes_is_waited_for_and_the_question_sent_again(
    outcomes: dict[tuple[str, bool], Outcome], fault: str, kind: type[VlmError], words: str, stream: bool
) -> None:
    found = outcomes[fault, stream]
    assert found.requests == 4 and stages(found.done) == ["goal"]
    assert found.done.exchanges[0].reply.tries == 2 and found.done.exchanges[0].reply.text == ANSWERS[0]
    assert any("waiting" in text and "before the next try" in text for text in found.told)
    assert not found.done.partial


def test_every_fault_of_the_replay_server_is_tried_here() -> None:
    tried = {name.partition(":")[0] for name, *_ in (*FATAL, *PASSING)}
    of_their_own = {"ok", "garbled", "length", "no-schema", "no-stream-options"}
    assert tried | of_their_own == set(replaying.FAULTS)


def test_what_had_arrived_of_an_answer_that_broke_off_is_kept_with_the_error(
    session: Session, servers: Servers
) -> None:
    replay = servers.replaying(session, "ok", "cut")
    server = replay.server(retries=0)
    dialogue = asked(session, authoring.begin(session, Wish(server)), server)
    with pytest.raises(ConnectionLost) as caught:
        authoring.carry_on(session, dialogue, server)
    partial = dialogues.read(dialogue.folder).partial
    assert caught.value.partial == partial and OBJECTS.startswith(partial) and 0 < len(partial) < len(OBJECTS)


@pytest.mark.parametrize(
    ("status", "headers", "least", "why"),
    [
        (429, {"Retry_After": "1.5"}, 1.5, "as the server asks"),
        (503, {"Retry_After": "1.5"}, 1.5, "as the server asks"),
        (429, {"retry_after_ms": "1400"}, 1.4, "as the server asks"),
        (429, {"Retry_After": "0"}, 0.0, None),
        (429, {"Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0, None),
        (429, {"Retry_After": "soon"}, 1.0, "before the next try"),
        (500, {}, 1.0, "before the next try"),
    ],
)
def test_the_wait_that_a_server_asks_for_is_kept(
    session: Session, servers: Servers, status: int, headers: dict[str, str], least: float, why: str | None
) -> None:
    replay = servers.scripted(session, refusing(status, "Later.", **headers), refusing(401, "No."))
    told: list[tuple[float, str]] = []
    with pytest.raises(WrongKey):
        asked(session, authoring.begin(session, Wish(replay.server())), replay.server(), told=told)
    first, second = (request["time"] for request in replay.requests)
    assert least <= second - first
    assert {text.rpartition(" s ")[2] for _, text in told if "waiting" in text} == ({why} if why else set())


def test_without_a_wish_of_the_server_the_waits_grow(session: Session, servers: Servers) -> None:
    replay = servers.scripted(session, refusing(500, "Oh."))
    with pytest.raises(Overloaded):
        asked(session, authoring.begin(session, Wish(replay.server())), replay.server(retries=2))
    times = [request["time"] for request in replay.requests]
    first, second = (after - before for before, after in itertools.pairwise(times))
    assert len(times) == 3 and first >= 1.0 and second >= 2.0


def test_a_server_that_wants_to_be_left_alone_for_long_is_not_waited_for(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session, "429:3600")
    dialogue = authoring.begin(session, Wish(replay.server()))
    began = time.monotonic()
    with pytest.raises(RateLimited, match="asks to wait 3600 s: go on then"):
        authoring.carry_on(session, dialogue, replay.server())
    assert time.monotonic() - began < 60 and len(replay.requests) == 1


# Servers that do not know every setting, and models that cannot read much


def test_a_schema_is_asked_for_and_done_without_where_it_is_refused(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session, "no-schema*")
    dialogue = authoring.begin(session, Wish(replay.server()))
    asked(session, dialogue, replay.server())
    assert [request["schema"] for request in replay.requests] == [True, True, False]
    done = asked(session, dialogue, replay.server(), count=2)
    assert [request["schema"] for request in replay.requests[3:]] == [False] and stages(done) == ["goal", "subtasks"]
    text = done.exchanges[0].messages[-1].text
    assert "JSON" not in text and "one sentence and nothing else" in text and not done.header.brief.structured


def test_no_schema_is_asked_for_where_that_is_switched_off(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session)
    server = replay.server(structured="off")
    asked(session, authoring.begin(session, Wish(server)), server)
    assert [request["schema"] for request in replay.requests] == [False]


def test_settings_that_a_server_does_not_know_are_left_out(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session, "no-stream-options*")
    done = asked(session, authoring.begin(session, Wish(replay.server())), replay.server(), count=2)
    assert len(replay.requests) == 3  # it was told once
    assert done.exchanges[0].reply.prompt_tokens is None and done.exchanges[0].reply.tries == 1
    with pytest.raises(BudgetSpent, match="does not say how many"):
        authoring.carry_on(session, done, replay.server(), meter=Meter(Budget(tokens=100), done.spent))


def test_a_limit_and_a_temperature_that_are_refused_are_left_out(session: Session, servers: Servers) -> None:
    replay = servers.scripted(
        session,
        refusing(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        refusing(400, "'temperature' does not support 0.5 with this model."),
        streamed("It is red."),
    )
    server = replay.server(temperature=0.5, max_tokens=99)
    assert stages(asked(session, authoring.begin(session, Wish(server)), server)) == ["goal"]
    sent = [(one["max_tokens"], one["max_completion_tokens"], one["temperature"]) for one in replay.requests]
    assert sent == [(99, None, 0.5), (None, 99, 0.5), (None, 99, None)]


def test_a_long_conversation_is_shortened_where_the_model_cannot_read_it(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session, "ok*3", "context", any_pictures=True)
    dialogue = authoring.begin(session, Wish(replay.server()))
    authoring.carry_on(session, dialogue, replay.server())
    assert [request["turns"] for request in replay.requests] == [0, 1, 2, 3, 2, 2]
    assert dialogues.read(dialogue.folder).header.brief.short


# Answers that cannot be used


def test_an_answer_that_cannot_be_read_is_asked_again_with_the_reason_and_kept(
    session: Session, servers: Servers
) -> None:
    replay = servers.replaying(session, "ok", "garbled", "length")
    server = replay.server(structured="off")
    done = asked(session, authoring.begin(session, Wish(server)), server, count=2).exchanges
    assert [(one.stage, one.attempt) for one in done] == [
        ("goal", 1),
        ("subtasks", 1),
        ("subtasks", 2),
        ("subtasks", 3),
    ]
    assert done[1].reply.text == "Certainly! That is a lovely picture." and "numbered list" in done[1].problem
    assert "numbered list" in done[2].messages[-1].text and done[2].messages[-2].text == done[1].reply.text
    assert done[2].reply.cut and "cut off" in done[2].problem and not done[3].problem


def test_after_so_many_unreadable_answers_a_person_is_asked_and_may_go_on(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session, "ok", "garbled*2")
    server = replay.server(structured="off", tries=2)
    dialogue = authoring.begin(session, Wish(server))
    with pytest.raises(Unreadable, match="asked 2 times"):
        authoring.carry_on(session, dialogue, server)
    done = dialogues.read(dialogue.folder)
    assert [bool(one.problem) for one in done.exchanges] == [False, True, True] and len(replay.requests) == 3
    assert stages(asked(session, dialogue, server, count=2)) == ["goal", "subtasks", "subtasks", "subtasks"]


def test_code_that_the_sandbox_refuses_or_that_fails_is_asked_again(session: Session) -> None:
    bad = "```python\nimport os\n\n\ndef check(initial, current):\n    return True\n```"
    fails = "```python\ndef check(initial, current):\n    return initial.size / 0\n```"
    dialogue = record(session, (ANSWERS[0], OBJECTS, bad, fails, AT_LEAST.format(pixels=4)), "by hand")
    problems = [one.problem for one in dialogue.exchanges]
    assert "line 1: 'os' may not be imported" in problems[2]
    assert "failed on the initial frame in line 2 (error)" in problems[3] and "ZeroDivisionError" in problems[3]
    assert problems[4] == ""


def test_what_does_not_fit_the_two_frames_is_a_doubt_and_not_refused(session: Session) -> None:
    record(session, (*ANSWERS[:3], AT_LEAST.format(pixels=99), AT_LEAST.format(pixels=0)), "by hand")
    assert [step.doubt for step in session.proposal().steps] == [
        "",
        "its checker does not call the goal frame done",
        "its checker calls the initial frame done already",
    ]


# Stopping


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", ["slow:30", "silence:30", "429:60"])
def test_a_wish_to_stop_is_heeded_while_nothing_comes(
    session: Session, servers: Servers, fault: str, stream: bool
) -> None:
    replay = servers.replaying(session, "ok", fault)
    server = replay.server(silence_seconds=60.0, stream=stream)
    dialogue = asked(session, authoring.begin(session, Wish(server)), server)
    until = time.monotonic() + 0.6

    def stop(_done: int, _total: int, _text: str) -> None:
        if time.monotonic() > until:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        authoring.carry_on(session, dialogue, server, progress=stop)
    assert time.monotonic() - until < 15
    assert stages(dialogues.read(dialogue.folder)) == ["goal"] and len(replay.requests) == 2
    assert stages(asked(session, dialogue, server, count=2)) == ["goal", "subtasks"]


def test_an_answer_that_takes_too_long_in_all_is_given_up(session: Session, servers: Servers) -> None:
    server = servers.replaying(session, "slow:30").server(silence_seconds=60.0, answer_seconds=1.0, retries=0)
    with pytest.raises(TimedOut, match="within 1 s"):
        authoring.carry_on(session, authoring.begin(session, Wish(server)), server)


def test_a_budget_in_tokens_stops_and_what_was_answered_is_kept(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session)
    dialogue = authoring.begin(session, Wish(replay.server()))
    for count in (1, 2):
        with pytest.raises(BudgetSpent, match=r"budget of 100 tokens is spent .*kept"):
            authoring.carry_on(session, dialogue, replay.server(), meter=Meter(Budget(tokens=100)))
        assert len(dialogues.read(dialogue.folder).exchanges) == len(replay.requests) == count
    before = Meter(Budget(tokens=100), dialogues.read(dialogue.folder).spent)
    with pytest.raises(BudgetSpent):
        authoring.carry_on(session, dialogue, replay.server(), meter=before)
    assert len(replay.requests) == 2


def test_a_budget_in_money_stops_and_needs_a_price(session: Session, servers: Servers) -> None:
    replay = servers.replaying(session)
    dialogue = authoring.begin(session, Wish(replay.server()))
    with pytest.raises(BudgetSpent, match="no price: enter the model's"):
        authoring.carry_on(session, dialogue, replay.server(), meter=Meter(Budget(money=1.0)))
    prices.save(session.folder.parent, [Price(MODEL, 1000.0, 1000.0, "2026-01-01")])
    with pytest.raises(BudgetSpent, match=r"budget of \$0.5 is spent"):
        authoring.carry_on(session, dialogue, replay.server(), meter=Meter(Budget(money=0.5)))
    assert len(replay.requests) == 2 and dialogues.spent(session).money > 0.5


# Keys


def test_a_key_is_sent_and_found_nowhere(session: Session, tmp_path: Path) -> None:
    with serving(session, key=SECRET) as replay:
        dialogue = authoring.begin(session, Wish(replay.server()))
        with pytest.raises(WrongKey) as without:
            authoring.carry_on(session, dialogue, replay.server())
        with pytest.raises(WrongKey, match="does not accept the key from: typed") as wrong:
            authoring.carry_on(session, dialogue, replay.server(), Key("sk-wrong-0123456789", "typed"))
        asked(session, dialogue, replay.server(), Key(SECRET, "typed"))
    assert stages(dialogues.read(dialogue.folder)) == ["goal"]
    said = f"{without.value} {wrong.value} {Key(SECRET, 'typed')!r}"
    assert SECRET not in said and "sk-wrong" not in said and not holding(tmp_path, SECRET)


def holding(folder: Path, text: str) -> list[str]:
    """The files that hold a text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if text.encode() in path.read_bytes()]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 402, 422, 429, 500])
def test_a_key_that_a_server_repeats_in_an_error_is_in_no_message(
    session: Session, servers: Servers, status: int, tmp_path: Path
) -> None:
    server = servers.scripted(session, refusing(status, "Bad key {key}, {key}!")).server(retries=0)
    with pytest.raises(VlmError) as caught:
        asked(session, authoring.begin(session, Wish(server)), server, Key(SECRET, "typed"))
    assert "[key]" in str(caught.value) and SECRET not in f"{caught.value!r} {caught.value.partial}"
    assert not holding(tmp_path, SECRET)


@pytest.mark.parametrize("stream", [True, False])
def test_a_key_that_a_server_repeats_in_an_answer_is_kept_nowhere(
    session: Session, servers: Servers, stream: bool, tmp_path: Path
) -> None:
    text = "Use {key} to open the door."
    answer = streamed(text, model="m-{key}") if stream else whole(text, model="m-{key}")
    server = servers.scripted(session, answer).server(stream=stream, structured="off")
    told: list[tuple[float, str]] = []
    done = asked(session, authoring.begin(session, Wish(server)), server, Key(SECRET, "typed"), told=told)
    assert done.exchanges[0].reply.text == "Use [key] to open the door." and not holding(tmp_path, SECRET)
    assert SECRET not in json.dumps(told)

"""Programs in the released style: understood, confirmed, shown an episode in order, and contained like any checker."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import picture, proposal, trajectory
from vlmcar_core import importing, pipeline, programs, verdicts, verify
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.programs import Reading
from vlmcar_core.purity import impurity
from vlmcar_core.reward import CheckerReward, Judge
from vlmcar_core.sandbox import CheckerProcess, Limits, diagnose
from vlmcar_core.store import Session
from vlmcar_core.types import Checker, Frames, Recording

FOLDER = Path(__file__).parent / "programs"
SIDE = 40


def path_of(name: str) -> Path:
    return next(FOLDER.glob(f"*/{name}.py"))


def text(name: str) -> str:
    return importing.read(path_of(name).read_bytes())


def source(name: str) -> str:
    """As it is imported when what was understood is confirmed."""
    return importing.as_source(text(name), importing.chosen(importing.understand(text(name))))


def program(body: str, reading: str = "bool") -> str:
    """A class `P` with this body, as it is imported."""
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return f"import cv2\nimport numpy as np\n\n\nclass P:\n{lines}\n\n# vlmcar program: P.reward -> {reading}\n"


def taken_key() -> Frames:
    """A yellow square that is gone from the third frame on."""
    frames = np.zeros((5, SIDE, SIDE, 3), np.uint8)
    frames[:, 5:10, 5:10] = (255, 255, 0)
    frames[3:, 5:10, 5:10] = 0
    return frames


def said(source: str, frames: Frames, limits: Limits = Limits()) -> list[float | str]:
    with CheckerProcess([Checker("it", source)], limits) as process:
        outcomes = process.run("it", frames[0], frames)
    return [outcome.kind if outcome.value is None else outcome.value for outcome in outcomes]


COUNTS = program(
    "def reset(self):\n    self.n = 0\ndef reward(self, path):\n    self.n += 1\n    return self.n", "number, done at 4"
)


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("door_key", "DoorKey.check_and_progress -> number, done at 1", "a number"),
        ("paid_once", "TakeKey.reward -> number, done at 1", "a number"),
        ("every_frame", "KeyOutOfSight.reward -> number, done at 0.5", "a number"),
        ("true_or_nothing", "Unlock.check_and_progress -> bool", "True or False, or nothing"),
        ("distance", "Reach.reward -> number, done at 1", "a number"),
        ("count", "InTheBowl.reward -> item 1, number, done at 1", "a tuple (unknown, number)"),
        ("running_maximum", "Piles.reward -> number, done at 1", "a number"),
        ("two_classes", "Brighter.check_and_progress -> bool", "True or False"),
    ],
)
def test_what_a_sound_program_is_taken_for(name: str, line: str, told: str) -> None:
    found = importing.understand(text(name))
    assert [problem for problem in found.problems if problem.severity == "error"] == []
    assert importing.chosen(found).line == f"# vlmcar program: {line}"
    assert found.classes[0].methods[0].told == told


def test_every_program_keeps_its_lines() -> None:
    for path in FOLDER.glob("*/*.py"):
        lines = path.read_text().splitlines()
        assert importing.as_source(path.read_text(), Reading("Any", "reward")).splitlines()[: len(lines)] == lines


@pytest.mark.parametrize(
    ("name", "warned", "kind", "line", "message"),
    [
        ("missing_method", "has no 'find_key'", "error", 10, "no attribute 'find_key'"),
        ("undefined_name", "'np' is not defined anywhere", "error", 13, "name 'np' is not defined"),
        ("wrong_arguments", "takes 2 arguments and is given 1", "error", 13, "missing 1 required positional argument"),
        ("endless", "", "timeout", 11, "took longer than"),
    ],
)
def test_a_broken_program_shows_its_own_error_with_its_line(
    name: str, warned: str, kind: str, line: int, message: str
) -> None:
    found = importing.understand(text(name))
    assert [problem.line for problem in found.problems if warned and warned in problem.message] == [line] * bool(warned)
    outcomes = importing.trial(source(name), taken_key())
    first = next(outcome for outcome in outcomes if outcome.kind != "ok")
    assert (first.kind, first.line) == (kind, line)
    assert message in first.message
    assert f"{kind}, line {line}" in importing.summary(outcomes)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("needs_more", 5, "__init__ cannot be called as NeedsMore()"),
        ("writes_a_file", 7, "'open' may not be used"),
    ],
)
def test_a_program_that_cannot_be_run_is_refused_with_its_line(name: str, line: int, message: str) -> None:
    with pytest.raises(BadInput, match=f"line {line}: ") as caught:
        importing.check(source(name))
    assert message in str(caught.value)
    assert said(source(name), taken_key()) == ["rejected"] * 5


def test_where_the_gate_is_off_arguments_that_do_not_fit_are_told_by_the_line_that_they_meet() -> None:
    with CheckerProcess([Checker("it", source("needs_more"))], Limits(gate=False)) as process:
        outcome = process.run("it", picture(), picture()[None])[0]
    assert (outcome.kind, outcome.line) == ("error", 5)
    assert "missing 1 required positional argument: 'threshold'" in outcome.message


def test_a_class_without_a_method_for_a_path_is_told() -> None:
    found = importing.understand(text("no_method"))
    assert found.suggestion is None
    with pytest.raises(BadInput, match="line 4: class NoMethod has neither check_and_progress nor reward"):
        importing.chosen(found)


@pytest.mark.parametrize("given", ["", "def check(a, b):\n    return True\n", "class A(:\n", "x = 1\n" * 20_000, "\0"])
def test_a_file_that_holds_no_program_is_told(given: str) -> None:
    with pytest.raises(BadInput, match="there is no class"):
        importing.chosen(importing.understand(given))


def test_a_file_that_is_no_text_or_too_large_is_told() -> None:
    with pytest.raises(BadInput, match=r"byte 3 is 0xff"):
        importing.read(b"abc\xff")
    with pytest.raises(BadInput, match="at most 64 KiB"):
        importing.read(b"#" * 65_537)
    assert importing.read("\N{BYTE ORDER MARK}a\r\nb".encode()) == "a\nb"


def test_another_reading_than_the_suggested_one() -> None:
    found = importing.understand(text("two_classes"))
    assert importing.chosen(found, "Darker").line.endswith("Darker.check_and_progress -> item 0, bool")
    assert importing.chosen(found, "Darker", item=1, done_at=2.5).line.endswith("item 1, number, done at 2.5")
    assert importing.chosen(importing.understand(text("paid_once")), as_bool=True).line.endswith(
        "TakeKey.reward -> bool"
    )
    with pytest.raises(UnknownName, match="Brighter, Darker"):
        importing.chosen(found, "Lighter")
    with pytest.raises(UnknownName, match="check_and_progress"):
        importing.chosen(found, "Darker", "judge")
    with pytest.raises(BadInput, match="not 0"):
        importing.chosen(found, done_at=0.0)


def test_the_last_line_is_read_as_it_is_written() -> None:
    for reading in (
        Reading("A", "b"),
        Reading("A", "b", 3),
        Reading("A", "b", None, 0.125),
        Reading("Ä", "b", 0, 12.0),
    ):
        assert programs.reading_of(programs.with_reading("x = 1\n", reading)) == reading
    once = programs.with_reading("x = 1\n", Reading("A", "b"))
    assert programs.with_reading(once, Reading("A", "c")).count(programs.PREFIX) == 1
    assert programs.reading_of("def check(a, b):\n    return True\n") is None
    for wrong in ("A.b -> boool", "A.b -> number, done at 0", "A.b", "A -> bool"):
        assert programs.reading_of(f"{programs.PREFIX} {wrong}\n") is None
        findings = diagnose(f"class A: ...\n{programs.PREFIX} {wrong}\n")
        assert [(item.rule, item.line) for item in findings] == [("program", 2)]


def test_frames_come_in_order_each_once_and_repeated_ones_too() -> None:
    still = np.stack([picture(3, SIDE)] * 6)
    assert said(COUNTS, still) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    asked = verify.ask(CheckerProcess([Checker("it", COUNTS)]), Checker("it", COUNTS), trajectory([3, 3, 3, 3, 3]))
    assert asked.values.tolist() == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_long_episodes_go_on_from_message_to_message() -> None:
    assert said(COUNTS.replace("done at 4", "done at 200"), np.zeros((150, 4, 4, 3), np.uint8))[-1] == 0.75


@pytest.mark.parametrize(
    "body",
    [
        "def reset(self):\n    P.kept = 0\ndef reward(self, path):\n    P.kept += 1\n    return P.kept",
        "kept = []\ndef reward(self, path):\n    self.kept.append(1)\n    return len(self.kept)",
        "def reward(self, path, kept=[]):\n    kept.append(1)\n    return len(kept)",
    ],
)
def test_nothing_is_carried_from_one_trajectory_to_the_next(body: str) -> None:
    frames = np.stack([picture()] * 3)
    with CheckerProcess([Checker("it", program(body, "number, done at 10"))]) as process:
        for _ in range(2):
            outcomes = process.run("it", frames[0], frames)
            assert [outcome.value for outcome in outcomes] == pytest.approx([0.1, 0.2, 0.3])


def test_what_imread_gives() -> None:
    looks = program(
        """
def reward(self, path):
    image = cv2.imread(path)
    assert image.dtype == np.uint8 and image.shape == (16, 16, 3) and image.flags.writeable
    assert tuple(image[0, 0]) == (30, 20, 10), image[0, 0]
    assert cv2.imread(path, cv2.IMREAD_GRAYSCALE).shape == (16, 16)
    assert cv2.imread(path, cv2.IMREAD_UNCHANGED).shape == (16, 16, 3)
    assert cv2.imread("another.png") is None and cv2.imread("/etc/passwd") is None
    self.first = getattr_first(self, path)
    assert tuple(cv2.imread(self.first)[0, 0]) == (30, 20, 10)
    image[:] = 0
    return True
"""
    ).replace(
        "class P:",
        "def getattr_first(self, path):\n    return self.first if hasattr(self, 'first') else path\n\n\nclass P:",
    )
    frames = np.full((3, 16, 16, 3), (10, 20, 30), np.uint8)
    frames[:, 8:] = np.arange(3, dtype=np.uint8)[:, None, None, None]
    with CheckerProcess([Checker("it", looks)]) as process:
        assert [(found.kind, found.message) for found in process.run("it", frames[0], frames)] == [("ok", "")] * 3


@pytest.mark.parametrize(
    ("returned", "reading", "answer"),
    [
        ("None", "bool", 0.0),
        ("np.bool_(True)", "bool", 1.0),
        ("1", "bool", 1.0),
        ("2", "bool", "badreturn"),
        ("'yes'", "bool", "badreturn"),
        ("None", "number, done at 1", "badreturn"),
        ("-3.0", "number, done at 1", 0.0),
        ("2", "number, done at 4", 0.5),
        ("True", "number, done at 1", 1.0),
        ("float('nan')", "number, done at 1", "badreturn"),
        ("float('inf')", "number, done at 1", "badreturn"),
        ("10 ** 400", "number, done at 1", "badreturn"),
        ("(0.2, True)", "item 1, bool", 1.0),
        ("(0.2, True)", "item 2, bool", "badreturn"),
        ("0.2", "item 0, number, done at 1", "badreturn"),
        ("[3, 4]", "item 0, number, done at 6", 0.5),
    ],
)
def test_how_answers_are_mapped_to_the_contract(returned: str, reading: str, answer: float | str) -> None:
    frames = np.stack([picture()])
    assert said(program(f"def reward(self, path):\n    return {returned}", reading), frames) == [answer]


def test_one_bad_frame_does_not_lose_the_others() -> None:
    body = "n = 0\ndef reward(self, path):\n    self.n += 1\n    return 1 / (self.n - 2)"
    assert said(program(body, "number, done at 1"), np.stack([picture()] * 4)) == [0.0, "error", 1.0, 0.5]


CRASHES = "n = 0\ndef reward(self, path):\n    self.n += 1\n    if self.n == 3:\n        cv2.connectedComponents(np.zeros((0, 0), np.uint8))\n    return self.n >= 2"


def test_after_its_process_ended_the_rest_of_the_episode_is_lost_and_the_next_is_not() -> None:
    frames = np.stack([picture()] * 5)
    with CheckerProcess([Checker("it", program(CRASHES))]) as process:
        for _ in range(3):
            outcomes = process.run("it", frames[0], frames)
            assert [outcome.kind for outcome in outcomes] == ["ok", "ok", "crash", "crash", "crash"]
            assert "earlier in this episode" in outcomes[3].message
        assert {outcome.kind for outcome in process.run("it", frames[0], frames)} == {"disabled"}


def test_an_episode_that_was_going_on_when_another_one_ended_the_process_is_lost() -> None:
    frame = picture()
    with CheckerProcess([Checker("it", program(CRASHES))]) as process:
        assert process.run("it", frame, frame[None], stream=1, begins=True)[0].kind == "ok"
        process.run("it", frame, np.stack([frame] * 3), stream=2, begins=True)
        assert process.run("it", frame, frame[None], stream=1, begins=False)[0].kind == "crash"
        assert process.run("it", frame, frame[None], stream=1, begins=True)[0].kind == "ok"
        with pytest.raises(ValueError, match="from 0 to 1023"):
            process.run("it", frame, frame[None], stream=1024)


@pytest.mark.parametrize("gate", [True, False], ids=["gate on", "gate off"])
def test_it_is_sealed_as_any_checker_is(gate: bool) -> None:
    there = Path("/tmp/written-by-a-program")
    assert not there.exists()
    assert set(said(source("writes_a_file"), taken_key(), Limits(gate=gate))) == {"rejected" if gate else "denied"}
    assert not there.exists()


def test_it_is_looked_at_with_what_its_methods_identify() -> None:
    frames = taken_key()
    with CheckerProcess([Checker("it", source("door_key"))]) as process:
        found = process.inspect("it", frames[0], frames[3])
        again = process.inspect("it", frames[0], frames[0])
    assert found.outcome.value == pytest.approx(1 / 3)
    assert again.outcome.value == 0.0
    assert [(seen.name, seen.kind) for seen in found.initial] == [("yellow", "mask"), ("goal", "mask")]
    assert found.initial[0].mask is not None and found.initial[0].mask.sum() == 25
    assert found.current[0].mask is not None and found.current[0].mask.sum() == 0


def test_what_is_decided_by_something_else_than_the_frames_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    checker = Checker("it", COUNTS)
    frames = np.stack([picture()] * 3)
    assert impurity(checker, frames[0], frames) == ""
    asked = iter([COUNTS, COUNTS.replace("+= 1", "+= 2")])
    from vlmcar_core import purity

    plain = purity._asked
    monkeypatch.setattr(purity, "_asked", lambda _, initial, seen: plain(Checker("it", next(asked)), initial, seen))
    assert "on frame 0 it answers 0.25 and then 0.5" in impurity(checker, frames[0], frames)


def test_two_copies_side_by_side_are_each_shown_their_own_episode() -> None:
    from tests.test_reward import Red

    steps = proposal(("first", COUNTS.replace("done at 4", "done at 3")), ("second", COUNTS))
    judge = Judge(CheckerProcess([step.checker for step in steps.paid]))
    one, two = (CheckerReward(Red(), steps, judge) for _ in range(2))
    one.reset()
    for _ in range(2):
        paid = [one.step(1)[1]]
    two.reset()
    assert paid == [0.5]
    assert [round(env.step(1)[1], 3) for env in (two, one, two, one, two, one)] == [0.0, 0.5, 0.5, 0.0, 0.5, 0.0]
    one.reset()
    assert [one.step(1)[1] for _ in range(3)] == [0.0, 0.5, 0.5]
    judge.close()


def test_no_answer_of_a_program_is_remembered() -> None:
    from tests.test_reward import Red

    env = CheckerReward(Red(), proposal(("counts", COUNTS)))
    env.reset()
    for _ in range(5):
        env.step(0)
    assert env._judge.remembered == 0
    env.close()


@pytest.fixture(scope="module")
def door_key(tmp_path_factory: pytest.TempPathFactory) -> Session:
    root = tmp_path_factory.mktemp("programs")
    session = pipeline.create_from_env(root, "door", "MiniGrid-DoorKey-6x6-v0", recording=Recording(2, 30, 30))
    pipeline.record(session)
    return session


def test_a_right_program_is_accepted_on_real_episodes_and_a_broken_one_rejected_with_its_line(
    door_key: Session,
) -> None:
    edited, latest = importing.imported(door_key, source("door_key"), "the goal is reached", as_goal=True)
    assert latest is None
    stored = pipeline.save_edit(door_key, edited, "a person")
    assert importing.trial_of(door_key, source("door_key")).startswith("on expert-000: first done in frame ")
    result = pipeline.verify(door_key, stored.number)
    assert verdicts.judge_checker(result.verdict("goal"), result).judgement == "accepted", result.verdict("goal")

    edited, latest = importing.imported(door_key, source("undefined_name"), "nothing right")
    result = pipeline.verify(door_key, pipeline.save_edit(door_key, edited, "a person", "", latest).number)
    judged = verdicts.judge_checker(result.verdict("nothing-right"), result)
    assert judged.judgement == "rejected"
    assert "error, line 13: NameError: name 'np' is not defined" in judged.reason


def test_a_sub_task_needs_a_proposal_to_be_added_to(make_session: Callable[..., Session]) -> None:
    with pytest.raises(BadInput, match="has no proposal yet"):
        importing.imported(make_session(), source("paid_once"), "x")


def vlmcar(root: Path, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vlmcar_core", "--root", str(root), *arguments]
    return subprocess.run(command, input=answer, capture_output=True, text=True, timeout=120)


def test_the_command_asks_before_it_imports(make_session: Callable[..., Session], tmp_path: Path) -> None:
    session = make_session()
    session.add_trajectory(trajectory([0, 2, 4]))
    command = ["import-program", "red", str(path_of("paid_once")), "--goal", "--author", "me"]
    refused = vlmcar(tmp_path, *command, answer="n\n")
    assert refused.returncode == 0 and "nothing was imported" in refused.stdout
    assert "class TakeKey in line 6, has reset()" in refused.stdout
    assert "TakeKey.reward(path), what it returns: a number, done from 1 on" in refused.stdout
    assert "Tried: on expert-000: never done in 3 frames" in refused.stdout
    assert not session.proposals().items
    assert vlmcar(tmp_path, *command, answer="y\n").returncode == 0
    wider = ["import-program", "red", str(path_of("every_frame")), "--title", "Out of sight", "--done-at", "0.4"]
    assert vlmcar(tmp_path, *wider, "--yes", "--author", "me").returncode == 0
    stored = session.proposal()
    assert stored.goal.checker.source == source("paid_once")
    assert [step.key for step in stored.subtasks] == ["out-of-sight"]
    assert stored.subtasks[0].checker.source.endswith("KeyOutOfSight.reward -> number, done at 0.4\n")
    assert stored.author == "me" and stored.reason == "imported every_frame.py"


def test_the_command_refuses_what_cannot_run(make_session: Callable[..., Session], tmp_path: Path) -> None:
    make_session()
    for name, more, message in (
        ("no_method", [], "class NoMethod has neither check_and_progress nor reward"),
        ("writes_a_file", [], "line 7: 'open' may not be used"),
        ("paid_once", ["--class", "Other"], "Other"),
        ("paid_once", ["--bool", "--done-at", "1"], "contradict"),
        ("paid_once", [], "has no proposal yet"),
    ):
        done = vlmcar(tmp_path, "import-program", "red", str(path_of(name)), "--yes", "--author", "me", *more)
        assert done.returncode == 1 and message in done.stderr, (name, done.stderr)

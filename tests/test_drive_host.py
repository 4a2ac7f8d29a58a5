"""The process of a driven environment, spoken to over its pipes: answers in order, refusals in words, and an end."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlmcar_core import drive_host, files, pipeline
from vlmcar_core.drive_host import LENGTH, Bench
from vlmcar_core.driving import Driver
from vlmcar_core.store import Session
from vlmcar_core.types import Recording

EMPTY = "MiniGrid-Empty-5x5-v0"

WORDS = st.sampled_from(
    ["number", "do", "pressed", "held", "points", "turn", "share", "seed", "driver", "press", "undo", "fly"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | WORDS | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(WORDS, parts, max_size=5),
    max_leaves=12,
)
"""Values that are near a wish, and hardly ever one that can be done."""


class Host:
    """The command in a process of its own."""

    def __init__(self, session: Session) -> None:
        root = str(session.folder.parent)
        argv = [sys.executable, "-m", "vlmcar_core", "--root", root, "drive-host", session.name]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.hello, self.frame = self.heard()

    def heard(self) -> tuple[dict[str, Any], bytes]:
        """The next answer and its PNG."""
        assert self.process.stdout is not None
        data = drive_host.read_message(self.process.stdout, drive_host.ANSWER_LIMIT_BYTES)
        assert data is not None, "it has ended"
        return unpacked(data)

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        drive_host.write_message(self.process.stdin, data)

    def ask(self, **wish: Any) -> tuple[dict[str, Any], bytes]:
        self.send(json.dumps({"number": 1, **wish}).encode())
        return self.heard()

    def press(self, name: str) -> dict[str, Any]:
        return self.ask(do="press", pressed={"held": [name]})[0]


def unpacked(data: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = LENGTH.unpack(data[:4])
    return json.loads(data[4 : 4 + length]), data[4 + length :]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return pipeline.create_from_env(tmp_path_factory.mktemp("host"), "driven", EMPTY, recording=Recording(2, 0, 5))


@pytest.fixture(scope="module")
def host(session: Session) -> Iterator[Host]:
    host = Host(session)
    yield host
    host.process.kill()
    host.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def in_hand(session: Session) -> Iterator[Bench]:
    with closing(Driver(session.task)) as driver, closing(Bench(session, driver)) as bench:
        yield bench


@pytest.fixture(autouse=True)
def anew(host: Host) -> None:
    assert host.ask(do="begin", seed=0)[0]["steps"] == 0


def test_it_says_what_can_be_pressed_and_shows_the_first_frame(host: Host, session: Session) -> None:
    assert [control["name"] for control in host.hello["controls"]["keys"]][:3] == ["turn left", "turn right", "forward"]
    assert host.hello["instruction"] == "get to the green goal square"
    assert np.array_equal(files.from_png(host.frame, "x"), session.initial)


def test_forty_wishes_at_once_are_answered_each_in_order_with_its_frame(host: Host) -> None:
    for number in range(40):
        name = "turn left" if number % 2 else "turn right"
        host.send(json.dumps({"number": number, "do": "press", "pressed": {"held": [name]}}).encode())
    answers = [host.heard() for _ in range(40)]
    assert [answer["number"] for answer, _ in answers] == list(range(40))
    assert [answer["steps"] for answer, _ in answers] == list(range(1, 41))
    assert all(files.from_png(png, "x").shape == (160, 160, 3) for _, png in answers)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "Expecting"),
        (b"[]", "an object"),
        (b"\xff\xfe", "decode"),
        (b'{"number": 1}', "lacks 'do'"),
        (b'{"number": 1, "do": "explode"}', "do is one of press, undo"),
        (b'{"number": 1, "do": "undo", "path": "/etc"}', "has no 'path'"),
        (b'{"number": "1", "do": "undo"}', "number is a whole number"),
        (b'{"number": 1, "do": "begin", "seed": 1e400}', "too large"),
        (b'{"number": 1, "do": "begin", "seed": -4}', "a seed is a whole number"),
        (b'{"number": 1, "do": "press", "pressed": {"held": ["fly"]}}', "no control 'fly'; there are: turn left"),
        (b'{"number": 1, "do": "press", "pressed": {"held": "forward"}}', "pressed.held is a list"),
        (b'{"number": 1, "do": "press", "pressed": {"points": [[2, 0], [0, 0]]}}', "shares of the picture"),
        (b'{"number": 1, "do": "press", "pressed": {"share": NaN}}', "NaN is no JSON"),
        (b'{"number": 1, "do": "save", "source": "random"}', "source is one of expert, near-miss"),
        (b'{"number": 1, "do": "save", "driver": "Ada"}', "nothing was done yet"),
        (b'{"number": 1, "do": "goal", "driver": ""}', "enter yours"),
    ],
)
def test_what_it_cannot_do_it_refuses_in_words_and_goes_on(host: Host, data: bytes, words: str) -> None:
    host.send(data)
    answer, png = host.heard()
    assert words in answer["error"] and answer["steps"] == 0 and not png
    assert host.press("forward")["steps"] == 1


@given(st.binary(max_size=200) | st.builds(lambda value: json.dumps(value).encode(), JSON))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_message_is_more_than_refused(in_hand: Bench, data: bytes) -> None:
    answer, _ = unpacked(in_hand.answer(data))
    assert answer["error"] and answer["steps"] == 0


def test_an_episode_is_driven_undone_and_kept(host: Host, session: Session) -> None:
    for name in ("forward", "forward", "turn right", "forward", "turn left"):
        host.press(name)
    assert host.ask(do="undo")[0]["steps"] == 4
    done = host.press("forward")
    assert (done["over"], done["success"]) == ("ended", True)
    assert host.press("forward")["error"].startswith("the episode is over")
    saved, png = host.ask(do="save", source="expert", driver="Ada")
    assert saved["said"] == "saved as expert-000, 5 steps" and saved["kept"] and not png
    assert session.trajectory("expert-000").actions.tolist() == [2, 2, 1, 2, 2]
    assert host.ask(do="next")[0]["seed"] == 1


def test_the_frame_that_is_seen_becomes_the_goal_and_the_initial_frame(host: Host, session: Session) -> None:
    host.press("turn left")
    _, png = host.ask(do="press", pressed={"held": ["turn left"]})
    assert host.ask(do="goal", driver="Ada")[0]["kept"]
    assert host.ask(do="initial")[0]["kept"]
    seen = files.from_png(png, "x")
    assert np.array_equal(session.goal, seen) and np.array_equal(session.initial, seen)


def test_it_ends_with_the_pipe_and_after_a_message_that_is_too_long(session: Session) -> None:
    ended, flooded = Host(session), Host(session)
    assert ended.process.stdin is not None and flooded.process.stdin is not None
    ended.process.stdin.close()
    flooded.process.stdin.write(LENGTH.pack(2**31))
    flooded.process.stdin.flush()
    for host in (ended, flooded):
        assert host.process.wait(20) == 0
        assert host.process.stdout is not None
        host.process.stdout.close()
    flooded.process.stdin.close()


def test_it_ends_when_nothing_is_done(session: Session) -> None:
    command = (
        "import os, sys\nfrom pathlib import Path\nfrom vlmcar_core import drive_host\n"
        "from vlmcar_core.store import Session\n"
        f"session = Session.open(Path({str(session.folder.parent)!r}), {session.name!r})\n"
        "drive_host.serve(session, os.fdopen(0, 'rb', 0, closefd=False), sys.stdout.buffer, idle_seconds=0.2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = process.stdout.read()  # its other pipe is still open
    answers = []
    source = io.BytesIO(told)
    while (data := drive_host.read_message(source, drive_host.ANSWER_LIMIT_BYTES)) is not None:
        answers.append(unpacked(data)[0])
    assert process.returncode == 0 and answers[-1]["ended"]
    assert "so the environment was closed" in answers[-1]["error"]


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "gone", EMPTY)
    path = session.folder / "session.json"
    path.write_text(path.read_text().replace(EMPTY, "MiniGrid-Nowhere-v0"))
    host = Host(session)
    assert host.hello["ended"] and "no environment 'MiniGrid-Nowhere-v0'" in host.hello["error"]
    assert host.process.wait(20) == 0
    host.process.communicate(timeout=20)

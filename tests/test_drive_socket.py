"""Driving over the app's WebSocket, by plain sockets: tabs of their own, strangers, floods, and nothing left behind."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.browser.conftest import Server, serving
from tests.studio_sessions import framed
from tests.test_drive_host import unpacked
from vlmcar_core import drive_host, pipeline
from vlmcar_core.types import Recording
from vlmcar_studio import driving

SECONDS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("driven") / "sessions"
    root.mkdir()
    pipeline.create_from_env(root, "driven", "MiniGrid-Empty-5x5-v0", recording=Recording(2, 0, 5))
    framed(root, "frames")
    with serving(root) as found:
        yield found


def opened(server: Server, session: str = "driven", **options: Any) -> ClientConnection:
    address = f"ws://{urlsplit(server.url).netloc}/vlmcar/drive/{session}"
    return connect(address, open_timeout=SECONDS, max_size=None, **options)


def heard(tab: ClientConnection) -> dict[str, Any]:
    data = tab.recv(timeout=SECONDS)
    assert isinstance(data, bytes)
    return unpacked(data)[0]


def ask(tab: ClientConnection, **wish: Any) -> dict[str, Any]:
    tab.send(json.dumps({"number": 7, **wish}))
    return heard(tab)


def press(tab: ClientConnection, name: str) -> dict[str, Any]:
    return ask(tab, do="press", pressed={"held": [name]})


def hosts(root: Path) -> list[psutil.Process]:
    """The processes that hold environments of these sessions."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "drive-host" in words and str(root.resolve()) in words:
            found.append(process)
    return found


def soon(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + SECONDS
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def can_be_driven(server: Server) -> bool:
    with opened(server) as tab:
        return "steps" in heard(tab)


def test_presses_at_twenty_a_second_are_all_answered_and_how_long_it_took(server: Server) -> None:
    with opened(server) as tab:
        assert heard(tab)["steps"] == 0
        sent: list[float] = []
        waits: list[float] = []
        for number in range(40):
            sent.append(time.monotonic())
            held = ["turn left" if number % 2 else "turn right"]
            tab.send(json.dumps({"number": number, "do": "press", "pressed": {"held": held}}))
            time.sleep(0.05)
        for number in range(40):
            answer = heard(tab)
            assert (answer["number"], answer["steps"]) == (number, number + 1)
        for _ in range(20):
            begun = time.monotonic()
            press(tab, "turn left")
            waits.append(1000 * (time.monotonic() - begun))
    print(f"press to frame, without a browser: {sorted(waits)[10]:.1f} ms median, {max(waits):.1f} ms at the most")


def test_two_tabs_drive_two_environments(server: Server) -> None:
    with opened(server) as one, opened(server) as other:
        heard(one)
        heard(other)
        assert [press(one, "turn left")["steps"] for _ in range(3)] == [1, 2, 3]
        assert ask(other, do="begin", seed=5)["seed"] == 5
        assert press(other, "turn right")["steps"] == 1
        again = press(one, "turn left")
        assert (again["steps"], again["seed"]) == (4, 0)
        assert "no control 'r'" in press(other, "r")["error"]
        assert press(one, "turn left")["steps"] == 5


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_strangers_are_refused_and_no_process_is_started_for_them(server: Server, headers: dict[str, str]) -> None:
    assert soon(lambda: not hosts(server.root))
    with pytest.raises(InvalidStatus) as refused, opened(server, additional_headers=headers):
        pass
    assert refused.value.response.status_code == 403 and not hosts(server.root)


def test_a_strangers_name_for_this_machine_is_refused(server: Server) -> None:
    address = urlsplit(server.url)
    assert address.hostname is not None and address.port is not None
    way = socket.create_connection((address.hostname, address.port))
    with pytest.raises(InvalidStatus) as refused, connect("ws://evil.example/vlmcar/drive/driven", sock=way):
        pass
    assert refused.value.response.status_code == 403


def test_our_own_page_is_let_in(server: Server) -> None:
    with opened(server, origin=server.url) as tab:
        assert heard(tab)["controls"]["keys"]


@pytest.mark.parametrize(
    ("message", "code"), [("x" * (drive_host.WISH_LIMIT_BYTES + 1), driving.TOO_LARGE), (b"{}", driving.WRONG_KIND)]
)
def test_what_is_too_large_or_no_text_ends_the_connection(server: Server, message: str | bytes, code: int) -> None:
    with opened(server) as tab:
        heard(tab)
        tab.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            heard(tab)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == code
    assert soon(lambda: not hosts(server.root))


@pytest.mark.parametrize(
    ("session", "words"),
    [
        ("frames", "two frames and no environment"),
        ("nowhere", "no session 'nowhere'"),
        ("..", "cannot be a session's name"),
    ],
)
def test_what_has_no_environment_says_so_and_hangs_up(server: Server, session: str, words: str) -> None:
    with opened(server, session) as tab:
        told = heard(tab)
        assert told["ended"] and words in told["error"]
        with pytest.raises(ConnectionClosed):
            while True:
                heard(tab)


def test_a_flood_is_answered_wish_by_wish_and_disturbs_nobody(server: Server) -> None:
    with opened(server) as loud, opened(server) as quiet:
        heard(loud)
        heard(quiet)
        for _ in range(500):
            loud.send("{}")
        assert press(quiet, "turn left")["steps"] == 1
        assert all("lacks 'do'" in heard(loud)["error"] for _ in range(500))
        assert press(loud, "turn left")["steps"] == 1


def test_no_more_than_so_many_are_driven_at_once_and_each_ends_with_its_tab(server: Server) -> None:
    assert soon(lambda: not hosts(server.root))
    with ExitStack() as stack:
        tabs = [stack.enter_context(opened(server)) for _ in range(driving.AT_ONCE_MAX)]
        assert all(heard(tab)["steps"] == 0 for tab in tabs)
        assert len(hosts(server.root)) == driving.AT_ONCE_MAX
        with opened(server) as one_more:
            told = heard(one_more)
            assert told["ended"] and "are being driven already" in told["error"]
        tabs[0].close()
        assert soon(lambda: len(hosts(server.root)) == driving.AT_ONCE_MAX - 1)
        assert soon(lambda: can_be_driven(server))
    assert soon(lambda: not hosts(server.root))


def test_an_environment_ends_with_the_app_however_that_ends(server: Server) -> None:
    with opened(server) as tab:
        heard(tab)
        assert soon(lambda: len(hosts(server.root)) == 1)
        server.kill()
        assert soon(lambda: not hosts(server.root))
    server.start()


def test_a_process_that_is_ended_is_told_of(server: Server) -> None:
    with opened(server) as tab:
        heard(tab)
        assert soon(lambda: len(hosts(server.root)) == 1)
        hosts(server.root)[0].kill()
        assert heard(tab)["error"] == "the environment's process has ended; start it again"

"""The app in a process of its own and a real Chromium, for tests that need both; skipped where there is none."""

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from vlmcar_core import jobs
from vlmcar_studio.server import command

START_SECONDS = 60.0
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP rebound.example 127.0.0.1",  # a stranger's name that leads here
]
IDLE_MS = 300
IDLE = """(idle) => {
    const app = document.querySelector("[data-testid=stApp]");
    const busy = app?.dataset.testConnectionState !== "CONNECTED" || app.dataset.testScriptState === "running" ||
        document.querySelector("[data-testid=stSkeleton], [data-stale=true]");
    window.idleSince = busy ? undefined : window.idleSince ?? Date.now();
    return window.idleSince !== undefined && Date.now() - window.idleSince > idle;
}"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser on a busy machine may be late for once; what fails twice in a row is wrong."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


class Server:
    """The app in a process of its own, on a free port of loopback; it can be killed and started again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        """Where its sessions are."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        path = self.root.with_name(f"{self.root.name}.log")
        scratch = self.root.with_name(f"{self.root.name}-tmp")
        scratch.mkdir(exist_ok=True)
        environment = {**os.environ, "VLMCAR_SESSIONS": str(self.root), "TMPDIR": str(scratch)}
        with path.open("ab") as log:
            self._process = subprocess.Popen(
                command(self._port, headless=True), env=environment, stdout=log, stderr=log
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"the app did not start: {path.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it without warning, and nothing that it has started."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    root.mkdir(exist_ok=True)
    server = Server(root)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        for folder in [*root.glob("*/runs/*"), *root.glob("*/jobs/*")]:
            jobs.cancel(folder, grace_seconds=2.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An app of this test alone, without sessions."""
    with serving(tmp_path / "sessions") as started:
        yield started


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One app that tests share; each makes a session of its own in it."""
    with serving(tmp_path_factory.mktemp("shared") / "sessions") as started:
        yield started


@pytest.fixture
def wait() -> Callable[[Callable[[], bool], float], None]:
    """Wait until something on disk has come true, for so many seconds at most."""

    def wait(true: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, f"it has not come true within {seconds:g} s"
            time.sleep(0.1)

    return wait


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page on which nothing may go wrong unseen."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    shown = page.locator("[data-testid=stException]").count()
    context.close()
    assert faults == []
    assert shown == 0


@pytest.fixture
def visit(app: Server, page: Page) -> Callable[..., Page]:
    """Open a page of the app and wait until it is drawn."""

    def visit(name: str, **query: str) -> Page:
        page.goto(f"{app.url}/{name}?{urlencode(query)}")
        settle(page)
        return page

    return visit


def settle(page: Page) -> None:
    """Wait until the app is connected, and nothing runs or is being drawn."""
    page.evaluate("window.idleSince = undefined")
    page.wait_for_function(IDLE, arg=IDLE_MS, timeout=60_000)

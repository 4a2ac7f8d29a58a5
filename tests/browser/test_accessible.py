"""Every page by axe-core: light and dark, wide and narrow, with a full session, an empty one and none."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Server, settle
from tests.conftest import picture
from tests.studio_sessions import verified
from vlmcar_core.store import Session
from vlmcar_core.types import Task

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "sessions"
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
THEMES = ("light", "dark")
WIDTHS = (1280, 390)
SEVERE = ("serious", "critical")

RUN = """async () => {
    const options = {resultTypes: ["violations"], iframes: false, rules: {"target-size": {enabled: true}}};
    const { violations } = await axe.run(document, options);
    return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ html, target, failureSummary }) => (
        { rule: id, impact, html: html.slice(0, 300), target: String(target[0]), why: failureSummary })));
}"""


def findings(page: Page) -> list[dict[str, Any]]:
    """What axe finds in the page and in each frame of it that is serious or critical, Streamlit's markup included."""
    found: list[dict[str, Any]] = []
    for frame in page.frames:
        frame.evaluate(AXE)
        found += frame.evaluate(RUN)
    return [one for one in found if one["impact"] in SEVERE]


@pytest.fixture(scope="module")
def full(app: Server) -> str:
    """The example with everything: trajectories, a verdict, runs."""
    shutil.copytree(EXAMPLES / "example-doorkey-6x6", app.root / "full")
    return "full"


@pytest.fixture(scope="module")
def answered(app: Server) -> str:
    """The example with conversations, candidates and a rejected checker."""
    shutil.copytree(EXAMPLES / "example-recorded-answers", app.root / "answered")
    return "answered"


@pytest.fixture(scope="module")
def wrong(app: Server) -> str:
    """Two frames, a failing checker, and a name as long as one can be."""
    return verified(app.root, "a-name-as-long-as-a-name-can-be-which-nobody-would-type-twice-ok").name


@pytest.fixture(scope="module")
def empty(app: Server) -> str:
    """A session in which nothing was done yet."""
    session = Session.create(app.root, "empty", Task("MiniGrid-DoorKey-5x5-v0", "minigrid"))
    session.set_initial(picture(0))
    return session.name


@pytest.fixture(scope="module")
def plain(chromium: Browser) -> Iterator[Page]:
    """One page for all: only how it is looked at changes."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()


LOOKS = [
    *((name, state) for state in ("full", "empty", "none") for name in PAGES),
    *((name, "answered") for name in ("candidates", "propose", "repair")),
    *((name, "wrong") for name in ("home", "verify", "review", "repair")),
]


@pytest.mark.parametrize(("name", "state"), LOOKS)
def test_axe_finds_nothing_serious(
    app: Server, plain: Page, request: pytest.FixtureRequest, name: str, state: str
) -> None:
    session = "" if state == "none" else request.getfixturevalue(state)
    plain.emulate_media(color_scheme="light")
    plain.goto(f"{app.url}/{'' if name == 'home' else name}?session={session}")
    found = []
    for theme in THEMES:
        plain.emulate_media(color_scheme=theme)
        for width in WIDTHS:
            plain.set_viewport_size({"width": width, "height": 900})
            settle(plain)
            assert plain.get_by_role("heading", level=1).count() == 1
            found += [(theme, width, one) for one in findings(plain)]
            over = plain.evaluate(
                "(() => { const it = document.querySelector('[data-testid=stMain]');"
                " return it.scrollWidth - it.clientWidth; })()"
            )
            assert over <= 0, f"{width} pixels wide, the page is {over} pixels wider"
    assert not found, "\n\n".join(f"{theme}, {width}: {one}" for theme, width, one in found)

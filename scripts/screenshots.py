"""Pictures of every page of a running app, light and dark, wide and narrow.

python -m scripts.screenshots http://127.0.0.1:8501 --session example-doorkey-6x6 --out shots
python -m scripts.screenshots http://127.0.0.1:8501 --docs      # those of the README, of the example sessions
"""

import argparse
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PAGES = (
    *(
        "home",
        "task",
        "record",
        "drive",
        "propose",
        "candidates",
        "review",
        "verify",
        "examine",
        "repair",
        "train",
        "study",
        "report",
    ),
    *("sweep", "queue", "models", "compare"),
)
WIDTHS = (1280, 390)


DOCS = Path(__file__).parent.parent / "docs" / "screenshots"
DOCS_SIZE = (1280, 860)
DOCS_SHOWN = 960
"""How wide they are kept, in pixels."""


@dataclass(frozen=True)
class Shot:
    """One picture of the README."""

    name: str
    page: str
    at: str | None = None
    """What is written at its top; the page's beginning if None."""

    theme: Literal["light", "dark"] = "light"
    query: str = ""
    """More of the address."""


SESSION = "example-doorkey-6x6"
SHOTS = (
    Shot("review", "review", at="Checker"),
    Shot("verify", "verify"),
    Shot("replay", "verify", at="What the code sees, by", query="trajectory=expert-000&frame=8", theme="dark"),
    Shot("train", "train", at="Runs"),
)


def for_docs(browser: Browser, url: str) -> None:
    """The pictures of the README, in few colours, so that a clone stays small."""
    DOCS.mkdir(exist_ok=True)
    wide, tall = DOCS_SIZE
    for shot in SHOTS:
        context = browser.new_context(color_scheme=shot.theme, viewport={"width": wide, "height": tall})
        page = context.new_page()
        page.goto(f"{url}/{shot.page}?session={SESSION}&{shot.query}")
        settle(page)
        if shot.at is not None:
            words = page.get_by_test_id("stMain").get_by_text(shot.at, exact=True).first
            words.evaluate("element => element.scrollIntoView({ block: 'start' })")
            settle(page)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        picture = picture.resize((DOCS_SHOWN, tall * DOCS_SHOWN // wide), Image.Resampling.LANCZOS)
        picture.quantize(256, dither=Image.Dither.NONE).save(DOCS / f"{shot.name}.png", optimize=True)
        context.close()


def settle(page: Page) -> None:
    """Wait until the page is connected, nothing runs and nothing is being drawn."""
    page.wait_for_selector("[data-testid=stApp][data-test-connection-state=CONNECTED]", timeout=30_000)
    page.wait_for_function(
        """() => {
            const app = document.querySelector("[data-testid=stApp]");
            const busy = app.dataset.testScriptState === "running" ||
                document.querySelector("[data-testid=stSkeleton], [data-stale=true]");
            window.idleSince = busy ? undefined : window.idleSince ?? Date.now();
            return window.idleSince !== undefined && Date.now() - window.idleSince > 600;
        }""",
        timeout=60_000,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--session", default="")
    parser.add_argument("--query", default="", help="more of the address, such as by=openai")
    parser.add_argument("--out", type=Path, default=Path("shots"))
    parser.add_argument("--docs", action="store_true", help="make the pictures of the README instead")
    parser.add_argument("--pages", nargs="+", default=PAGES, choices=PAGES)
    parser.add_argument("--themes", nargs="+", default=("light", "dark"), choices=("light", "dark"))
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS)
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if options.docs:
            for_docs(browser, options.url)
            browser.close()
            return
        options.out.mkdir(parents=True, exist_ok=True)
        for theme in options.themes:
            for width in options.widths:
                context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
                page = context.new_page()
                for name in options.pages:
                    page.goto(
                        f"{options.url}/{'' if name == 'home' else name}?session={options.session}&{options.query}"
                    )
                    settle(page)
                    if name == "drive" and page.locator("[data-part=start]").count():
                        page.locator("[data-part=start]").click()
                        page.locator("[data-part=bench]").wait_for()
                    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
                    page.set_viewport_size({"width": width, "height": min(max(900, height + 40), 4000)})
                    settle(page)
                    page.screenshot(path=options.out / f"{name}-{theme}-{width}.png")
                    page.set_viewport_size({"width": width, "height": 900})
                context.close()
        browser.close()


if __name__ == "__main__":
    main()

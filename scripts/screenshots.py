"""Pictures of every page of a running app, light and dark, wide and narrow.

python scripts/screenshots.py http://127.0.0.1:8501 --session example-doorkey-6x6 --out shots
"""

import argparse
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

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
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pages", nargs="+", default=PAGES, choices=PAGES)
    parser.add_argument("--themes", nargs="+", default=("light", "dark"), choices=("light", "dark"))
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
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

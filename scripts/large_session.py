"""A session that is as large as the app should stay quick with, and how quick its page *Verify* is.

    python -m scripts.large_session make DIR                      a session `large` in DIR: 500 episodes of 500 frames
    python -m scripts.large_session measure http://127.0.0.1:8501 with the app running over that folder

Ten episodes are drawn, every frame another picture; the rest are copies of their files, which the app cannot know. What
the checkers would answer is worked out here and stored; verification then counts it.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from scripts.screenshots import CHROMIUM, FLAGS, settle
from vlmcar_core import pipeline
from vlmcar_core.store import TRAJECTORIES, GoalOrigin, Session
from vlmcar_core.types import Answers, Checker, Frames, Proposal, Source, SubTask, Task, Trajectory

NAME = "large"
SIDE = 96
DRAWN = 10
SHARES = {"a-quarter": 0.25, "half": 0.5, "nearly": 0.9, "goal": 0.98}
"""How far across the square must be, by checker key."""

SOURCE = """
def identify_square(image):
    return (image[..., 0] > 200) & (image[..., 1] < 50)


def check(initial, current):
    columns = identify_square(current).any(axis=0).nonzero()[0]
    return bool(len(columns)) and columns[0] >= {share} * (current.shape[1] - 8)
"""


def frames(count: int, speed: float) -> tuple[Frames, Frames]:
    """A red square that goes to the right over a grey that every frame has its own shade of; and where it is."""
    places = np.minimum(np.arange(count) * speed * (SIDE - 8) / count, SIDE - 8).astype(np.uint8)
    pictures = np.full((count, SIDE, SIDE, 3), 90, np.uint8)
    for number, place in enumerate(places):
        pictures[number, 0, 0] = number // 256, number % 256, 0
        pictures[number, 40:48, place : place + 8] = 255, 0, 0
    return pictures, places


def trajectory(count: int, number: int) -> tuple[Trajectory, Frames]:
    """One episode, an expert's where the square comes across, and where its square is."""
    source: Source = "expert" if number % 5 == 0 else "random"
    pictures, places = frames(count, 1.2 if source == "expert" else 0.05 + 0.08 * number)
    steps, solved = count - 1, source == "expert"
    nothing = np.zeros(steps)
    return Trajectory(pictures, nothing.astype(int), nothing, solved, not solved, solved, source, number, None), places


def make(root: Path, episodes: int, count: int) -> None:
    """The session, verified. `count` is of frames."""
    session = Session.create(root, NAME, Task(env_id=None, family=None))
    first, _ = frames(2, 1.0)
    session.set_initial(first[0])
    session.set_goal(first[1], GoalOrigin("upload"))
    steps = {
        key: SubTask(key.replace("-", " "), Checker(key, SOURCE.format(share=share))) for key, share in SHARES.items()
    }
    goal = steps.pop("goal")
    session.add_proposal(Proposal(goal, tuple(steps.values()), "a script"))
    drawn = [trajectory(count, number) for number in range(DRAWN)]
    ids = [session.add_trajectory(episode) for episode, _ in drawn]
    for number, (id, (_, places)) in enumerate(zip(ids, drawn, strict=True)):
        copies = [id, *_copied(session, id, number, episodes)]
        for step in (*steps.values(), goal):
            values = (places >= SHARES[step.key] * (SIDE - 8)).astype(np.float32)
            for copy in copies:
                session.save_answers(step.checker.digest, copy, Answers(values))
    pipeline.verify(session)


def _copied(session: Session, id: str, number: int, episodes: int) -> list[str]:
    """The same file under further numbers, so that there are `episodes` in all; the new ids."""
    path = session.trajectory_path(id)
    ids = [f"{path.stem.rpartition('-')[0]}-{other:03d}" for other in range(DRAWN + number, episodes, DRAWN)]
    for other in ids:
        shutil.copy(path, session.folder / TRAJECTORIES / f"{other}.zip")
    return ids


def measure(url: str) -> None:
    """Seconds and milliseconds of what a person does, in Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/vlmcar/frame/" in request.url else None)
        for words in ("page, first time", "page, again"):
            began = time.perf_counter()
            page.goto(f"{url}/verify?session={NAME}")
            page.wait_for_selector("[data-part=where]", timeout=120_000)
            shown = time.perf_counter() - began
            settle(page)
            print(f"{words}: player there after {shown:.1f} s; {len(asked)} frames fetched", flush=True)
        print(f"a step by key: {_steps(page)}")
        print(f"a chip of the list: {_clicked(page, 'button', 'random')}")
        print(f"another trajectory: {_other(page)}")
        print(f"frames fetched in all: {len(asked)}")
        browser.close()


def _steps(page: Page) -> str:
    """Milliseconds that one key takes in the browser, until all is drawn."""
    spent = page.evaluate(
        """() => { const canvas = document.querySelector("[data-testid=stBidiComponentRegular] .replay canvas") ??
            [...document.querySelectorAll("*")].find(one => one.shadowRoot?.querySelector(".replay")).shadowRoot
                .querySelector("[data-part=now]");
        return Array.from({length: 60}, () => { const began = performance.now();
            canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
            return performance.now() - began; }); }"""
    )
    return f"median {statistics.median(spent):.1f} ms, worst {max(spent):.1f} ms"


def _clicked(page: Page, role: str, name: str) -> str:
    settle(page)
    began = time.perf_counter()
    page.get_by_role(role, name=name, exact=True).click()  # type: ignore[arg-type]
    settle(page)
    return f"{time.perf_counter() - began - 0.6:.1f} s until nothing moves"


def _other(page: Page) -> str:
    box = page.get_by_role("combobox", name="Trajectory")
    began = time.perf_counter()
    box.click()
    box.fill("random-257")
    page.keyboard.press("Enter")
    settle(page)
    return f"{time.perf_counter() - began - 0.6:.1f} s until nothing moves"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("root", type=Path)
    making.add_argument("--episodes", type=int, default=500)
    making.add_argument("--frames", type=int, default=500)
    measuring = commands.add_parser("measure")
    measuring.add_argument("url")
    options = parser.parse_args()
    if options.command == "make":
        make(options.root, options.episodes, options.frames)
    else:
        measure(options.url)


if __name__ == "__main__":
    main()

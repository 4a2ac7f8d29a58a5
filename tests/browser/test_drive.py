"""Driving in a real browser, with real keys: a demonstration that verification counts, and all around it."""

import itertools
import re
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Server, settle
from vlmcar_core import pipeline, plugins, verdicts
from vlmcar_core.driving import Driver
from vlmcar_core.envs import Pressed
from vlmcar_core.store import Session
from vlmcar_core.types import Recording, Task

pytestmark = pytest.mark.browser
SECONDS = 90_000
NUMBERS = itertools.count()
DOOR = "MiniGrid-DoorKey-5x5-v0"
KEYS = ("ArrowLeft", "ArrowRight", "ArrowUp", "p", "d", " ", "Enter")


def part(page: Page, name: str) -> Locator:
    return page.locator(f".drive [data-part='{name}']")


def steps(page: Page, count: int) -> None:
    """Wait until the picture of this step is drawn."""
    expect(page.locator(".drive")).to_have_attribute("data-steps", str(count), timeout=SECONDS)


def started(page: Page) -> Page:
    part(page, "start").click()
    expect(part(page, "canvas")).to_be_visible(timeout=SECONDS)
    steps(page, 0)
    return page


def made(app: Server, env_id: str, **settings: Any) -> Session:
    """A session of its own for every try of every test."""
    return pipeline.create_from_env(
        app.root, f"driven-{next(NUMBERS)}", env_id, settings=settings, recording=Recording(2, 30, 25)
    )


def way(seed: int) -> list[int]:
    """What the planner would do, as a person might."""
    family = plugins.load("envs", "minigrid")
    env = family.make(Task(DOOR, "minigrid"))
    env.reset(seed=seed)
    actions: list[int] = family.expert(env)
    env.close()
    return actions


def test_a_demonstration_by_keys_is_an_expert_in_verification(app: Server, visit: Callable[..., Page]) -> None:
    session = made(app, DOOR)
    page = started(visit("drive", session=session.name))
    expect(part(page, "instruction")).to_have_text("use the key to open the door and then get to the goal")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Your name").press("Enter")
    settle(page)
    for number in range(2):
        part(page, "canvas").focus()
        for action in way(number):
            page.keyboard.press(KEYS[action])
        expect(part(page, "said")).to_contain_text("the environment calls it solved", timeout=SECONDS)
        part(page, "expert").click()
        expect(part(page, "said")).to_contain_text(f"Saved as expert-00{number}", timeout=SECONDS)
        expect(part(page, "expert")).to_be_disabled()
        part(page, "next").click()
        steps(page, 0)
        expect(part(page, "seed")).to_have_value(str(number + 1))
    settle(page)
    assert session.goal is not None, "the first demonstration's last frame"

    for number in range(2):
        driven, planned = session.trajectory(f"expert-00{number}"), way(number)
        assert driven.actions.tolist() == planned and driven.success and driven.versions["driver"] == "Ada"
    pipeline.record(session)
    assert [info.origin for info in session.trajectories().items if info.source == "expert"] == ["driven by Ada"] * 2
    pipeline.propose(session)
    verification = pipeline.verify(session)
    assert (verification.expert.hits, verification.expert.total) == (2, 2)
    assert verdicts.judge_whole(verification).judgement == "accepted"

    visit("record", session=session.name)
    expect(page.get_by_text("Fewer experts")).to_have_count(0)
    assert not page.locator("[data-testid=stException]").count()


@pytest.fixture
def empty(app: Server) -> Session:
    return made(app, "MiniGrid-Empty-5x5-v0")


def test_forty_presses_at_twenty_a_second_are_forty_steps(empty: Session, visit: Callable[..., Page]) -> None:
    page = started(visit("drive", session=empty.name))
    part(page, "canvas").focus()
    for number in range(40):
        page.keyboard.press(KEYS[number % 2])
        page.wait_for_timeout(50)
    steps(page, 40)
    expect(page.locator(".drive")).to_have_attribute("data-answered", "40")
    print(part(page, "latency").inner_text())


def test_keys_count_while_the_picture_has_the_focus_and_not_while_paused(
    empty: Session, visit: Callable[..., Page]
) -> None:
    page = started(visit("drive", session=empty.name))
    expect(part(page, "canvas")).to_be_focused()
    ring = part(page, "canvas").evaluate("(canvas) => getComputedStyle(canvas).outlineStyle")
    page.keyboard.press("ArrowLeft")
    steps(page, 1)
    part(page, "pause").click()
    expect(part(page, "state")).to_contain_text("Paused: 1 step")
    part(page, "canvas").focus()
    page.keyboard.press("ArrowLeft")
    part(page, "pause").click()
    expect(part(page, "state")).to_contain_text("Recording: 1 step")
    page.get_by_label("Your name").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("r")
    part(page, "controls").get_by_role("button", name="turn right", exact=True).click()
    steps(page, 2)
    part(page, "undo").click()
    steps(page, 1)
    assert ring == "solid"


def test_a_key_is_chosen_anew_and_kept_for_the_next_visit(empty: Session, visit: Callable[..., Page]) -> None:
    page = started(visit("drive", session=empty.name))
    part(page, "controls").get_by_role("button", name="Key for turn left").click()
    page.keyboard.press("c")
    expect(part(page, "said")).to_contain_text("c is taken")
    page.keyboard.press("d")
    expect(part(page, "said")).to_contain_text("“turn left” is on d now")
    expect(part(page, "controls").get_by_role("button", name="Key for drop")).to_have_text("←")
    page.reload()
    settle(page)
    started(page)
    initial = page.evaluate("localStorage.getItem('vlmcar.keys.minigrid')")
    assert '"turn left":"d"' in initial
    page.keyboard.press("d")
    steps(page, 1)
    part(page, "reset-keys").click()
    expect(part(page, "controls").get_by_role("button", name="Key for turn left")).to_have_text("←")


def test_what_is_not_saved_is_lost_to_a_second_click_only(empty: Session, visit: Callable[..., Page]) -> None:
    page = started(visit("drive", session=empty.name))
    page.keyboard.press("ArrowLeft")
    steps(page, 1)
    part(page, "again").click()
    expect(part(page, "said")).to_contain_text("One step is not saved")
    steps(page, 1)
    part(page, "again").click()
    steps(page, 0)
    page.keyboard.press("ArrowLeft")
    steps(page, 1)
    part(page, "near-miss").click()
    expect(part(page, "said")).to_contain_text("Saved as near-miss-000")
    expect(page.get_by_text("Driven so far")).to_be_visible()
    part(page, "again").click()
    steps(page, 0)
    part(page, "goal").click()
    expect(part(page, "said")).to_contain_text("This is the goal frame now")
    settle(page)
    assert np.array_equal(empty.goal, empty.initial)


def kill_host(session: Session) -> None:
    """SIGKILL to the process in which a session's environment lives."""
    hosts = [
        process
        for process in psutil.process_iter(["cmdline"])
        if {"drive-host", session.name} <= set(process.info["cmdline"] or ())
    ]
    assert len(hosts) == 1
    hosts[0].kill()
    hosts[0].wait(20)


def test_what_was_driven_outlives_the_process_and_is_driven_on_from(empty: Session, visit: Callable[..., Page]) -> None:
    page = started(visit("drive", session=empty.name))
    for count, key in enumerate(("ArrowUp", "ArrowUp", "ArrowRight"), 1):
        page.keyboard.press(key)
        steps(page, count)
    kill_host(empty)
    expect(part(page, "said")).to_contain_text("What was not saved is kept", timeout=SECONDS)
    page.reload()
    settle(page)
    expect(page.get_by_text("An episode that was driven here was not saved")).to_be_visible()
    started(page)
    expect(part(page, "drafts")).to_contain_text("You drove 3 steps from seed 0 that were not saved")
    part(page, "drafts").get_by_role("button", name="Continue from there").click()
    steps(page, 3)
    expect(part(page, "drafts")).to_be_hidden()
    expect(part(page, "canvas")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(part(page, "said")).to_contain_text("the environment calls it solved", timeout=SECONDS)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Your name").press("Enter")
    settle(page)
    part(page, "expert").click()
    expect(part(page, "said")).to_contain_text("Saved as expert-000, 5 steps", timeout=SECONDS)
    assert empty.trajectory("expert-000").actions.tolist() == [2, 2, 1, 2, 2]


def test_what_was_left_behind_is_discarded_by_a_second_click_only(empty: Session, visit: Callable[..., Page]) -> None:
    page = started(visit("drive", session=empty.name))
    page.keyboard.press("ArrowLeft")
    steps(page, 1)
    page.reload()
    settle(page)
    started(page)
    expect(part(page, "drafts")).to_contain_text("You drove one step")
    part(page, "drafts").get_by_role("button", name="Discard it").click()
    part(page, "drafts").get_by_role("button", name="Lose it for good").click()
    expect(part(page, "drafts")).to_be_hidden()
    assert not list((empty.folder / "driving").iterdir())


def test_held_keys_go_on_and_several_are_one_step(app: Server, visit: Callable[..., Page]) -> None:
    session = made(app, "PandaReach-v3", size=64)
    page = started(visit("drive", session=session.name))
    page.keyboard.down("ArrowRight")
    page.keyboard.down("w")
    expect(part(page, "state")).to_have_text(re.compile(r"Recording: (6|7|8|9|\d\d) steps"), timeout=SECONDS)
    page.keyboard.up("w")
    page.keyboard.up("ArrowRight")
    expect(part(page, "near-miss")).to_be_enabled()
    part(page, "near-miss").click()
    expect(part(page, "said")).to_contain_text("Saved as near-miss-000", timeout=SECONDS)
    actions = session.trajectory("near-miss-000").actions
    assert len(actions) >= 6
    assert any(action[1] > 0.5 and action[2] > 0.5 for action in actions), "both at once"


def test_a_block_is_picked_and_placed_by_two_clicks_and_by_keys_alone(app: Server, visit: Callable[..., Page]) -> None:
    session = made(app, "Tabletop/put-block-in-bowl-v0")
    with closing(Driver(session.task)) as driver:
        frame = driver.frame.astype(int)
        red = np.argwhere((frame[..., 0] > 150) & (frame[..., 1] < 60) & (frame[..., 2] < 60))
        down, across = (red.mean(axis=0) + 0.5) / frame.shape[:2]
        driver.press(Pressed(points=((across, down), (0.1, 0.9))))
        expected = driver.frame
    page = started(visit("drive", session=session.name))
    box = part(page, "canvas").bounding_box()
    assert box is not None
    for x, y in ((across, down), (0.1, 0.9)):
        part(page, "canvas").click(position={"x": x * box["width"], "y": y * box["height"]})
    steps(page, 1)
    part(page, "goal").click()
    expect(part(page, "said")).to_contain_text("This is the goal frame now", timeout=SECONDS)
    assert session.goal is not None
    assert (np.abs(session.goal.astype(int) - expected).max(axis=-1) > 30).mean() < 0.01, "the same block, moved there"
    part(page, "canvas").focus()
    for key in ("ArrowLeft", "Enter", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    steps(page, 2)

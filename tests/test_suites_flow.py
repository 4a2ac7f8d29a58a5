"""The whole flow on the other two suites, as a person goes it: task, record, propose without and with a model, edit,
verify, train, watch, report."""

import time
from pathlib import Path

import pytest

from tests.recorded_answers import MODEL, record, serving
from tests.test_cli_vlm import at, vlmcar
from vlmcar_core import jobs, pipeline, runs, verdicts
from vlmcar_core.store import Session
from vlmcar_core.types import BUILT_IN

REACH_OBJECTS = """The hand has to come to the yellow ball.

1. Bring the hand to the ball

```python
import numpy as np


def views(image):
    middle = image.shape[1] // 2
    return image[:, :middle], image[:, middle:]


def centre(mask):
    rows, columns = np.nonzero(mask)
    return None if len(rows) < 3 else (columns.mean(), rows.mean())


def yellow(image):
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (red > 120) & (green > 100) & (blue < 70)


def red(image):
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (red > 120) & (green < 70) & (blue < 70)


def identify_ball(image):
    return yellow(image)


def identify_fingers(image):
    return red(image)
```
"""
REACH_CHECK = """It is there when fingers and ball are close in both views; a ball that is hidden is hidden by the hand.

```python
def check(initial, current):
    seen = 0
    for view in views(current):
        ball, fingers = centre(yellow(view)), centre(red(view))
        if fingers is None:
            return False
        if ball is not None:
            seen += 1
            if np.hypot(ball[0] - fingers[0], ball[1] - fingers[1]) > 0.065 * current.shape[0]:
                return False
    return seen > 0
```
"""
BOWL_OBJECTS = """The blue blocks belong into the cyan bowls.

1. Put every blue block into a cyan bowl

```python
import cv2
import numpy as np


def parts(mask):
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return [labels == number for number in range(1, count) if stats[number, cv2.CC_STAT_AREA] >= 20]


def identify_blocks(image):
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (red < 80) & (blue > 1.6 * red) & (blue > 1.25 * green) & (blue > 60)


def identify_bowls(image):
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (green > 1.5 * red) & (blue > 1.5 * red) & (abs(green - blue) < 60)
```
"""
BOWL_CHECK = """A block is in a bowl when it lies within the bowl's outline, which does not move.

```python
def check(initial, current):
    inside = np.zeros(current.shape[:2], bool)
    for bowl in parts(identify_bowls(initial)):
        hull = cv2.convexHull(cv2.findNonZero(bowl.astype(np.uint8)))
        filled = np.zeros(current.shape[:2], np.uint8)
        cv2.fillConvexPoly(filled, hull, 1)
        inside |= filled > 0
    blocks = identify_blocks(current)
    return blocks.sum() >= 20 and (blocks & ~inside).sum() < 0.1 * blocks.sum()
```
"""
FLOWS = {
    "PandaReach-v3": (["--settings", '{"size": 128}'], (REACH_OBJECTS, REACH_CHECK), "SAC", 260),
    "Tabletop/put-block-in-bowl-v0": ([], (BOWL_OBJECTS, BOWL_CHECK), "SAC", 120),
}
"""Settings, what a model would answer, the trainer to begin with, and steps of training."""


@pytest.mark.parametrize("env_id", FLOWS)
def test_a_suite_goes_the_whole_way(tmp_path: Path, env_id: str) -> None:
    settings, (objects, check), trainer, steps = FLOWS[env_id]
    amounts = ["--experts", "2", "--random", "30", "--random-steps", "30"]
    assert vlmcar(tmp_path, "new", "it", "--env", env_id, *settings, *amounts).returncode == 0
    assert "2 expert" in vlmcar(tmp_path, "record", "it").stdout
    assert BUILT_IN in vlmcar(tmp_path, "propose", "it").stdout
    session = Session.open(tmp_path, "it")
    assert holds(session)
    edited(session)
    with_a_model(session, (objects, check))
    trained(session, trainer, steps)
    shown = vlmcar(tmp_path, "report", "it", "--out", str(tmp_path / "it.html"))
    assert shown.returncode == 0
    page = (tmp_path / "it.html").read_text()
    assert env_id in page and MODEL in page and "simulator" in page


def holds(session: Session) -> bool:
    """Every expert completes it, and random episodes do not reject it; so few may leave it open."""
    verification = pipeline.verify(session)
    judged = verdicts.judge_whole(verification)
    return verification.expert.hits == verification.expert.total == 2 and judged.judgement != "rejected"


def edited(session: Session) -> None:
    """A person changes a title and a line of code; the rest stays."""
    key = session.proposal().subtasks[0].key
    path = session.folder.parent / "edited.py"
    path.write_text(session.proposal().subtasks[0].checker.source + "\n# looked at\n")
    answer = vlmcar(session.folder.parent, "edit", "set", "it", key, "--code", str(path), "--author", "Ada")
    assert answer.returncode == 0, answer.stderr
    assert session.proposal().author == "Ada" and holds(session)


def with_a_model(session: Session, answers: tuple[str, str]) -> None:
    """Its answers are recorded by hand once; then a server gives them, to the pictures of this task only."""
    goal = "The task is done as in the second picture."
    before = session.proposal().number
    record(session, (goal, answers[0], answers[1], answers[1]))
    assert session.proposal().number != before and holds(session)
    with serving(session) as replay:
        asked = vlmcar(session.folder.parent, "propose", "it", "--proposer", "openai", **at(replay))
        assert asked.returncode == 0, asked.stderr
        assert len(replay.requests) == 4
    assert session.proposal().author == MODEL and holds(session)


def trained(session: Session, trainer: str, steps: int) -> None:
    assert next(iter(pipeline.trainers(session))).upper() == trainer
    started = pipeline.start_training(session, ("dense", "sparse"), [0], steps=steps, evaluations=1, eval_episodes=2)
    until = time.monotonic() + 300
    while any(jobs.read(job.folder).running for job in started):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert [jobs.read(job.folder).state for job in started] == ["success", "success"]
    rows = [runs.read_progress(job.folder)[-1] for job in started]
    assert (rows[0]["faults"] == {} and rows[0]["learned_return"] is None) or rows[0]["learned_return"] >= 0.0
    assert pipeline.watch(session, 0, 1) == ["policy-000"]
    assert session.trajectory("policy-000").source == "policy"

"""For tests: a session with recorded answers, and the server that replays them, in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import picture, trajectory
from vlmcar_core import authoring
from vlmcar_core.authoring import Wish
from vlmcar_core.dialogues import Dialogue
from vlmcar_core.servers import Server
from vlmcar_core.store import GoalOrigin, Session
from vlmcar_core.types import Task

MODEL = "tiny-vlm"
RED = """
def identify_red(image):
    return (image[..., 0] > 200) & (image[..., 1] < 50)
"""
OBJECTS = f"1. Paint four pixels\n2. Paint seven pixels\n```python{RED}```\n"
AT_LEAST = """It is done when enough is red.

```python
def check(initial, current):
    return int(identify_red(current).sum()) >= {pixels}
```
"""
ANSWERS = (
    "The picture is to become red.",
    OBJECTS,
    AT_LEAST.format(pixels=4),
    AT_LEAST.format(pixels=7),
    AT_LEAST.format(pixels=9),
)
STAGES = ("goal", "subtasks", "check-1", "check-2", "goal-check")


def painted(root: Path, name: str = "red") -> Session:
    """Two frames, two experts and thirty random episodes that hardly paint."""
    session = Session.create(root, name, Task(env_id=None, family=None))
    session.set_initial(picture(0))
    session.set_goal(picture(9), GoalOrigin("upload", name="goal.png"))
    for seed in (0, 1):
        session.add_trajectory(trajectory([0, 2, 4, 7, 9], seed=seed))
    for seed in range(30):
        session.add_trajectory(trajectory([0, 0, 1 + seed % 5], source="random", success=False, seed=100 + seed))
    return session


def recorded(root: Path, name: str = "red", answers: tuple[str, ...] = ANSWERS, model: str = MODEL) -> Session:
    """The same, with one conversation that came to a proposal."""
    session = painted(root, name)
    record(session, answers, model)
    return session


def record(session: Session, answers: tuple[str, ...] = ANSWERS, model: str = MODEL, **wish: Any) -> Dialogue:
    """Have a conversation by hand."""
    dialogue = authoring.begin(session, Wish(Server(), "clipboard", **wish))
    for answer in answers:
        dialogue = authoring.answer_by_hand(session, dialogue, answer, model)
    return dialogue


class Serving:
    """The server in its process."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self._log = url, log

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What was asked for so far."""
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    def server(self, **settings: Any) -> Server:
        """Settings that ask it, with little patience."""
        patience = {"silence_seconds": 2.0, "retries": 2, "model": MODEL}
        return Server(preset="other", base_url=self.url, **{**patience, **settings})


@contextmanager
def serving(session: Session, *options: str, key: str = "") -> Iterator[Serving]:
    """`vlmcar replay-server` on a free port, for the length of the block."""
    log = session.folder.parent / f"requests-{os.urandom(4).hex()}.jsonl"
    argv = [sys.executable, "-m", "vlmcar_core", "--root", str(session.folder.parent), "replay-server", session.name]
    process = subprocess.Popen(
        [*argv, "--port", "0", "--log", str(log), *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "VLMCAR_REPLAY_KEY": key},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), line
        yield Serving(line.split()[0], log)
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()

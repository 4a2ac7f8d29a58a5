"""A checker that keeps something between calls is found by asking in another order, and rejected with a reason."""

import numpy as np
import pytest

from tests.conftest import RED_AT_LEAST, picture, proposal
from vlmcar_core import pipeline, verdicts
from vlmcar_core.purity import impurity
from vlmcar_core.sandbox import diagnose
from vlmcar_core.store import Session
from vlmcar_core.types import Checker, Task, Trajectory

LIST = "seen = []\n\n\ndef check(initial, current):\n    mine = seen\n    mine.append(1)\n    return len(mine) > 4 and initial is not None\n"
DEFAULT = "def check(initial, current, best=list((0,))):\n    best[0] = max(best[0], int(current[..., 0].sum()))\n    return best[0] > 800 and initial is not None\n"
CLOSURE = "def make():\n    count = [0]\n\n    def more():\n        count[0] += 1\n        return count[0]\n\n    return more\n\n\nmore = make()\n\n\ndef check(initial, current):\n    return more() > 3 and initial is not None\n"
OBJECT = "class Counter:\n    n = 0\n\n    def up(self):\n        self.n = self.n + 1\n        return self.n\n\n\ncounter = Counter()\n\n\ndef check(initial, current):\n    return counter.up() > 3 and initial is not None\n"
KEEPERS = {"a list": LIST, "a default argument": DEFAULT, "a closure": CLOSURE, "an object": OBJECT}
"""What the gate does not see."""

SEEN = {
    "a list": ("seen = []\ndef check(a, b):\n    seen.append(a)\n    return len(seen) > 3\n", 3),
    "a dictionary": ("seen = {}\ndef check(a, b):\n    seen['n'] = a\n    return b is a\n", 3),
    "one more": ("seen = [0]\ndef check(a, b):\n    seen[0] += 1\n    return a is b\n", 3),
    "a default": ("def check(a, b, best=[0]):\n    best[0] = 1\n    return a is b\n", 2),
    "a library": ("import numpy as np\ndef check(a, b):\n    np.n = 1\n    return a is b\n", 3),
    "a function": ("def check(a, b):\n    check.n = 1\n    return a is b\n", 2),
    "an iterator": (
        "import itertools\nn = itertools.count()\ndef check(a, b):\n    return next(n) > 3 and a is b\n",
        4,
    ),
    "a cache": (
        "import functools\n@functools.lru_cache\ndef f(n):\n    return n\ndef check(a, b):\n    return f(1) and a is b\n",
        2,
    ),
    "an address": ("def check(a, b):\n    return id(a) > id(b)\n", 2),
}
HARMLESS = (
    "import numpy as np\nfrom skimage import transform\ndef check(a, b):\n    return transform.resize(b, (9, 9)).sum() > np.sort(a.ravel())[0]\n",
    "import numpy as np\nKERNEL = np.ones((3, 3))\ndef check(a, b):\n    found = []\n    found.append(a.sum())\n    b = b.copy()\n"
    "    b[0, 0] = 0\n    for x in np.sort(b.ravel()):\n        found.append(x)\n    found.sort()\n    return bool(found[0] > KERNEL.sum())\n",
    "def check(a, b):\n    total = [0]\n    def more(n):\n        total[0] += n\n    more(int(b.sum()))\n    return total[0] > a.sum()\n",
    "def check(a, b, colours=((255, 0, 0),)):\n    counts = {c: 0 for c in colours}\n    counts[colours[0]] = int((b == colours[0]).sum())\n    return max(counts.values()) > a.sum()\n",
)
FRAMES = np.stack([picture(number) for number in (0, 1, 2, 3, 4, 5, 6, 7)])


@pytest.mark.parametrize("name", KEEPERS)
def test_what_is_kept_between_calls_is_found(name: str) -> None:
    found = impurity(Checker("it", KEEPERS[name]), FRAMES[0], FRAMES)
    assert "keeps something between calls" in found and "frame" in found


def test_a_function_of_two_frames_is_not_suspected() -> None:
    assert impurity(Checker("it", RED_AT_LEAST.format(pixels=4)), FRAMES[0], FRAMES) == ""
    failing = "def check(initial, current):\n    return 1 // int(current.sum() > 900) > 0\n"
    assert impurity(Checker("it", failing), FRAMES[0], FRAMES) == ""


def test_many_frames_are_thinned_out_and_one_frame_is_enough_to_ask() -> None:
    many = np.stack([picture(number % 9) for number in range(700)])
    assert "keeps something" in impurity(Checker("it", LIST), many[0], many)
    assert impurity(Checker("it", LIST), many[0], many[:1]) == ""


def test_an_impure_checker_is_rejected_and_the_reason_is_kept(tmp_path: object) -> None:
    session = Session.create(tmp_path, "kept", Task(None, None))  # type: ignore[arg-type]
    session.set_initial(FRAMES[0])
    session.add_trajectory(
        Trajectory(FRAMES, np.zeros(7), np.zeros(7), True, False, True, source="expert", seed=None, env_id=None)
    )
    session.add_proposal(proposal(("good", RED_AT_LEAST.format(pixels=4)), ("kept", LIST)))
    pipeline.verify(session)
    verification = session.verification(0)
    assert verification is not None
    assert "keeps something" in verdicts.judge_checker(verification.verdict("kept"), verification).reason
    assert verification.verdict("good").impure == ""
    whole = verdicts.judge_whole(verification)
    assert whole.judgement == "rejected" and "kept" in whole.reason


@pytest.mark.parametrize("name", SEEN)
def test_the_gate_refuses_what_it_sees_kept_and_names_the_line(name: str) -> None:
    source, line = SEEN[name]
    assert line in [found.line for found in diagnose(source) if found.severity == "error"]


@pytest.mark.parametrize("source", HARMLESS)
def test_the_gate_lets_pass_what_is_made_anew_in_every_call(source: str) -> None:
    assert [found for found in diagnose(source) if found.severity == "error"] == []

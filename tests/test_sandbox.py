"""The contained process: each way to go wrong has its own name, and an honest checker answers rightly afterwards."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.conftest import NEVER, RED_AT_LEAST, picture
from vlmcar_core.errors import SandboxError, UnknownName
from vlmcar_core.sandbox import CheckerProcess, Limits, diagnose, forking
from vlmcar_core.sandbox.forking import ZYGOTE
from vlmcar_core.types import Checker, Drawn, Frame, Outcome

HONEST = RED_AT_LEAST.format(pixels=4)
QUICK = Limits(seconds=0.2, memory_bytes=256 * 1024 * 1024)
FAULTS = {
    "raises": ("def check(a, b):\n    return a[99, 99, 99]\n", "error", "IndexError"),
    "loops": ("def check(a, b):\n    while a is not None:\n        pass\n    return True\n", "timeout", "0.2 s"),
    "hogs": ("import numpy as np\ndef check(a, b):\n    return np.ones((90000, 90000)).all()\n", "memory", "allocate"),
    "says-two": ("def check(a, b):\n    return 2.0\n", "badreturn", "from 0 to 1"),
    "says-nan": ("def check(a, b):\n    return float('nan')\n", "badreturn", "nan"),
    "says-text": ("def check(a, b):\n    return 'yes'\n", "badreturn", "str"),
    "says-array": ("def check(a, b):\n    return a > b\n", "badreturn", "ndarray"),
    "says-nothing": ("def check(a, b):\n    if b.max() > 300:\n        return True\n", "badreturn", "NoneType"),
    "is-no-python": ("def check(a, b)\n    return True\n", "rejected", "not Python"),
    "has-no-check": ("def chek(a, b):\n    return True\n", "rejected", "check(initial, current)"),
    "imports-os": ("import os\ndef check(a, b):\n    return True\n", "rejected", "'os'"),
    "imports-socket": ("import socket\ndef check(a, b):\n    return True\n", "rejected", "'socket'"),
    "opens": ("def check(a, b):\n    return bool(open('/etc/passwd'))\n", "rejected", "'open'"),
    "loads": ("import numpy as np\ndef check(a, b):\n    return bool(np.load('x'))\n", "rejected", ".load"),
    "reads-a-picture": ("import cv2\ndef check(a, b):\n    return cv2.imread('x') is None\n", "rejected", ".imread"),
    "is-random": ("import numpy as np\ndef check(a, b):\n    return np.random.rand() > 1\n", "rejected", ".rand"),
    "keeps-state": ("n = 0\ndef check(a, b):\n    global n\n    n += 1\n    return n > 1\n", "rejected", "global"),
    "climbs": ("def check(a, b):\n    return bool(().__class__.__bases__)\n", "rejected", "__"),
    "fails-at-import": ("x = 1 / 0\ndef check(a, b):\n    return True\n", "error", "ZeroDivisionError"),
}


def run(source: str, *frames: np.ndarray, limits: Limits = QUICK) -> list[Outcome]:
    with CheckerProcess([Checker("it", source), Checker("honest", HONEST)], limits) as process:
        found = process.run("it", picture(), np.stack(frames or (picture(9),)))
        honest = process.run("honest", picture(), np.stack([picture(3), picture(4)]))
        assert [outcome.done for outcome in honest] == [False, True]
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_own_name_and_harms_nobody_else(name: str) -> None:
    source, kind, words = FAULTS[name]
    (outcome,) = run(source)
    assert outcome.kind == kind and words in outcome.message and outcome.value is None
    assert not outcome.done


def test_the_line_of_the_fault_is_the_checkers_own() -> None:
    source = "import numpy as np\n\n\ndef deep(image):\n    return np.linalg.inv(image)\n\n\ndef check(a, b):\n    return deep(a)\n"
    assert run(source)[0].line == 5


def test_one_bad_frame_does_not_lose_the_others() -> None:
    source = "def check(a, b):\n    red = int((b[..., 0] > 200).sum())\n    return 1 / (red - 3) > 0\n"
    source = source.replace("return", "value =") + "    return red > 3 and value > 0\n"
    kinds = [outcome.kind for outcome in run(source, *(picture(red) for red in (2, 3, 4)))]
    assert kinds == ["ok", "error", "ok"]


def test_a_slow_frame_does_not_lose_the_others() -> None:
    source = "def check(a, b):\n    while b[0, 0, 0] and not b[0, 3, 0]:\n        pass\n    return True\n"
    outcomes = run(source, *(picture(red) for red in (0, 2, 9)))
    assert [outcome.kind for outcome in outcomes] == ["ok", "timeout", "ok"]
    assert outcomes[1].line in (2, 3)


def test_a_process_that_dies_costs_one_frame_and_three_deaths_disable() -> None:
    """Exhausting the stack in C ends the process; the gate cannot see it coming."""
    source = (
        "import re\n\n\ndef check(a, b):\n    if b[0, 0, 0]:\n        nest = []\n"
        "        for _ in range(3_000_000):\n            nest = [nest]\n        return len(str(hash(str(nest)))) > 0\n    return False\n"
    )
    frames = [picture(red) for red in (0, 1, 0, 2, 3, 4, 0)]
    with CheckerProcess([Checker("it", source)], Limits(seconds=5.0, memory_bytes=2**31)) as process:
        kinds = [outcome.kind for outcome in process.run("it", picture(), np.stack(frames))]
    assert kinds[0] == kinds[2] == "ok"
    assert kinds[1] in ("crash", "error", "memory")


def test_a_checker_that_cannot_be_interrupted_is_ended_and_in_the_end_disabled() -> None:
    stubborn = (
        "def check(a, b):\n    while b[0, 0, 0]:\n        try:\n            while True:\n                pass\n"
        "        except:\n            pass\n    return False\n"
    )
    frames = [picture(red) for red in (0, 1, 2, 3, 4)]
    with CheckerProcess([Checker("it", stubborn), Checker("honest", HONEST)], QUICK) as process:
        kinds = [outcome.kind for outcome in process.run("it", picture(), np.stack(frames))]
        assert kinds == ["ok", "timeout", "timeout", "timeout", "disabled"]
        assert process.run("honest", picture(), picture(9)[None])[0].done


def test_a_checker_cannot_change_what_the_next_call_sees() -> None:
    source = (
        "def check(a, b):\n    was = int(a.sum()) + int(b.sum())\n    a[:] = 255\n    b[:] = 255\n    return was == 0\n"
    )
    assert [outcome.done for outcome in run(source, picture(), picture(), picture())] == [True, True, True]


def test_a_checker_cannot_change_what_another_answers() -> None:
    """Patching a library reaches its own process only."""
    vandal = "import numpy as np\n\nnp.any = lambda *a, **k: True\n\n\ndef check(a, b):\n    return False\n"
    honest = "import numpy as np\n\n\ndef check(a, b):\n    return bool(np.any(b))\n"
    with CheckerProcess([Checker("vandal", vandal), Checker("honest", honest)], QUICK) as process:
        process.run("vandal", picture(), picture()[None])
        assert [found.done for found in process.run("honest", picture(), np.stack([picture(), picture(3)]))] == [
            False,
            True,
        ]


def test_a_checker_that_never_comes_to_its_functions_harms_only_itself() -> None:
    stuck = "while True:\n    try:\n        while True:\n            pass\n    except:\n        pass\n\n\ndef check(a, b):\n    return True\n"
    with CheckerProcess([Checker("stuck", stuck), Checker("honest", HONEST)], QUICK) as process:
        kinds = [found.kind for found in process.run("stuck", picture(), np.stack([picture()] * 4))]
        assert kinds == ["timeout", "timeout", "timeout", "disabled"]
        assert process.run("honest", picture(), picture(9)[None])[0].done


def test_an_unknown_checker_is_named() -> None:
    with CheckerProcess([Checker("it", HONEST)]) as process, pytest.raises(UnknownName, match="'other'"):
        process.run("other", picture(), picture()[None])


def test_progress_is_told_from_done() -> None:
    outcomes = run(
        "def check(a, b):\n    return float((b[..., 0] > 200).sum()) / 4\n", *(picture(n) for n in (0, 2, 4))
    )
    assert [outcome.value for outcome in outcomes] == [0.0, 0.5, 1.0]
    assert [outcome.done for outcome in outcomes] == [False, False, True]


def test_output_is_bounded_and_without_control_characters() -> None:
    source = "def check(a, b):\n    print('\\x1b[31m' + 'x' * 10_000_000)\n    raise ValueError('\\x00' + 'y' * 9999)\n    return 1\n"
    with CheckerProcess([Checker("it", source)]) as process:
        found = process.inspect("it", picture(), picture())
    assert len(found.printed) <= 4000 and "\x1b" not in found.printed
    assert len(found.outcome.message) <= 700 and "\x00" not in found.outcome.message


def test_what_it_identifies_is_shown_and_its_faults_are_told() -> None:
    source = (
        "def identify_mask(image):\n    return image[..., 0] > 0\n\n\ndef identify_box(image):\n    return (1, 2, 3, 4)\n\n\n"
        "def identify_point(image):\n    return [5.5, 6]\n\n\ndef identify_none(image):\n    return None\n\n\n"
        "def identify_wrong(image):\n    return 'here'\n\n\ndef identify_bad(image):\n    return image.nothing\n\n\n"
        + NEVER
    )
    with CheckerProcess([Checker("it", source)]) as process:
        found = process.inspect("it", picture(), picture(7))
    seen = {item.name: item for item in found.current}
    assert seen["mask"].mask is not None and seen["mask"].mask.sum() == 7
    assert seen["box"].box == (1, 2, 3, 4) and seen["point"].point == (5.5, 6)
    assert seen["none"].kind == "nothing" and "expected a mask" in seen["wrong"].message
    assert seen["bad"].kind == "fault" and "line 22" in seen["bad"].message
    assert found.initial[0].mask is not None and not found.initial[0].mask.any()


def test_the_libraries_of_the_contract_are_there() -> None:
    source = (
        "import cv2\nimport numpy as np\nfrom skimage.measure import label\nimport math\n\n\ndef check(a, b):\n"
        "    hsv = cv2.cvtColor(b, cv2.COLOR_RGB2HSV)\n    areas = label(hsv[..., 2] > 100).max()\n"
        "    return math.isclose(float(areas), 1.0) and np.median(b) >= 0\n"
    )
    assert run(source)[0].done


def zygotes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if any("zygote" in word for word in child.cmdline())]


def workers() -> list[psutil.Process]:
    return [worker for zygote in zygotes() for worker in zygote.children()]


def test_the_processes_hold_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not the one that was started while a secret was in the environment."""
    ZYGOTE.close()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-person")
    with CheckerProcess([Checker("it", HONEST)]) as process:
        process.run("it", picture(), picture()[None])
        assert zygotes() and workers()
        for found in (*zygotes(), *workers()):
            assert "sk-secret" not in str(found.environ()) and "HOME" not in found.environ()


def test_every_layer_holds_on_this_kernel() -> None:
    with CheckerProcess([Checker("it", HONEST)]) as process:
        process.run("it", picture(), picture()[None])
        (worker,) = workers()
        status = Path(f"/proc/{worker.pid}/status").read_text()
        assert re.search(r"^Seccomp:\s+2$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^Threads:\s+1$", status, re.M)
        assert worker.uids().effective != 0
        limits = Path(f"/proc/{worker.pid}/limits").read_text()
        for name in ("open files", "file size", "processes", "core file size", "locked memory"):
            assert re.search(rf"^Max {name}\s+0\s+0\s", limits, re.M), limits
        found = re.search(r"^Max address space\s+(\d+)", limits, re.M)
        assert found and int(found[1]) < 2**33


def test_where_system_calls_cannot_be_filtered_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "CODE", forking.CODE.replace("main()", "sys.modules['pyseccomp'] = None; main()"))
    ZYGOTE.close()
    try:
        with (
            CheckerProcess([Checker("it", HONEST)]) as process,
            pytest.raises(SandboxError, match="VLMCAR_TRUST_CHECKERS"),
        ):
            process.run("it", picture(), picture()[None])
        monkeypatch.setenv("VLMCAR_TRUST_CHECKERS", "yes")
        with CheckerProcess([Checker("it", HONEST)]) as process:
            assert process.run("it", picture(), picture(9)[None])[0].done
    finally:
        ZYGOTE.close()


def test_nothing_is_left_behind_when_it_is_closed() -> None:
    with CheckerProcess([Checker("it", HONEST)]) as process:
        process.run("it", picture(), picture()[None])
        (worker,) = workers()
    assert not psutil.pid_exists(worker.pid)


def test_it_ends_with_the_process_that_started_it_even_in_an_endless_loop() -> None:
    code = (
        "import numpy as np, sys\nfrom vlmcar_core.sandbox import CheckerProcess, Limits\nfrom vlmcar_core.types import Checker\n"
        "source = 'def check(a, b):\\n    while True:\\n        pass\\n    return True\\n'\n"
        "p = CheckerProcess([Checker('it', source)], Limits(seconds=60.0))\nf = np.zeros((1, 8, 8, 3), np.uint8)\n"
        "p.run('it', f[0], f)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 30
    children: list[psutil.Process] = []
    while len(children) < 2 or children[-1].cpu_times().user < 1.0:
        children = psutil.Process(parent.pid).children(recursive=True)
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert len(children) == 2 and not alive


@pytest.mark.parametrize(
    ("source", "rule", "line"),
    [
        ("def check(a, b)\n    return 1\n", "syntax", 1),
        ("x = 1\n", "contract", 1),
        ("\ndef check(a):\n    return True\n", "contract", 2),
        ("def check(a, b):\n    pass\n", "contract", 1),
        ("import numpy as np\nimport requests\ndef check(a, b):\n    return a is b\n", "import", 2),
        ("def identify_x(a, b):\n    return None\ndef check(a, b):\n    return a is b\n", "contract", 1),
        ("def check(initial, current):\n    return current.max() > 1\n", "initial", 1),
        ("x" * 70_000, "size", 1),
        ("(" * 5000, "syntax", 1),
    ],
)
def test_diagnostics_name_rule_and_line(source: str, rule: str, line: int) -> None:
    assert (rule, line) in [(found.rule, found.line) for found in diagnose(source)]


def test_a_good_checker_has_no_findings() -> None:
    good = "def check(initial, current):\n    return bool((initial != current).any())\n"
    assert diagnose(good) == []


PAIRED = """
def check(initial, current):
    if current[0, 0, 1]:
        raise ValueError(int(current[0, 0, 1]))
    return float(initial[0, 0, 0]) / 255 * float(current[0, 0, 0]) / 255
"""
DIES = "def check(initial, current):\n    while current[0, 0, 0] == 7:\n        try:\n            while True:\n                pass\n        except:\n            pass\n    return bool(current[0, 0, 0])\n"


def pairs_of(*reds: tuple[int, int], side: int = 8) -> list[tuple[Frame, Frame]]:
    return [
        (np.full((side, side, 3), (a, 0, 0), np.uint8), np.full((side, side, 3), (b, 0, 0), np.uint8)) for a, b in reds
    ]


@pytest.mark.parametrize("count", [1, 2, 64, 65, 150])
def test_pairs_are_answered_as_frames_of_their_own_episodes(count: int) -> None:
    chance = np.random.default_rng(count)
    pairs = pairs_of(*((int(a), int(b)) for a, b in chance.integers(0, 256, (count, 2))))
    with CheckerProcess([Checker("paired", PAIRED)]) as process:
        together = process.run_pairs("paired", pairs)
        apart = [process.run("paired", initial, frame[None])[0] for initial, frame in pairs]
    assert together == apart and len({outcome.value for outcome in together}) > count // 2


def test_large_pairs_go_in_several_messages() -> None:
    pairs = pairs_of((255, 255), (255, 0), (0, 255), side=1300)
    with CheckerProcess([Checker("paired", PAIRED)]) as process:
        assert [outcome.value for outcome in process.run_pairs("paired", pairs)] == [1.0, 0.0, 0.0]


def test_a_fault_and_a_death_in_one_pair_leave_the_others_their_answers() -> None:
    pairs = pairs_of((255, 255), (255, 0), (255, 255))
    pairs[1][1][0, 0, 1] = 3
    with CheckerProcess([Checker("paired", PAIRED), Checker("dies", DIES)], Limits(seconds=0.05)) as process:
        found = process.run_pairs("paired", pairs)
        assert [outcome.kind for outcome in found] == ["ok", "error", "ok"] and "3" in found[1].message
        kinds = [outcome.kind for outcome in process.run_pairs("dies", pairs_of((0, 1), (0, 7), (0, 1), (0, 0)))]
        assert kinds == ["ok", "timeout", "ok", "ok"]


def test_a_frame_is_drawn_as_it_is_put_and_again_only_behind_a_death() -> None:
    drawn: list[int] = []

    def drawing(number: int, frame: Frame) -> Drawn:
        def draw() -> Frame:
            drawn.append(number)
            return frame

        return draw

    pairs = [
        (first, drawing(number, frame))
        for number, (first, frame) in enumerate(pairs_of((0, 1), (0, 7), (0, 1), (0, 0)))
    ]
    with CheckerProcess([Checker("dies", DIES)], Limits(seconds=0.05)) as process:
        kinds = [outcome.kind for outcome in process.run_pairs("dies", pairs)]
    assert kinds == ["ok", "timeout", "ok", "ok"] and drawn == [0, 1, 2, 3, 2, 3]


def test_pairs_that_are_no_frames_are_refused() -> None:
    with CheckerProcess([Checker("paired", PAIRED)]) as process, pytest.raises(ValueError, match="uint8"):
        process.run_pairs("paired", [(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)))])  # type: ignore[list-item]

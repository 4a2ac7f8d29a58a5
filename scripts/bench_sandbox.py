"""What the seal costs: a sealed worker against the same function called in this process.

Medians of rounds, so that a busy machine disturbs little; trust the ratios. `make bench` runs it.

    python scripts/bench_sandbox.py --out docs/sandbox_cost.md
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from vlmcar_core.files import write_text
from vlmcar_core.sandbox import CheckerProcess, Limits
from vlmcar_core.sandbox.forking import ZYGOTE
from vlmcar_core.sandbox.inside import gate
from vlmcar_core.types import Checker

SIZES = ((160, 160), (480, 640))
BATCHES = (1, 8, 64)
ROUNDS, ROUND_SECONDS = 9, 0.3
EMPTY = "def check(initial, current):\n    return False\n"
REAL = """
import cv2
import numpy as np


def identify_key(image):
    return cv2.inRange(image, (200, 200, 0), (255, 255, 90)) > 0


def check(initial, current):
    return int(identify_key(current).sum()) < 0.2 * int(identify_key(initial).sum())
"""
LOOPS = "def check(initial, current):\n    while current[0, 0, 0]:\n        pass\n    return False\n"
STUBBORN = (
    "def check(initial, current):\n    while current[0, 0, 0]:\n        try:\n            while True:\n"
    "                pass\n        except BaseException:\n            pass\n    return False\n"
)


def micros(run: Callable[[], object], frames: int) -> float:
    """Microseconds a frame: the median of rounds."""
    run()
    began = time.perf_counter()
    run()
    repeats = max(3, int(ROUND_SECONDS / max(1e-6, time.perf_counter() - began)))
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(repeats):
            run()
        rounds.append((time.perf_counter() - began) / repeats / frames * 1e6)
    return median(rounds)


def in_process(source: str, initial: np.ndarray, frames: np.ndarray) -> Callable[[], object]:
    assert not gate.refusals(source)
    names: dict[str, Callable[[np.ndarray, np.ndarray], object]] = {}
    exec(source, names)  # this file's own source
    check = names["check"]
    return lambda: [check(initial, frame) for frame in frames]


def costs() -> list[str]:
    rows = []
    for height, width in SIZES:
        for name, source in (("empty", EMPTY), ("a mask of each frame", REAL)):
            for count in BATCHES:
                frames = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
                initial = frames[0].copy()
                plain = micros(in_process(source, initial, frames), count)
                with CheckerProcess([Checker("it", source)]) as process:
                    sealed = micros(lambda: process.run("it", initial, frames), count)  # noqa: B023 (asked here)
                rows.append(
                    f"| {height} × {width} | {name} | {count} | {plain:.1f} | {sealed:.1f} "
                    f"| {sealed - plain:.1f} | {sealed / plain:.2f} |"
                )
    return rows


def milliseconds(run: Callable[[], object]) -> float:
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        found.append((time.perf_counter() - began) * 1e3)
    return median(found)


def starts() -> list[str]:
    frame = np.zeros((160, 160, 3), np.uint8)
    lit = np.full((160, 160, 3), 255, np.uint8)

    def cold() -> None:
        ZYGOTE.close()
        warm()

    def warm(source: str = EMPTY) -> None:
        with CheckerProcess([Checker("it", source)]) as process:
            assert process.run("it", frame, frame[None])[0].kind == "ok"

    def back(source: str, seconds: float) -> tuple[float, float]:
        noticed, again = [], []
        for _ in range(3):
            with CheckerProcess([Checker("it", source)], Limits(seconds=seconds)) as process:
                process.run("it", frame, frame[None])
                began = time.perf_counter()
                assert process.run("it", frame, lit[None])[0].kind == "timeout"
                noticed.append((time.perf_counter() - began) * 1e3)
                began = time.perf_counter()
                assert process.run("it", frame, frame[None])[0].kind == "ok"
                again.append((time.perf_counter() - began) * 1e3)
        return median(noticed), median(again)

    warm()
    soft, hard = back(LOOPS, 0.1), back(STUBBORN, 0.1)
    return [
        f"| to the first answer, with loading the libraries | {milliseconds(cold):.0f} |",
        f"| to the first answer, the zygote being there | {milliseconds(warm):.1f} |",
        f"| an endless loop, limit 100 ms: until it is noticed | {soft[0]:.0f} |",
        f"| … then to the next answer | {soft[1]:.2f} |",
        f"| a loop that catches everything, limit 100 ms: until its process is ended | {hard[0]:.0f} |",
        f"| … then to the next answer, from a fresh process | {hard[1]:.1f} |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="also write the tables there")
    options = parser.parse_args()
    lines = [
        "# What the sandbox costs",
        "",
        "`python scripts/bench_sandbox.py`",
        "",
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}, "
        f"medians of {ROUNDS} rounds. Microseconds a frame; the frames are copied into shared memory.",
        "",
        "| frame | checker | frames a message | in process | sealed | difference | ratio |",
        "|---|---|---|---|---|---|---|",
        *costs(),
        "",
        "| milliseconds | |",
        "|---|---|",
        *starts(),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        write_text(options.out, text)


if __name__ == "__main__":
    main()

"""Make the example sessions anew, with the same commands that a person would type.

    python scripts/make_examples.py            all of them, into sessions/
    python scripts/make_examples.py --only example-unlock

The answers in example-recorded-answers were written by hand, in the form in which a model answers, and handed in by the
clipboard: no VLM was at hand. One of them is wrong, as it was when it was first written, and is mended in two rounds.

Each is small enough for git: fewer and shorter random episodes than the paper's hundred, and runs without their
checkpoints and TensorBoard files; what it shows is what these commands printed on the machine that ran them.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent / "sessions"
ANSWERS = Path(__file__).parent / "example_answers"
WRITTEN = "written by hand, no VLM"

EXAMPLES: dict[str, list[list[str]]] = {
    "example-doorkey-6x6": [
        ["new", "example-doorkey-6x6", "--env", "MiniGrid-DoorKey-6x6-v0", "--random", "30", "--random-steps", "50"],
        ["record", "example-doorkey-6x6"],
        ["propose", "example-doorkey-6x6"],
        ["verify", "example-doorkey-6x6"],
        ["train", "example-doorkey-6x6", "--reward", "dense", "--reward", "sparse"],
        ["watch", "example-doorkey-6x6", "0", "--episodes", "2"],
        ["verify", "example-doorkey-6x6"],
    ],
    "example-unlock": [
        ["new", "example-unlock", "--env", "MiniGrid-Unlock-v0", "--random", "30", "--random-steps", "50"],
        ["record", "example-unlock"],
        ["propose", "example-unlock"],
        ["verify", "example-unlock"],
    ],
    "example-recorded-answers": [
        [
            "new",
            "example-recorded-answers",
            "--env",
            "MiniGrid-DoorKey-6x6-v0",
            "--random",
            "30",
            "--random-steps",
            "50",
        ],
        ["record", "example-recorded-answers"],
        ["propose", "example-recorded-answers", "--proposer", "clipboard"],
        *(
            ["answer", "example-recorded-answers", str(ANSWERS / f"{name}.md"), "--model", WRITTEN]
            for name in ("1-goal", "2-subtasks", "3-check-1", "4-check-2", "5-check-3", "6-goal-check")
        ),
        ["verify", "example-recorded-answers"],
        ["repair", "example-recorded-answers", "--proposer", "clipboard"],
        ["answer", "example-recorded-answers", str(ANSWERS / "7-repair.md"), "--model", WRITTEN],
        ["repair", "example-recorded-answers", "--proposer", "clipboard", "--proposal", "1"],
        ["answer", "example-recorded-answers", str(ANSWERS / "8-repair.md"), "--model", WRITTEN],
    ],
}
REJECTED = 4
"""How `vlmcar verify` ends where the verdict is not accepted; the last example shows that."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(EXAMPLES), help="just this one")
    chosen = parser.parse_args().only
    for name, commands in EXAMPLES.items():
        if chosen in (None, name):
            shutil.rmtree(ROOT / name, ignore_errors=True)
            for command in commands:
                print("$ vlmcar", " ".join(command), flush=True)
                done = subprocess.run([sys.executable, "-m", "vlmcar_core", "--root", str(ROOT), *command])
                if done.returncode not in (0, REJECTED):
                    sys.exit(done.returncode)
            _lighten(ROOT / name)


def _lighten(session: Path) -> None:
    """Remove what is large, and can be made again by training again."""
    for path in session.glob("runs/*/checkpoint-*.zip"):
        path.unlink()
    for path in session.glob("runs/*/tensorboard"):
        shutil.rmtree(path)


if __name__ == "__main__":
    main()

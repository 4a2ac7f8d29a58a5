"""Make the example sessions anew, with the same commands that a person would type.

    python scripts/make_examples.py            both of them, into sessions/
    python scripts/make_examples.py --only example-unlock

Each is small enough for git: fewer and shorter random episodes than the paper's hundred, and one training run
per reward; what it shows is what these commands printed on the machine that ran them.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent / "sessions"

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
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(EXAMPLES), help="just this one")
    chosen = parser.parse_args().only
    for name, commands in EXAMPLES.items():
        if chosen in (None, name):
            shutil.rmtree(ROOT / name, ignore_errors=True)
            for command in commands:
                print("$ vlmcar", " ".join(command), flush=True)
                subprocess.run([sys.executable, "-m", "vlmcar_core", "--root", str(ROOT), *command], check=True)


if __name__ == "__main__":
    main()

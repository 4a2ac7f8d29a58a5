"""What a process that parses files may turn out to do; each is the `main` of one, by its argument."""

import os
import sys
import time
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    (how,) = arguments
    for line in sys.stdin:
        if how == "crash":
            os.abort()
        elif how == "hang":
            time.sleep(600)
        elif how == "nonsense":
            print("nonsense")
        elif how == "list":
            print("[1]")
        elif how == "refuse":
            print('{"error": "it holds no frame"}')
        elif how == "flood":
            print("x" * (20 * 1024 * 1024))
        elif how == "environment":
            print('{"names": "' + " ".join(sorted(os.environ)) + '"}')
        else:
            print(line.strip())
        sys.stdout.flush()

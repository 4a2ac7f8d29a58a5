"""`python -m vlmcar_studio --port N`: serve the app on loopback."""

import argparse
import os
import sys

from vlmcar_studio import server


def main() -> None:
    parser = argparse.ArgumentParser(prog="vlmcar app", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--headless", action="store_true")
    options = parser.parse_args()
    argv = server.command(options.port, options.headless)
    os.execv(sys.executable, argv)


if __name__ == "__main__":
    main()

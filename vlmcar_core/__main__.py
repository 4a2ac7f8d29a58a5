"""`vlmcar`: the stages from a shell. Background runs of the app are these same commands."""

import os

THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""How many threads the libraries below NumPy take for a product of matrices, whichever of them it has."""


def main() -> None:
    """The command line, with one thread for each product of matrices, where the person has not chosen.

    The matrices here are small. Two threads take no less time for one, and as soon as another process wants their core
    they wait for each other: a policy's answer that takes 0.05 ms then took 4.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")
    from vlmcar_core.cli import main as command_line  # only now, for NumPy reads them when it is imported

    command_line()


if __name__ == "__main__":
    main()

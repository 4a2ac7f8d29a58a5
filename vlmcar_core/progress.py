"""Ways to be told how far something is (`types.Progress`)."""

from vlmcar_core.types import Progress

PER_CENT = 100


def silent(_done: int, _total: int, _message: str) -> None:
    """For callers who do not want to know."""


def part(progress: Progress, begin: int, end: int) -> Progress:
    """For one part of something longer.

    Args:
        progress: is told of the whole, in per cent.
        begin: where the part begins, in per cent of the whole.
        end: where it ends.
    """

    def tell(done: int, total: int, message: str) -> None:
        progress(begin + (end - begin) * done // total if total else end, PER_CENT, message)

    return tell

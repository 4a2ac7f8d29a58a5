"""Programs in the released VLM-CaR style: how one is told from a checker, and how its answers are read.

Where a checker is a function of two frames, such a program is a class that is shown an episode's frames in order, each
by the path of an image, and remembers what it needs. Its source stays as its authors wrote it; importing it adds one
last line, so that no line gets another number:

    # vlmcar program: DoorKey.check_and_progress -> bool
    # vlmcar program: Piles.reward -> number, done at 0.9
    # vlmcar program: Bowl.reward -> item 1, number, done at 4
"""

import re
from dataclasses import dataclass

PREFIX = "# vlmcar program:"
NAME_CHARS = 80
ITEMS = 10
"""A returned tuple is read up to this many items."""

_LINE = re.compile(
    rf"^{PREFIX} (?P<class>\w{{1,{NAME_CHARS}}})\.(?P<method>\w{{1,{NAME_CHARS}}}) -> "
    r"(?:item (?P<item>[0-9]), )?(?:bool|number, done at (?P<done>[0-9]{1,9}(?:\.[0-9]{1,9})?))[ \t]*$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Reading:
    """Which method is called for each frame, and what its answer means."""

    class_name: str
    method: str

    item: int | None = None
    """Which item of a tuple that it returns, from 0; None where the answer itself is meant."""

    done_at: float | None = None
    """The number, above 0, from which on it is done; progress is its share of that. None where it answers a bool."""

    def __post_init__(self) -> None:
        if self.done_at is not None and not 1e-9 <= self.done_at < 1e9:
            raise ValueError(f"the number at which it is done lies from 1e-9 to 1e9, not {self.done_at:g}")
        if self.item is not None and not 0 <= self.item < ITEMS:
            raise ValueError(f"an item is a number from 0 to {ITEMS - 1}, not {self.item}")
        if _LINE.fullmatch(self.line) is None:
            raise ValueError(f"a class and a method have names of Python, not {self.class_name!r}, {self.method!r}")

    @property
    def told(self) -> str:
        """In words."""
        item = "" if self.item is None else f"item {self.item} of "
        meant = "True is done" if self.done_at is None else f"a number, done from {self.done_at:g} on"
        return f"{self.class_name}.{self.method}(path), {item}what it returns: {meant}"

    @property
    def line(self) -> str:
        """As the last line of the program's source."""
        item = "" if self.item is None else f"item {self.item}, "
        kind = "bool"
        if self.done_at is not None:
            kind = f"number, done at {f'{self.done_at:.9f}'.rstrip('0').rstrip('.')}"
        return f"{PREFIX} {self.class_name}.{self.method} -> {item}{kind}"


def reading_of(source: str) -> Reading | None:
    """How a program's answers are read; None for a source that is no program."""
    if PREFIX not in source:
        return None
    found = None
    for found in _LINE.finditer(source):  # noqa: B007 (the last one counts)
        pass
    if found is None:
        return None
    item, done = found["item"], found["done"]
    try:
        return Reading(
            found["class"], found["method"], None if item is None else int(item), None if done is None else float(done)
        )
    except ValueError:
        return None


def with_reading(source: str, reading: Reading) -> str:
    """The source with its last line; one that is there already is taken out."""
    lines = [line for line in source.splitlines() if not line.startswith(PREFIX)]
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join([*lines, reading.line]) + "\n"

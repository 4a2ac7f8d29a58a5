"""What tokens cost, as a table that the person keeps: `prices.json` beside the sessions, else the shipped one.

Prices change; every row has the day on which it was true. What an answer cost is kept with the answer.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from vlmcar_core import files
from vlmcar_core.errors import BadInput

FILE = "prices.json"
MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens."""

    model: str
    """A model's name, or a pattern with `*`."""

    prompt: float
    answer: float
    known: str
    """The day on which it was true, ISO 8601."""

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise BadInput("a price needs the name of its model")
        for value in (self.prompt, self.answer):
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise BadInput(f"the price of {self.model!r} is a number of dollars from 0 upwards, not {value!r}")
        try:
            date.fromisoformat(self.known)
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"the price of {self.model!r} needs its day, such as 2026-01-31, not {self.known!r}"
            ) from error


@dataclass(frozen=True)
class Table:
    """What `prices.json` holds."""

    prices: tuple[Price, ...]


SHIPPED = tuple(
    Price(model, prompt, answer, "2026-06-04")
    for model, prompt, answer in (
        ("gpt-5.5", 5.00, 30.00),
        ("gpt-5.4", 2.50, 15.00),
        ("gpt-5.4-mini", 0.75, 4.50),
        ("gpt-5.4-nano", 0.20, 1.25),
    )
)
"""OpenAI's list prices for short contexts as several price guides gave them in June 2026; check them before you rely
on a sum. Cached input, which is cheaper, is counted at the full price."""


def load(root: Path) -> tuple[Price, ...]:
    """The person's own table, else the shipped one.

    Raises:
        DamagedFile: the person's cannot be read.
    """
    try:
        return files.read_as(Table, root / FILE).prices
    except FileNotFoundError:
        return SHIPPED


def save(root: Path, rows: Sequence[Price]) -> None:
    """Raises `BadInput` where a model stands there twice."""
    names = [row.model for row in rows]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"the model {twice!r} has two prices; keep one")
    files.write_json(root / FILE, {"prices": [asdict(row) for row in rows]})


def from_rows(rows: Sequence[dict[str, Any]]) -> list[Price]:
    """Prices from a table's rows; rows without anything in them are passed over. Raises `BadInput`."""
    found = []
    for row in rows:
        if not any(row.get(name) not in (None, "") for name in ("model", "prompt", "answer")):
            continue
        numbers = [row.get(name) for name in ("prompt", "answer")]
        if any(number is None for number in numbers):
            raise BadInput(
                f"the price of {row.get('model')!r} lacks a number; enter both, in dollars per million tokens"
            )
        found.append(
            Price(str(row.get("model") or ""), float(row["prompt"]), float(row["answer"]), str(row.get("known") or ""))
        )
    return found


def price_of(model: str, rows: Sequence[Price]) -> Price | None:
    """A model's price: by its very name, else by the longest pattern, else without its maker's name or its date
    (`openai/gpt-4o`, `gpt-4o-2024-08-06`); None where the table does not know."""
    exact = next((row for row in rows if row.model == model), None)
    if exact is not None:
        return exact
    patterns = sorted((row for row in rows if "*" in row.model), key=lambda row: -len(row.model))
    by_pattern = next((row for row in patterns if fnmatchcase(model, row.model)), None)
    if by_pattern is not None:
        return by_pattern
    bare = model.rpartition("/")[2]
    dated = [row for row in rows if "*" not in row.model and _is_dated(bare, row.model.rpartition("/")[2])]
    return max(dated, key=lambda row: len(row.model), default=None)


def _is_dated(name: str, base: str) -> bool:
    rest = name.removeprefix(base)
    return rest == "" or (rest != name and rest.startswith("-") and rest[1:].replace("-", "").isdigit())


def money(model: str, prompt_tokens: int | None, answer_tokens: int | None, rows: Sequence[Price]) -> float | None:
    """US dollars; None where the price or the number of tokens is not known."""
    price = price_of(model, rows)
    if price is None or prompt_tokens is None or answer_tokens is None:
        return None
    return (prompt_tokens * price.prompt + answer_tokens * price.answer) / MILLION

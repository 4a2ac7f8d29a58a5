"""Comparisons of models on disk.

<sessions>/comparisons/<n>/
  comparison.json      which models, tasks, repeats and settings
  tasks/<task>/        a session per task: frames and trajectories, recorded once
  cells/<name>/        a session per model, task and repeat; each can be opened like any other
  rows/<name>.json     what came of a cell
  launch.json, …       it is a background job (see jobs.py)
"""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vlmcar_core import candidates, files, repair, servers
from vlmcar_core.dialogue import Budget
from vlmcar_core.errors import BadInput, DamagedFile, UnknownName
from vlmcar_core.servers import Server
from vlmcar_core.store import COMPARISONS, Listing
from vlmcar_core.types import BUILT_IN, Count, Recording

BUILTIN = "builtin"
"""The model's name that stands for the built-in proposer."""

REPEATS_MAX, CELLS_MAX = 100, 1000
JSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.json")
FILE, TASKS, CELLS, ROWS = "comparison.json", "tasks", "cells", "rows"


@dataclass(frozen=True)
class Plan:
    """What is compared."""

    models: tuple[str, ...]
    """Names on the server, or name@address for another one, or `builtin`."""

    tasks: tuple[str, ...]
    """Environment ids, or names of sessions whose frames and trajectories are used."""

    server: Server
    """How models are asked; its `model` is not used."""

    repeats: int = 1
    rounds: int = repair.ROUNDS
    """So many rounds of mending for every rejected checker."""

    recording: Recording = field(default_factory=Recording)
    """For tasks that are environments."""

    concurrency: int = 2
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        if not self.models or not self.tasks:
            raise BadInput("a comparison needs at least one model and one task")
        for label, value, low, high in (
            ("number of repeats", self.repeats, 1, REPEATS_MAX),
            ("number of repair rounds", self.rounds, 0, 20),
            ("number at a time", self.concurrency, 1, candidates.CONCURRENCY_MAX),
        ):
            if not low <= value <= high:
                raise BadInput(f"the {label} is a whole number from {low} to {high}, not {value}")
        count = len(self.models) * len(self.tasks) * self.repeats
        if count > CELLS_MAX:
            raise BadInput(f"{count} cells are more than {CELLS_MAX}; compare fewer at a time")
        for label, names in (("model", self.models), ("task", self.tasks)):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise BadInput(f"the {label} {twice!r} is named twice")

    @property
    def cells(self) -> list[tuple[str, str, int]]:
        """(model, task, repeat from 1), in the order in which they are run."""
        return [
            (model, task, number)
            for number, task, model in itertools.product(range(1, self.repeats + 1), self.tasks, self.models)
        ]


@dataclass(frozen=True)
class Row:
    """What came of one cell."""

    model: str
    task: str
    repeat: int
    session: str
    """The cell's session."""

    failure: str
    """Why it came to nothing; empty where it did not."""

    accepted: int
    """Sub-tasks whose checker is accepted, after mending; the goal not among them."""

    subtasks: int
    whole: str
    """The judgement of the whole; "failed" where there is none."""

    whole_at_first: str
    """The same before any mending."""

    rounds: int
    """Of mending, over all checkers."""

    seconds: float
    """Of answers; of the built-in proposer's work."""

    tokens: int
    money: float | None
    """US dollars; None where an answer has no price."""


@dataclass(frozen=True)
class Total:
    """All rows of one model, together."""

    model: str
    rows: int
    failed: int
    whole: Count
    """Repeats in which the whole proposal was accepted."""

    first: Count
    """The same before any mending."""

    subtasks: Count
    rounds: float
    """Per row, on the average; so the following."""

    seconds: float
    tokens: float
    money: float | None


@dataclass(frozen=True)
class Comparison:
    """A comparison as its folder shows it."""

    folder: Path
    plan: Plan
    rows: tuple[Row, ...]
    problems: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @property
    def totals(self) -> list[Total]:
        """One per model, in the plan's order."""
        return [total(model, [row for row in self.rows if row.model == model]) for model in self.plan.models]


def total(model: str, rows: Sequence[Row]) -> Total:
    """Add up rows of one model."""
    share = 1.0 / max(1, len(rows))
    known = [row.money for row in rows if row.money is not None]
    return Total(
        model=model,
        rows=len(rows),
        failed=sum(bool(row.failure) for row in rows),
        whole=Count(sum(row.whole == "accepted" for row in rows), len(rows)),
        first=Count(sum(row.whole_at_first == "accepted" for row in rows), len(rows)),
        subtasks=Count(sum(row.accepted for row in rows), sum(row.subtasks for row in rows)),
        rounds=sum(row.rounds for row in rows) * share,
        seconds=sum(row.seconds for row in rows) * share,
        tokens=sum(row.tokens for row in rows) * share,
        money=sum(known) * share if rows and len(known) == len(rows) else None,
    )


def comparisons(root: Path) -> Listing[Comparison]:
    """Every comparison, by number."""
    found: list[Comparison] = []
    problems: list[str] = []
    for path in files.listed(files.folder(root, COMPARISONS), files.NUMBER):
        try:
            found.append(read(path))
        except DamagedFile as error:
            problems.append(f"comparison {path.name}: {error}")
    return Listing(tuple(found), tuple(problems))


def find(root: Path, number: int) -> Comparison:
    """Raises `UnknownName` where there is none."""
    path = files.folder(root, COMPARISONS, f"{number:03d}")
    if not path.is_dir():
        raise UnknownName.among("comparison", number, [item.number for item in comparisons(root).items])
    return read(path)


def read(folder: Path) -> Comparison:
    """Raises `DamagedFile`."""
    path = files.folder(folder.parent, folder.name) / FILE
    try:
        plan = files.read_as(Plan, path)
    except FileNotFoundError as error:
        raise DamagedFile(f"comparison {folder.name} has no {FILE}; move the folder away") from error
    rows: list[Row] = []
    problems: list[str] = []
    for found in files.listed(files.folder(folder, ROWS), JSON):
        try:
            rows.append(files.read_as(Row, found))
        except DamagedFile as error:
            problems.append(str(error))
    order = {cell: number for number, cell in enumerate(plan.cells)}
    rows.sort(key=lambda row: order.get((row.model, row.task, row.repeat), len(order)))
    return Comparison(folder, plan, tuple(rows), tuple(problems))


def server_of(server: Server, model: str) -> Server:
    """The settings for a model: name, or name@address."""
    if model == BUILTIN:
        return server
    name, _, address = model.partition("@")
    if not address:
        return dataclasses.replace(server, model=name)
    return dataclasses.replace(server, model=name, base_url=address, preset=servers.preset_of(address))


def label(model: str) -> str:
    """A model's name for people."""
    return BUILT_IN if model == BUILTIN else model

"""How weak may a model be? Models × tasks × repeats: each proposes, is verified, and mends what was rejected.

<sessions>/comparisons/<n>/
  comparison.json      which models, tasks, repeats and settings
  tasks/<task>/        a session per task: frames and trajectories, recorded once
  cells/<name>/        a session per model, task and repeat; each can be opened like any other
  rows/<name>.json     what came of a cell
  launch.json, …       it is a background job (see jobs.py)
"""

import dataclasses
import itertools
import os
import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vlmcar_core import authoring, candidates, files, jobs, pipeline, repair, servers, verdicts
from vlmcar_core.asking import Meter
from vlmcar_core.authoring import Wish
from vlmcar_core.dialogue import Budget, Spent
from vlmcar_core.errors import BadInput, BudgetSpent, Cancelled, DamagedFile, UnknownName, VlmcarError
from vlmcar_core.jobs import Job
from vlmcar_core.pipeline import silent
from vlmcar_core.servers import Key, Server
from vlmcar_core.store import COMPARISONS, Session, sessions
from vlmcar_core.types import BUILT_IN, Count, Progress, Recording

BUILTIN = "builtin"
"""The model's name that stands for the built-in proposer."""

REPEATS_MAX, CELLS_MAX = 100, 1000
FILE, TASKS, CELLS, ROWS = "comparison.json", "tasks", "cells", "rows"
STOPPED = ".stopped-"


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
        if len(self.cells) > CELLS_MAX:
            raise BadInput(f"{len(self.cells)} cells are more than {CELLS_MAX}; compare fewer at a time")
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


def create(root: Path, plan: Plan) -> Comparison:
    """A new comparison; nothing is asked yet.

    Raises:
        UnknownName: a task is neither an environment nor a session.
        BadInput: a session among the tasks lacks a frame or trajectories.
    """
    for task in plan.tasks:
        _check_task(root, task)
    for model in plan.models:
        _server(plan.server, model)
    folder = root / COMPARISONS
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(len(list(folder.glob("[0-9]*")))):
        path = folder / f"{number:03d}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        files.write_json(path / FILE, asdict(plan))
        return read(path)
    raise AssertionError("counting does not end")


def comparisons(root: Path) -> list[Comparison]:
    """Every comparison that can be read, by number."""
    found = []
    for path in sorted((root / COMPARISONS).glob("[0-9]*")):
        try:
            found.append(read(path))
        except DamagedFile:
            continue
    return found


def find(root: Path, number: int) -> Comparison:
    """Raises `UnknownName` where there is none."""
    path = root / COMPARISONS / f"{number:03d}"
    if not path.is_dir():
        raise UnknownName.among("comparison", number, [item.number for item in comparisons(root)])
    return read(path)


def read(folder: Path) -> Comparison:
    """Raises `DamagedFile`."""
    path = folder / FILE
    if not path.is_file():
        raise DamagedFile(f"comparison {folder.name} has no {FILE}; move the folder away")
    value = files.read_json(path)
    plan = files.parse(path, lambda: _plan(value))
    rows, problems = [], []
    for found in sorted((folder / ROWS).glob("*.json")):
        try:
            rows.append(_read_row(found))
        except DamagedFile as error:
            problems.append(str(error))
    order = {cell: number for number, cell in enumerate(plan.cells)}
    rows.sort(key=lambda row: order.get((row.model, row.task, row.repeat), len(order)))
    return Comparison(folder, plan, tuple(rows), tuple(problems))


def launch(comparison: Comparison, secrets: Mapping[str, str] | None = None) -> Job:
    """Run it in a process of its own.

    Args:
        comparison: which.
        secrets: environment variables for that process alone.
    """
    folder = comparison.folder
    again(comparison)
    root = str(folder.parent.parent.resolve())
    arguments = ["--root", root, "compare-vlms", "--resume", str(comparison.number)]
    return jobs.start(folder, "compare", arguments, secrets)


def again(comparison: Comparison) -> None:
    """Make it ready to be run again, where it was stopped or failed."""
    for name in (jobs.CANCEL, jobs.STATUS, jobs.LAUNCH):
        (comparison.folder / name).unlink(missing_ok=True)


def run(comparison: Comparison, progress: Progress = silent) -> Comparison:
    """Run the cells that have no row yet.

    Args:
        comparison: which.
        progress: told how far it is.

    Raises:
        BudgetSpent, Cancelled: as they say; every finished cell's row is kept, and running again goes on.
    """
    plan, folder = comparison.plan, comparison.folder
    done = {(row.model, row.task, row.repeat) for row in comparison.rows}
    cells = [cell for cell in plan.cells if cell not in done]
    meter = Meter(plan.budget, _spent(folder))
    bases = {task: _base(folder, task, plan, progress) for task in dict.fromkeys(task for _, task, _ in cells)}
    lock, finished = threading.Lock(), [len(done)]
    stop: list[VlmcarError] = []

    def one(cell: tuple[str, str, int]) -> None:
        if stop:
            return

        def told(_done: int, _total: int, message: str) -> None:
            progress(finished[0], len(plan.cells), f"{cell[0]}, {cell[1]}, repeat {cell[2]}: {message}")

        try:
            row = _cell(folder, plan, bases[cell[1]], cell, meter, told)
        except (BudgetSpent, Cancelled) as error:
            stop.append(error)
            return
        files.write_json(folder / ROWS / f"{row.session}.json", asdict(row))
        with lock:
            finished[0] += 1

    with ThreadPoolExecutor(plan.concurrency) as pool:
        for future in [pool.submit(one, cell) for cell in cells]:
            future.result()
    if stop:
        raise stop[0]
    progress(len(plan.cells), len(plan.cells), "every cell is done")
    return read(folder)


def _cell(folder: Path, plan: Plan, base: Session, cell: tuple[str, str, int], meter: Meter, progress: Progress) -> Row:
    model, task, repeat = cell
    place = f"{plan.models.index(model):02d}-{plan.tasks.index(task):02d}-{repeat:02d}"
    name = f"{place}-{_name(model)}-{_name(task)}"[:48].rstrip("-.")
    session = _copy(base, folder / CELLS, name)
    server = None if model == BUILTIN else _server(plan.server, model)
    at_first, rounds, failure, began = "failed", 0, "", time.monotonic()
    try:
        key = Key() if server is None else servers.key_for(server)
        at_first = _propose(session, server, key, meter, progress)
        if server is not None and at_first == "rejected" and plan.rounds:
            mended = repair.auto(session, server, key, limit=plan.rounds, meter=meter, progress=progress)
            rounds = sum(len(item.rounds) for item in mended)
    except (BudgetSpent, Cancelled):
        raise
    except VlmcarError as error:
        failure = str(error)
    return _row(session, cell, failure, at_first, rounds, time.monotonic() - began)


def _propose(session: Session, server: Server | None, key: Key, meter: Meter, progress: Progress) -> str:
    """Propose and verify; returns the judgement of the whole."""
    if server is None:
        number = pipeline.propose(session, BUILTIN, progress).number
    else:
        dialogue = authoring.begin(session, Wish(server))
        number = authoring.carry_on(session, dialogue, server, key, meter, progress).number
    return verdicts.judge_whole(pipeline.verify(session, number, progress)).judgement


def _row(session: Session, cell: tuple[str, str, int], failure: str, at_first: str, rounds: int, seconds: float) -> Row:
    spent = candidates.accounts(session).spent
    items = session.proposals().items
    verification = session.verification(items[-1].number or 0) if items else None
    accepted, subtasks, whole = 0, len(items[-1].subtasks) if items else 0, "failed"
    if verification is not None:
        judged = [verdicts.judge_checker(verdict, verification).judgement for verdict in verification.verdicts[:-1]]
        accepted, whole = sum(one == "accepted" for one in judged), verdicts.judge_whole(verification).judgement
    model, task, repeat = cell
    return Row(
        model=model,
        task=task,
        repeat=repeat,
        session=session.name,
        failure=failure,
        accepted=accepted,
        subtasks=subtasks,
        whole=whole,
        whole_at_first=at_first,
        rounds=rounds,
        seconds=seconds if model == BUILTIN else spent.seconds,
        tokens=spent.tokens,
        money=None if spent.unpriced else spent.money,
    )


def _spent(folder: Path) -> Spent:
    """What all cells cost, the stopped ones among them."""
    found = (candidates.accounts(Session(path)).spent for path in (folder / CELLS).glob("*") if path.is_dir())
    return sum(found, Spent())


def _check_task(root: Path, task: str) -> None:
    if task in sessions(root).items:
        session = Session.open(root, task)
        authoring.two_frames(session)
        if not session.trajectories().items:
            raise BadInput(f"session {task!r} has no trajectories, so nothing could be verified; record some first")
        return
    try:
        pipeline.find_task(task)
    except UnknownName as error:
        raise UnknownName(f"{task!r} is neither a session nor an environment: {error}") from error


def _base(folder: Path, task: str, plan: Plan, progress: Progress) -> Session:
    """The session whose frames and trajectories every cell of a task gets."""
    root = folder.parent.parent
    if task in sessions(root).items:
        return Session.open(root, task)
    name = f"{plan.tasks.index(task):02d}-{_name(task)}"
    if (folder / TASKS / name).is_dir():
        session = Session.open(folder / TASKS, name)
    else:
        session = pipeline.create_from_env(folder / TASKS, name, task, recording=plan.recording)
    pipeline.record(session, progress=progress)
    return session


def _copy(base: Session, root: Path, name: str) -> Session:
    """A session of its own with the same task, frames and trajectories; the files of trajectories are shared. One that
    was stopped before is put aside: what it cost still counts."""
    target = root / name
    if target.is_dir():
        target.rename(root / f"{name}{STOPPED}{len(list(root.glob(f'{name}{STOPPED}*')))}")
    target.mkdir(parents=True)
    shutil.copytree(base.folder / "frames", target / "frames")
    (target / "trajectories").mkdir()
    for path in (base.folder / "trajectories").glob("*.zip"):
        try:
            os.link(path, target / "trajectories" / path.name)
        except OSError:
            shutil.copy2(path, target / "trajectories" / path.name)
    if (base.folder / "prompts").is_dir():
        shutil.copytree(base.folder / "prompts", target / "prompts")
    shutil.copy2(base.folder / "session.json", target / "session.json")
    return Session(target)


def _server(server: Server, model: str) -> Server:
    """The settings for a model: name, or name@address."""
    if model == BUILTIN:
        return server
    name, _, address = model.partition("@")
    if not address:
        return dataclasses.replace(server, model=name)
    return dataclasses.replace(server, model=name, base_url=address, preset=servers.preset_of(address))


def _name(text: str) -> str:
    """A part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:28] or "x"


def label(model: str) -> str:
    """A model's name for people."""
    return BUILT_IN if model == BUILTIN else model


def _plan(value: Mapping[str, Any]) -> Plan:
    return Plan(
        models=tuple(value["models"]),
        tasks=tuple(value["tasks"]),
        server=servers.build(dict(value["server"])),
        repeats=int(value["repeats"]),
        rounds=int(value["rounds"]),
        recording=Recording(**value["recording"]),
        concurrency=int(value["concurrency"]),
        budget=Budget(**value["budget"]),
    )


def _read_row(path: Path) -> Row:
    value = files.read_json(path)
    value.pop("version")
    return files.parse(path, lambda: Row(**value))

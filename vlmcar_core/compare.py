"""How weak may a model be? Models × tasks × repeats: each proposes, is verified, and mends what was rejected."""

import itertools
import os
import re
import shutil
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from vlmcar_core import authoring, candidates, files, jobs, pipeline, repair, servers, verdicts
from vlmcar_core.asking import Meter
from vlmcar_core.authoring import Wish
from vlmcar_core.comparisons import BUILTIN, CELLS, FILE, ROWS, TASKS, Comparison, Plan, Row, read, server_of
from vlmcar_core.dialogue import Spent
from vlmcar_core.errors import BadInput, BudgetSpent, Cancelled, UnknownName, VlmcarError
from vlmcar_core.jobs import Job
from vlmcar_core.progress import silent
from vlmcar_core.servers import Key, Server
from vlmcar_core.store import COMPARISONS, SESSION, GoalOrigin, Session, sessions
from vlmcar_core.types import Progress

CELL = re.compile(r"[^.].*", re.DOTALL)
STOPPED = ".stopped-"
"""After the name of a cell that was stopped, with a number."""


def create(root: Path, plan: Plan) -> Comparison:
    """A new comparison; nothing is asked yet.

    Raises:
        UnknownName: a task is neither an environment nor a session.
        BadInput: a session among the tasks lacks a frame or trajectories.
    """
    for task in plan.tasks:
        _check_task(root, task)
    for model in plan.models:
        server_of(plan.server, model)
    folder = files.folder(root, COMPARISONS)
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(len(files.listed(folder, files.NUMBER))):
        path = folder / f"{number:03d}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        files.write_json(path / FILE, asdict(plan))
        return read(path)
    raise AssertionError("counting does not end")


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
        files.remove(comparison.folder / name)


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
        files.write_json(files.folder(folder, ROWS) / f"{row.session}.json", asdict(row))
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
    session = _copy(base, files.folder(folder, CELLS), name)
    server = None if model == BUILTIN else server_of(plan.server, model)
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
    cells = files.folder(folder, CELLS)
    names = [path.name for path in files.listed(cells, CELL) if path.is_dir()]
    return sum((candidates.accounts(Session(files.folder(cells, name))).spent for name in names), Spent())


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
    tasks = files.folder(folder, TASKS)
    if files.folder(tasks, name).is_dir():
        session = Session.open(tasks, name)
    else:
        session = pipeline.create_from_env(tasks, name, task, recording=plan.recording)
    pipeline.record(session, progress=progress)
    return session


def _copy(base: Session, root: Path, name: str) -> Session:
    """A session of its own with the same task, frames and trajectories; the files of trajectories are shared. One that
    was stopped before is put aside: what it cost still counts."""
    target = root / name
    if target.is_dir():
        target.rename(root / f"{name}{STOPPED}{len(list(root.glob(f'{name}{STOPPED}*')))}")
    target.mkdir(parents=True)
    copied = Session(target)
    if (initial := base.initial) is not None:
        copied.set_initial(initial)
    if (goal := base.goal) is not None:
        copied.set_goal(goal, base.goal_origin() or GoalOrigin("upload"))
    trajectories = target / "trajectories"
    trajectories.mkdir()
    for info in base.trajectories().items:
        path = base.trajectory_path(info.id)
        try:
            os.link(path, trajectories / path.name, follow_symlinks=False)
        except OSError:
            shutil.copy2(path, trajectories / path.name, follow_symlinks=False)
    for prompt, text in base.own_prompts().items():
        copied.set_own_prompt(prompt, text)
    files.write_bytes(target / SESSION, files.read_bytes(base.folder / SESSION, files.JSON_LIMIT_BYTES))
    return copied


def _name(text: str) -> str:
    """A part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:28] or "x"

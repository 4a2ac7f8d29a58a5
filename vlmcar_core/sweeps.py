"""Sweeps: the same training over a grid of settings, each cell with several seeds, in one or several sessions.

    <session>/sweeps/<n>.json    what was asked, and which run is which; kept in the first of its sessions

A sweep is asked for again to go on: what has ended well, runs or waits stays, all else is started. Where it runs is
said each time and stands in no session: a stranger's must not name a cluster.
"""

import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from vlmcar_core import files, jobs, payments, pipeline, plugins, queue, runs, strict
from vlmcar_core.errors import BadInput, DamagedFile, UnknownName
from vlmcar_core.jobs import Job
from vlmcar_core.runs import RunConfig
from vlmcar_core.store import NUMBER_MAX, Listing, Session, check_name, now

SWEEPS = "sweeps"
FILE = re.compile(rf"(?:{files.NUMBER.pattern})\.json")
CELLS_MAX, RUNS_MAX, VALUES_MAX = 1000, 10_000, 100
NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}")
OF_CHECKERS = ("pay", "scale", "undo", "env_reward", "when_disabled")
"""Settings that mean nothing where the environment alone pays."""

NOT_SWEPT = ("seed", "proposal", "settings", "weights")
"""Fields of `RunConfig` that a grid cannot name: seeds are counted, the rest is no single value."""

Value = bool | int | float | str


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    sessions: tuple[str, ...]
    grid: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """A field of `RunConfig` or a setting of the trainer, to its values."""

    seeds: int = 3
    steps: int = RunConfig.steps
    """Of a run, where the grid does not name them."""

    proposals: tuple[int | None, ...] = ()
    """Whose checkers pay, for each session; None where it has no proposal."""

    def __post_init__(self) -> None:
        for name in self.sessions:
            check_name(name)
        if not self.sessions or len(set(self.sessions)) < len(self.sessions):
            raise BadInput("a sweep is over one or more sessions, each named once")
        for name, values in self.grid.items():
            if not NAME.fullmatch(name) or name in NOT_SWEPT:
                raise BadInput(f"{name[:60]!r} cannot be swept over; name a field of a run or a setting of its trainer")
            if not values or len(values) > VALUES_MAX or len({(type(value), value) for value in values}) < len(values):
                raise BadInput(f"{name!r} needs 1 to {VALUES_MAX} values, each of them once")
            if any(isinstance(value, str) and not WORD.fullmatch(value) for value in values):
                raise BadInput(
                    f"a value of {name!r} is a number, true, false, or a word of letters, digits, '-' and '_'"
                )
        if not 1 <= self.seeds <= RUNS_MAX or len(self.proposals) != len(self.sessions):
            raise BadInput(f"a sweep has 1 to {RUNS_MAX:,} seeds, not {self.seeds}")
        count = math.prod(len(values) for values in self.grid.values()) * len(self.sessions)
        if count > CELLS_MAX or count * self.seeds > RUNS_MAX:
            raise BadInput(
                f"{count:,} cells of {self.seeds} seeds are too many; at most {CELLS_MAX:,} cells and {RUNS_MAX:,} runs"
            )


@dataclass(frozen=True)
class Cell:
    """One choice of values in one session."""

    session: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Member:
    """Which run is which."""

    cell: int
    seed: int
    run: int


@dataclass(frozen=True)
class Sweep:
    """What was asked for, and what was made of it."""

    plan: Plan
    created: str = ""
    members: tuple[Member, ...] = ()
    number: int = 0

    def __post_init__(self) -> None:
        if len(self.members) > RUNS_MAX or not all(0 <= one.run < NUMBER_MAX for one in self.members):
            raise ValueError(f"its runs are none, or more than {RUNS_MAX:,}")

    @functools.cached_property
    def runs(self) -> dict[tuple[int, int], int]:
        """(cell, seed) to the run's number, in the session of the cell."""
        return {(one.cell, one.seed): one.run for one in self.members}


@dataclass(frozen=True)
class Outcome:
    """What the seeds of a cell came to."""

    cell: Cell
    states: Mapping[str, int]
    """State to how many runs; "missing" for those that are not there."""

    final: tuple[float, ...] = ()
    """Success rates of the last evaluations, one for each run that has one."""

    learned: tuple[int | None, ...] = ()
    """Steps to 80 % success of the same runs; None for those that never got there."""

    @property
    def iqm(self) -> float | None:
        """Interquartile mean of the final success: the mean without the lowest and the highest quarter, rounded down
        (Agarwal et al. 2021); of fewer than four seeds the mean."""
        if not self.final:
            return None
        cut = len(self.final) // 4
        return float(np.mean(sorted(self.final)[cut : len(self.final) - cut]))

    @property
    def median(self) -> float | None:
        """Of the final success."""
        return median(self.final) if self.final else None

    @property
    def median_steps(self) -> float | None:
        """To 80 % success; a run that never got there counts as the largest. None where the median is such a one."""
        steps = [math.inf if one is None else float(one) for one in self.learned]
        middle = median(steps) if steps else math.inf
        return middle if math.isfinite(middle) else None


def parse(texts: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """A grid from texts such as "gamma=0.95,0.99" or "pay=once,potential".

    Raises:
        BadInput: a text is no such.
    """
    grid: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name or not all(part.strip() for part in values.split(",")):
            raise BadInput(f"{text[:100]!r} is not NAME=VALUE,VALUE")
        if name in grid:
            raise BadInput(f"{name[:60]!r} stands in the grid twice; give all of its values at once")
        grid[name] = tuple(_value(part.strip()) for part in values.split(","))
    return grid


def _value(text: str) -> Value:
    try:
        found = strict.loads(text.encode())
    except ValueError:
        return text
    return found if isinstance(found, (bool, int, float)) else text


def plan(
    sessions: Sequence[Session], grid: Mapping[str, tuple[Value, ...]], seeds: int, steps: int = RunConfig.steps
) -> Plan:
    """A plan over sessions, with the proposals that they have now.

    Raises:
        BadInput: it makes no sense.
        UnknownName: the grid names no setting, or a dense run is asked for where there is no proposal.
    """
    found = [session.proposals().items for session in sessions]
    asked = Plan(
        sessions=tuple(session.name for session in sessions),
        grid=dict(grid),
        seeds=seeds,
        steps=steps,
        proposals=tuple(items[-1].number if items else None for items in found),
    )
    by_name = {session.name: session for session in sessions}
    for cell in cells(asked):
        _configs(by_name[cell.session], asked, cell)
    return asked


def cells(asked: Plan) -> list[Cell]:
    """Every choice of values, in order; what differs only in what means nothing to it is one cell."""
    found: list[Cell] = []
    for session in asked.sessions:
        for values in itertools.product(*asked.grid.values()):
            chosen = dict(zip(asked.grid, values, strict=True))
            if chosen.get("reward") == "sparse":
                chosen = {name: value for name, value in chosen.items() if name not in OF_CHECKERS}
            cell = Cell(session, chosen)
            if cell not in found:
                found.append(cell)
    return found


def label(asked: Plan, cell: Cell) -> str:
    """What tells a cell from the others, such as "gamma=0.95, pay=once"."""
    told = [name for name in cell.values if len(asked.grid.get(name, ())) > 1]
    words = ", ".join(f"{name}={cell.values[name]}" for name in told) or "all seeds"
    return f"{cell.session}: {words}" if len(asked.sessions) > 1 else words


def _configs(session: Session, asked: Plan, cell: Cell) -> list[RunConfig]:
    """A config for each seed. Raises what `pipeline.run_configs` raises."""
    fields = {one.name for one in dataclasses.fields(RunConfig)}
    own = {name: value for name, value in cell.values.items() if name in fields}
    reward = str(own.pop("reward", "dense"))
    options: dict[str, Any] = {"steps": asked.steps, **own}
    options["settings"] = {name: value for name, value in cell.values.items() if name not in fields}
    proposal = asked.proposals[asked.sessions.index(cell.session)]
    if reward == "dense" and proposal is None:
        session.proposal()  # raises, and says what to do
    if str(options.get("pay", "once")) not in payments.WAYS:
        raise UnknownName.among("way to pay", options["pay"], payments.WAYS)
    return pipeline.run_configs(session, [reward], range(asked.seeds), proposal, **options)


# On disk


def sweeps(session: Session) -> Listing[Sweep]:
    """Every sweep that is kept in a session, by number."""
    found: list[Sweep] = []
    problems: list[str] = []
    try:
        paths = files.listed(session.inside(SWEEPS), FILE)
    except DamagedFile as error:
        return Listing((), (str(error),))
    for path in paths:
        try:
            found.append(dataclasses.replace(files.read_as(Sweep, path), number=int(path.stem)))
        except DamagedFile as error:
            problems.append(f"{SWEEPS}/{error}")
    return Listing(tuple(sorted(found, key=lambda one: one.number)), tuple(problems))


def sweep(session: Session, number: int | None = None) -> Sweep:
    """One of them; the newest if no number is given.

    Raises:
        UnknownName: there is none.
    """
    found = {one.number: one for one in sweeps(session).items}
    if not found:
        raise UnknownName(f"session {session.name!r} has no sweep yet; start one with: vlmcar sweep {session.name}")
    if number is None:
        return found[max(found)]
    if number not in found:
        raise UnknownName.among("sweep", number, found)
    return found[number]


def _save(session: Session, kept: Sweep) -> None:
    files.write_json(session.inside(SWEEPS) / f"{kept.number:03d}.json", asdict(kept))


def add(session: Session, asked: Plan) -> Sweep:
    """The sweep of this plan: the one that is there already, or a new one."""
    there = sweeps(session)
    for one in there.items:
        if one.plan == asked:
            return one
    taken = [int(path.stem) for path in files.listed(session.inside(SWEEPS), FILE)]
    made = Sweep(asked, now(), (), max(taken, default=-1) + 1)
    _save(session, made)
    return made


# Running


def start(session: Session, asked: Plan, launcher: str = "local", address: str = "") -> tuple[Sweep, list[Job]]:
    """Start a sweep, or what is missing of it if it was asked for before. Raises what `go_on` raises."""
    with queue.alone(SWEEPS):
        kept = add(session, asked)
    return go_on(session, kept.number, launcher, address)


def go_on(session: Session, number: int, launcher: str = "local", address: str = "") -> tuple[Sweep, list[Job]]:
    """Start what is missing of a sweep; what failed, was stopped or was lost is started again, in its own folder.

    Each run is written down before it is started: killed in between, it is there as missing, and nothing runs twice.

    Args:
        session: in which it is kept.
        number: which.
        launcher: where its runs go, one of `launchers/`.
        address: of the cluster, where the launcher wants one.

    Raises:
        UnknownName: there is no such sweep, launcher, or one of its sessions.
        BadInput: the launcher cannot be used.
    """
    plugins.load("launchers", launcher).check(address)
    started: list[Job] = []
    with queue.alone(SWEEPS):
        kept = sweep(session, number)
        for cell_number, cell in enumerate(cells(kept.plan)):
            place = session if cell.session == session.name else Session.open(session.folder.parent, cell.session)
            for seed, config in enumerate(_configs(place, kept.plan, cell)):
                folder = _folder(place, kept.runs.get((cell_number, seed)))
                if folder is not None and state(folder) in ("success", "waiting", "started"):
                    continue
                if folder is None:
                    folder = pipeline.new_run(place, config)
                    kept = _with(kept, Member(cell_number, seed, int(folder.name)))
                    _save(session, kept)
                started.append(pipeline.start_run(place, folder, launcher, address))
    return kept, started


def _with(kept: Sweep, member: Member) -> Sweep:
    others = [one for one in kept.members if (one.cell, one.seed) != (member.cell, member.seed)]
    return dataclasses.replace(kept, members=(*others, member))


def _folder(session: Session, run: int | None) -> Path | None:
    """None where there is none, or none that says what it is."""
    try:
        folder = None if run is None else session.run_folder(run)
        if folder is not None:
            runs.read_config(folder)
    except (UnknownName, DamagedFile):
        return None
    return folder


def state(folder: Path) -> str:
    """Of a run; "missing" where its folder says nothing, as after a kill just before its start."""
    if not files.there(folder / jobs.LAUNCH):
        return "missing"
    try:
        return jobs.read(folder).state
    except DamagedFile:
        return "missing"


def outcomes(session: Session, kept: Sweep) -> list[Outcome]:
    """What each cell came to so far, in the order of the cells."""
    return [_outcome(session, kept, number, cell) for number, cell in enumerate(cells(kept.plan))]


def _outcome(session: Session, kept: Sweep, number: int, cell: Cell) -> Outcome:
    states: dict[str, int] = {}
    summaries = []
    for folder in _members(session, kept, number, cell):
        found = "missing" if folder is None else state(folder)
        states[found] = states.get(found, 0) + 1
        if folder is not None:
            summaries.append(runs.summary(runs.read_evaluations(folder)))
    told = [one for one in summaries if one.final_success is not None]
    return Outcome(
        cell,
        states,
        tuple(one.final_success for one in told if one.final_success is not None),
        tuple(one.steps_to_learned for one in told),
    )


def _members(session: Session, kept: Sweep, number: int, cell: Cell) -> Iterator[Path | None]:
    """The folder of each seed's run; None where there is none."""
    try:
        place = session if cell.session == session.name else Session.open(session.folder.parent, cell.session)
    except (BadInput, DamagedFile):
        yield from (None for _ in range(kept.plan.seeds))
        return
    for seed in range(kept.plan.seeds):
        yield _folder(place, kept.runs.get((number, seed)))


def missing(found: Sequence[Outcome]) -> int:
    """How many runs would be started if the sweep were asked for again."""
    kept = ("success", "waiting", "started")
    return sum(count for one in found for state, count in one.states.items() if state not in kept)

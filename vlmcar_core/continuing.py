"""Runs that go on, and runs that are made from runs."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from vlmcar_core import boards, files, films, jobs, pipeline, plugins, runs
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.jobs import Job
from vlmcar_core.laboratory import keep
from vlmcar_core.payments import Payment
from vlmcar_core.runs import Run, RunConfig
from vlmcar_core.store import Session
from vlmcar_core.trainers import _defaults

CHECKPOINT_LIMIT_BYTES = 8 * 1024**3
OWN = ("reward", "cloned_from", "began_with", "settings", "weights")
"""Fields of a config that are not changed by a name and a value."""

ANY_NAME = re.compile(r"[^.].*", re.DOTALL)


def run(session: Session, number: int) -> Run:
    """Raises `UnknownName` where there is none, `DamagedFile` where it cannot be read."""
    folder = session.run_folder(number)
    return Run(number, folder, runs.read_config(folder), jobs.read(folder))


def why_not_resumed(found: Run) -> str:
    """Why a run cannot go on; empty where it can."""
    there = runs.checkpoint(found.folder)
    if found.job.running:
        return f"run {found.number} is running"
    if there is None:
        return f"run {found.number} has no checkpoint to go on from; clone it to begin anew"
    if there[1] >= found.config.steps:
        return f"run {found.number} has made its {found.config.steps:,} steps; clone it with more to go on"
    return ""


def resume(session: Session, number: int, launcher: str = "local", address: str = "") -> Job:
    """Start a run again that was stopped, lost or failed; it goes on from its checkpoint, in its own files.

    Args:
        session: which.
        number: of the run.
        launcher: where it goes on, one of `launchers/`; it need not be where it was.
        address: of the cluster, where the launcher wants one.

    Raises:
        BadInput: it is running, has no checkpoint, or has made all its steps; or the launcher cannot be used.
    """
    found = run(session, number)
    if why := why_not_resumed(found):
        raise BadInput(why)
    plugins.load("launchers", launcher).check(address)
    if found.job.state == "lost":
        jobs.tell(found.folder, "lost", found.job.message)  # it could not say so, and who starts it again goes by that
    return pipeline.start_run(session, found.folder, launcher, address)


def clone(
    session: Session,
    number: int,
    changes: Mapping[str, Any],
    go_on: bool = False,
    launcher: str = "local",
    address: str = "",
) -> Job:
    """Start a run with another's settings, some of them changed.

    Args:
        session: which.
        number: of the run.
        changes: by the name of a field of `RunConfig`, or of a setting of its trainer.
        go_on: begin with the other's checkpoint, and not from nothing: its steps count.
        launcher: where it runs, one of `launchers/`.
        address: of the cluster, where the launcher wants one.

    Raises:
        UnknownName: there is no such field or setting.
        BadInput: a value makes no sense, there is no checkpoint to go on from, or the launcher cannot be used.
    """
    found = run(session, number)
    plugins.load("launchers", launcher).check(address)
    config = changed(found, changes)
    fitting = pipeline.trainers(session)
    if config.trainer not in fitting:
        raise UnknownName.among("trainer for this environment", config.trainer, fitting)
    if config.reward == "dense":
        keys = [step.key for step in session.proposal(config.proposal).paid]
        if config.proposal != found.config.proposal:  # sub-tasks that it has no more need no weight
            config = replace(config, weights={key: value for key, value in config.weights.items() if key in keys})
        Payment(weights=config.weights).shares(keys)
    there = runs.checkpoint(found.folder) if go_on else None
    if go_on and there is None:
        raise BadInput(f"run {number} has no checkpoint to go on from; clone it to begin anew")
    if there is not None and there[1] >= config.steps:
        raise BadInput(f"the checkpoint of run {number} has {there[1]:,} steps already; ask for more than that")
    folder = pipeline.new_run(session, replace(config, began_with=there[1] if there is not None else 0))
    if there is not None:
        data = files.read_bytes(there[0], CHECKPOINT_LIMIT_BYTES)
        files.write_bytes(folder / there[0].name, data)
    return pipeline.start_run(session, folder, launcher, address)


def changed(found: Run, changes: Mapping[str, Any]) -> RunConfig:
    """A run's settings with some changed; see `clone`."""
    names = [field.name for field in fields(RunConfig) if field.name not in OWN]
    own = {name: value for name, value in changes.items() if name in names}
    trainer = str(own.get("trainer", found.config.trainer))
    if trainer not in _defaults.DEFAULTS:
        raise UnknownName.among("trainer", trainer, _defaults.DEFAULTS)
    defaults = _defaults.DEFAULTS[trainer]
    given = {name: value for name, value in changes.items() if name not in own}
    for name in given:
        if name not in defaults:
            raise UnknownName.among("field of a run, or setting of its trainer,", name, [*names, *defaults])
    kept = {} if trainer != found.config.trainer else found.config.settings
    settings = {**kept, **given}
    _defaults.merged(defaults, settings)
    return replace(found.config, **own, settings=settings, cloned_from=found.number)


def keep_hacks(session: Session, number: int) -> list[str]:
    """Make the episodes that a run was paid for and did not solve standing negatives of the session: adversarial
    trajectories, which every later verification and examination meets. What is there already is not added again.

    Returns:
        Their ids.
    """
    found = run(session, number)
    ids = []
    for info in films.kept(found.folder, films.HACKS).items:
        trajectory = films.read(found.folder, films.HACKS, info.id)
        reason = f"paid {films.paid(info):.2f} in run {found.folder.name} and not solved"
        told = {**trajectory.versions, "search": f"run {found.folder.name}", "reason": reason}
        ids.append(keep(session, replace(trajectory, source="adversarial", versions=told)))
    return ids


def export(session: Session, number: int, to: Path) -> list[str]:
    """Write a run's tables, TensorBoard files (where it is installed) and config into a folder.

    Returns:
        The names of what is there.

    Raises:
        BadInput: there is something else than a folder, or it cannot be written.
    """
    found = run(session, number)
    try:
        to.mkdir(parents=True, exist_ok=True)
        boards.export(to, runs.read_progress(found.folder), runs.read_evaluations(found.folder))
        runs.write_config(to, found.config)
    except OSError as error:
        raise BadInput(f"{str(to)!r} cannot be written ({error.strerror})") from error
    return [path.name for path in files.listed(to, ANY_NAME)]

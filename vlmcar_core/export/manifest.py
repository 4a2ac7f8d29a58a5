"""A bundle's manifest: where everything in it comes from, for programs."""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

from vlmcar_core import files, runs, verdicts
from vlmcar_core.dialogues import Dialogue
from vlmcar_core.errors import DamagedFile, UnknownName
from vlmcar_core.export.evidence import Evidence
from vlmcar_core.export.source import Source, prompt_hashes
from vlmcar_core.progress import silent
from vlmcar_core.recordings import FILE_LIMIT_BYTES, TrajectoryInfo
from vlmcar_core.runs import Run
from vlmcar_core.types import Count, Progress, Proposal
from vlmcar_core.verdicts import Judged

VERSION = 1
PACKAGES = ("vlmcar-studio", "gymnasium", "numpy", "opencv-python-headless", "scikit-image")


def text(source: Source, evidence: Evidence, contents: Mapping[str, bytes], progress: Progress = silent) -> str:
    """The manifest as JSON; `contents` are the bundle's other files, `progress` is told of each trajectory."""
    proposal, task = source.proposal, source.task
    found = {
        "version": VERSION,
        "session": source.session.name,
        "task": {"env_id": task.env_id, "family": task.family, "seed": task.seed, "settings": dict(task.settings)},
        "proposal": _proposal(proposal),
        "made_from": [_proposal(one) for one in source.ancestry[:-1]],
        "models": [_model(dialogue) for dialogue in source.dialogues],
        "checkers": [
            {
                "key": step.key,
                "title": step.title,
                "doubt": step.doubt,
                "file": f"checkers/{source.files[step.key]}.py",
                "sha256": step.checker.digest,
            }
            for step in proposal.steps
        ],
        "payments": {name: asdict(payment) for name, payment in source.payments.items()},
        "verification": _verification(source),
        "examination": _examination(source),
        "marks": dict(Counter(mark.author for mark in source.marks)),
        "trajectories": _trajectories(source, progress),
        "runs": [_run(run) for run in source.trained],
        "tests": {"cases": len(evidence.cases), "episodes": [one.name for one in evidence.episodes]},
        "notes": [*source.notes, *evidence.notes],
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "files": {path: hashlib.sha256(data).hexdigest() for path, data in sorted(contents.items())},
    }
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def _proposal(proposal: Proposal) -> dict[str, Any]:
    names = ("number", "author", "created", "reason", "parent", "dialogue", "doubts")
    return {name: getattr(proposal, name) for name in names} | {"goal": proposal.goal.title}


def _model(dialogue: Dialogue) -> dict[str, Any]:
    return {
        "dialogue": dialogue.number,
        "model": dialogue.model,
        "client": dialogue.header.vlm,
        "created": dialogue.header.created,
        "prompts_version": dialogue.header.prompts_version,
        "prompts_sha256": prompt_hashes(dialogue),
    }


def _count(count: Count) -> dict[str, Any]:
    low, high = verdicts.interval(count)
    return {"hits": count.hits, "total": count.total, "interval_95": [low, high]}


def _judged(judged: Judged) -> dict[str, str]:
    return {"judgement": judged.judgement, "reason": judged.reason}


def _verification(source: Source) -> dict[str, Any]:
    verification = source.verification
    return {
        "number": verification.number,
        "created": verification.created,
        **_judged(verdicts.judge_whole(verification)),
        "expert": _count(verification.expert),
        "random": _count(verification.random),
        "random_solved": verification.random_solved,
        "random_steps": verification.random_steps,
        "negatives": _count(verification.negatives),
        "thresholds": asdict(verification.thresholds),
        "checkers": [
            {
                "key": verdict.key,
                "sha256": verdict.digest,
                **_judged(verdicts.judge_checker(verdict, verification)),
                "expert": _count(verdict.expert),
                "random": _count(verdict.random),
                "at_start": _count(verdict.at_start),
                "faulty": _count(verdict.faulty),
                "seconds_a_frame": verdict.frame_seconds,
            }
            for verdict in verification.verdicts
        ],
    }


def _examination(source: Source) -> dict[str, Any] | None:
    found = source.examination
    if found is None:
        return None
    return {"number": found.number, "created": found.created, "episodes": found.episodes, "made": found.made}


def _trajectories(source: Source, progress: Progress) -> list[dict[str, Any]]:
    found = []
    for done, info in enumerate(source.infos.values()):
        progress(done, len(source.infos), f"hashing {info.id}")
        found.append(_trajectory(source, info))
    progress(len(source.infos), len(source.infos), "all is gathered")
    return found


def _trajectory(source: Source, info: TrajectoryInfo) -> dict[str, Any]:
    about = {name: getattr(info, name) for name in ("id", "source", "seed", "steps", "success", "env_id")}
    return {**about, "versions": dict(info.versions), "sha256": _hash(source, info.id)}


def _hash(source: Source, id: str) -> str | None:
    """Of the trajectory's file; None where it went away meanwhile."""
    digest = hashlib.sha256()
    try:
        with files.opened(source.session.trajectory_path(id), FILE_LIMIT_BYTES) as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except (DamagedFile, UnknownName, FileNotFoundError):
        return None
    return digest.hexdigest()


def _run(run: Run) -> dict[str, Any]:
    found = runs.summary(runs.read_evaluations(run.folder))
    return {"number": run.number, "state": run.job.state, **asdict(run.config), **asdict(found)}

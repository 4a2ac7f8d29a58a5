"""The stages over a session: load → stage → save, one short function each. App and command line call these.

Choosing a task is in tasks.py, a person's changes in edits.py, what can be trained and how it is started in
trainable.py; all of it is called by its name here.

A stage that takes long is told its `progress` and may be stopped through it; whatever it had saved by then
stays, and calling it again goes on from there. `launch` runs a stage in a process of its own.
"""

import dataclasses
import getpass
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from vlmcar_core import jobs, plugins, recordings, runs
from vlmcar_core.edits import (
    BY_HAND,
    added_step,
    begin_by_hand,
    moved_step,
    restore,
    save_edit,
    with_step,
    without_step,
)
from vlmcar_core.errors import BadInput, DamagedFile, NoExpert
from vlmcar_core.jobs import Job
from vlmcar_core.payments import Payment
from vlmcar_core.progress import silent
from vlmcar_core.store import GoalOrigin, Session
from vlmcar_core.tasks import (
    check_same_size,
    create_empty,
    create_from_env,
    create_from_frames,
    env_families,
    env_settings,
    env_tasks,
    find_task,
    preview,
    set_goal_from_trajectory,
    set_goal_from_upload,
)
from vlmcar_core.trainable import (
    default_hyperparameters,
    default_pay,
    new_run,
    observations,
    other_trainers,
    read_hyperparameters,
    run_configs,
    start_run,
    start_training,
    trainer_parameters,
    trainer_titles,
    trainers,
    written_hyperparameters,
)
from vlmcar_core.types import (
    Answers,
    Checker,
    Frame,
    Progress,
    Proposal,
    Recording,
    Task,
    Trajectory,
)
from vlmcar_core.verdicts import Verification, judge_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    import gymnasium as gym
    import numpy as np
    from numpy.typing import NDArray

    from vlmcar_core.export import Bundle
    from vlmcar_core.reward import CheckerReward

__all__ = [
    "BUNDLE_MEBIBYTES",
    "BY_HAND",
    "DEFAULT_SEEDS",
    "DRIVER_CHARS_MAX",
    "EXPERT_TRIES",
    "RANDOM_SEED_OFFSET",
    "REPLAY_MEBIBYTES",
    "REPLAY_MEBIBYTES_MAX",
    "Recorded",
    "added_step",
    "begin_by_hand",
    "check_same_size",
    "create_empty",
    "create_from_env",
    "create_from_frames",
    "current_job",
    "default_author",
    "default_hyperparameters",
    "default_pay",
    "default_root",
    "env_families",
    "env_settings",
    "env_tasks",
    "export",
    "figures",
    "find_task",
    "frames",
    "judged",
    "launch",
    "make_env",
    "moved_step",
    "new_run",
    "observations",
    "open_session",
    "other_trainers",
    "preview",
    "propose",
    "read_hyperparameters",
    "record",
    "report",
    "restore",
    "run_configs",
    "save_driven",
    "save_edit",
    "set_goal_from_driving",
    "set_goal_from_trajectory",
    "set_goal_from_upload",
    "set_initial_from_driving",
    "silent",
    "start_in",
    "start_run",
    "start_training",
    "train",
    "trainer_parameters",
    "trainer_titles",
    "trainers",
    "verify",
    "watch",
    "with_reward",
    "with_step",
    "without_step",
    "written_hyperparameters",
]

RANDOM_SEED_OFFSET = 1000
"""Random episodes start from seeds this far above the task's, so that they share no layout with the experts."""

DRIVER_CHARS_MAX = 60

DEFAULT_SEEDS = 3
"""Runs of each kind that are started together: one seed shows what may happen, not what does."""

EXPERT_TRIES = 5
"""An expert may fail on a seed; so many seeds per wanted expert are tried."""


def default_root() -> Path:
    """Where sessions are kept: `VLMCAR_SESSIONS`, or `sessions/` beside the package or, failing that, here."""
    chosen = os.environ.get("VLMCAR_SESSIONS")
    if chosen:
        return Path(chosen)
    beside = Path(__file__).parent.parent / "sessions"
    return beside if beside.is_dir() else Path.cwd() / "sessions"


def default_author() -> str:
    """The name of the person at this machine, as the operating system has it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "me"


# 2. Record


@dataclass(frozen=True)
class Recorded:
    """What a recording has, old and new."""

    experts: int
    randoms: int
    note: str = ""
    """Why there are fewer experts than asked for; empty where there are not."""


def record(
    session: Session, recording: Recording | None = None, progress: Progress = silent, replace: bool = False
) -> Recorded:
    """Record what is missing of the experts and random episodes that are wanted; the expert's last frame
    becomes the goal frame where there is none.

    Args:
        recording: how much; as the session says, if None. Kept in the session.
        replace: forget the experts and random episodes that are there, and record all anew; what a person has
            driven stays.

    Raises:
        BadInput: a session of frames only; or random episodes of another length are there and `replace` is off.
    """
    header = session.header()
    wanted = recording or header.recording
    if header.task.env_id is None:
        raise BadInput(f"session {session.name!r} has two frames and no environment; there is nothing to record")
    if replace:
        session.remove_trajectories("random")
        session.remove_trajectories("expert", keep=_driven(session))
    _refuse_mixed_lengths(session, header.recording, wanted)
    if wanted != header.recording:
        session.save(dataclasses.replace(header, recording=wanted))
    note = _record_experts(session, header.task, wanted, progress)
    _record_randoms(session, header.task, wanted, progress)
    experts, randoms = (_recorded(session, source) for source in ("expert", "random"))
    if session.goal is None and experts:
        set_goal_from_trajectory(session, min(experts.values()), -1)
    return Recorded(len(experts), len(randoms), note)


def _recorded(session: Session, source: str) -> dict[int, str]:
    """Seed to id of what is there already."""
    return {
        info.seed: info.id
        for info in session.trajectories().items
        if info.source == source and info.seed is not None and info.of_the_task
    }


def _refuse_mixed_lengths(session: Session, old: Recording, new: Recording) -> None:
    there = len(_recorded(session, "random"))
    if there and old.random_steps != new.random_steps:
        raise BadInput(
            f"{there} random episodes of at most {old.random_steps} steps are recorded; a rate over two lengths means "
            f"nothing: keep {old.random_steps}, or replace them to record all at {new.random_steps}"
        )


def _record_experts(session: Session, task: Task, wanted: Recording, progress: Progress) -> str:
    from vlmcar_core import rollouts

    total = wanted.experts + wanted.randoms
    there = _recorded(session, "expert")
    count, note = len(there), ""
    for seed in range(task.seed, task.seed + EXPERT_TRIES * wanted.experts):
        if count >= wanted.experts:
            return ""
        if seed in there:
            continue
        progress(count, total, f"expert {count + 1} of {wanted.experts}, seed {seed}")
        try:
            session.add_trajectory(rollouts.record_expert(task, seed))
            count += 1
        except NoExpert as error:
            note = str(error)
    return note if count < wanted.experts else ""


def _record_randoms(session: Session, task: Task, wanted: Recording, progress: Progress) -> None:
    from vlmcar_core import rollouts

    total = wanted.experts + wanted.randoms
    there = _recorded(session, "random")
    first = task.seed + RANDOM_SEED_OFFSET
    for number, seed in enumerate(range(first, first + wanted.randoms)):
        if seed in there:
            continue
        progress(wanted.experts + number, total, f"random episode {number + 1} of {wanted.randoms}, seed {seed}")
        session.add_trajectory(rollouts.record_random(task, seed, wanted.random_steps))
    progress(total, total, f"{total} episodes recorded")


# 2b. Drive


def save_driven(session: Session, trajectory: Trajectory, driver: str) -> str:
    """Keep an episode that a person has acted; returns its id. As an expert's it counts as any other expert's does.

    The name stands in the trajectory's `versions`; the last frame of the first expert becomes the goal frame where
    there is none.

    Raises:
        BadInput: there is no name or no step; an expert's that the environment does not call solved, or a near miss
            that it does; or the very same episode is there already.
    """
    name = _driver(driver)
    if not trajectory.steps:
        raise BadInput("nothing was done yet, so there is nothing to save")
    if trajectory.source == "expert" and trajectory.success is False:
        raise BadInput("the environment does not call this episode solved; go on until it does, or save a near miss")
    if trajectory.source == "near-miss" and trajectory.success is True:
        raise BadInput("the environment calls this episode solved, so it is no near miss; save it as an expert's")
    if same := _same(session, trajectory):
        raise BadInput(f"{same} is the very same episode; another layout, or another way, would prove more")
    versions = {**trajectory.versions, recordings.DRIVER: name}
    id = session.add_trajectory(dataclasses.replace(trajectory, versions=versions))
    if session.goal is None and trajectory.source == "expert":
        set_goal_from_trajectory(session, id, -1)
    return id


def set_initial_from_driving(session: Session, frame: Frame) -> None:
    """Raises `BadImage` where the goal frame has another size; the initial frame stays as it was then."""
    if session.goal is not None:
        check_same_size(frame, session.goal, "goal.png")
    session.set_initial(frame)


def set_goal_from_driving(session: Session, frame: Frame, driver: str, seed: int, steps: int) -> None:
    """Make what a person has come to the goal frame.

    Raises:
        BadInput: there is no name.
        BadImage: the initial frame has another size.
    """
    name = _driver(driver)
    if session.initial is not None:
        check_same_size(session.initial, frame, "this frame")
    session.set_goal(frame, GoalOrigin("driven", frame=steps, name=f"{name} from seed {seed}"))


def _driver(name: str) -> str:
    if not 1 <= len(name.strip()) <= DRIVER_CHARS_MAX:
        raise BadInput(f"what is kept has the name of who drove, 1 to {DRIVER_CHARS_MAX} characters; enter yours")
    return name.strip()


def _driven(session: Session) -> list[str]:
    """Ids of the trajectories that people have acted."""
    return [info.id for info in session.trajectories().items if recordings.DRIVER in info.versions]


def _same(session: Session, trajectory: Trajectory) -> str:
    """The id of a stored trajectory with the same seed and actions by the same kind of actor; empty where none is."""
    for info in session.trajectories().items:
        alike = (info.source, info.seed, info.steps) == (trajectory.source, trajectory.seed, trajectory.steps)
        if alike and np.array_equal(session.trajectory(info.id).actions, trajectory.actions):
            return info.id
    return ""


# 3. Propose


def propose(session: Session, proposer: str = "builtin", progress: Progress = silent) -> Proposal:
    """Ask a proposer for a goal, sub-tasks and checkers, and store what it answers as the next proposal.

    Raises:
        BadInput: the session lacks one of its two frames.
        NothingToPropose: the two frames do not tell.
    """
    initial, goal = session.initial, session.goal
    if initial is None or goal is None:
        lacking = "initial" if initial is None else "goal"
        raise BadInput(
            f"session {session.name!r} has no {lacking} frame yet; record an expert, upload a picture, "
            "or choose a frame of a recorded trajectory"
        )
    check_same_size(initial, goal, "goal.png")
    progress(0, 1, "looking at the two frames")
    answer: Proposal = plugins.load("proposers", proposer).propose(initial, goal, progress)
    stored = session.add_proposal(answer)
    progress(1, 1, f"proposal {stored.number} with {len(stored.subtasks)} sub-tasks")
    return stored


# 5. Verify


def verify(session: Session, number: int | None = None, progress: Progress = silent) -> Verification:
    """Ask every checker about every recorded trajectory that it was not asked about yet, and store the counts."""
    from vlmcar_core import verify as stage
    from vlmcar_core.lanes import ask_all

    header, proposal = session.header(), session.proposal(number)
    infos = {info.id: info for info in session.trajectories().items}
    found = {
        (step.checker.digest, id): session.answers(step.checker.digest, id, info.steps + 1)
        for step in proposal.steps
        for id, info in infos.items()
    }
    missing = [key for key, answers in found.items() if answers is None]
    checkers = {step.checker.digest: step.checker for step in proposal.steps}
    answers = {key: value for key, value in found.items() if value is not None}
    asked = len({digest for digest, _ in missing})
    if missing:
        progress(0, len(missing), f"{asked} checkers to ask")
    with closing(ask_all(checkers, missing, lambda id: frames(session, id))) as told:
        for done, ((digest, id), said) in enumerate(told, 1):
            if said is not None:
                answers[digest, id] = said
                session.save_answers(digest, id, said)
            progress(done, len(missing), f"{asked} checkers to ask: {checkers[digest].key} on {id}")
    readable = {id: info for id, info in infos.items() if all((digest, id) in answers for digest in checkers)}
    impure = _impure(session, checkers, answers, readable)
    verification = stage.verify(proposal, readable, answers, header.thresholds, header.recording.random_steps, impure)
    stored = session.add_verification(verification)
    progress(len(missing), len(missing), f"{len(missing)} answers asked, {len(found) - len(missing)} known already")
    return stored


def _impure(
    session: Session, checkers: Mapping[str, Checker], answers: Mapping[tuple[str, str], Answers], infos: Iterable[str]
) -> dict[str, str]:
    """Which checkers keep something between calls, seen on the first trajectory: an expert's, where there is one.
    Those that fail anywhere are rejected for that, and are not asked again."""
    from vlmcar_core.purity import impurity

    first = next(iter(infos), None)
    shown = frames(session, first) if first is not None else None
    if shown is None:
        return {}
    faulty = {digest for (digest, _), found in answers.items() if found.faults}
    found = {
        digest: impurity(checker, shown.initial, shown.frames)
        for digest, checker in checkers.items()
        if digest not in faulty
    }
    return {digest: why for digest, why in found.items() if why}


def frames(session: Session, id: str) -> recordings.Distinct | None:
    """None where its file is damaged: the others are verified all the same, and the listing names it."""
    try:
        return session.frames(id)
    except DamagedFile:
        return None


# 6. Train


def train(session: Session, folder: Path, config: runs.RunConfig, progress: Progress = silent) -> dict[str, Any]:
    """Train one agent, writing progress, evaluations and the model into the run's folder as it goes."""
    from vlmcar_core import train as stage

    return stage.train(session, folder, config, progress)


def open_session(name: str, root: Path | None = None) -> Session:
    """A session by its name.

    Args:
        name: of its folder.
        root: the folder of the sessions; `default_root` if None.

    Raises:
        UnknownName: there is none.
        DamagedFile: its settings cannot be read.
    """
    return Session.open(root or default_root(), name)


def make_env(session: Session) -> "gym.Env[Any, Any]":
    """The session's own environment, drawing full frames.

    Raises:
        BadInput: the session has none, or what is installed cannot make it.
    """
    env: gym.Env[Any, Any] = _environments(session).make(session.task)
    return env


def with_reward(
    session: Session,
    env: "gym.Env[Any, Any] | None" = None,
    proposal: int | None = None,
    payment: Payment | None = None,
    env_reward: bool = True,
    scene: "Callable[[gym.Env[Any, Any]], Frame] | None" = None,
    succeeded: "Callable[[NDArray[np.float64], bool], bool] | None" = None,
) -> "CheckerReward":
    """An environment that pays what a session's checkers say, each of them sealed; see `CheckerReward`.

    Args:
        session: whose checkers.
        env: any Gymnasium environment that draws frames like those on which the checkers were verified; the session's
            own if None.
        proposal: whose checkers; the newest that stands if None.
        payment: how completions become a reward; the default for the session's environment if None.
        env_reward: keep the environment's own reward beside it.
        scene: from the environment to the frame that checkers look at, RGB uint8 (H, W, 3); if None, the session's own
            camera for its own environment, and `env.render()` for any other.
        succeeded: as in `CheckerReward`; the session's own if None.

    Raises:
        UnknownName: there is no such proposal.
        BadInput: `env` is None and the session has no environment of its own, or the payment does not fit.
    """
    from vlmcar_core.reward import CheckerReward

    family = _environments(session) if env is None or session.task.family is not None else None
    frame_key = None
    if env is None:
        frame_key = getattr(family, "frame_key", None) if scene is None else None
        env, scene = make_env(session), scene or getattr(family, "scene", None)
    return CheckerReward(
        env,
        session.proposal(proposal),
        env_reward=env_reward,
        scene=scene,
        payment=payment or Payment(default_pay(session)),
        succeeded=succeeded or getattr(family, "succeeded", None),
        frame_key=frame_key,
    )


def _environments(session: Session) -> ModuleType:
    """The family of a session's environment."""
    family = session.task.family
    if family is None:
        raise BadInput(f"session {session.name!r} has two frames and no environment; pass one that draws such frames")
    return plugins.load("envs", family)


def watch(session: Session, run: int, episodes: int = 3, progress: Progress = silent) -> list[str]:
    """Record episodes of a trained policy as trajectories; returns their ids."""
    from vlmcar_core import train

    return train.watch(session, run, episodes, progress)


# 7. Report, and background runs


REPLAY_MEBIBYTES_MAX = 256.0
REPLAY_MEBIBYTES = 8.0
"""Room for the frames of the episodes that can be replayed in a report, as PNG."""


def report(session: Session, mebibytes: float = REPLAY_MEBIBYTES, progress: Progress = silent) -> str:
    """The session as one self-contained HTML page, with the replay player and decisive episodes in it.

    Args:
        session: which.
        mebibytes: room for the episodes' frames; 0 leaves the player out.
        progress: told while the checkers are asked, in the sandbox, what they see.

    Raises:
        BadInput: the room is less than nothing, or more than a page holds.
    """
    from vlmcar_core.report import html

    if not 0 <= mebibytes <= REPLAY_MEBIBYTES_MAX:
        raise BadInput(f"the replay has room of 0 to {REPLAY_MEBIBYTES_MAX:g} MiB in a report, not {mebibytes:g}")
    return html(session, mebibytes, progress)


def figures(session: Session, folder: Path, formats: Sequence[str], progress: Progress = silent) -> list[Path]:
    """Write a session's figures into a folder as SVG, PNG or both; returns their paths. See `figures`."""
    from vlmcar_core import figures as stage

    return stage.write(stage.of_session(session), folder, formats, progress)


BUNDLE_MEBIBYTES = 8.0
"""Of all recorded frames in a bundle, as PNG."""


def export(
    session: Session, number: int | None = None, mebibytes: float = BUNDLE_MEBIBYTES, progress: Progress = silent
) -> "Bundle":
    """A verified proposal as a bundle that runs without the studio; see `export`.

    Args:
        session: which.
        number: of the proposal; the newest that stands if None.
        mebibytes: room for recorded frames.
        progress: told of each trajectory that is gone through.

    Raises:
        BadInput: it is not verified, or holds a program in the released style.
    """
    from vlmcar_core.export import bundle

    return bundle(session, number, mebibytes, progress)


def judged(session: Session, number: int | None = None) -> str:
    """The whole proposal's judgement and its reason, in a line."""
    proposal = session.proposal(number)
    verification = session.verification(proposal.number or 0)
    if verification is None:
        return "not verified yet"
    found = judge_whole(verification)
    return f"{found.judgement}: {found.reason}"


def launch(
    session: Session, stage: str, arguments: Sequence[str] = (), secrets: Mapping[str, str] | None = None
) -> Job:
    """Run `vlmcar <stage> <session> <arguments>` in a process of its own, as a job of the session.

    Args:
        session: which.
        stage: the command.
        arguments: what follows the session's name.
        secrets: environment variables for that process alone.
    """
    return start_in(session.new_job_folder(stage), session, stage, arguments, secrets)


def start_in(
    folder: Path, session: Session, stage: str, arguments: Sequence[str], secrets: Mapping[str, str] | None = None
) -> Job:
    """Like `launch`, in a folder that is there already. A training waits in line first, on this machine."""
    if stage == "train-run":
        return start_run(session, folder)
    root = str(session.folder.parent.resolve())
    return jobs.start(folder, stage, ["--root", root, stage, session.name, *arguments], secrets)


def current_job(session: Session, stage: str) -> Job | None:
    """The newest job of a stage, running or not."""
    for folder in reversed(session.job_folders()):
        if folder.name.partition("-")[2] == stage:
            try:
                return jobs.read(folder)
            except DamagedFile:
                continue
    return None

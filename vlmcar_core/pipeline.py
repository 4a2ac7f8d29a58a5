"""The stages over a session: load → stage → save, one short function each. App and command line call these.

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

from vlmcar_core import images, jobs, launching, plugins, recordings, runs
from vlmcar_core.envs import EnvTask, Setting, known_view
from vlmcar_core.errors import BadImage, BadInput, DamagedFile, NoExpert, UnknownName
from vlmcar_core.jobs import Job
from vlmcar_core.payments import Payment
from vlmcar_core.store import GoalOrigin, Session
from vlmcar_core.trainers import _defaults
from vlmcar_core.types import (
    Answers,
    Checker,
    Frame,
    Progress,
    Proposal,
    Recording,
    SubTask,
    Task,
    Thresholds,
    Trajectory,
)
from vlmcar_core.verdicts import Verification, judge_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    import gymnasium as gym
    import numpy as np
    from numpy.typing import NDArray

    from vlmcar_core.export import Bundle
    from vlmcar_core.hyperparameters import Taken
    from vlmcar_core.reward import CheckerReward

RANDOM_SEED_OFFSET = 1000
"""Random episodes start from seeds this far above the task's, so that they share no layout with the experts."""

DRIVER_CHARS_MAX = 60

DEFAULT_SEEDS = 3
"""Runs of each kind that are started together: one seed shows what may happen, not what does."""

EXPERT_TRIES = 5
"""An expert may fail on a seed; so many seeds per wanted expert are tried."""


def silent(_done: int, _total: int, _message: str) -> None:
    """A `Progress` for callers who do not want to know."""


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


# 1. Task


def env_tasks() -> list[tuple[str, EnvTask]]:
    """Every environment that can be chosen, as (family, task); the paper's first."""
    found = [(name, task) for name in plugins.names("envs") for task in plugins.load("envs", name).tasks()]
    return sorted(found, key=lambda pair: not pair[1].paper)


def env_families() -> dict[str, str]:
    """The families' names for people, by the names of their files: those that work here first, of these those with
    tasks of the paper."""

    def rank(name: str) -> tuple[bool, bool, str]:
        tasks = plugins.load("envs", name).tasks()
        return not any(task.works for task in tasks), not any(task.paper for task in tasks), name

    return {name: str(plugins.load("envs", name).TITLE) for name in sorted(plugins.names("envs"), key=rank)}


def env_settings(family: str) -> Mapping[str, Setting]:
    """What the settings of a family's tasks may hold."""
    known: Mapping[str, Setting] = plugins.load("envs", family).SETTINGS
    return known


def find_task(env_id: str, seed: int = 0, settings: dict[str, Any] | None = None) -> Task:
    """Raises `UnknownName` where no family has this id, `BadInput` for a seed that cannot be one."""
    for family, task in env_tasks():
        if task.env_id == env_id:
            if not task.works:
                raise BadInput(f"{env_id} cannot be made here: {task.note}")
            found = Task(env_id, family, seed, settings or {})
            module = plugins.load("envs", family)
            placed: Task = module.placed(found) if hasattr(module, "placed") else found
            return placed
    near = [task.env_id for _, task in env_tasks() if env_id.lower() in task.env_id.lower()]
    raise UnknownName.among("environment", env_id, near or [task.env_id for _, task in env_tasks()])


def preview(task: Task) -> Frame:
    """The task's initial frame: the environment's own full render after reset, RGB uint8 (H, W, 3)."""
    from vlmcar_core import rollouts

    return rollouts.first_frame(task)


def create_from_env(
    root: Path,
    name: str,
    env_id: str,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    recording: Recording = Recording(),
    thresholds: Thresholds = Thresholds(),
) -> Session:
    """A session on an environment; nothing is created where its first frame cannot be rendered."""
    task = find_task(env_id, seed, settings)
    frame = preview(task)
    session = Session.create(root, name, task, recording, thresholds)
    session.set_initial(frame)
    return session


def create_from_frames(
    root: Path,
    name: str,
    initial: bytes,
    goal: bytes,
    names: tuple[str, str] = ("initial frame", "goal frame"),
) -> Session:
    """A frames-only session from two uploaded pictures.

    Raises:
        BadImage: a picture cannot be used, or the two differ in size.
    """
    first, last = images.decode(initial, names[0]), images.decode(goal, names[1])
    check_same_size(first, last, names[1])
    session = Session.create(root, name, Task(env_id=None, family=None))
    session.set_initial(first)
    session.set_goal(last, GoalOrigin("upload", name=names[1]))
    return session


def create_empty(root: Path, name: str) -> Session:
    """A session of frames only whose frames are to come with the first trajectory that it takes from a file."""
    return Session.create(root, name, Task(env_id=None, family=None))


def set_goal_from_upload(session: Session, data: bytes, name: str) -> None:
    """Raises `BadImage`; the goal frame stays as it was then."""
    frame = images.decode(data, name)
    if session.initial is not None:
        check_same_size(session.initial, frame, name)
    session.set_goal(frame, GoalOrigin("upload", name=name))


def set_goal_from_trajectory(session: Session, id: str, frame: int) -> None:
    """Make a recorded frame the goal frame; -1 is the trajectory's last."""
    info = recordings.read_info(session.trajectory_path(id))
    index = info.steps if frame == -1 else frame
    if not 0 <= index <= info.steps:
        raise BadInput(f"trajectory {id!r} has frames 0 to {info.steps}, not {frame}")
    kind = "expert" if info.source == "expert" and index == info.steps else "trajectory"
    picture = recordings.read_frame(session.trajectory_path(id), index)
    session.set_goal(picture, GoalOrigin(kind, trajectory=id, frame=index))


def check_same_size(initial: Frame, goal: Frame, name: str) -> None:
    """Raises `BadImage` where they differ; `name` is the goal frame's."""
    if initial.shape != goal.shape:
        raise BadImage(
            f"{name!r} is {goal.shape[1]} × {goal.shape[0]} pixels and the initial frame {initial.shape[1]} × "
            f"{initial.shape[0]}; both frames must come from the same camera at the same size"
        )


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


# 4. Review and edit


def save_edit(
    session: Session, edited: Proposal, author: str, reason: str = "", expected_latest: int | None = None
) -> Proposal:
    """Store a person's edit as the next proposal.

    Args:
        edited: the proposal as it should be; its `number` is the one it was made from.
        expected_latest: the newest proposal that the person has seen.

    Raises:
        BadInput: there is no author, or a title is empty.
        ChangedElsewhere: there is a newer proposal than the person has seen.
    """
    if not author.strip():
        raise BadInput("an edit needs its author's name; enter yours")
    for step in edited.steps:
        if not step.title.strip():
            raise BadInput(f"the sub-task {step.key!r} has no title; say in a few words what must be done")
    signed = dataclasses.replace(edited, author=author.strip(), reason=reason.strip(), parent=edited.number)
    return session.add_proposal(signed, expected_latest)


def restore(session: Session, number: int, author: str) -> Proposal:
    """Make an earlier proposal the newest again, as a new one."""
    return save_edit(session, session.proposal(number), author, f"restored from proposal {number}")


def with_step(proposal: Proposal, step: SubTask) -> Proposal:
    """The proposal with one sub-task, or the goal, replaced by another of the same key."""
    if step.key == proposal.goal.key:
        return dataclasses.replace(proposal, goal=step)
    if step.key not in {item.key for item in proposal.subtasks}:
        raise UnknownName.among("sub-task", step.key, [item.key for item in proposal.steps])
    subtasks = tuple(step if item.key == step.key else item for item in proposal.subtasks)
    return dataclasses.replace(proposal, subtasks=subtasks)


def without_step(proposal: Proposal, key: str) -> Proposal:
    """The proposal without one sub-task; the goal stays."""
    if key not in {item.key for item in proposal.subtasks}:
        raise UnknownName.among("sub-task", key, [item.key for item in proposal.subtasks])
    return dataclasses.replace(proposal, subtasks=tuple(item for item in proposal.subtasks if item.key != key))


def added_step(proposal: Proposal, step: SubTask, position: int) -> Proposal:
    """The proposal with one more sub-task, at a position from 0."""
    position = max(0, min(position, len(proposal.subtasks)))
    subtasks = (*proposal.subtasks[:position], step, *proposal.subtasks[position:])
    return dataclasses.replace(proposal, subtasks=subtasks)


def moved_step(proposal: Proposal, key: str, position: int) -> Proposal:
    """The proposal with one sub-task moved to a position, from 0."""
    moved = next((item for item in proposal.subtasks if item.key == key), None)
    rest = without_step(proposal, key)
    return rest if moved is None else added_step(rest, moved, position)


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


def trainers(session: Session, observation: str | None = None) -> dict[str, dict[str, Any]]:
    """The trainers that can take the actions of the session's environment, and the defaults of their settings there;
    the one to begin with first.

    Args:
        session: which.
        observation: what the policy is to see; the usual if None.
    """
    _trained_in(session)
    return _fitting(session.task, observation)


def _fitting(task: Task, observation: str | None) -> dict[str, dict[str, Any]]:
    family = plugins.load("envs", str(task.family))
    if observation is not None:
        known_view(observation, family.VIEWS)
    goals, masks = hasattr(family, "goal_view"), hasattr(family, "action_mask")
    return _defaults.fitting(family.CONTINUOUS, goals, masks, str(task.family), observation == "image")


def other_trainers(session: Session, observation: str | None = None) -> dict[str, str]:
    """The trainers that cannot take the session's environment, and why."""
    family = _trained_in(session)
    return _defaults.not_fitting(family.CONTINUOUS, hasattr(family, "action_mask"), observation == "image")


def trainer_parameters(defaults: Mapping[str, Any]) -> dict[str, Setting]:
    """What each of a trainer's settings does and may be, with the defaults that `trainers` gives."""
    return _defaults.parameters(defaults)


def trainer_titles() -> Mapping[str, str]:
    """Every trainer's name for people."""
    return _defaults.TITLES


def observations(session: Session) -> dict[str, str]:
    """What a policy may see in the session's environment, and what that is for people; the usual first."""
    views: dict[str, str] = _trained_in(session).VIEWS
    return views


def _trained_in(session: Session) -> ModuleType:
    """The environment's family."""
    if session.task.family is None:
        raise BadInput(f"session {session.name!r} has two frames and no environment; there is nothing to train in")
    return plugins.load("envs", session.task.family)


def default_pay(session: Session, scale: float = runs.RunConfig.scale) -> str:
    """How to pay in the session's environment, if nothing else is wanted.

    Once; "remaining" where each step costs 1, since a share of 1 that is paid once is hardly felt there, unless a
    larger scale makes up for that.
    """
    family = plugins.load("envs", session.task.family) if session.task.family else None
    return "remaining" if getattr(family, "STEP_COST", False) and scale <= 1 else "once"


def start_training(
    session: Session,
    rewards: Sequence[str],
    seeds: Sequence[int],
    proposal: int | None = None,
    launcher: str = "local",
    address: str = "",
    **options: Any,
) -> list[Job]:
    """Start one background run per reward and seed; each waits in line until there is a place for it.

    Args:
        rewards: of "dense" and "sparse".
        seeds: one run of each reward per seed.
        proposal: whose checkers pay in the dense runs; the newest if None.
        launcher: where they run, one of `launchers/`.
        address: of the cluster, where the launcher wants one.
        options: further fields of `RunConfig`.

    Raises:
        BadInput: there is no environment, or an option makes no sense.
        UnknownName: there is no such proposal, trainer, observation, setting or launcher.
    """
    plugins.load("launchers", launcher).check(address)
    configs = run_configs(session, rewards, seeds, proposal, **options)
    return [start_run(session, new_run(session, config), launcher, address) for config in configs]


def run_configs(
    session: Session, rewards: Sequence[str], seeds: Sequence[int], proposal: int | None = None, **options: Any
) -> list[runs.RunConfig]:
    """What `start_training` trains: a seed after the other, of each every reward. Raises what it raises."""
    observation = options.get("observation")
    if observation is not None and observation == next(iter(observations(session))):
        options["observation"] = None
    known = trainers(session, observation)
    trainer = str(options.get("trainer") or next(iter(known)))
    if trainer not in known:
        _check_trainer(session, trainer, observation)
        raise UnknownName.among("trainer for this environment", trainer, known)
    settings = {**_differing(trainer, known[trainer]), **options.get("settings", {})}
    _defaults.merged(_defaults.DEFAULTS[trainer], settings)
    options |= {"trainer": trainer, "settings": settings}
    options["pay"] = options.get("pay") or default_pay(session, float(options.get("scale") or runs.RunConfig.scale))
    number = session.proposal(proposal).number if "dense" in rewards or proposal is not None else None
    if options.get("weights") and "dense" in rewards:
        Payment(weights=options["weights"]).shares([step.key for step in session.proposal(number).paid])
    return [
        runs.RunConfig(proposal=number if reward == "dense" else None, reward=reward, seed=seed, **options)
        for seed in seeds
        for reward in rewards
    ]


def new_run(session: Session, config: runs.RunConfig) -> Path:
    """The folder of a run that is yet to be started."""
    folder = session.new_run_folder()
    runs.write_config(folder, config)
    return folder


def start_run(session: Session, folder: Path, launcher: str = "local", address: str = "") -> Job:
    """Put a run into the line, by its folder; see `launching.start`."""
    command = ["--root", str(session.folder.parent.resolve()), "train-run", session.name]
    return launching.start(folder, command, launcher, address)


def _check_trainer(session: Session, trainer: str, observation: str | None) -> None:
    why = other_trainers(session, observation).get(trainer)
    if why:
        known = ", ".join(trainers(session, observation))
        raise UnknownName(f"no trainer {trainer!r} for this environment: it {why}; there are: {known}")


def read_hyperparameters(
    session: Session, text: str, trainer: str | None = None, observation: str | None = None
) -> "Taken":
    """The settings of a trainer from a file in the form of RL Baselines3 Zoo; the entry of the session's environment.

    Raises:
        BadInput: it is no such file, or a value is out of range.
        UnknownName: it has no entry for the environment.
    """
    from vlmcar_core import hyperparameters

    trainer = trainer or next(iter(trainers(session, observation)))
    return hyperparameters.read(text, str(session.task.env_id), trainer)


def written_hyperparameters(
    task: Task, trainer: str, settings: Mapping[str, Any], steps: int | None = None, observation: str | None = None
) -> str:
    """A trainer's settings as a file in that form; so many steps as a run has if nothing else is wanted, if None."""
    from vlmcar_core import hyperparameters

    return hyperparameters.written(
        str(task.env_id), trainer, settings, steps or runs.RunConfig.steps, observation or ""
    )


def default_hyperparameters(task: Task, trainer: str | None = None, observation: str | None = None) -> str:
    """A trainer's settings for an environment, if nothing else is wanted, as a file in that form.

    Raises:
        UnknownName: there is no such trainer for this environment, or no such observation.
    """
    known = _fitting(task, observation)
    trainer = trainer or next(iter(known))
    if trainer not in known:
        raise UnknownName.among("trainer for this environment", trainer, known)
    return written_hyperparameters(task, trainer, known[trainer], runs.RunConfig.steps, observation)


def _differing(trainer: str, here: Mapping[str, Any]) -> dict[str, Any]:
    """What an environment makes different from a trainer's own defaults."""
    return {name: value for name, value in here.items() if value != _defaults.DEFAULTS[trainer][name]}


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


def export(session: Session, number: int | None = None, mebibytes: float = BUNDLE_MEBIBYTES) -> "Bundle":
    """A verified proposal as a bundle that runs without the studio; see `export`.

    Raises:
        BadInput: it is not verified, or holds a program in the released style.
    """
    from vlmcar_core.export import bundle

    return bundle(session, number, mebibytes)


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

"""The first stage: an environment or two pictures, and the session that is made of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlmcar_core import images, plugins, recordings
from vlmcar_core.envs import EnvTask, Setting
from vlmcar_core.errors import BadImage, BadInput, UnknownName
from vlmcar_core.store import GoalOrigin, Session
from vlmcar_core.types import Frame, Recording, Task, Thresholds


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

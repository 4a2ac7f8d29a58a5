"""What is to be learned: a new session, or the two frames of the open one."""

from typing import Any

import streamlit as st

from vlmcar_core import pipeline
from vlmcar_core.envs import EnvTask, Setting
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import Session
from vlmcar_core.types import Frame, Recording, Task, slug
from vlmcar_studio import current, packed, widgets

COLUMN_PIXELS = 300
"""A larger frame is made as wide as its column."""

PICTURES = ["png", "jpg", "jpeg", "webp"]


@st.cache_data(show_spinner=False)
def environments() -> list[tuple[str, EnvTask]]:
    return pipeline.env_tasks()


@st.cache_data(show_spinner="Drawing the first frame…", max_entries=64)
def preview(env_id: str, family: str, seed: int, chosen: dict[str, Any]) -> Frame:
    return pipeline.preview(Task(env_id, family, seed, chosen))


def settings(family: str) -> dict[str, Any]:
    """A widget for each of the family's settings; only what differs from the defaults."""
    known = pipeline.env_settings(family)
    given = {name: widget(setting, f"{family}-{name}") for name, setting in known.items()}
    return {name: value for name, value in given.items() if value != known[name].default}


def widget(setting: Setting, key: str) -> Any:
    label, default, told = setting.label, setting.default, setting.help or None
    if isinstance(default, bool):
        return st.toggle(label, default, help=told, key=key)
    if isinstance(default, str):
        if setting.choices:
            return st.selectbox(label, setting.choices, setting.choices.index(default), help=told, key=key)
        return st.text_input(label, default, help=told, key=key)
    if isinstance(default, int):
        return int(st.number_input(label, int(setting.low), int(setting.high), default, help=told, key=key))
    return float(st.number_input(label, float(setting.low), float(setting.high), default, help=told, key=key))


def label(task: EnvTask) -> str:
    marks = [*(["paper"] if task.paper else []), *(["no expert"] if not task.expert else [])]
    return task.env_id + (f"  ({', '.join(marks)})" if marks else "")


def opened(name: str) -> None:
    current.choose(name)
    st.toast(widgets.plain(f"Session {name} was made."), icon=":material/check:")
    st.rerun()


def from_environment() -> None:
    known = {task.env_id: (family, task) for family, task in environments() if task.works}
    left, right = st.columns([3, 2])
    with left:
        titles = pipeline.env_families()
        first = next(iter(titles))
        suite = st.pills("Suite", titles, format_func=titles.__getitem__, default=first, key="suite", wrap=True)
        inside = [id for id, (family, _) in known.items() if family == suite or suite is None]
        if not inside:
            missing(suite)
            return
        env_id = st.selectbox("Environment", inside, format_func=lambda id: label(known[id][1]), help="Type to search.")
        family, task = known[env_id]
        if task.note:
            note = widgets.plain(task.note)
            st.caption(
                f":material/info: {note}. Random episodes can be recorded; drive it yourself, or upload a goal frame."
            )
        seed = st.number_input("Seed", 0, 2**31 - 1, 0, help="Its first frame is the task's initial frame.")
        with st.expander("Pictures and recordings"):
            asked = settings(family)
            experts = st.number_input("Expert episodes", 0, 1000, Recording.experts)
            randoms = st.number_input("Random episodes", 0, 10_000, Recording.randoms)
            steps = st.number_input("Steps of a random episode at most", 1, 10_000, Recording.random_steps)
            st.caption("The paper's counts are 2 and 100; it does not say how long its random episodes are.")
        name = st.text_input("Name", value=free_name(env_id), max_chars=64, key=f"name-{env_id}")
        if st.button("Make session", type="primary", icon=":material/add:"):
            try:
                pipeline.create_from_env(
                    pipeline.default_root(),
                    name,
                    env_id,
                    int(seed),
                    asked,
                    Recording(int(experts), int(randoms), int(steps)),
                )
            except BadInput as error:
                widgets.failed(error)
            else:
                opened(name)
    with right:
        try:
            frame = preview(env_id, family, int(seed), asked)
        except BadInput as error:
            widgets.failed(error)
        else:
            caption = f"Initial frame, {frame.shape[1]} × {frame.shape[0]} pixels"
            widgets.show_frame(frame, caption, 420, stretch=frame.shape[1] > COLUMN_PIXELS)


def missing(suite: str) -> None:
    """Why nothing of a suite can be made here."""
    notes = {task.note[:1].upper() + task.note[1:] for family, task in environments() if family == suite}
    st.info("\n\n".join(sorted(widgets.plain(note) for note in notes)), icon=":material/info:")


def free_name(env_id: str) -> str:
    """A name that is not taken, from the environment's id."""
    base = slug(env_id.removeprefix("MiniGrid-").removesuffix("-v0"))
    number, name = 2, base
    while (pipeline.default_root() / name).exists():
        name, number = f"{base}-{number}", number + 1
    return name


def from_pictures() -> None:
    st.write("How the task begins, and how it looks when it is done: two pictures from the same camera.")
    left, right = st.columns(2)
    initial = left.file_uploader("Initial frame", PICTURES, key="initial")
    goal = right.file_uploader("Goal frame", PICTURES, key="goal-picture")
    name = st.text_input("Name", value="two-frames", max_chars=64, key="frames-name")
    if st.button(
        "Make session", type="primary", icon=":material/add:", disabled=not (initial and goal), key="frames-make"
    ):
        assert initial is not None and goal is not None
        try:
            pipeline.create_from_frames(
                pipeline.default_root(), name, initial.getvalue(), goal.getvalue(), (initial.name, goal.name)
            )
        except BadInput as error:
            widgets.failed(error)
        else:
            opened(name)


def from_recordings() -> None:
    st.write("A camera's recordings and no environment: an empty session; its frames come with the first trajectory.")
    name = st.text_input("Name", value="recordings", max_chars=64, key="empty-name")
    if st.button("Make session", type="primary", icon=":material/add:", key="empty-make"):
        try:
            pipeline.create_empty(pipeline.default_root(), name)
        except BadInput as error:
            widgets.failed(error)
        else:
            opened(name)


def goal_of(session: Session) -> None:
    """Other ways to a goal frame than the expert's last."""
    recorded = session.task.env_id or session.trajectory_count
    choices = ["A recorded frame", "A picture"] if recorded else ["A picture"]
    how = st.segmented_control("Goal frame from", choices, default=choices[0], key="goal-how")
    if how == "A picture":
        picture = st.file_uploader("Picture", PICTURES, key="new-goal")
        if picture is not None and st.button("Make it the goal frame", key="goal-upload"):
            try:
                pipeline.set_goal_from_upload(session, picture.getvalue(), picture.name)
            except BadInput as error:
                widgets.failed(error)
            else:
                st.rerun()
        return
    infos = session.trajectories().items
    if not infos:
        st.caption("Nothing is recorded yet; an expert's last frame becomes the goal frame by itself.")
        return
    info = st.selectbox("Trajectory", infos, format_func=lambda found: f"{found.id}, {found.steps} steps")
    index = st.slider("Frame", 0, info.steps, info.steps, key=f"goal-frame-{info.id}")
    widgets.show_frame(session.trajectory(info.id).frames[index], f"{info.id}, frame {index}")
    if st.button("Make it the goal frame", key="goal-recorded"):
        pipeline.set_goal_from_trajectory(session, info.id, index)
        st.rerun()


def came_from(session: Session) -> None:
    """Where the goal frame came from, or how to get one."""
    try:
        origin = session.goal_origin()
    except DamagedFile as error:
        st.warning(widgets.plain(str(error)))
        return
    if origin is not None:
        where = {
            "upload": f"the picture {origin.name}",
            "expert": f"the last frame of {origin.trajectory}",
            "driven": f"step {origin.frame} of what {origin.name} drove",
        }
        came = where.get(origin.kind, f"frame {origin.frame} of {origin.trajectory}")
        st.caption(f"From {widgets.plain(came)}.")
    elif session.task.env_id:
        st.caption("Record an expert: its last frame becomes the goal frame. Or choose one below.")


def show(session: Session) -> None:
    task = session.task
    st.title("Task")
    seed = widgets.plain(str(task.seed))
    st.write(f"**{widgets.plain(task.env_id)}**, seed {seed}" if task.env_id else "**Two frames**, no environment")
    left, right = st.columns(2)
    with left:
        widgets.show_session_frame(session, "initial", 420)
    with right:
        widgets.show_session_frame(session, "goal", 420)
        came_from(session)
    with st.expander("Change the goal frame"):
        goal_of(session)
    packed.download(session)
    if task.env_id or session.goal is None:
        widgets.next_page(
            "record", "Next: record trajectories" if task.env_id else "Next: take trajectories from files"
        )
    else:
        widgets.next_page("propose", "Next: propose sub-tasks and checkers")


found = current.session_or_none()
if found is not None:
    show(found)
    st.divider()
st.header("New session") if found is not None else st.title("New session")
ways = ["From an environment", "From two pictures", "From recordings", "From a packed session"]
environment, pictures, recordings, file = st.tabs(ways)
with environment:
    from_environment()
with pictures:
    from_pictures()
with recordings:
    from_recordings()
with file:
    packed.upload(opened)

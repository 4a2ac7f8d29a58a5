"""What learns, and from what it sees: a trainer, its observation and its settings, to be chosen, loaded and saved."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from vlmcar_core import pipeline
from vlmcar_core.envs import Setting
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session
from vlmcar_studio import widgets

STEPS = "training-steps"
"""The key of the page's number of steps, which a file may set."""

PROBLEM, LEFT = "hyperparams-problem", "hyperparams-left"
FILE_MIB = 1
COLUMNS = 3


def algorithm(session: Session) -> dict[str, Any]:
    """Fields of `RunConfig`: trainer, observation, and the settings that differ from the defaults here."""
    observation = _observation(session)
    known = pipeline.trainers(session, observation)
    titles = pipeline.trainer_titles()
    trainer = st.selectbox("Trainer", list(known), format_func=titles.__getitem__, key="trainer")
    others = pipeline.other_trainers(session, observation)
    if others:
        st.caption("Not offered here: " + _reasons({titles[name]: why for name, why in others.items()}))
    prefix = f"{observation}-{trainer}"
    settings = {}
    for number, (name, parameter) in enumerate(pipeline.trainer_parameters(known[trainer]).items()):
        if number % COLUMNS == 0:
            columns = st.columns(COLUMNS)  # a row each, so that a narrow screen keeps their order
        with columns[number % COLUMNS]:
            value = _chosen(name, parameter, f"{prefix}-{name}")
        if value != parameter.default:
            settings[name] = value
    _files(session, trainer, observation, known[trainer], settings)
    return {"trainer": trainer, "observation": observation, "settings": settings}


def _reasons(why: Mapping[str, str]) -> str:
    """ "A, B: takes …; C: needs …": each reason once."""
    names: dict[str, list[str]] = {}
    for name, reason in why.items():
        names.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(listed)}: {reason}" for reason, listed in names.items()) + "."


def _observation(session: Session) -> str:
    views = pipeline.observations(session)
    chosen = st.selectbox("What the policy sees", list(views), key="observation")
    st.caption(views[chosen])
    return chosen


def _chosen(name: str, parameter: Setting, key: str) -> Any:
    help = f"`{name}`: {parameter.help}"
    default = parameter.default
    if isinstance(default, bool):
        return st.toggle(parameter.label, default, key=key, help=help)
    if isinstance(default, str):
        choices = list(parameter.choices)
        return st.selectbox(parameter.label, choices, choices.index(default), key=key, help=help)
    if isinstance(default, int):
        low, high = int(parameter.low), int(parameter.high)
        return int(st.number_input(parameter.label, low, high, default, step=1, key=key, help=help))
    low, high = parameter.low, float(parameter.high)
    step = min(default / 10 or 0.01, (high - default) or default / 10)
    return st.number_input(parameter.label, low, high, default, step=step, format="%g", key=key, help=help)


def _files(
    session: Session, trainer: str, observation: str, defaults: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """The settings as a file of RL Baselines3 Zoo's form, out and in."""
    left, right = st.columns(2)
    steps, chosen = int(st.session_state.get(STEPS, 0)) or None, {**defaults, **settings}
    try:
        text = pipeline.written_hyperparameters(session.task, trainer, chosen, steps, observation)
    except BadInput as error:  # two settings that do not go together
        widgets.failed(error)
        text = ""
    right.download_button(
        "Save these settings",
        text,
        f"{trainer}.yml",
        "application/yaml",
        icon=":material/download:",
        disabled=not text,
        help="In the form of RL Baselines3 Zoo, keyed by the environment's id.",
    )
    left.file_uploader(
        "Settings from a file",
        type=["yml", "yaml"],
        key="hyperparams",
        max_upload_size=FILE_MIB,
        on_change=_load,
        args=(session, trainer, observation),
        help="In the form of RL Baselines3 Zoo: the entry of this environment, for the trainer chosen above.",
    )
    if problem := st.session_state.get(PROBLEM):
        widgets.failed(BadInput(problem))
    for line in st.session_state.get(LEFT, ()):
        st.warning(widgets.plain(line))


def _load(session: Session, trainer: str, observation: str) -> None:
    """Put what an uploaded file says into the widgets; runs before the page does."""
    st.session_state[PROBLEM], st.session_state[LEFT] = "", ()
    file = st.session_state["hyperparams"]
    if file is None:
        return
    try:
        taken = pipeline.read_hyperparameters(session, file.getvalue().decode("utf-8", "replace"), trainer, observation)
    except BadInput as error:
        st.session_state[PROBLEM] = str(error)
        return
    parameters = pipeline.trainer_parameters(pipeline.trainers(session, observation)[trainer])
    for name, value in taken.settings.items():
        kind = float if isinstance(parameters[name].default, float) else type(value)
        st.session_state[f"{observation}-{trainer}-{name}"] = kind(value)
    if taken.steps is not None:
        st.session_state[STEPS] = taken.steps
    st.session_state[LEFT] = taken.left

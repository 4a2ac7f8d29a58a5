"""What can be trained in a session, with which settings, and putting such runs into the line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vlmcar_core import launching, plugins, runs
from vlmcar_core.envs import Setting, known_view
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.jobs import Job
from vlmcar_core.payments import Payment
from vlmcar_core.store import Session
from vlmcar_core.trainers import _defaults
from vlmcar_core.types import Task

if TYPE_CHECKING:
    from vlmcar_core.hyperparameters import Taken


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

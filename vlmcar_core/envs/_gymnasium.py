"""Any environment that Gymnasium has registered and that draws RGB frames: what its two families share.

Which module is imported decides the person, never a session, which may be a stranger's: beside what Gymnasium brings
itself only packages named by `--gym-module` or `VLMCAR_GYM_MODULES` are asked for their environments and wrappers. Nor
may a session name files: keyword arguments that look like a path are refused.
"""

import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from vlmcar_core import strict
from vlmcar_core.envs import EnvTask, Setting, Word, chosen
from vlmcar_core.envs._gymnasium_lacking import FAULTS, NO_EXPERT, Finding, looked_at, to_know, tried
from vlmcar_core.envs._gymnasium_shown import Rule, Shown, shown
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.escaping import one_line
from vlmcar_core.types import Frame, Task

MODULES_VARIABLE = "VLMCAR_GYM_MODULES"
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
BUILT_IN = "gymnasium.envs"
TAKEN = ("minigrid", "panda_gym", "metaworld", "cliport", "vlmcar_core")
"""Packages that have families of their own here."""

NEEDED = {
    "box2d": ("Box2D", "box2d"),
    "mujoco": ("mujoco", "mujoco"),
    "phys2d": ("jax", "jax"),
    "tabular": ("jax", "jax"),
    "classic_control": ("pygame", "classic-control"),
    "toy_text": ("pygame", "toy-text"),
}
"""The module that Gymnasium's own groups of environments need, and the extra of Gymnasium that brings it."""

CONTINUOUS_IDS = re.compile(r"MountainCarContinuous|Pendulum|phys2d/Pendulum|LunarLanderContinuous|Bipedal|CarRacing")
"""Of those that come with Gymnasium and are no MuJoCo ones; where a keyword changes it, `placed` sees."""


STEPS = 1000
"""Where neither the environment nor the person limits an episode."""

PATHLIKE = re.compile(r"file|path|dir|folder|xml", re.IGNORECASE)
ARGUMENTS_MAX, ARGUMENTS_CHARS_MAX = 50, 10_000

SETTINGS = {
    "kwargs": Setting("Keyword arguments", "{}", help='A JSON object, such as {"is_slippery": false}.'),
    "wrappers": Setting(
        "Wrappers",
        "",
        help="module:Class, several with commas between, innermost first; only of packages named by --gym-module.",
    ),
    "success_by": Setting(
        "Success is told by",
        "registered",
        choices=("registered", "return", "info", "unknown"),
        help="The return that Gymnasium has registered as solved; a return of your own; a key of info; or nothing.",
    ),
    "success_return": Setting("… a return of at least", 0.0, -1e12, 1e12, help="With: return."),
    "success_key": Setting("… this key of info being true at any step", "", help="With: info. Such as is_success."),
    "max_steps": Setting("Steps until the time is up", 0, 0, 1_000_000, help="0: the environment's own."),
    "height": Setting("Height of a frame, in pixels", 0, 0, 2048, help="0: as it is drawn. Smaller is quicker."),
}


# Which there are


def allowed() -> tuple[str, ...]:
    """The modules that the person has named. Raises `BadInput` for what cannot be one's name."""
    names = [name.strip() for name in os.environ.get(MODULES_VARIABLE, "").split(",") if name.strip()]
    for name in names:
        if not MODULE.fullmatch(name):
            raise BadInput(f"{MODULES_VARIABLE} lists names of modules with commas between, not {name!r}")
    return tuple(names)


@cache
def _imported(names: tuple[str, ...]) -> dict[str, str]:
    """Import what the person has named, which registers its environments; module to what went wrong."""
    problems = {}
    for name in names:
        try:
            import_module(name)
        except FAULTS as error:
            problems[name] = one_line(f"{type(error).__name__}: {error}", 200)
    return problems


def offered() -> dict[str, EnvSpec]:
    """Gymnasium's own environments, and those of packages that the person has named; by id."""
    names = allowed()
    _imported(names)
    tops = {name.partition(".")[0] for name in names} - set(TAKEN)
    return {
        env_id: spec for env_id, spec in gym.registry.items() if _module(spec).partition(".")[0] in tops or _ours(spec)
    }


def _ours(spec: EnvSpec) -> bool:
    return _module(spec).startswith(f"{BUILT_IN}.")


def _module(spec: EnvSpec) -> str:
    entry = spec.entry_point
    return entry.partition(":")[0] if isinstance(entry, str) else str(getattr(entry, "__module__", ""))


def group_of(spec: EnvSpec) -> str:
    """Of Gymnasium's own: classic_control, toy_text, mujoco, …"""
    return _module(spec).removeprefix(f"{BUILT_IN}.").partition(".")[0] if _ours(spec) else ""


def registering(spec: EnvSpec) -> tuple[str, ...]:
    """The modules that have to be imported for its id to be there: of its own package, those that the person named."""
    top = _module(spec).partition(".")[0]
    return () if _ours(spec) else tuple(name for name in allowed() if name.partition(".")[0] == top)


def tasks(continuous: bool) -> list[EnvTask]:
    """Those of one kind of action, as far as that is known without making them: others count as discrete."""
    specs = [spec for spec in offered().values() if _continuous(spec) == continuous]
    found = [_describe(spec) for spec in sorted(specs, key=lambda spec: (not _ours(spec), spec.id))]
    lost = [] if continuous else [_lost(name, why) for name, why in _imported(allowed()).items()]
    return [*found, *lost]


def _continuous(spec: EnvSpec) -> bool:
    return _ours(spec) and (group_of(spec) == "mujoco" or bool(CONTINUOUS_IDS.match(spec.id)))


def _describe(spec: EnvSpec) -> EnvTask:
    missing = _missing(spec)
    return EnvTask(spec.id, paper=False, expert=False, note=missing or NO_EXPERT, works=not missing)


def _lost(name: str, why: str) -> EnvTask:
    return EnvTask(
        f"{name}:*", paper=False, expert=False, note=f"cannot be made: {name} does not import ({why})", works=False
    )


def _missing(spec: EnvSpec) -> str:
    module, extra = NEEDED.get(group_of(spec), ("", ""))
    if not module or find_spec(module) is not None:
        return ""
    before = "swig " if extra == "box2d" else ""  # what its older versions are built with
    return f'cannot be made: {module} is not installed; pip install {before}"gymnasium[{extra}]"'


# Making one


def make(task: Task) -> gym.Env[Any, Any]:
    """The environment, drawing RGB frames.

    Raises:
        UnknownName: it is not registered, or its package was not named by the person.
        BadInput: a setting is wrong, it cannot be made here, or it lacks what is needed of it.
    """
    env = _made(task)
    if lacking := [finding.told for finding in looked_at(env) if finding.ok is False]:
        env.close()
        raise BadInput(f"{task.env_id} cannot be used here: {'; '.join(lacking)}")
    return env


def _made(task: Task) -> Shown:
    wanted, spec = chosen(task.settings, SETTINGS), find(task.env_id)
    if missing := _missing(spec):
        raise BadInput(f"{task.env_id} {missing}")
    keywords, rule = arguments(wanted["kwargs"]), rule_of(spec, wanted)
    steps = most_steps(spec, wanted)
    if group_of(spec) == "mujoco" and sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        env = gym.make(spec, max_episode_steps=steps, render_mode="rgb_array", disable_env_checker=True, **keywords)
        for module, name in wrappers(wanted["wrappers"]):
            env = _wrapper(module, name)(env)
    except FAULTS as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{task.env_id} cannot be made ({one_line(str(error), 300)})") from error
    return Shown(env, rule, steps, wanted["height"])


def most_steps(spec: EnvSpec, wanted: Mapping[str, Any]) -> int:
    """After so many steps an episode is truncated."""
    return int(wanted["max_steps"] or spec.max_episode_steps or STEPS)


def find(env_id: str | None) -> EnvSpec:
    """What is registered under an id. Raises `UnknownName` where it is not offered, and says how it could be."""
    known = offered()
    if env_id not in known:
        near = [name for name in known if str(env_id).partition("-")[0].lower() in name.lower()]
        raise UnknownName(
            f"no environment {env_id!r}"
            + (f"; there are: {', '.join(near[:12])}" if near else "")
            + f". One of another package needs its module to be named: --gym-module NAME, or {MODULES_VARIABLE}"
        )
    return known[str(env_id)]


def arguments(text: str) -> dict[str, Any]:
    """Keyword arguments from JSON. Raises `BadInput` for what is none, or names a file."""
    if len(text) > ARGUMENTS_CHARS_MAX:
        raise BadInput(f"the setting 'kwargs' has {len(text):,} characters; at most {ARGUMENTS_CHARS_MAX:,} are read")
    try:
        value = strict.loads(text.encode())
    except ValueError as error:
        raise BadInput(f"the setting 'kwargs' is no JSON ({error}): {text[:80]!r}") from error
    if not isinstance(value, dict) or len(value) > ARGUMENTS_MAX:
        raise BadInput(f"the setting 'kwargs' is a JSON object such as {{\"is_slippery\": false}}, not {text[:80]!r}")
    for name, part in value.items():
        if not name.isidentifier() or name in ("render_mode", "max_episode_steps", "disable_env_checker", "id"):
            raise BadInput(f"{name!r} cannot be a keyword argument here; the studio gives it itself, or it is no name")
        if PATHLIKE.search(name) or any("/" in word or "\\" in word for word in _words(part)):
            raise BadInput(f"the keyword argument {name!r} names a file; a session may be a stranger's and names none")
    return value


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _words(part)


def wrappers(text: str) -> list[tuple[str, str]]:
    """Module and class of each, innermost first.

    Raises:
        BadInput: one is not written so, or is of a package that the person has not named.
    """
    tops = {name.partition(".")[0] for name in allowed()}
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        module, _, name = entry.partition(":")
        if not MODULE.fullmatch(module) or not name.isidentifier():
            raise BadInput(f"a wrapper is written module:Class, not {entry!r}")
        top = module.partition(".")[0]
        if top not in tops:
            raise BadInput(
                f"the wrapper {entry!r} is of a package that you have not named; if you trust it: --gym-module {top}, "
                f"or {MODULES_VARIABLE}={top}"
            )
        found.append((module, name))
    return found


def _wrapper(module: str, name: str) -> type[gym.Wrapper[Any, Any, Any, Any]]:
    kind = getattr(import_module(module), name, None)
    if not (isinstance(kind, type) and issubclass(kind, gym.Wrapper)):
        raise BadInput(f"{f'{module}:{name}'!r} is no gymnasium.Wrapper")
    return kind


def rule_of(spec: EnvSpec, wanted: Mapping[str, Any]) -> Rule:
    """What counts as success. Raises `BadInput` where the key of info that tells it is not named."""
    by = wanted["success_by"]
    if by == "info":
        if not wanted["success_key"]:
            raise BadInput("success is told by a key of info: the setting 'success_key' says which, such as is_success")
        return Rule("info", key=wanted["success_key"])
    if by == "return":
        return Rule("return", wanted["success_return"])
    registered = spec.reward_threshold if by == "registered" else None
    return Rule("unknown") if registered is None else Rule("return", float(registered))


def placed(task: Task, discrete: str, continuous: str) -> Task:
    """The task in the family that takes its actions; the environment is made to see which that is."""
    env = make(task)
    try:
        family = continuous if isinstance(env.action_space, gym.spaces.Box) else discrete
        return Task(task.env_id, family, task.seed, task.settings)
    finally:
        env.close()


# What a family tells


def steps_limit(env: gym.Env[Any, Any]) -> int:
    """After so many steps the episode is truncated."""
    return shown(env).steps


def expert(env: gym.Env[Any, Any]) -> list[Any]:
    """Raises `NoExpert`."""
    raise NoExpert(f"{env.spec.id if env.spec else 'it'}: {NO_EXPERT.removeprefix('no expert: ')}")


def success_in(env: gym.Env[Any, Any]) -> Word:
    """What tells success in this environment; None is "not known"."""
    inner = shown(env)

    def told(rewards: NDArray[np.float64], _terminated: bool) -> bool | None:
        if inner.rule.by == "unknown":
            return None
        return inner.told if inner.rule.by == "info" else bool(len(rewards) and rewards.sum() >= inner.rule.least)

    return told


def succeeded(rewards: NDArray[np.float64], terminated: bool) -> bool:
    """Without its environment, which says what success is (`success_in`): that the end was paid for."""
    return bool(terminated and len(rewards) and rewards[-1] > 0)


def versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("gymnasium", "numpy")}
    for name in allowed():
        try:
            packages[name] = version(name.partition(".")[0].replace("_", "-"))
        except PackageNotFoundError:
            continue
    return {"python": platform.python_version(), **packages}


def scene(env: gym.Env[Any, Any]) -> Frame:
    """What the environment draws: RGB uint8 (H, W, 3), as `env.render()` gives it."""
    return np.asarray(env.render(), np.uint8)


def check(env_id: str, settings: Mapping[str, Any]) -> list[Finding]:
    """Everything that an environment must have to be used here, one after the other, until one stops the rest."""
    task = Task(env_id, None, 0, settings)
    try:
        spec = find(env_id)
        found = [Finding(True, f"registered: {_module(spec)}")]
        env = _made(task)
    except BadInput as error:
        return [Finding(False, str(error))]
    try:
        found += [Finding(True, "it can be made with these settings"), *looked_at(env)]
        if all(finding.ok is not False for finding in found):
            found += tried(env)
    finally:
        env.close()
    return [*found, *to_know(env)]

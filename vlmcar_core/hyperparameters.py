"""A trainer's settings as RL Baselines3 Zoo writes them (Raffin 2020): YAML, keyed by environment id.

    MiniGrid-DoorKey-5x5-v0:
      n_timesteps: !!float 1e5
      policy: MlpPolicy
      learning_rate: lin_2.5e-4
      policy_kwargs: "dict(net_arch=[64, 64])"

Reading takes over what we have too and names everything else, each thing with its reason: nothing is dropped silently.
Texts that the Zoo evaluates are only ever parsed (`ast`), never run; YAML is read by `safe_load`, after a look at how
large it becomes once every alias is followed.
"""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from vlmcar_core import runs
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.escaping import one_line
from vlmcar_core.trainers import _defaults

VERSION = re.compile(r"-v[0-9]{1,4}$")
CHARS_MAX = 1_000_000
VALUES_MAX = 100_000
"""In one file, with every alias counted as often as it is used; the Zoo's have some thousands."""

SCHEDULED = ("learning_rate", "clip_range")
FALLING = "lin_"
NETWORK = ("net_arch", "activation_fn", "n_critics", "lstm_hidden_size", "n_lstm_layers")
HINDSIGHT = "HerReplayBuffer"
POLICIES = ("MlpPolicy", "CnnPolicy", "MultiInputPolicy", "MlpLstmPolicy", "CnnLstmPolicy")
NOT_ALGORITHMS = {
    "normalize": "observations and rewards are not normalized here",
    "env_wrapper": "what the policy sees is chosen as its observation",
    "frame_stack": "frames are not stacked here",
    "vec_env_wrapper": "copies are not wrapped here",
    "callback": "no code is taken from a file",
    "env_kwargs": "an environment's settings are its session's",
    "use_sde": "noise that depends on the state is not offered",
    "sde_sample_freq": "noise that depends on the state is not offered",
    "optimize_memory_usage": "it does not go together with what checkpoints keep",
}
"""What the Zoo's files say beside settings of an algorithm, and why it is left out."""

IDLE: Mapping[str, tuple[Any, ...]] = {
    "normalize": (False,),
    "frame_stack": (1,),
    "use_sde": (False,),
    "sde_sample_freq": (-1,),
    "optimize_memory_usage": (False,),
    "env_wrapper": (None,),
    "callback": (None,),
    "action_noise": (None,),
}
"""Values that ask for nothing."""


UNSAID: Mapping[str, Any] = {"hindsight_goals": 0, "action_noise": 0.0}
"""What an entry means that does not speak of it. Any other setting that it does not name keeps its value here."""


@dataclass(frozen=True)
class Taken:
    """What of one environment's entry is taken over."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Of the trainer."""

    steps: int | None = None
    """Environment steps in all, where the entry says."""

    left: tuple[str, ...] = ()
    """What is not taken over, and why: a line each, for people."""


def read(text: str, env_id: str, trainer: str) -> Taken:
    """One environment's entry.

    Args:
        text: the file's.
        env_id: whose entry.
        trainer: by its name here.

    Raises:
        BadInput: it is no YAML, no mapping from ids to settings, or a value is out of range.
        UnknownName: there is no entry for the environment, or no such trainer.
    """
    entries = _parsed(text)
    key = env_id if env_id in entries else _other_version(env_id, entries)
    if trainer not in _defaults.DEFAULTS:
        raise UnknownName.among("trainer", trainer, _defaults.DEFAULTS)
    entry = entries[key]
    if not isinstance(entry, dict) or not all(isinstance(name, str) for name in entry):
        raise BadInput(f"the entry of {env_id} is {entry!r:.80}, not settings by their names")
    taker = _Taker(_defaults.DEFAULTS[trainer], trainer)
    if key != env_id:
        taker.left.append(f"{env_id} has no entry; what is taken over is the entry of {key}")
    for name in (word for word in UNSAID if word in _defaults.DEFAULTS[trainer]):
        taker.settings[name] = UNSAID[name]
    for name, value in entry.items():
        taker.take(name, value)
    _defaults.merged(_defaults.DEFAULTS[trainer], taker.settings)
    return Taken(taker.settings, taker.steps, tuple(taker.left))


def _other_version(env_id: str, entries: Mapping[str, Any]) -> str:
    """The entry of the same environment in another version: the Zoo tunes PandaPush-v1, and v3 is what there is now."""
    name = VERSION.sub("", env_id)
    for key in entries:
        if VERSION.sub("", key) == name:
            return key
    raise UnknownName.among("entry for the environment", env_id, entries)


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > CHARS_MAX:
        raise BadInput(f"a file of hyper-parameters has at most {CHARS_MAX:,} characters, not {len(text):,}")
    try:
        values = _values(_composed(text), {})
        if values > VALUES_MAX:
            raise BadInput(f"it holds more than {VALUES_MAX:,} values, once its aliases are followed")
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"this is no YAML that can be read: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(found, dict):
        raise BadInput(f"a file of hyper-parameters holds settings by environment, not {found!r:.80}")
    return {str(name): entry for name, entry in found.items()}


def _composed(text: str) -> yaml.Node | None:
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return node


def _values(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a part of a file stands for; one that holds itself raises `ValueError`."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = -1
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    if known[id(node)] < 0:
        raise ValueError("a part of it holds itself")
    return known[id(node)]


class _Taker:
    """Takes over one name after the other."""

    def __init__(self, known: Mapping[str, Any], trainer: str) -> None:
        self._known, self._trainer = known, trainer
        self.settings: dict[str, Any] = {}
        self.steps: int | None = None
        self.left: list[str] = []

    def take(self, name: str, value: Any) -> None:
        special: dict[str, Callable[[Any], None]] = {
            "n_timesteps": self._steps,
            "policy": self._policy,
            "policy_kwargs": self._network,
            "replay_buffer_class": self._replay,
            "replay_buffer_kwargs": self._goals,
            "noise_type": self._noise,
            "noise_std": lambda value: self._set("action_noise", _number(value)),
        }
        if name in IDLE and value in IDLE[name]:
            return
        if name in special:
            special[name](value)
        elif name in NOT_ALGORITHMS:
            self._leave(name, value, NOT_ALGORITHMS[name])
        elif name in SCHEDULED and isinstance(value, str) and value.startswith(FALLING):
            self._set(name, _number(value.removeprefix(FALLING)))
            self._set(f"{name}_schedule", "linear")
        else:
            self._set(name, _number(value))

    def _set(self, name: str, value: Any) -> None:
        if name not in self._known:
            self._leave(name, value, f"{self._trainer} has no such setting here")
            return
        if name == "ent_coef" and value == "auto":
            value = 0.0  # which is how it is said here
        if name == "target_kl" and value is None:
            value = 0.0
        default = self._known[name]
        whole = isinstance(default, int) and not isinstance(default, bool)
        self.settings[name] = int(value) if whole and isinstance(value, float) and value.is_integer() else value

    def _leave(self, name: str, value: Any, why: str) -> None:
        self.left.append(f"{one_line(name, 80)}: {one_line(str(value), 80)} is not taken over: {why}")

    def _steps(self, value: Any) -> None:
        number = _number(value)
        whole = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not whole or number != number or not 1 <= number <= runs.STEPS_MAX:
            raise BadInput(f"n_timesteps is a number from 1 to {runs.STEPS_MAX:,}, not {value!r:.80}")
        self.steps = int(number)

    def _policy(self, value: Any) -> None:
        """Which is chosen by what there is to see."""
        if value not in POLICIES:
            self._leave("policy", value, f"it is one of {', '.join(POLICIES)}, and chosen by what the policy sees")

    def _replay(self, value: Any) -> None:
        if value != HINDSIGHT:
            self._leave("replay_buffer_class", value, f"the buffers are the usual one and {HINDSIGHT}")
        elif not self.settings.get("hindsight_goals"):
            self._set("hindsight_goals", 4)

    def _goals(self, value: Any) -> None:
        for name, found in _call(value, "replay_buffer_kwargs").items():
            if name == "n_sampled_goal":
                self._set("hindsight_goals", found)
            elif not (name == "goal_selection_strategy" and found == "future") and name != "online_sampling":
                self._leave(f"replay_buffer_kwargs, {name}", found, "goals are taken from later in the same episode")

    def _noise(self, value: Any) -> None:
        if value != "normal":
            self._leave("noise_type", value, "noise on actions is normal here")

    def _network(self, value: Any) -> None:
        for name, found in _call(value, "policy_kwargs").items():
            if name == "net_arch":
                self._layers(found)
            elif name == "activation_fn" and str(found).rpartition(".")[2] in ("ReLU", "Tanh"):
                self._set("activation", str(found).rpartition(".")[2].lower())
            elif name in NETWORK and name != "activation_fn":
                self._set(name, found)
            else:
                self._leave(f"policy_kwargs, {name}", found, "networks here have a width, a depth and an activation")

    def _layers(self, value: Any) -> None:
        """One width for all layers of all parts, or it is not taken over."""
        parts = value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) else value
        sizes = list(parts.values()) if isinstance(parts, dict) else [parts]
        flat = all(isinstance(size, list) and size == sizes[0] for size in sizes)
        if not sizes or not flat or any(width != sizes[0][0] for width in sizes[0]):
            self._leave("policy_kwargs, net_arch", value, "all layers here are of one width")
            return
        self._set("net_depth", len(sizes[0]))
        if sizes[0]:
            self._set("net_width", sizes[0][0])


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e6 as a text; the Zoo's readers write `!!float 1e6` for that."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _call(value: Any, what: str) -> dict[str, Any]:
    """From "dict(a=[1, 2], b=nn.ReLU)", or a mapping, to its parts; a name with dots stays a text, nothing is run.

    Raises:
        BadInput: it holds anything else.
    """
    if isinstance(value, dict):
        return value
    try:
        tree = ast.parse(str(value).strip(), mode="eval").body
        found = _literal(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadInput(f"{what} is dict(name=value, …), not {str(value)[:80]!r}") from error
    if not isinstance(found, dict):
        raise BadInput(f"{what} is dict(name=value, …), not {str(value)[:80]!r}")
    return found


def _literal(tree: ast.expr) -> Any:
    """Raises `ValueError` for what is no plain value."""
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "dict" and not tree.args:
        if any(one.arg is None for one in tree.keywords):
            raise ValueError("a dict of other dicts")
        return {str(one.arg): _literal(one.value) for one in tree.keywords}
    if isinstance(tree, ast.List | ast.Tuple):
        return [_literal(one) for one in tree.elts]
    if isinstance(tree, ast.Dict) and None not in tree.keys:
        return {str(_literal(key)): _literal(one) for key, one in zip(tree.keys, tree.values, strict=True) if key}
    if isinstance(tree, ast.Attribute | ast.Name):
        return ast.unparse(tree)
    return ast.literal_eval(tree)


# Out


def written(env_id: str, trainer: str, settings: Mapping[str, Any], steps: int, observation: str = "") -> str:
    """A trainer's settings as one entry, which `read` and, with its own copy of the environment, the Zoo can read.

    Args:
        env_id: its key.
        trainer: by its name here.
        settings: those that differ from the trainer's defaults.
        steps: environment steps in all.
        observation: what the policy sees; "image" for pictures.

    Raises:
        UnknownName, BadInput: a setting is none of the trainer's.
    """
    chosen = _defaults.merged(_defaults.DEFAULTS[trainer], settings)
    goals = chosen.pop("hindsight_goals", 0)
    entry: dict[str, Any] = {"n_timesteps": steps, "policy": _policy_name(trainer, goals, observation)}
    entry |= _buffer(goals) | _action_noise(chosen)
    entry["policy_kwargs"] = _network_text(chosen)
    for name in SCHEDULED:
        if chosen.pop(f"{name}_schedule", "") == "linear":
            chosen[name] = f"{FALLING}{chosen[name]!r}"
    if trainer in ("sac", "tqc") and not chosen["ent_coef"]:
        chosen["ent_coef"] = "auto"
    if not chosen.get("target_kl", True):
        del chosen["target_kl"]
    found: str = yaml.safe_dump({env_id: entry | chosen}, sort_keys=False, allow_unicode=True, width=120)
    return f"# {_defaults.TITLES[trainer]}\n{found}"


def _policy_name(trainer: str, goals: int, observation: str) -> str:
    if goals:
        return "MultiInputPolicy"
    kind = "Cnn" if observation == "image" else "Mlp"
    return f"{kind}LstmPolicy" if trainer == "recurrent_ppo" else f"{kind}Policy"


def _buffer(goals: int) -> dict[str, Any]:
    if not goals:
        return {}
    text = f"dict(goal_selection_strategy='future', n_sampled_goal={goals})"
    return {"replay_buffer_class": HINDSIGHT, "replay_buffer_kwargs": text}


def _action_noise(chosen: dict[str, Any]) -> dict[str, Any]:
    deviation = chosen.pop("action_noise", 0)
    return {"noise_type": "normal", "noise_std": deviation} if deviation else {}


def _network_text(chosen: dict[str, Any]) -> str:
    """Takes out what it tells."""
    activation = {"tanh": "nn.Tanh", "relu": "nn.ReLU"}[chosen.pop("activation")]
    parts = [f"net_arch={[chosen.pop('net_width')] * chosen.pop('net_depth')}", f"activation_fn={activation}"]
    parts += [f"{name}={chosen.pop(name)}" for name in NETWORK if name in chosen]
    return f"dict({', '.join(parts)})"

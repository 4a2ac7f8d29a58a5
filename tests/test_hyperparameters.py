"""RL Baselines3 Zoo's YAML in and out: what is taken over is exact, what is not is named, and nothing in it runs."""

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmcar_core import hyperparameters, jobs, pipeline, runs
from vlmcar_core.cli import cli
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.trainers import _defaults

ENV = "MiniGrid-DoorKey-5x5-v0"


def entry(text: str, trainer: str = "ppo") -> hyperparameters.Taken:
    lines = "\n".join(f"  {line}" for line in text.strip().splitlines())
    return hyperparameters.read(f"{ENV}:\n{lines}\n", ENV, trainer)


def test_the_zoos_entry_for_minigrid_is_taken_over() -> None:
    text = f"""
MiniGrid-Empty-Random-5x5-v0: &minigrid-defaults
  env_wrapper: minigrid.wrappers.FlatObsWrapper # See GH/1320#issuecomment-1421108191
  normalize: true
  n_envs: 8 # number of environment copies running in parallel
  n_timesteps: !!float 1e5
  policy: 'MlpPolicy'
  n_steps: 128
  batch_size: 64
  gae_lambda: 0.95
  gamma: 0.99
  n_epochs: 10
  ent_coef: 0.0
  learning_rate: 2.5e-4
  clip_range: 0.2

{ENV}:
  <<: *minigrid-defaults
  n_timesteps: 2e5
"""
    found = hyperparameters.read(text, ENV, "ppo")
    assert found.steps == 200_000
    assert found.settings == {
        **{"n_envs": 8, "n_steps": 128, "batch_size": 64, "gae_lambda": 0.95, "gamma": 0.99, "n_epochs": 10},
        **{"ent_coef": 0.0, "learning_rate": 2.5e-4, "clip_range": 0.2},
    }
    assert [line.partition(":")[0] for line in found.left] == ["env_wrapper", "normalize"]


def test_the_zoos_entry_for_goals_in_hindsight_is_taken_over() -> None:
    found = entry(
        """
n_timesteps: !!float 1e6
policy: 'MultiInputPolicy'
buffer_size: 1000000
batch_size: 2048
gamma: 0.95
learning_rate: !!float 1e-3
tau: 0.05
ent_coef: 'auto'
replay_buffer_class: HerReplayBuffer
replay_buffer_kwargs: "dict(
  goal_selection_strategy='future',
  n_sampled_goal=6
)"
policy_kwargs: "dict(net_arch=[512, 512, 512], n_critics=2)"
""",
        "tqc",
    )
    assert found.left == () and found.steps == 1_000_000
    assert found.settings == {
        **{"buffer_size": 1_000_000, "batch_size": 2048, "gamma": 0.95, "learning_rate": 1e-3, "tau": 0.05},
        **{"ent_coef": 0.0, "hindsight_goals": 6, "net_depth": 3, "net_width": 512, "n_critics": 2},
    }


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("learning_rate: lin_2.5e-4", {"learning_rate": 2.5e-4, "learning_rate_schedule": "linear"}),
        ("clip_range: lin_0.1", {"clip_range": 0.1, "clip_range_schedule": "linear"}),
        ("learning_rate: 1e-4", {"learning_rate": 1e-4}),
        ("n_steps: !!float 2e3", {"n_steps": 2000}),
        ('policy_kwargs: "dict(net_arch=[dict(pi=[32, 32], vf=[32, 32])])"', {"net_depth": 2, "net_width": 32}),
        ('policy_kwargs: "dict(net_arch=dict(pi=[32], vf=[32]))"', {"net_depth": 1, "net_width": 32}),
        ('policy_kwargs: "dict(activation_fn=nn.ReLU, net_arch=[])"', {"activation": "relu", "net_depth": 0}),
        ("policy_kwargs: {net_arch: [16, 16]}", {"net_depth": 2, "net_width": 16}),
        ("normalize_advantage: false", {"normalize_advantage": False}),
        ("target_kl: null", {"target_kl": 0.0}),
        ("normalize: false", {}),
    ],
)
def test_each_way_to_write_a_setting(text: str, settings: dict[str, Any]) -> None:
    found = entry(text)
    assert (found.settings, found.left) == (settings, ())


@pytest.mark.parametrize(
    "text",
    [
        'policy_kwargs: "dict(log_std_init=-2)"',
        'policy_kwargs: "dict(ortho_init=False)"',
        'policy_kwargs: "dict(activation_fn=nn.GELU)"',
        'policy_kwargs: "dict(net_arch=[400, 300])"',
        'policy_kwargs: "dict(net_arch=[dict(pi=[64], vf=[32])])"',
        "policy_kwargs: {net_arch: {}}",
        "policy_kwargs: {net_arch: [[1], {}]}",
        "policy_kwargs: {net_arch: wide}",
        "use_sde: true",
        "frame_stack: 4",
        "tau: 0.1",
        "replay_buffer_class: Mine",
        "callback: [mine.Callback]",
        "policy: MyPolicy",
        "no_such: 1",
    ],
)
def test_what_is_not_taken_over_is_named(text: str) -> None:
    found = entry(text)
    assert found.settings == {} and len(found.left) == 1
    assert "not taken over" in found.left[0] and found.left[0].startswith(text.partition(":")[0])


@pytest.mark.parametrize(
    "text",
    [
        "gamma: 1.5",
        "gamma: [1]",
        "n_steps: 2.5",
        "n_timesteps: many",
        "n_timesteps: .nan",
        "n_timesteps: 0",
        "learning_rate: lin_much",
        'policy_kwargs: "dict(net_arch=[64], **{})"',
        "policy_kwargs: \"__import__('os').system('true')\"",
        "policy_kwargs: \"dict(net_arch=[open('x', 'w')])\"",
        'policy_kwargs: "dict(net_arch=[x for x in [1]])"',
        'policy_kwargs: "dict("',
        "policy_kwargs: 3",
        "policy_kwargs: \"dict(net_arch=['wide'])\"",
    ],
)
def test_what_makes_no_sense_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput):
        entry(text)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "a: [", f"{ENV}: 3", f"{ENV}: {{1: 2}}", "!!python/object/apply:os.system ['true']", "&a [*a]"],
)
def test_a_file_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        hyperparameters.read(text, ENV, "ppo")


def test_an_environment_without_an_entry_and_an_unknown_trainer_are_named() -> None:
    with pytest.raises(UnknownName, match=r"DoorKey-5x5.*Other"):
        hyperparameters.read("Other: {gamma: 0.9}", ENV, "ppo")
    with pytest.raises(UnknownName, match=r"trainer 'pqo'.*ppo"):
        hyperparameters.read(f"{ENV}: {{gamma: 0.9}}", ENV, "pqo")


@pytest.mark.parametrize("kind", ["[*{0}, *{0}]", "{{<<: [*{0}, *{0}]}}"])
def test_aliases_that_double_forty_times_are_refused_before_they_grow(kind: str) -> None:
    first = "a0: &a0 {x: 1}\n"
    lines = [f"a{n}: &a{n} {kind.format(f'a{n - 1}')}\n" for n in range(1, 41)]
    began = time.monotonic()
    with pytest.raises(BadInput, match="aliases"):
        hyperparameters.read(first + "".join(lines), "a40", "ppo")
    assert time.monotonic() - began < 60, "it would never end"


@pytest.mark.parametrize("trainer", _defaults.DEFAULTS)
def test_every_trainers_settings_come_back_as_they_went(trainer: str) -> None:
    for defaults in (_defaults.DEFAULTS[trainer], *(tuned.get(trainer, {}) for tuned in _defaults.TUNINGS.values())):
        text = hyperparameters.written(ENV, trainer, defaults, 12_345)
        found = hyperparameters.read(text, ENV, trainer)
        assert found.left == () and found.steps == 12_345
        here = _defaults.DEFAULTS[trainer]
        assert _defaults.merged(here, found.settings) == {**here, **defaults}


@given(
    rate=st.floats(1e-8, 1.0),
    falling=st.booleans(),
    width=st.integers(1, 4096),
    depth=st.integers(1, 8),
    goals=st.integers(1, 100),
    noise=st.floats(1e-6, 10.0),
)
def test_any_settings_come_back_as_they_went(
    rate: float, falling: bool, width: int, depth: int, goals: int, noise: float
) -> None:
    settings = {
        **{"learning_rate": rate, "learning_rate_schedule": "linear" if falling else "constant", "net_width": width},
        **{"net_depth": depth, "hindsight_goals": goals, "action_noise": noise, "activation": "tanh"},
    }
    text = hyperparameters.written("PandaReach-v3", "td3", settings, 1000)
    found = hyperparameters.read(text, "PandaReach-v3", "td3")
    assert _defaults.merged(_defaults.TD3, found.settings) == {**_defaults.TD3, **settings}


def test_the_entry_of_another_version_is_taken_and_said() -> None:
    text = "PandaReach-v2: {gamma: 0.8}\nPandaPush-v1: {gamma: 0.9}\n"
    found = hyperparameters.read(text, "PandaPush-v3", "sac")
    assert found.settings["gamma"] == 0.9
    assert found.left == ("PandaPush-v3 has no entry; what is taken over is the entry of PandaPush-v1",)
    with pytest.raises(UnknownName, match="PandaPushJoints-v3"):
        hyperparameters.read(text, "PandaPushJoints-v3", "sac")


def test_an_entry_without_hindsight_or_noise_means_none() -> None:
    assert entry("gamma: 0.9", "td3").settings == {"gamma": 0.9, "hindsight_goals": 0, "action_noise": 0.0}


def test_what_is_written_is_what_the_zoo_reads() -> None:
    text = hyperparameters.written(ENV, "ppo", {"learning_rate_schedule": "linear"}, 100_000)
    found = yaml.safe_load(text)[ENV]
    assert (found["n_timesteps"], found["policy"], found["learning_rate"]) == (100_000, "MlpPolicy", "lin_0.001")
    assert found["policy_kwargs"] == "dict(net_arch=[64, 64], activation_fn=nn.Tanh)"
    goals = yaml.safe_load(hyperparameters.written("PandaReach-v3", "sac", {}, 1000))["PandaReach-v3"]
    assert (goals["policy"], goals["ent_coef"], goals["replay_buffer_class"]) == (
        "MultiInputPolicy",
        "auto",
        "HerReplayBuffer",
    )


# From a shell


def ran(root: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--root", str(root), *words])


def test_what_is_printed_for_an_environment_is_trained_with_and_printed_for_the_run(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "room", "MiniGrid-Empty-5x5-v0")
    printed = ran(tmp_path, "hyperparams", "MiniGrid-Empty-5x5-v0", "--trainer", "dqn")
    assert printed.exit_code == 0 and printed.output == ran(tmp_path, "hyperparams", "room", "--trainer", "dqn").output
    file = tmp_path / "dqn.yml"
    file.write_text(printed.output.replace("gamma: 0.99", "gamma: 0.9\n  use_sde: true").replace("150000", "3e3"))
    options = ("--reward", "sparse", "--trainer", "dqn", "--hyperparams", str(file), "--observation", "symbolic")
    told = ran(tmp_path, "train", "room", *options, "--settings", '{"tau": 0.5}', "--detach")
    jobs.cancel(session.run_folders()[0])
    config = runs.read_config(session.run_folders()[0])
    assert (config.settings["gamma"], config.settings["tau"], config.steps) == (0.9, 0.5, 3000)
    assert config.observation == "symbolic" and "use_sde: True is not taken over" in told.output
    again = ran(tmp_path, "hyperparams", "room", "--run", "0").output
    taken = hyperparameters.read(again, "MiniGrid-Empty-5x5-v0", "dqn")
    assert (taken.settings["gamma"], taken.settings["tau"], taken.steps) == (0.9, 0.5, 3000)


def test_steps_on_the_command_line_go_before_the_files(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "room", "MiniGrid-Empty-5x5-v0")
    file = tmp_path / "ppo.yml"
    file.write_text("MiniGrid-Empty-5x5-v0: {n_timesteps: 3000}")
    told = ran(
        tmp_path, "train", "room", "--reward", "sparse", "--steps", "2000", "--hyperparams", str(file), "--detach"
    )
    assert told.exit_code == 0
    jobs.cancel(session.run_folders()[0])
    assert runs.read_config(session.run_folders()[0]).steps == 2000


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("hyperparams", "Nowhere-v0"), "Nowhere-v0"),
        (("hyperparams", "MiniGrid-Empty-5x5-v0", "--trainer", "sac"), "no trainer for this environment 'sac'"),
        (("hyperparams", "MiniGrid-Empty-5x5-v0", "--observation", "smell"), "no observation 'smell'"),
    ],
)
def test_what_there_is_not_is_named(words: tuple[str, ...], why: str, tmp_path: Path) -> None:
    found = ran(tmp_path, *words)
    assert found.exit_code != 0 and why in str(found.exception)


# From anybody

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["lin_1", "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("n_timesteps", "policy", "policy_kwargs", "replay_buffer_class", "replay_buffer_kwargs", "noise_type"),
        *("noise_std", "learning_rate", "clip_range", "ent_coef", "target_kl", "normalize", "n_steps", "gamma"),
        *("env_wrapper", "buffer_size", "nonsense"),
    ]
)
INNER = st.sampled_from(["net_arch", "activation_fn", "n_critics", "n_sampled_goal", "goal_selection_strategy", "x"])


@settings(deadline=None, max_examples=300)
@given(
    trainer=st.sampled_from(sorted(_defaults.DEFAULTS)),
    asked=st.dictionaries(NAMES, VALUES | st.dictionaries(INNER, VALUES, max_size=3), max_size=4),
)
def test_whatever_an_entry_holds_is_taken_over_named_or_refused(trainer: str, asked: dict[str, Any]) -> None:
    try:
        found = hyperparameters.read(yaml.safe_dump({ENV: asked}), ENV, trainer)
    except BadInput:
        return
    assert _defaults.merged(_defaults.DEFAULTS[trainer], found.settings)
    assert all("\n" not in line for line in found.left)


@settings(deadline=None)
@given(st.text(max_size=60) | st.text("dict(a=[1,2]).nn {}'\"*:&<-\n", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, f"{ENV}:\n  policy_kwargs: {text!r}", f"{ENV}: {text}"):
        with contextlib.suppress(BadInput):
            hyperparameters.read(whole, ENV, "ppo")

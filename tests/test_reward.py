"""The checkers' reward: once an episode, in order, never for what was true at reset, and nothing to be farmed."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import ALWAYS, NEVER, RED_AT_LEAST, picture, proposal
from vlmcar_core import pipeline, plugins
from vlmcar_core.chain import Chain
from vlmcar_core.errors import CheckerDisabled
from vlmcar_core.reward import CheckerReward, Judge, digest
from vlmcar_core.sandbox import CheckerProcess, Limits
from vlmcar_core.types import Checker, Frame, Proposal, Recording

LEVELS = 7
LIMIT = 20
CHANGED = """
def check(initial, current):
    return int(current[..., 0].sum()) > int(initial[..., 0].sum())
"""
FAULTY = "def check(initial, current):\n    return 1 // 0\n"


class Red(gym.Env[Any, Any]):
    """Action k makes the picture have k red pixels; it ends after LIMIT steps and pays 1 at the last level."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012 (as Gymnasium declares it)
    observation_space = gym.spaces.Box(0.0, 1.0, (LEVELS,), np.float32)
    action_space = gym.spaces.Discrete(LEVELS)
    render_mode = "rgb_array"

    def __init__(self, first: int = 0) -> None:
        self.first = self.red = first
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.red, self.steps = self.first, 0
        return self._seen(), {"outer": "kept"}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.red, self.steps = int(action), self.steps + 1
        return self._seen(), float(self.red == LEVELS - 1), False, self.steps >= LIMIT, {"outer": "kept"}

    def render(self) -> Frame:  # type: ignore[override]
        return picture(self.red)

    def _seen(self) -> Any:
        return np.eye(LEVELS, dtype=np.float32)[self.red]


def at_least(*levels: int) -> Proposal:
    """A sub-task per level: so many red pixels, or more."""
    return proposal(*((f"step-{n}", RED_AT_LEAST.format(pixels=level)) for n, level in enumerate(levels)))


@pytest.fixture(scope="module")
def judges() -> Iterator[dict[tuple[int, ...], Judge]]:
    """A judge per list of levels, kept between the examples: starting a process for each would be slow."""
    kept: dict[tuple[int, ...], Judge] = {}
    yield kept
    for judge in kept.values():
        judge.close()


def reward_of(judges: dict[tuple[int, ...], Judge], first: int, levels: tuple[int, ...]) -> CheckerReward:
    made = at_least(*levels)
    judge = judges.setdefault(levels, Judge(CheckerProcess([step.checker for step in made.paid])))
    return CheckerReward(Red(first), made, judge, env_reward=False)


def episode(env: CheckerReward, actions: list[int]) -> list[tuple[float, dict[str, Any]]]:
    """(reward, info["vlmcar"]) of every step after a reset."""
    env.reset(seed=0)
    found = []
    for action in actions:
        _, reward, _, _, info = env.step(action)
        found.append((float(reward), info["vlmcar"]))
    return found


def expected_frames(reds: list[int], levels: tuple[int, ...]) -> list[int | None]:
    """For each level the first frame, from the one before it on, with so much red: counted without `Chain`."""
    found: list[int | None] = []
    start: int | None = 0
    for level in levels:
        start = None if start is None else next((t for t in range(start, len(reds)) if reds[t] >= level), None)
        found.append(start)
    return found


CHAINS = st.sampled_from([(1,), (1, 2, 3), (3, 1, 5), (2, 2), (5, 4, 3, 2), (6, 1)])
ACTIONS = st.lists(st.integers(0, LEVELS - 1), min_size=1, max_size=LIMIT)


@settings(max_examples=80, deadline=None)
@given(first=st.integers(0, LEVELS - 1), levels=CHAINS, actions=ACTIONS)
@example(first=0, levels=(1, 2, 3), actions=[3, 0, 3, 0, 3])
@example(first=2, levels=(1, 2, 3), actions=[0, 2, 3])
@example(first=0, levels=(6, 1), actions=[1, 1, 6])
def test_each_sub_task_pays_its_share_at_the_frame_that_completes_it_in_order(
    judges: dict[tuple[int, ...], Judge], first: int, levels: tuple[int, ...], actions: list[int]
) -> None:
    steps = episode(reward_of(judges, first, levels), actions)
    paid_at = {key: t for t, (_, info) in enumerate(steps, 1) for key in info["components"]}
    expected = expected_frames([first, *actions], levels)
    assert paid_at == {f"step-{n}": t for n, t in enumerate(expected) if t}
    for reward, info in steps:
        assert reward == info["reward"] == pytest.approx(len(info["components"]) / len(levels))


@settings(max_examples=40, deadline=None)
@given(first=st.integers(0, LEVELS - 1), levels=CHAINS, actions=ACTIONS)
def test_no_episode_pays_a_sub_task_twice_or_more_than_one_in_all(
    judges: dict[tuple[int, ...], Judge], first: int, levels: tuple[int, ...], actions: list[int]
) -> None:
    steps = episode(reward_of(judges, first, levels), actions * 3)
    keys = [key for _, info in steps for key in info["components"]]
    assert len(keys) == len(set(keys))
    assert 0.0 <= sum(reward for reward, _ in steps) <= 1.0 + 1e-9


@settings(max_examples=20, deadline=None)
@given(levels=CHAINS, before=ACTIONS, actions=ACTIONS)
def test_an_episode_pays_the_same_whatever_was_done_in_the_one_before(
    judges: dict[tuple[int, ...], Judge], levels: tuple[int, ...], before: list[int], actions: list[int]
) -> None:
    fresh = episode(reward_of(judges, 0, levels), actions)
    used = reward_of(judges, 0, levels)
    episode(used, before)
    assert episode(used, actions) == fresh


def test_what_is_true_at_reset_is_passed_over_without_pay() -> None:
    with_first = CheckerReward(Red(first=2), at_least(1, 2, 4), env_reward=False)
    _, info = with_first.reset(seed=0)
    assert (info["vlmcar"]["completed"], info["vlmcar"]["reward"]) == (2, 0.0)
    assert [reward for reward, _ in episode(with_first, [0, 1, 2])] == [0.0, 0.0, 0.0]
    assert episode(with_first, [4])[0][0] == pytest.approx(1 / 3)
    with_first.close()


def test_a_later_checker_is_not_asked_before_its_turn() -> None:
    env = CheckerReward(Red(), proposal(("first", RED_AT_LEAST.format(pixels=3)), ("broken", FAULTY)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(not info["faults"] for _, info in episode(env, [1, 2, 1]))
    with pytest.warns(UserWarning, match="broken"):
        assert list(episode(env, [3])[0][1]["faults"]) == ["broken"]
    env.close()


def test_a_faulty_checker_pays_nothing_is_named_in_every_step_and_warned_about_once() -> None:
    env = CheckerReward(Red(), proposal(("broken", FAULTY)), env_reward=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        steps = episode(env, [1, 2, 1, 3])
        episode(env, [4])
    assert [reward for reward, _ in steps] == [0.0] * 4
    assert all("ZeroDivisionError" in info["faults"]["broken"] for _, info in steps)
    assert ["line 2" in str(warning.message) for warning in caught] == [True]
    env.close()


STUBBORN = (
    "def check(a, b):\n    while b[0, 0, 0]:\n        try:\n            while True:\n                pass\n"
    "        except:\n            pass\n    return False\n"
)


def test_a_checker_that_is_disabled_is_said_once_more_and_the_run_goes_on() -> None:
    found = proposal(("stubborn", STUBBORN))
    judge = Judge(CheckerProcess([step.checker for step in found.paid], Limits(seconds=0.05)))
    env = CheckerReward(Red(), found, judge, env_reward=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        steps = episode(env, [1, 2, 3, 4, 5, 6])
    assert [reward for reward, _ in steps] == [0.0] * 6
    assert ["timeout" in str(caught[0].message), "disabled" in str(caught[1].message), len(caught)] == [True, True, 2]
    assert "disabled" in judge.faults["stubborn"] and "disabled" in steps[-1][1]["faults"]["stubborn"]
    judge.close()


def test_a_run_that_was_asked_to_stops_when_a_checker_is_disabled() -> None:
    found = proposal(("stubborn", STUBBORN))
    process = CheckerProcess([step.checker for step in found.paid], Limits(seconds=0.05))
    env = CheckerReward(Red(), found, Judge(process, stop_when_disabled=True))
    with warnings.catch_warnings(), pytest.raises(CheckerDisabled, match="Mend the checker"):
        warnings.simplefilter("ignore")
        episode(env, [1, 2, 3, 4, 5, 6])
    process.close()


def test_nothing_is_drawn_once_everything_is_paid() -> None:
    drawn: list[int] = []

    def scene(env: gym.Env[Any, Any]) -> Frame:
        drawn.append(1)
        return picture(env.unwrapped.red)  # type: ignore[attr-defined]

    env = CheckerReward(Red(), at_least(1, 2), scene=scene)
    episode(env, [1, 2, 3, 4, 5])
    assert len(drawn) == 3
    env.close()


@pytest.mark.parametrize("kept", [True, False])
def test_the_environments_own_reward_is_added_or_left_out(kept: bool) -> None:
    env = CheckerReward(Red(), at_least(1, 2), env_reward=kept)
    steps = episode(env, [1, LEVELS - 1, LEVELS - 1])
    own = [0.0, 1.0, 1.0] if kept else [0.0, 0.0, 0.0]
    assert [reward for reward, _ in steps] == pytest.approx([0.5 + own[0], 0.5 + own[1], own[2]])
    assert [info["env_reward"] for _, info in steps] == [0.0, 1.0, 1.0]
    env.close()


def test_a_proposal_without_sub_tasks_pays_for_its_goal_and_one_with_them_does_not() -> None:
    alone = CheckerReward(Red(), proposal(goal=RED_AT_LEAST.format(pixels=2)), env_reward=False)
    assert [reward for reward, _ in episode(alone, [1, 2, 3])] == [0.0, 1.0, 0.0]
    beside = CheckerReward(Red(), proposal(("never", NEVER), goal=ALWAYS), env_reward=False)
    assert [reward for reward, _ in episode(beside, [1, 2, 3])] == [0.0, 0.0, 0.0]
    alone.close()
    beside.close()


def test_what_the_environment_says_of_itself_passes_through() -> None:
    env = CheckerReward(Red(), at_least(1))
    assert env.reset(seed=0)[1]["outer"] == "kept"
    assert [env.step(0)[3] for _ in range(LIMIT)] == [False] * (LIMIT - 1) + [True]
    env.close()


def test_a_step_before_a_reset_is_refused() -> None:
    env = CheckerReward(Red(), at_least(1))
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    env.close()


def test_answers_are_remembered_per_initial_frame() -> None:
    checker = Checker("changed", CHANGED)
    with CheckerProcess([checker]) as process:
        judge = Judge(process)

        def done(initial: int, current: int) -> bool:
            before, now = picture(initial), picture(current)
            return judge.ask(checker, before, digest(before), now, digest(now)).done

        assert (done(1, 3), done(5, 3), done(1, 3), done(5, 3)) == (True, False, True, False)
        assert (judge.asked, judge.remembered) == (4, 2)


def test_the_memory_is_bounded_and_forgets_what_was_not_needed_for_longest() -> None:
    checker = Checker("changed", CHANGED)
    with CheckerProcess([checker]) as process:
        judge = Judge(process, remembered=2)
        before = picture(0)

        def known(red: int) -> bool:
            count = judge.remembered
            judge.ask(checker, before, digest(before), picture(red), digest(picture(red)))
            return judge.remembered > count

        assert [known(red) for red in (1, 2, 1, 3)] == [False, False, True, False]
        assert (known(1), known(2)) == (True, False)


def test_gymnasium_finds_no_fault() -> None:
    env = CheckerReward(Red(), at_least(1, 3))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version.*")
        gymnasium_check(env, skip_render_check=True)
    env.close()


def test_stable_baselines3_finds_no_fault() -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check

    env = CheckerReward(Red(), at_least(1, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3_check(env)
    env.close()


def test_an_expert_earns_exactly_one_with_the_built_in_proposers_checkers(tmp_path: Path) -> None:
    session = pipeline.create_from_env(
        tmp_path, "a", "MiniGrid-DoorKey-5x5-v0", recording=Recording(experts=1, randoms=0)
    )
    pipeline.record(session)
    proposed = pipeline.propose(session)
    family = plugins.load("envs", "minigrid")
    env = CheckerReward(family.make(session.task), proposed, env_reward=False, scene=family.scene)
    env.reset(seed=0)
    rewards = [float(env.step(action)[1]) for action in family.expert(env)]
    assert sum(rewards) == pytest.approx(1.0)
    assert sum(reward > 0 for reward in rewards) == len(proposed.paid)
    env.close()


def test_a_chain_itself_pays_nothing_in_its_first_frame() -> None:
    chain = Chain(3)
    assert (chain.advance(lambda index: index < 2), chain.completed) == ([], 2)
    assert (chain.advance(lambda _: True), chain.finished) == ([2], True)

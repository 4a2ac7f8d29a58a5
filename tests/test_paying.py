"""Copies that are paid together are paid what each would be alone, whatever the way to pay and the checkers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import ALWAYS, NEVER, RED_AT_LEAST, proposal
from tests.test_importing import COUNTS
from tests.test_reward import CHANGED, FAULTY, LEVELS, LIMIT, STUBBORN, Red, at_least
from vlmcar_core import pipeline, plugins
from vlmcar_core.episodes import EpisodeCopies, EpisodeRecord
from vlmcar_core.errors import BadInput, CheckerDisabled, UnknownName
from vlmcar_core.known import Known
from vlmcar_core.one_by_one import OneByOne
from vlmcar_core.paying import CheckerPay
from vlmcar_core.payments import WAYS, Payment
from vlmcar_core.reward import CheckerReward, Judge
from vlmcar_core.sandbox import CheckerProcess, Limits
from vlmcar_core.types import Proposal, Recording, Task

minigrid = plugins.load("envs", "minigrid")
SHARE = "def check(initial, current):\n    return min(1.0, float((current[..., 0] > 200).sum()) / {pixels})\n"
CHANCES = {"error": FAULTY, "changed": CHANGED, "always": ALWAYS, "never": NEVER}


class Walled(Red):
    """Ends at its last level but one, and is not solved then."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, reward, _, truncated, info = super().step(action)
        return seen, reward, self.red >= LEVELS - 2, truncated, info


def solved(rewards: NDArray[np.float64], terminated: bool) -> bool:
    return bool(terminated and rewards[-1] > 0)


@pytest.fixture(scope="module")
def judges() -> Iterator[dict[Any, Judge]]:
    kept: dict[Any, Judge] = {}
    yield kept
    for judge in kept.values():
        judge.close()


def rendered(env: Any) -> Any:
    return env.unwrapped.render()


def played_together(
    firsts: list[int], made: Proposal, judge: Judge, payment: Payment, env_reward: bool, actions: list[list[int]]
) -> list[Any]:
    """What every copy is told at every step."""
    simulation = OneByOne([Walled(first) for first in firsts], lambda env: env, rendered)
    copies = EpisodeCopies(simulation, solved, CheckerPay(simulation.count, made, judge, env_reward, payment))
    copies.reset(0)
    told: list[Any] = [[] for _ in firsts]
    for row in actions:
        step = copies.step(np.array(row))
        for number, rows in enumerate(told):
            record = step.infos.get(number, {}).get("episode_record")
            rows.append((step.rewards[number], bool(step.terminated[number] or step.truncated[number]), record))
    copies.close()
    return told


def played_alone(
    firsts: list[int], made: Proposal, judge: Judge, payment: Payment, env_reward: bool, actions: list[list[int]]
) -> list[Any]:
    told = []
    for number, first in enumerate(firsts):
        inner = CheckerReward(Walled(first), made, judge, env_reward, rendered, payment, solved)
        env = EpisodeRecord(inner, solved)
        env.reset(seed=number)
        rows = []
        for row in actions:
            _, reward, terminated, truncated, info = env.step(row[number])
            rows.append((np.float32(reward), terminated or truncated, info.get("episode_record")))
            if terminated or truncated:
                env.reset()
        told.append(rows)
    return told


PAYMENTS = st.builds(
    lambda way, undo, weights: Payment(
        way, weights={"step-0": weights}, undo=undo if way in ("once", "progress") else 0.0
    ),
    st.sampled_from(sorted(WAYS)),
    st.sampled_from([0.0, 0.0, 0.5]),
    st.sampled_from([1.0, 3.0]),
)
CHECKERS = st.lists(
    st.one_of(
        st.integers(1, LEVELS - 1).map(lambda pixels: RED_AT_LEAST.format(pixels=pixels)),
        st.integers(1, LEVELS - 1).map(lambda pixels: SHARE.format(pixels=pixels)),
        st.sampled_from(sorted(CHANCES.values())),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.filterwarnings("ignore:the checker")
@settings(max_examples=120, deadline=None)
@given(
    payment=PAYMENTS,
    sources=CHECKERS,
    env_reward=st.booleans(),
    firsts=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    data=st.data(),
)
def test_together_is_paid_as_alone(
    judges: dict[Any, Judge], payment: Payment, sources: list[str], env_reward: bool, firsts: list[int], data: Any
) -> None:
    made = proposal(*((f"step-{number}", source) for number, source in enumerate(sources)))
    low = st.lists(st.integers(0, LEVELS - 1), min_size=len(firsts), max_size=len(firsts))
    actions = data.draw(st.lists(low, min_size=1, max_size=2 * LIMIT))
    key = tuple(sources)
    if key not in judges:
        while len(judges) > 8:
            judges.pop(next(iter(judges))).close()
        judges[key] = Judge(CheckerProcess([step.checker for step in made.paid]))
    asked = (firsts, made, judges[key], payment, env_reward, actions)
    assert played_together(*asked) == played_alone(*asked)


def test_a_program_in_the_released_style_sees_every_frame_of_its_own_episodes() -> None:
    made = proposal(("first", RED_AT_LEAST.format(pixels=1)), ("third", COUNTS.replace("done at 4", "done at 6")))
    assert made.subtasks[1].checker.in_order
    chance = np.random.default_rng(0)
    actions = chance.integers(0, 4, (45, 3)).tolist()
    for way in ("once", "edge"):
        told = []
        for play in (played_together, played_alone):
            judge = Judge(CheckerProcess([step.checker for step in made.paid]))
            told.append(play([0, 1, 0], made, judge, Payment(way), True, actions))
            judge.close()
        assert told[0] == told[1]
        assert any(row[2] and "third" in row[2]["paid"] for rows in told[0] for row in rows)


def door_key(tmp_path: Any, env_id: str) -> tuple[Proposal, Task]:
    session = pipeline.create_from_env(tmp_path, "door", env_id, recording=Recording(1, 1, 5))
    pipeline.record(session)
    return pipeline.propose(session), session.task


@pytest.mark.parametrize("way", ["once", "potential", "progress"])
def test_arrays_are_paid_as_the_reference_is(tmp_path: Any, way: str) -> None:
    """Planner's steps and chance, through several episodes, the built-in proposer's checkers at the usual size."""
    made, task = door_key(tmp_path, "MiniGrid-DoorKey-5x5-v0")
    payment = Payment(way)
    judge = Judge(CheckerProcess([step.checker for step in made.paid]))
    simulation = minigrid.copies(task, 4)
    copies = EpisodeCopies(simulation, minigrid.succeeded, CheckerPay(simulation.count, made, judge, True, payment))
    copies.reset(0)
    apart = []
    for number in range(4):
        inner = CheckerReward(
            minigrid.make(task), made, judge, True, minigrid.scene, payment, minigrid.succeeded, minigrid.frame_key
        )
        apart.append(EpisodeRecord(minigrid.policy_view(inner), minigrid.succeeded))
        apart[number].reset(seed=number)
    chance = np.random.default_rng(2)
    plans: list[Any] = [iter(()) for _ in apart]
    paid = 0
    for _ in range(250):
        actions = []
        for plan in plans:
            action = next(plan, None)
            actions.append(int(chance.integers(6)) if action is None else action)
        step = copies.step(np.array(actions))
        for number, env in enumerate(apart):
            _, reward, terminated, truncated, info = env.step(actions[number])
            assert step.rewards[number] == np.float32(reward)
            assert step.infos.get(number, {}).get("episode_record") == info.get("episode_record")
            if terminated or truncated:
                paid += len(info["episode_record"]["paid"])
                env.reset()
                plans[number] = iter(minigrid.expert(env) if chance.random() < 0.5 else ())
            elif chance.random() < 0.03:
                plans[number] = iter(minigrid.expert(env))
    assert paid >= 10
    judge.close()
    copies.close()


def test_nothing_is_drawn_for_what_was_seen_before_and_nothing_once_all_is_paid() -> None:
    drawn: list[int] = []

    def scene(env: Any) -> Any:
        drawn.append(1)
        return env.unwrapped.render()

    made = at_least(1, 3)
    judge = Judge(CheckerProcess([step.checker for step in made.paid]))
    simulation = OneByOne([Red(), Red()], lambda env: env, scene, lambda env: bytes([env.unwrapped.red]) * 16)
    copies = EpisodeCopies(simulation, solved, CheckerPay(simulation.count, made, judge))
    copies.reset(0)
    counts = []
    for action in ([0, 0], [2, 0], [2, 2], [0, 2], [2, 0], [4, 4], [5, 5]):
        drawn.clear()
        copies.step(np.array(action))
        counts.append(len(drawn))
    # The fourth picture is known to the first sub-task's checker alone; the sixth is asked about once for both copies.
    assert counts == [0, 1, 0, 1, 0, 1, 0]
    assert judge.remembered > 0.4 * judge.asked
    judge.close()
    copies.close()


def test_one_message_asks_about_all_frames_of_one_beginning_and_each_frame_once() -> None:
    made = at_least(2)
    checker = made.subtasks[0].checker
    with CheckerProcess([checker]) as process:
        judge = Judge(process)
        simulation = OneByOne([Red() for _ in range(6)], lambda env: env, rendered)
        copies = EpisodeCopies(simulation, solved, CheckerPay(simulation.count, made, judge))
        copies.reset(0)
        before = judge.asked - judge.remembered
        step = copies.step(np.array([1, 2, 3, 3, 1, 0]))
        assert step.rewards.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]
        assert judge.asked - judge.remembered - before == 3
        copies.close()


@pytest.mark.filterwarnings("ignore:the checker")
def test_a_checker_that_does_not_come_to_an_end_is_asked_again_and_then_no_more() -> None:
    made = proposal(("slow", STUBBORN))
    checkers = [step.checker for step in made.paid]
    for stops in (False, True):
        judge = Judge(CheckerProcess(checkers, Limits(seconds=0.05)), stop_when_disabled=stops)
        simulation = OneByOne([Red()], lambda env: env, rendered)
        copies = EpisodeCopies(simulation, solved, CheckerPay(simulation.count, made, judge))
        copies.reset(0)
        disabled = False
        try:
            # Four steps; more where it happens to be stopped between two of its loops, and its process lives on.
            for _ in range(LIMIT - 1):
                copies.step(np.array([2]))
                disabled = "disabled" in judge.faults["slow"]
                if disabled:
                    break
        except CheckerDisabled:
            assert stops
        else:
            assert disabled and not stops
        judge.close()
        copies.close()


def test_a_payment_that_does_not_fit_is_refused() -> None:
    made = at_least(1)
    simulation = OneByOne([Red()], lambda env: env, rendered)
    judge = Judge(CheckerProcess([step.checker for step in made.paid]))
    with pytest.raises(UnknownName):
        CheckerPay(simulation.count, made, judge, payment=Payment(weights={"other": 1.0}))
    with pytest.raises(BadInput):
        CheckerPay(simulation.count, made, judge, payment=Payment(weights={"step-0": 0.0}))
    simulation.close()


def test_a_long_episode_is_recorded_whole() -> None:
    class Long(Red):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            seen, reward, _, _, info = super().step(action)
            return seen, reward, False, self.steps >= 500, info

    copies = EpisodeCopies(OneByOne([Long(), Long()], lambda env: env, rendered), solved)
    copies.reset(0)
    for _ in range(499):
        assert not copies.step(np.array([LEVELS - 1, 0])).infos
    step = copies.step(np.array([LEVELS - 1, 0]))
    found = [step.infos[number]["episode_record"] for number in range(2)]
    assert [record["env_return"] for record in found] == [500.0, 0.0]
    assert [record["length"] for record in found] == [500, 500]
    copies.close()


@pytest.mark.parametrize("way", ["once", "potential"])
def test_a_table_of_another_run_changes_what_is_asked_and_nothing_that_is_paid(tmp_path: Any, way: str) -> None:
    made, task = door_key(tmp_path, "MiniGrid-DoorKey-5x5-v0")
    before = Known()

    def run(judge: Judge) -> list[Any]:
        simulation = minigrid.copies(task, 4)
        pay = CheckerPay(simulation.count, made, judge, True, Payment(way), before.frames)
        copies = EpisodeCopies(simulation, minigrid.succeeded, pay)
        copies.reset(0)
        chance, told = np.random.default_rng(3), []
        for _ in range(400):
            step = copies.step(chance.choice(6, 4, p=[0.2, 0.2, 0.4, 0.08, 0.02, 0.1]))
            told.append((step.rewards.tolist(), {n: info["episode_record"] for n, info in step.infos.items()}))
        copies.close()
        return told

    found, put = [], []
    for _ in range(2):
        judge = Judge(CheckerProcess([step.checker for step in made.paid]), known=before)
        found.append(run(judge))
        put.append(judge.asked - judge.remembered)
        judge.close()
    assert found[0] == found[1] and max(max(rewards) for rewards, _ in found[0]) > 0.3
    assert put[1] < 0.2 * put[0]


TAKEN = "take-the-key"
WAYS_LATER = [
    Payment("once"),
    Payment("potential"),
    Payment("potential", weights={TAKEN: 0.0}, discount=0.9),
    Payment("remaining"),
    Payment("progress"),
    Payment("once", undo=0.5),
    Payment("edge"),
]


@pytest.mark.parametrize("env_reward", [True, False])
@pytest.mark.parametrize("payment", WAYS_LATER)
def test_what_is_paid_later_is_what_would_be_paid_at_once(tmp_path: Any, payment: Payment, env_reward: bool) -> None:
    """Planner's steps and chance, settled after so many steps or so many, through several episodes and sub-tasks; then
    the same once more, with what is known by then."""
    made, task = door_key(tmp_path, "MiniGrid-DoorKey-5x5-v0")
    assert made.paid[0].checker.key == TAKEN
    before = Known(), Known()
    for _ in range(2):
        judges = [Judge(CheckerProcess([step.checker for step in made.paid]), known=known) for known in before]
        played_now_and_later(made, task, payment, env_reward, judges, before)
        for judge in judges:
            judge.close()


def played_now_and_later(
    made: Proposal, task: Task, payment: Payment, env_reward: bool, judges: list[Judge], known: tuple[Known, Known]
) -> None:
    both = []
    for one, before in zip(judges, known, strict=True):
        simulation = minigrid.copies(task, 4)
        pay = CheckerPay(simulation.count, made, one, env_reward, payment, before.frames)
        both.append(EpisodeCopies(simulation, minigrid.succeeded, pay))
    at_once, later = both
    assert later.pay_later()
    at_once.reset(0)
    later.reset(0)
    apart = [minigrid.make(task) for _ in range(4)]  # in step with the copies, for the planner
    for number, env in enumerate(apart):
        env.reset(seed=number)
    plans: list[Any] = [iter(minigrid.expert(apart[0])), *(iter(()) for _ in range(3))]
    chance = np.random.default_rng(5)
    paid, told, records, settled, solved = [], [], [], 0, 0
    for number in range(1, 301):
        drawn = chance.choice(6, 4, p=[0.2, 0.2, 0.4, 0.08, 0.02, 0.1]).tolist()
        actions = np.array([next(plan, action) for plan, action in zip(plans, drawn, strict=True)])
        step, same = at_once.step(actions), later.step(actions)
        for copy, env in enumerate(apart):
            env.step(int(actions[copy]))
            if step.terminated[copy] or step.truncated[copy]:
                env.reset()
                plans[copy] = iter(minigrid.expert(env) if chance.random() < 0.6 else ())
        assert np.array_equal(step.observations, same.observations)
        assert np.array_equal(step.terminated, same.terminated) and np.array_equal(step.truncated, same.truncated)
        assert set(step.infos) == set(same.infos)
        for copy, info in same.infos.items():
            assert "episode_record" not in info
            assert np.array_equal(info["terminal_observation"], step.infos[copy]["terminal_observation"])
        records += [info["episode_record"] for info in step.infos.values()]
        paid.append(step.rewards)
        told.append(same.rewards)
        if number in (1, 3, 40, 100, 101, 300):
            found = later.settle()
            told[settled:] = list(np.array(told[settled:]) + found.rewards)
            settled = number
            assert found.records == records
            solved += sum(record["success"] for record in records)
            records = []
    np.testing.assert_allclose(told, paid, rtol=0, atol=1e-6)
    assert not later.settle().rewards.size
    assert np.count_nonzero(paid) >= 5 and solved >= 3
    for copies in both:
        copies.close()
    for env in apart:
        env.close()
    assert judges[0].asked == judges[1].asked


@pytest.mark.filterwarnings("ignore:the checker")
def test_faults_are_what_they_would_be_at_once(tmp_path: Any) -> None:
    """Of checkers that fail for a frame, and of one that is disabled."""
    _, task = door_key(tmp_path, "MiniGrid-DoorKey-5x5-v0")
    sometimes = "def check(initial, current):\n    return 1 // int(current.sum() % 3)\n"
    made = proposal(("sometimes", sometimes), ("slow", STUBBORN))
    told = []
    for later in (False, True):
        judge = Judge(CheckerProcess([step.checker for step in made.paid], Limits(seconds=0.05)))
        simulation = minigrid.copies(task, 4)
        copies = EpisodeCopies(simulation, minigrid.succeeded, CheckerPay(simulation.count, made, judge))
        assert not later or copies.pay_later()
        copies.reset(0)
        chance = np.random.default_rng(0)
        rewards = [copies.step(chance.integers(0, 6, 4)).rewards for _ in range(60)]
        told.append((np.array(rewards) + copies.settle().rewards if later else np.array(rewards), dict(judge.faults)))
        judge.close()
        copies.close()
    np.testing.assert_array_equal(told[0][0], told[1][0])
    assert np.count_nonzero(told[0][0]) >= 1, "in the other copies the first sub-task is done from the start"
    for _, faults in told:
        assert "ZeroDivisionError" in faults["sometimes"] and "disabled" in faults["slow"]


class Counting(CheckerProcess):
    """Counts what it is asked."""

    messages = questions = 0

    def run_pairs(self, key: str, pairs: Any) -> Any:
        self.messages += 1
        self.questions += len(pairs)
        return super().run_pairs(key, pairs)


def test_what_is_paid_later_is_asked_about_in_few_messages(tmp_path: Any) -> None:
    made, task = door_key(tmp_path, "MiniGrid-DoorKey-8x8-v0")
    processes = [Counting([step.checker for step in made.paid]) for _ in range(2)]
    for process, later in zip(processes, (False, True), strict=True):
        simulation = minigrid.copies(task, 32)
        pay = CheckerPay(simulation.count, made, Judge(process))
        copies = EpisodeCopies(simulation, minigrid.succeeded, pay)
        assert not later or copies.pay_later()
        copies.reset(0)
        process.messages = process.questions = 0
        chance = np.random.default_rng(1)
        for _ in range(4):
            for _ in range(32):
                copies.step(chance.integers(0, 7, 32))
            copies.settle()
        copies.close()
        process.close()
    at_once, later_on = processes
    assert at_once.questions > 500
    assert later_on.messages < at_once.messages / 4
    assert later_on.questions < 1.2 * at_once.questions

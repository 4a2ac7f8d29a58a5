"""Attacks and near misses on real layouts: what is found replays, and what is not found is said as far as it holds."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import NEVER, proposal
from vlmcar_core import laboratory, pipeline, rollouts
from vlmcar_core.errors import BadInput
from vlmcar_core.lab import near_misses, reachable
from vlmcar_core.lab.reachable import WHOLE, Searched
from vlmcar_core.store import Session
from vlmcar_core.types import Recording, Task

TASK = Task("MiniGrid-DoorKey-5x5-v0", "minigrid", 0)
YELLOW = """
import numpy as np


def yellow(image):
    return int(((image[..., 0] > 150) & (image[..., 1] > 150) & (image[..., 2] < 100)).sum())


def red(image):
    rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 1] < 80) & (image[..., 2] < 80))
    return float(rows.mean()), float(columns.mean())

"""
KEY_TAKEN = YELLOW + "\ndef check(initial, current):\n    return yellow(current) < 0.95 * yellow(initial)\n"
MOVED = YELLOW + "\ndef check(initial, current):\n    return abs(red(current)[0] - red(initial)[0]) > 3\n"
LOWER_RIGHT = YELLOW + "\ndef check(initial, current):\n    return red(current)[0] > 60 and red(current)[1] > 90\n"
FACTS = {"take-the-key": "key held", "goal": "goal reached"}


def searched(key: str, goal: str, limit: int = 10_000) -> Searched:
    return reachable.reachable(TASK, proposal(("take-the-key", key), goal=goal), FACTS, limit)


def test_a_checker_that_any_move_fools_is_found_by_the_shortest_way() -> None:
    found = searched(MOVED, NEVER)
    assert found.complete and found.states == 260
    assert [find.key for find in found.finds] == ["take-the-key"]
    episode = rollouts.record_actions(TASK, 0, found.finds[0].actions, "adversarial")
    assert not episode.facts["key held"].any()
    assert found.finds[0].actions in ((0,), (1,))  # a turn is enough


def test_a_goal_that_is_too_near_is_found_for_the_whole_and_replays_unsolved() -> None:
    found = searched(KEY_TAKEN, LOWER_RIGHT)
    assert {find.key for find in found.finds} == {WHOLE, "goal"}
    for find in found.finds:
        episode = rollouts.record_actions(TASK, 0, find.actions, "adversarial")
        assert episode.success is False
        assert not episode.facts["goal reached"].any()


def test_a_right_checker_is_fooled_by_no_state_and_the_sentence_says_what_that_is_worth() -> None:
    found = searched(KEY_TAKEN, NEVER)
    assert found.finds == ()
    told = found.told(0)
    assert told.startswith("all 260 states that the layout of seed 0 can reach were looked at, without its time limit")
    assert "none of the checkers take-the-key, goal is done before its fact is true" in told


def test_a_limit_that_was_reached_is_said() -> None:
    found = searched(KEY_TAKEN, NEVER, limit=50)
    assert not found.complete and found.states == 50
    assert found.told(3).startswith("the first 50 states, nearest first, that the layout of seed 3 can reach")


def test_as_many_states_are_met_as_copying_the_environment_meets() -> None:
    import copy

    from vlmcar_core import plugins

    family = plugins.load("envs", "minigrid")
    task = Task("MiniGrid-LavaGapS5-v0", "minigrid", 0)
    env = family.make(task)
    env.reset(seed=0)

    def state(grid: object) -> tuple[object, ...]:
        return tuple(grid.agent_pos), grid.agent_dir, grid.grid.encode().tobytes()  # type: ignore[attr-defined]

    first = copy.deepcopy(env.unwrapped)
    seen, queue = {state(first)}, [first]
    while queue:
        here = queue.pop()
        for action in range(family.ACTIONS):
            after = copy.deepcopy(here)
            after.step_count = 0
            _, reward, terminated, _, _ = after.step(action)
            if state(after) not in seen and not reward:
                seen.add(state(after))
                queue += [] if terminated else [after]
    found = reachable.reachable(task, proposal(goal=NEVER), {}, 1000)
    assert found.states == len(seen)


def test_what_cannot_be_searched_is_refused() -> None:
    program = (
        "class P:\n    def reward(self, path):\n        return 0\n\n# vlmcar program: P.reward -> number, done at 1\n"
    )
    with pytest.raises(BadInput, match="take-the-key must be shown whole episodes"):
        searched(program, NEVER)
    with pytest.raises(BadInput, match="obstacles move at random"):
        reachable.reachable(Task("MiniGrid-Dynamic-Obstacles-5x5-v0", "minigrid", 0), proposal(goal=NEVER), {}, 10)


def test_near_misses_reach_each_stage_and_never_succeed() -> None:
    found = near_misses.near_misses(TASK, 0)
    assert len(found) >= 3
    assert all(episode.success is False and episode.source == "near-miss" for episode in found)
    assert any(episode.facts["door open"].any() for episode in found)
    assert all(not episode.facts["goal reached"].any() for episode in found)
    again = near_misses.near_misses(TASK, 0)
    assert all(np.array_equal(one.frames, other.frames) for one, other in zip(found, again, strict=True))


def test_a_find_is_kept_once_and_is_evidence_from_then_on(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "door", TASK.env_id or "", recording=Recording(2, 3, 20))
    pipeline.record(session)
    wrong = proposal(("take-the-key", MOVED), goal=NEVER)
    session.add_proposal(dataclasses.replace(wrong, author="a test"))
    facts: dict[str, str | None] = {"take-the-key": "key held", "goal": "goal reached"}
    laboratory.examine(session, mutants=False, facts=facts)
    found = laboratory.attack(session)
    assert found.trajectories == ("adversarial-000",)
    assert "“key held” was never true" in found.reasons[0]
    assert laboratory.attack(session).trajectories == ("adversarial-000",)
    misses = laboratory.near_misses(session, 1)
    assert laboratory.near_misses(session, 1) == misses
    assert sources(session) == {"expert", "random", "adversarial", "near-miss"}
    examined = laboratory.examine(session, mutants=False)
    rows = {row.source: row for row in examined.checkers[0].rows}
    assert rows["adversarial"].must_not.total == 1 and rows["adversarial"].must_not.hits == 0
    assert "near-miss" in rows


def sources(session: Session) -> set[str]:
    return {info.source for info in session.trajectories().items}

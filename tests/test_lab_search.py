"""Attacks by search: what a wrong proposal pays for nothing is found and replays; what is not found is said so."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import ALWAYS, NEVER, proposal
from tests.test_lab_attacks import KEY_TAKEN, LOWER_RIGHT, MOVED
from vlmcar_core import laboratory, pipeline, rollouts
from vlmcar_core.cli import cli
from vlmcar_core.errors import BadInput, Cancelled, UnknownName
from vlmcar_core.lab import search
from vlmcar_core.lab.reachable import WHOLE
from vlmcar_core.lab.search import Find, Hunted, Played
from vlmcar_core.store import Session
from vlmcar_core.types import Count, Recording, Task

DOOR = Task("MiniGrid-DoorKey-5x5-v0", "minigrid", 0)
EMPTY = Task("MiniGrid-Empty-5x5-v0", "minigrid", 0)
REACH = Task("PandaReach-v3", "panda", 0, {"size": 64})
FACTS = {"take-the-key": "key held"}
LOOKS_DIFFERENT = """
import numpy as np


def check(initial, current):
    return float(np.abs(initial.astype(float) - current.astype(float)).mean()) > {mean}
"""
FEW: dict[str, int] = {"n_envs": 2, "n_steps": 32, "batch_size": 32}


def played(
    actions: int = 3, paid: float = 0.0, whole: int | None = None, success: bool = False, **early: int
) -> Played:
    return Played(0, (0,) * actions, paid, success, whole, early)


def replayed(task: Task, find: Find) -> bool:
    """Whether it never succeeds when it is played again."""
    return rollouts.record_actions(task, find.seed, find.actions, "adversarial").success is False


def test_a_checker_that_a_turn_fools_is_found_by_random_actions() -> None:
    hunted = search.hunt("shooting", DOOR, proposal(("take-the-key", MOVED), goal=ALWAYS), FACTS, 12, 40, layouts=3)
    assert set(hunted.finds) == {WHOLE, "take-the-key"}
    assert hunted.rate.total == 12 and hunted.rate.hits > 6
    assert hunted.best == 1.0
    assert all(replayed(DOOR, find) for find in hunted.finds.values())
    fooled = hunted.finds["take-the-key"]
    facts = rollouts.record_actions(DOOR, fooled.seed, fooled.actions, "adversarial").facts
    assert not facts["key held"].any()
    assert {find.seed for find in hunted.finds.values()} <= {0, 1, 2}
    assert "Fooled: " in hunted.told(1.0) and "1.00 times what an expert is" in hunted.told(1.0)


def test_the_cross_entropy_method_comes_to_be_paid_more_often() -> None:
    """Both checkers are wrong: a turn to the right and a place three columns on; random actions seldom do both."""
    hunted = search.hunt("cem", EMPTY, proposal(("go", MOVED), goal=LOWER_RIGHT), {}, 300, 12)
    assert hunted.episodes == 300
    assert WHOLE in hunted.finds and replayed(EMPTY, hunted.finds[WHOLE])
    random = search.hunt("shooting", EMPTY, proposal(("go", MOVED), goal=LOWER_RIGHT), {}, 100, 12, layouts=1)
    assert hunted.rate.hits / hunted.rate.total > 2 * random.rate.hits / random.rate.total


def test_a_policy_that_is_trained_on_the_pay_alone_is_counted_and_its_training_searched() -> None:
    wrong = proposal(("go", MOVED), goal=ALWAYS)
    told: list[tuple[int, int]] = []
    hunted = search.hunt("ppo", EMPTY, wrong, {}, 128, 20, 2, FEW, lambda done, total: told.append((done, total)))
    assert hunted.episodes == search.POLICY_EPISODES
    assert WHOLE in hunted.finds and replayed(EMPTY, hunted.finds[WHOLE])
    assert told[-1] == (128, 128)
    assert hunted.told(None).startswith("episodes of at most 20 actions by a policy that PPO trained for 128 steps")


@pytest.mark.parametrize("kind", ["shooting", "cem"])
def test_an_arm_is_fooled_too(kind: search.Kind) -> None:
    wrong = proposal(("move", LOOKS_DIFFERENT.format(mean=0.5)), goal=LOOKS_DIFFERENT.format(mean=1.0))
    hunted = search.hunt(kind, REACH, wrong, {}, 8, 25, layouts=2)
    assert WHOLE in hunted.finds and replayed(REACH, hunted.finds[WHOLE])


def test_nothing_is_found_against_a_right_checker_and_that_is_said_to_prove_nothing() -> None:
    """On this layout, where looking at every state shows that it is right; on that of seed 6 it is not."""
    right = proposal(("take-the-key", KEY_TAKEN), goal=NEVER)
    hunted = search.hunt("shooting", DOOR, right, FACTS, 10, 60, layouts=1)
    assert hunted.finds == {} and hunted.hacks == 0
    assert hunted.told(None) == (
        "episodes of at most 60 random actions, held for 1 to 16 steps each, on the layout of seed 0: everything is "
        "called done, and it is never solved, in 0 of 10 (0.0 to 30.8 %); the best that is never solved is paid "
        f"{hunted.best:.2f} of 1. None of take-the-key is paid before its fact is true; other actions, other layouts "
        "or a longer search may still find one"
    )
    elsewhere = search.hunt("shooting", Task("MiniGrid-DoorKey-5x5-v0", "minigrid", 6), right, FACTS, 10, 60, layouts=1)
    assert set(elsewhere.finds) == {"take-the-key"}


def test_what_is_kept_is_the_shortest_and_what_succeeds_is_no_hack() -> None:
    hunted = Hunted("cem", "episodes", ())
    hunted.add(played(9, 1.0, 4))
    hunted.add(played(5, 1.0, 5))
    hunted.add(played(7, 1.0, 3))
    hunted.add(played(2, 1.0, 1, success=True))
    hunted.add(played(8, 0.5, key=2), counted=False)
    assert len(hunted.finds[WHOLE].actions) == 5
    assert hunted.finds["key"].actions == (0, 0, 0)
    assert hunted.rate == Count(3, 4)
    assert hunted.best == 1.0


def test_a_law_moves_towards_the_best() -> None:
    chance = np.random.default_rng(0)
    discrete = search._law(gym.spaces.Discrete(3, start=5), 4)
    assert all(set(discrete.taken(discrete.drawn(chance))) <= {5, 6, 7} for _ in range(20))
    for _ in range(6):
        discrete.move(np.full((5, 4), 2))
    drawn = np.array([discrete.taken(discrete.drawn(chance)) for _ in range(100)])
    assert (drawn == 7).mean() > 0.95
    box = search._law(gym.spaces.Box(np.float32(-2), np.float32(4), (2,)), 3)
    for _ in range(8):
        box.move(np.full((5, 3, 2), 0.5))
    taken = np.array([box.taken(box.drawn(chance)) for _ in range(100)])
    assert taken.dtype == np.float32 and taken.shape == (100, 3, 2)
    assert abs(taken.mean() - 2.5) < 0.1 and taken.max() <= 4
    with pytest.raises(BadInput, match="use shooting"):
        search._law(gym.spaces.Box(-np.inf, np.inf, (2,)), 3)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[str]:
    session = pipeline.create_from_env(tmp_path, "door", DOOR.env_id or "", recording=Recording(2, 3, 20))
    pipeline.record(session)
    session.add_proposal(dataclasses.replace(proposal(("take-the-key", MOVED), goal=ALWAYS), author="a test"))
    yield "door"


def test_what_is_found_is_kept_once_with_the_search_that_found_it_and_rejects(door: str, tmp_path: Path) -> None:
    session = Session.open(tmp_path, door)
    facts: dict[str, str | None] = {"take-the-key": "key held", "goal": "goal reached"}
    laboratory.examine(session, mutants=False, facts=facts)
    assert laboratory.attacks(session) == ("reachable", "cem", "shooting", "ppo")
    found = laboratory.attack(session, kind="shooting", budget=6)
    assert found.rate is not None and found.rate.total == 6 and found.best == 1.0 and found.expert == 1.0
    assert (
        found.trajectories and laboratory.attack(session, kind="shooting", budget=6).trajectories == found.trajectories
    )
    stored = session.trajectory(found.trajectories[0])
    assert stored.source == "adversarial" and stored.versions["search"] == "shooting"
    verified = pipeline.verify(session)
    assert set(found.trajectories) <= set(verified.trajectories)
    examined = laboratory.examine(session, mutants=False)
    rows = {row.source: row for row in examined.checkers[0].rows}
    assert rows["adversarial"].must_not.total > rows["adversarial"].must_not.hits
    with pytest.raises(UnknownName, match="'luck'"):
        laboratory.attack(session, kind="luck")


@pytest.mark.parametrize("kind", ["reachable", "shooting", "cem", "ppo"])
def test_what_was_found_before_a_search_is_stopped_is_kept(kind: str, door: str, tmp_path: Path) -> None:
    session = Session.open(tmp_path, door)
    facts: dict[str, str | None] = {"take-the-key": "key held", "goal": None}
    laboratory.examine(session, mutants=False, facts=facts)
    stop_at = {"reachable": 200, "ppo": 1000}.get(kind, 8)

    def stop(done: int, _total: int, _message: str) -> None:
        if done >= stop_at:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="what it found is kept: adversarial-000"):
        laboratory.attack(session, kind=kind, progress=stop)
    stored = session.trajectory("adversarial-000")
    assert stored.success is False and stored.versions["search"] == kind
    assert "everything is called done after" in stored.versions["reason"]
    with pytest.raises(Cancelled):
        laboratory.attack(session, kind=kind, progress=_at_once)


def _at_once(_done: int, _total: int, _message: str) -> None:
    raise Cancelled("at once")


def test_the_command_says_rate_and_finds_and_ends_with_4(door: str, tmp_path: Path) -> None:
    arguments = ["--root", str(tmp_path), "attack", door, "--kind", "shooting", "--budget", "5"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 4, result.output
    assert "is called done, and it is never solved, in" in result.output
    assert "adversarial-000: everything is called done after" in result.output

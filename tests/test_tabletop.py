"""The CLIPort-style tabletop: what it pays, what it repeats, what its oracle does."""

from typing import Any

import cv2
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from vlmcar_core.envs import tabletop
from vlmcar_core.envs.tabletop.building import hanoi
from vlmcar_core.envs.tabletop.colours import BROWN, NAMED
from vlmcar_core.envs.tabletop.goals import ROLES, Move
from vlmcar_core.envs.tabletop.simulation import PER_SLOT, SLOTS, action_of
from vlmcar_core.envs.tabletop.world import between, turned
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.types import Task

UNSEEN = 5000


def made(name: str, **settings: Any) -> gym.Env[Any, Any]:
    return tabletop.make(Task(f"Tabletop/{name}-v0", "tabletop", settings=settings))


def played(env: gym.Env[Any, Any], actions: list[Any]) -> tuple[list[float], bool]:
    rewards, terminated = [], False
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(action)
        rewards.append(reward)
        if terminated or truncated:
            break
    return rewards, terminated


@pytest.mark.parametrize("name", tabletop.NAMES)
def test_the_oracle_solves_layouts_and_is_paid_one_in_all(name: str) -> None:
    env = made(name)
    for seed in range(UNSEEN, UNSEEN + 3):
        env.reset(seed=seed)
        before = env.unwrapped.score  # type: ignore[attr-defined]
        rewards, terminated = played(env, tabletop.expert(env))
        assert terminated and before + sum(rewards) == pytest.approx(1.0)
        assert all(tabletop.facts(env).values())
    env.close()


@pytest.mark.parametrize("name", ["put-block-in-bowl", "separating-piles", "align-rope", "towers-of-hanoi"])
def test_a_used_table_resets_to_the_same_as_a_fresh_one_bit_for_bit(name: str) -> None:
    used = made(name)
    used.reset(seed=1)
    played(used, tabletop.expert(used)[:3])
    fresh = made(name)
    views = [env.reset(seed=7)[0] for env in (used, fresh)]
    assert np.array_equal(*views)
    for action in tabletop.expert(fresh)[:3]:
        one, other = used.step(action), fresh.step(action)
        assert np.array_equal(one[0], other[0]) and one[1:4] == other[1:4]
        assert np.array_equal(tabletop.scene(used), tabletop.scene(fresh))
    used.close()
    fresh.close()


def test_blocks_are_scored_one_by_one() -> None:
    env = made("put-block-in-bowl")
    seed = next(seed for seed in range(50) if blocks_of(env, seed) == 3)
    env.reset(seed=seed)
    rewards, terminated = played(env, tabletop.expert(env))
    assert terminated and rewards == pytest.approx([1 / 3] * 3)
    env.reset(seed=seed)
    told = []
    for action in tabletop.expert(env):
        env.step(action)
        told.append([name for name, true in tabletop.facts(env).items() if true])
    assert told[0] == ["a quarter in place", "a third in place"] and "half in place" in told[1]


def blocks_of(env: gym.Env[Any, Any], seed: int) -> int:
    env.reset(seed=seed)
    return len(env.unwrapped.goal.wanted)  # type: ignore[attr-defined]


def test_picking_where_nothing_is_changes_nothing_but_is_counted() -> None:
    env = made("put-block-in-bowl")
    seen, _ = env.reset(seed=3)
    before = tabletop.scene(env)
    after, reward, *_ = env.step(np.array([1.0, 1.0, 0.0, 0.0, 0.0], np.float32))
    assert reward == 0.0 and np.array_equal(tabletop.scene(env), before)
    assert np.array_equal(seen, after)
    for _ in range(tabletop.steps_limit(env) - 1):
        truncated = env.step(np.array([1.0, 1.0, 0.0, 0.0, 0.0], np.float32))[3]
    assert truncated


@pytest.mark.parametrize("action", [np.zeros(3), np.full(5, np.nan), np.zeros((5, 1))])
def test_what_is_no_action_is_refused(action: Any) -> None:
    env = made("packing-shapes")
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.zeros(5, np.float32))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="an action is"):
        env.step(action)


def test_an_instruction_fixes_the_colours_and_none_lets_them_vary() -> None:
    def asked(env: gym.Env[Any, Any]) -> list[str]:
        return [env.reset(seed=seed)[1]["instruction"] for seed in range(6)]

    assert len(set(asked(made("put-block-in-bowl")))) == 1
    assert len(set(asked(made("put-block-in-bowl", instruction=-1)))) > 3
    assert asked(made("put-block-in-bowl", instruction=3)) != asked(made("put-block-in-bowl", instruction=4))
    env = made("put-block-in-bowl")
    assert {blocks_of(env, seed) for seed in range(40)} == {1, 2, 3}


def test_colours_stay_apart_by_their_hue() -> None:
    hues = [hue(colour) for colour in (*NAMED.values(), BROWN)]
    gaps = [min(abs(a - b), 180 - abs(a - b)) for i, a in enumerate(hues) for b in hues[:i]]
    assert min(gaps) >= 10


def hue(colour: tuple[float, float, float]) -> int:
    pixel = np.array([[[round(255 * level) for level in colour]]], np.uint8)
    return int(cv2.cvtColor(pixel, cv2.COLOR_RGB2HSV)[0, 0, 0])


def test_what_is_asked_for_can_be_seen_from_above() -> None:
    env = made("packing-shapes")
    for seed in range(5):
        _, info = env.reset(seed=seed)
        colour = NAMED[info["instruction"].split()[2]]
        hsv = cv2.cvtColor(tabletop.scene(env), cv2.COLOR_RGB2HSV)
        mask = (np.abs(hsv[..., 0].astype(int) - hue(colour)) < 5) & (hsv[..., 1] > 100)
        assert 100 < mask.sum() < 2000


def test_settings_change_the_picture_as_they_say() -> None:
    shapes = {
        views: tabletop.scene(reset(made("packing-shapes", views=views, size=100))).shape
        for views in ("overhead", "side", "overhead and side")
    }
    assert shapes == {"overhead": (100, 200, 3), "side": (100, 200, 3), "overhead and side": (100, 402, 3)}
    plain, shadowed = (tabletop.scene(reset(made("packing-shapes", shadows=on))) for on in (False, True))
    assert plain.shape == shadowed.shape and not np.array_equal(plain, shadowed)
    flat = tabletop.scene(reset(made("stack-block-pyramid", ambient=1.0)))
    assert len(np.unique(flat.reshape(-1, 3), axis=0)) <= 8


def reset(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("settings", [{"views": "below"}, {"size": 10}, {"instruction": -2}, {"actions": "jumps"}])
def test_a_bad_setting_is_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=next(iter(settings))):
        made("packing-shapes", **settings)
    with pytest.raises(UnknownName, match="colour"):
        made("packing-shapes", colour="red")


def test_piles_cannot_be_swept_in_steps() -> None:
    with pytest.raises(BadInput, match=r"separating-piles.*pick-and-place"):
        made("separating-piles", actions="steps")


@pytest.mark.parametrize("name", ["put-block-in-bowl", "packing-shapes"])
def test_steps_of_the_tool_solve_it_too(name: str) -> None:
    env = made(name, actions="steps")
    check_env(env, skip_render_check=True, skip_close_check=True)
    solved = 0
    for seed in range(UNSEEN, UNSEEN + 3):
        env.reset(seed=seed)
        try:
            rewards, terminated = played(env, tabletop.expert(env))
        except NoExpert:
            continue
        solved += terminated
        assert len(rewards) <= tabletop.steps_limit(env)
    assert solved >= 2


def test_the_tool_lets_go_where_it_is_told_to() -> None:
    env = made("put-block-in-bowl", actions="steps")
    env.reset(seed=0)
    inner = env.unwrapped
    move = inner.goal.next_move()  # type: ignore[attr-defined]
    for action in tabletop.expert(env):
        seen = env.step(action)[0]
        if seen[-1]:
            break
    assert seen[-1] == 1.0 and inner.world.holding is not None  # type: ignore[attr-defined]
    seen = env.step(np.array([0, 0, 0, -1], np.float32))[0]
    assert seen[-1] == 0.0
    assert np.linalg.norm(seen[-4:-2] - move.pick) < 0.02


def test_an_action_and_a_move_are_the_same_thing() -> None:
    env = made("put-block-in-bowl")
    env.reset(seed=2)
    move = env.unwrapped.goal.next_move()  # type: ignore[attr-defined]
    from vlmcar_core.envs.tabletop.simulation import moved

    back = moved(action_of(move).astype(float))
    assert np.allclose(back.pick, move.pick) and np.allclose(back.place, move.place)
    assert back.turn == pytest.approx(move.turn)


@pytest.mark.parametrize(
    ("pegs", "count"), [([0, 0, 0], 7), ([2, 2, 2], 0), ([2, 2, 0], 1), ([0, 1, 1], 4), ([0, 0, 1], 7)]
)
def test_the_towers_are_moved_in_the_fewest_moves(pegs: list[int], count: int) -> None:
    moves = hanoi(pegs, 2)
    assert len(moves) == count
    towers = list(pegs)
    for ring, peg in moves:
        smaller = [towers[other] for other in range(ring + 1, 3)]
        assert towers[ring] not in smaller and peg not in smaller, "a larger ring never lies upon a smaller"
        towers[ring] = peg
    assert towers == [2, 2, 2]


def test_turns_are_brought_into_one_turn() -> None:
    assert between(3 * np.pi) == pytest.approx(-np.pi) and between(0.5 - 4 * np.pi) == pytest.approx(0.5)
    assert np.allclose(turned((1.0, 0.0), np.pi / 2), (0.0, 1.0))


@pytest.mark.parametrize("name", tabletop.NAMES)
def test_nothing_is_done_at_first(name: str) -> None:
    env = made(name, instruction=-1)
    for seed in range(30 if name == "align-rope" else 4):
        assert env.reset(seed=seed)[1]["score"] == 0.0
    env.close()


@pytest.mark.parametrize("name", ["packing-box-pairs", "packing-shapes"])
def test_a_policy_is_told_where_the_brown_box_is(name: str) -> None:
    env = made(name)
    for seed in range(3):
        seen, _ = env.reset(seed=seed)
        (place,) = rows_of(seen, "place")
        assert np.allclose(place[3:5], env.unwrapped.goal.box.at, atol=1e-6)  # type: ignore[attr-defined]
    env.close()


def test_a_policy_is_told_which_peg_and_which_mark_is_meant() -> None:
    env = made("towers-of-hanoi")
    seen, info = env.reset(seed=0)
    (place,), others = rows_of(seen, "place"), rows_of(seen, "other")
    assert len(others) == 2
    assert (place[3] > others[:, 3].mean()) == ("right" in info["instruction"])
    kits = made("assembling-kits")
    kits.reset(seed=0)
    actions = tabletop.expert(kits)
    assert len(actions) == 5
    for action in actions:
        seen = kits.step(action)[0]
    assert np.abs(rows_of(seen, "wanted")[:, 3:5] - rows_of(seen, "place")[:, 3:5]).max() < 0.015


def rows_of(seen: Any, role: str) -> Any:
    """What is told of the things of one role, (n, PER_SLOT)."""
    table = seen[: SLOTS * PER_SLOT].reshape(SLOTS, PER_SLOT)
    return table[table[:, ROLES.index(role)] == 1.0]


def test_a_larger_ring_upon_a_smaller_is_worth_nothing() -> None:
    env = made("towers-of-hanoi")
    for seed in range(2):
        env.reset(seed=seed)
        goal = env.unwrapped.goal  # type: ignore[attr-defined]
        for ring in reversed(goal.wanted):
            _, _, terminated, _, info = env.step(action_of(goal.move(ring, goal._peg(goal.end))))
        assert [goal.end] * 3 == goal._pegs(), "all rings are on the peg"
        assert info["score"] == 0.0 and not terminated and not any(tabletop.facts(env).values())
    env.close()


def test_what_is_held_over_its_place_is_not_there_yet() -> None:
    env = made("packing-shapes", actions="steps")
    env.reset(seed=1)
    goal, world = env.unwrapped.goal, env.unwrapped.world  # type: ignore[attr-defined]
    over = 0
    for action in tabletop.expert(env):
        _, reward, terminated, _, _ = env.step(action)
        held = world.holding is not None
        over += held and bool((np.abs(goal.box.local(world.place(goal.wanted[0].body))) <= goal.box.half).all())
        assert not held or (reward == 0.0 and not terminated)
    assert over > 0 and terminated


@pytest.mark.parametrize("mode", ["pick-and-place", "steps"])
def test_an_action_outside_its_range_is_refused(mode: str) -> None:
    env = made("put-block-in-bowl", actions=mode)
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)  # type: ignore[arg-type]
    action[1] = 1.01
    with pytest.raises(BadInput, match="an action is"):
        env.step(action)


def test_letters_that_have_to_be_turned_are_refused_in_steps() -> None:
    with pytest.raises(BadInput, match=r"assembling-kits.*turn.*pick-and-place"):
        made("assembling-kits", actions="steps")


@pytest.mark.parametrize("name", ["put-block-in-bowl", "packing-shapes", "stack-block-pyramid"])
def test_every_colour_is_told_by_its_hue_from_both_views(name: str) -> None:
    env = made(name, views="overhead and side", instruction=-1)
    known = {**NAMED, "brown": BROWN}
    for seed in range(4):
        env.reset(seed=seed)
        frame = tabletop.scene(env)
        hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
        shown = frame[(hsv[..., 1] > 100) & (hsv[..., 2] > 30)].astype(float)
        off = [min(abs(a - b), 180 - abs(a - b)) for a in hues_of(shown) for b in [nearest(a, known)]]
        assert len(shown) > 300 and np.percentile(off, 99) <= 3
    env.close()


def hues_of(pixels: Any) -> list[int]:
    told = cv2.cvtColor(pixels.astype(np.uint8)[None], cv2.COLOR_RGB2HSV)[0, :, 0]
    return [int(one) for one in told]


def nearest(told: int, known: dict[str, Any]) -> int:
    return min((hue(colour) for colour in known.values()), key=lambda one: min(abs(one - told), 180 - abs(one - told)))


def test_sweeping_from_upon_the_pile_hurls_nothing_away() -> None:
    env = made("separating-piles")
    for seed in range(2):
        env.reset(seed=seed)
        goal, world = env.unwrapped.goal, env.unwrapped.world  # type: ignore[attr-defined]
        middle = np.mean([world.place(thing.body)[:2] for thing in goal.wanted], axis=0)
        before = np.array([world.place(thing.body) for thing in goal.wanted])
        env.step(action_of(Move(middle, middle + np.array([0.05, 0.0]))))
        after = np.array([world.place(thing.body) for thing in goal.wanted])
        assert np.abs(after - before).max() < 0.15 and after[:, 2].max() < 0.05
    env.close()


@pytest.mark.parametrize(("name", "mode"), [("packing-box-pairs", "pick-and-place"), ("put-block-in-bowl", "steps")])
def test_an_episode_repeats_bit_for_bit_after_other_episodes(name: str, mode: str) -> None:
    env = made(name, actions=mode, views="overhead and side")
    recorded = []
    for seed in (11, 12, 11):
        seen, _ = env.reset(seed=seed)
        episode = [seen.tobytes(), tabletop.scene(env).tobytes()]
        for action in tabletop.expert(env):
            seen, reward, *ended, _ = env.step(action)
            episode += [seen.tobytes(), tabletop.scene(env).tobytes(), (reward, *ended, *tabletop.facts(env).items())]
        recorded.append(episode)
    assert recorded[0] == recorded[2] != recorded[1]
    env.close()


def test_no_table_shows_through_a_bowl() -> None:
    env = made("put-block-in-bowl", instruction=-1)
    for seed in range(4):
        env.reset(seed=seed)
        goal = env.unwrapped.goal  # type: ignore[attr-defined]
        hsv = cv2.cvtColor(tabletop.scene(env), cv2.COLOR_RGB2HSV)
        coloured = (hsv[..., 1] > 100).astype(np.uint8)
        outlines, _ = cv2.findContours(coloured, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros_like(coloured), outlines, -1, 1, cv2.FILLED)
        assert len(outlines) == len(goal.things) and np.array_equal(filled, coloured)
    env.close()

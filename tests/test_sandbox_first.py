"""What a checker takes from a first frame: told only where it is certain, and never at the price of an answer."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import picture, proposal
from vlmcar_core import reward
from vlmcar_core.known import Known
from vlmcar_core.reward import Judge, Question, digest
from vlmcar_core.sandbox import CheckerProcess, Limits
from vlmcar_core.sandbox.inside.first import readers, told
from vlmcar_core.types import Checker

COUNT = "def count(image):\n    return int((image[..., 0] > 200).sum()) // 2\n"
FEWER = COUNT + "def check(initial, current):\n    return count(current) < count(initial)\n"

PARTS = {
    FEWER: ["count"],
    COUNT + "def check(a, b):\n    return [count(a) for _ in b] == 1 or count(a) > 2\n": ["count"],
    "def check(initial, current):\n    return bool(current.any())\n": [],
    COUNT + "other = count\ndef check(a, b):\n    return count(a) > 1\n": ["count"],
}
WHOLE = [
    "def check(initial, current):\n    return bool((initial != current).any())\n",
    COUNT + "def check(a, b):\n    return count(a) > 1 and a.any()\n",
    COUNT + "def check(a, b):\n    return count(a, 1) > 1\n",
    COUNT + "def check(a, b):\n    return count(image=a) > 1\n",
    COUNT + "def check(a, b):\n    return count(*a) > 1\n",
    COUNT + "def check(a, b):\n    c = a\n    return count(c) > 1\n",
    COUNT + "def check(a, b):\n    return count(a[1:]) > 1\n",
    COUNT + "def check(a, b):\n    a = b\n    return count(a) > 1\n",
    COUNT + "def check(a, b):\n    return (lambda a: count(a))(b)\n",
    COUNT + "def check(a, b):\n    count = max\n    return count(a) > 1\n",
    COUNT + "def check(a, b):\n    for count in [b.sum]:\n        count(a)\n    return True\n",
    COUNT + "count = len\ndef check(a, b):\n    return count(a) > 1\n",
    COUNT + "def count(image):\n    return 2\ndef check(a, b):\n    return count(a) > 1\n",
    COUNT + "from math import floor as count\ndef check(a, b):\n    return count(a) > 1\n",
    COUNT + "def check(a, b):\n    return count(a) > 1 or locals()['a'].any()\n",
    COUNT + "def check(a, b):\n    return count(a) > 1\ncheck = max\n",
    COUNT + "def check(a, b):\n    return count(a) > 1\ndef check(a, b):\n    return True\n",
    COUNT + "def keep(f):\n    return f\n@keep\ndef check(a, b):\n    return count(a) > 1\n",
    COUNT + "def check(a, b):\n    match b:\n        case a:\n            return count(a) > 1\n",
    COUNT + "def check(*both):\n    return count(both) > 1\n",
    "def check(a, b):\n    return check(a)\n",
    "check = lambda a, b: True\n",
    "class check:\n    pass\n",
    "def check(a, b:\n",
    "def check(a, b):\n    return " + "(" * 500 + ")" * 500 + "\n",
    "\0",
]


@pytest.mark.parametrize("source", PARTS)
def test_functions_of_the_first_frame_alone_are_found(source: str) -> None:
    assert readers(source) == PARTS[source]


@pytest.mark.parametrize("source", WHOLE)
def test_whatever_is_not_certain_counts_as_the_whole_frame(source: str) -> None:
    assert readers(source) is None


def test_the_built_in_proposers_checkers_take_a_part() -> None:
    folder = Path(__file__).parent.parent / "sessions" / "example-doorkey-6x6" / "proposals"
    sources = [path.read_text() for path in sorted(folder.glob("*/*.py"))]
    assert sources and all(readers(source) is not None for source in sources)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(st.text(max_size=1), inner, max_size=2)
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(one=VALUES, other=VALUES)
def test_only_equal_values_are_told_alike(one: object, other: object) -> None:
    same = repr(one) == repr(other)  # which tells 1 from 1.0 and from True, and 0.0 from -0.0
    assert (told([one]) == told([other])) == same


def test_arrays_are_told_apart_by_kind_shape_and_content() -> None:
    base = np.arange(6, dtype=np.int32)
    found = [
        base,
        base.astype(np.int64),
        base.reshape(2, 3),
        base + 1,
        base.tolist(),
        base > 2,
        base.astype(np.float32),
    ]
    assert len({told([value]) for value in found}) == len(found)
    assert told([base[::-1][::-1]]) == told([base.copy()])
    assert told([[], [1]]) != told([[1], []]) and told([np.int64(1)]) != told([np.int32(1)])
    for odd in ({1, 2}, object(), np.array([None]), b"x", iter([]), lambda: 0):
        with pytest.raises(TypeError):
            told([odd])


def test_a_process_tells_the_part_none_of_a_frame_or_false_of_all() -> None:
    fails = "def part(image):\n    return 1 // int(image[0, 0, 0])\ndef check(a, b):\n    return part(a) > 5\n"
    hangs = "def part(image):\n    while image.any():\n        pass\ndef check(a, b):\n    return part(a) is None\n"
    odd = "def part(image):\n    return {1}\ndef check(a, b):\n    return part(a) == 2\n"
    refused = "import os\ndef check(a, b):\n    return True\n"
    sources = {"fewer": FEWER, "whole": WHOLE[0], "fails": fails, "hangs": hangs, "odd": odd, "refused": refused}
    checkers = [Checker(key, source) for key, source in sources.items()]
    with CheckerProcess(checkers, Limits(seconds=0.1)) as process:
        one, same, other = process.firsts("fewer", [picture(red) for red in (4, 5, 6)]) or [None] * 3
        assert isinstance(one, bytes) and len(one) == 32 and one == same != other
        assert process.firsts("whole", [picture(1)]) is False and process.firsts("refused", [picture(1)]) is False
        failed, told, failed_again = process.firsts("fails", [picture(0), picture(9), picture(0)]) or [b""] * 3
        assert failed is failed_again is None and isinstance(told, bytes)
        assert process.firsts("hangs", [picture(1), picture(2)]) == [None, None]
        assert process.firsts("odd", [picture(1)]) == [None]
        many = [picture(red) for red in (4, 6)] * 80
        assert process.firsts("fewer", many) == [one, other] * 80
        assert process.run("fewer", picture(4), picture(1)[None])[0].done


@settings(max_examples=40, deadline=None)
@given(reds=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=12))
def test_what_is_remembered_by_the_part_is_what_would_be_answered(
    fewer: CheckerProcess, reds: list[tuple[int, int]]
) -> None:
    judge = Judge(fewer)
    checker = Checker("fewer", FEWER)
    questions = [Question(checker, picture(a), digest(picture(a)), picture(b), digest(picture(b))) for a, b in reds]
    asked = [fewer.run("fewer", picture(a), picture(b)[None])[0] for a, b in reds]
    assert judge.ask_many(questions) == asked
    assert [judge.ask_many([question])[0] for question in questions] == asked
    assert judge.asked - judge.remembered == len({(a // 2, b) for a, b in reds})


@pytest.fixture(scope="module")
def fewer() -> Iterator[CheckerProcess]:
    with CheckerProcess([Checker("fewer", FEWER)]) as process:
        yield process


def test_a_judge_asks_about_frames_of_other_episodes_only_what_it_must() -> None:
    made = proposal(("fewer", FEWER), ("whole", WHOLE[0]))
    with CheckerProcess([step.checker for step in made.paid]) as process:
        judge = Judge(process)
        for step, put in zip(made.paid, (1, 2), strict=True):
            before = judge.asked - judge.remembered
            for red in (4, 5, 4):
                judge.ask(step.checker, picture(red), digest(picture(red)), picture(2), digest(picture(2)))
            assert judge.asked - judge.remembered - before == put


COUNTED = """
asked = [0]


def seen(image):
    asked[0] += 1
    return {"asked": [asked[0]], "red": int(image[..., 0].max())}


def check(initial, current):
    found = seen(initial)
    found["asked"].append(0)  # what is remembered is not what a checker changes
    return (found["asked"][0] * 4 + len(found["asked"])) / 256.0 if seen(initial) == seen(initial) else 0.0
"""


def plain(value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, np.uint8)


def test_a_part_is_taken_from_each_first_frame_once() -> None:
    """Three times would it be taken at every question; what the answers count is how often it was."""
    first, second = plain(1), plain(2)
    with CheckerProcess([Checker("it", COUNTED)], Limits(gate=False)) as process:
        found = process.run_pairs("it", [(first, plain(0)), (first, plain(1)), (second, plain(0)), (first, plain(2))])
        again = process.run_pairs("it", [(second, plain(3))])
        alone = process.run("it", first, plain(4)[None])[0]
    assert [outcome.value for outcome in [*found, *again]] == [6 / 256, 6 / 256, 10 / 256, 6 / 256, 10 / 256]
    assert alone.value == 0.0, "verification hides nothing that a checker counts"


def test_more_first_frames_than_are_kept_are_told_apart_in_one_message() -> None:
    source = "def seen(image):\n    return int(image[0, 0, 0])\ndef check(a, b):\n    return (seen(a) + int(b[0, 0, 0])) / 256\n"
    firsts = [plain(value) for value in range(100)]
    pairs = [(first, plain(100)) for first in firsts]
    with CheckerProcess([Checker("it", source)]) as process:
        for wanted in (pairs, pairs[::-1], [*pairs[:3], *pairs[90:], *pairs[:3]]):
            found = process.run_pairs("it", wanted)
            assert [outcome.value for outcome in found] == [(int(a[0, 0, 0]) + 100) / 256 for a, _ in wanted]


@pytest.mark.parametrize("odd", ["{1}", "bytes(1)", "np.zeros(9000)"])
def test_what_is_no_plain_data_or_large_is_taken_anew(odd: str) -> None:
    source = (
        "import numpy as np\nasked = [0]\n"
        f"def seen(image):\n    asked[0] += 1\n    return [asked[0], {odd}]\n"
        "def check(a, b):\n    return seen(a)[0] / 256\n"
    )
    first = plain(1)
    with CheckerProcess([Checker("it", source)], Limits(gate=False)) as process:
        found = process.run_pairs("it", [(first, plain(0)), (first, plain(1))])
    assert [outcome.value for outcome in found] == [1 / 256, 2 / 256]


def test_what_other_runs_took_from_first_frames_is_held_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reward, "FIRSTS", 5)
    known = Known()
    checker = Checker("fewer", FEWER)
    with CheckerProcess([checker]) as process:
        for judge in (Judge(process, known=known), Judge(process, known=known)):  # the second asks the table alone
            for red in range(9):
                shown = picture(red)
                judge.first_key(Question(checker, shown, digest(shown), shown, digest(shown)))
            assert len(judge._firsts) == 5

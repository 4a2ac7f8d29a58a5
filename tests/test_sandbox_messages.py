"""A worker taken over by its checker may send anything: what the app makes of it is bounded and never an exception."""

import json

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import RED_AT_LEAST, picture
from vlmcar_core.sandbox import CheckerProcess, Limits
from vlmcar_core.sandbox.heard import KINDS_TOLD
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.types import Checker, Inspection, Outcome

HONEST = Checker("honest", RED_AT_LEAST.format(pixels=4))
LIMITS = Limits(seconds=0.1, gate=False)
SAYS = """
import os
DATA = bytes.fromhex({data!r})
if {early}:
    os.write(3, DATA)
    if {ends}:
        os._exit(0)


def check(initial, current):
    if not {early}:
        os.write(3, DATA)
    if {ends}:
        os._exit(0)
    return True
"""
FRAMES = np.stack([picture(number) for number in (1, 2, 3)])

numbers = st.integers() | st.floats() | st.just(10**400)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
seen = st.fixed_dictionaries(
    {"name": values, "kind": st.sampled_from(["mask", "box", "point", "nothing", "fault"]) | values},
    optional={"numbers": values, "message": values, "bytes": values},
)
answers = st.fixed_dictionaries(
    {},
    optional={
        "outcome": st.fixed_dictionaries(
            {}, optional={"value": values, "kind": values, "message": values, "line": values}
        ),
        "printed": values,
        "initial": st.lists(seen, max_size=3) | values,
        "current": st.lists(seen, max_size=3) | values,
        "frame": values,
        "kind": st.sampled_from(["ok", "error", "disabled", "crash"]) | values,
        "message": values,
        "line": values,
        "refused": values,
        "layers": values,
        "firsts": values | st.lists(values | st.text("0123456789abcdef", min_size=63, max_size=65), max_size=3),
    },
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Something like a message: operation, lengths that may lie, JSON that may be none."""
    text = draw(answers.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
    payload = draw(st.binary(max_size=60))
    lengths = draw(st.just((len(text), len(payload))) | st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)))
    operation = draw(st.sampled_from([wire.ANSWER, wire.FAULT, wire.END]) | st.integers(0, 255))
    return wire.HEADER.pack(operation, *lengths) + text + payload


def sound(outcome: Outcome) -> bool:
    text = all(letter in "\n\t" or letter.isprintable() for letter in outcome.message)
    value = outcome.value is None or 0.0 <= outcome.value <= 1.0
    return outcome.kind in KINDS_TOLD and text and len(outcome.message) <= 800 and value


def looked_sound(found: Inspection) -> bool:
    marks = (*found.initial, *found.current)
    text = all(letter in "\n\t" or letter.isprintable() for letter in found.printed)
    masks = all(mark.mask is None or mark.mask.shape == FRAMES.shape[1:3] for mark in marks)
    return sound(found.outcome) and text and len(found.printed) <= LIMITS.output_chars and masks and len(marks) <= 128


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.binary(max_size=200) | messages() | st.lists(messages(), max_size=4).map(b"".join),
    early=st.booleans(),
    ends=st.just(True),  # else a length that lies is waited for
)
@example(data=b"", early=False, ends=True)
@example(data=wire.message(wire.FAULT, {"frame": 0, "kind": "ok"}) * 200, early=False, ends=False)
@example(data=wire.HEADER.pack(wire.ANSWER, 2**20, 0) + b"[" * 2**16, early=True, ends=True)
@example(data=wire.message(wire.END) * 9, early=False, ends=False)
@example(data=wire.message(wire.FAULT, b'{"frame": Infinity, "kind": "error"}'), early=False, ends=True)
@example(
    data=wire.message(wire.ANSWER, b'{"outcome": {"value": 1e999}, "printed": 1, "initial": [], "current": []}'),
    early=False,
    ends=True,
)
@example(data=wire.message(wire.ANSWER, {"firsts": ["0" * 63, None]}) * 2, early=True, ends=False)
@example(data=wire.message(wire.ANSWER, {"firsts": [None] * 3}) * 2, early=True, ends=False)
def test_whatever_a_worker_says_is_taken_for_its_checkers_word(data: bytes, early: bool, ends: bool) -> None:
    source = SAYS.format(data=data.hex(), early=early, ends=ends)
    with CheckerProcess([Checker("it", source), HONEST], LIMITS) as process:
        taken = process.firsts("it", FRAMES[:2])
        assert taken is False or len(taken) == 2
        assert all(one is None or (isinstance(one, bytes) and len(one) == 32) for one in taken or [])
        outcomes = process.run("it", FRAMES[0], FRAMES)
        outcomes += process.run_pairs("it", [(FRAMES[0], frame) for frame in FRAMES])
        assert len(outcomes) == 2 * len(FRAMES) and all(sound(outcome) for outcome in outcomes)
        assert looked_sound(process.inspect("it", FRAMES[0], FRAMES[1]))
        assert [outcome.done for outcome in process.run("honest", picture(), np.stack([picture(3), picture(4)]))] == [
            False,
            True,
        ]

"""JSON as the type that is wanted: what fits comes through, what does not is named by its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from vlmcar_core import strict


@dataclass(frozen=True)
class Inner:
    number: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.number == 13:
            raise ValueError("13 is unlucky")


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b"]
    inner: Inner
    parts: tuple[Inner, ...] = ()
    pair: tuple[int, int] = (0, 0)
    maybe: int | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)
    anything: Mapping[str, Any] = field(default_factory=dict)
    version: int = field(default=1, init=False)


SMALL = {"name": "n", "kind": "a", "inner": {"number": 1}}


def test_what_fits_becomes_the_dataclass_with_its_parts() -> None:
    value = {
        **SMALL,
        "parts": [{"number": 2, "share": 1}],
        "pair": [3, 4],
        "maybe": None,
        "flags": {"x": True},
        "anything": {"deep": [[{"y": None}]]},
    }
    built = strict.build(Outer, value)
    assert built == Outer("n", "a", Inner(1), (Inner(2, 1.0),), (3, 4), None, {"x": True}, {"deep": [[{"y": None}]]})
    assert isinstance(built.parts[0].share, float)


def test_a_part_that_is_built_already_stays() -> None:
    inner = Inner(7)
    assert strict.build(Outer, {**SMALL, "inner": inner}).inner is inner


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": 1}, "name is a text, not 1"),
        ({"name": None}, "name is a text, not None"),
        ({"kind": "c"}, "kind is one of a, b, not 'c'"),
        ({"inner": 3}, "inner is an object, not 3"),
        ({"inner": {}}, "inner lacks 'number'"),
        ({"inner": {"number": True}}, r"inner\.number is a whole number, not True"),
        ({"inner": {"number": 1.0}}, r"inner\.number is a whole number, not 1\.0"),
        ({"inner": {"number": 2**63}}, r"inner\.number is a whole number"),
        ({"inner": {"number": 13}}, "13 is unlucky"),
        ({"inner": {"number": 1, "share": float("nan")}}, r"inner\.share is a number, not nan"),
        ({"inner": {"number": 1, "more": 2}}, "inner has no 'more'"),
        ({"parts": {}}, "parts is a list, not a dict"),
        ({"parts": [{"number": 1}, {"number": "x"}]}, r"parts\[1\]\.number is a whole number, not 'x'"),
        ({"pair": [1]}, "pair has 1 parts, not 2"),
        ({"maybe": "x"}, "maybe is a whole number, not 'x'"),
        ({"flags": {"x": 1}}, r"flags\['x'\] is true or false, not 1"),
        ({"flags": []}, "flags is an object, not a list"),
        ({"anything": {"a": [[[[[[[[[]]]]]]]]]}}, "anything.* nests too deep"),
        ({"version": 2}, "it has no 'version'"),
        ({"name": "x" * (strict.TEXT_CHARS_MAX + 1)}, "name has 2,000,001 characters"),
    ],
)
def test_what_does_not_fit_is_named_by_its_place(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        strict.build(Outer, SMALL | change)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"1e999", "too large"),
        (b"-1e999", "too large"),
        (b"NaN", "no JSON"),
        (b"-Infinity", "no JSON"),
        (b"9223372036854775808", "too large"),
        (b"-9223372036854775808", "too large"),
        (b"9" * 5000, "too large"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' stands there twice"),
        (b'["\\ud800"]', "surrogates not allowed"),
        (b'["\\udfff\\ud800"]', "surrogates not allowed"),
        (b'{"\\uD9aB": 1}', "surrogates not allowed"),
        (b"\xff", "can't decode"),
        (b"[" * 100_000, "nests too deep|Expecting value"),
        (b"[" + b"1," * strict.VALUES_MAX + b"1]", "more than 2,000,000 values"),
        (b"", "Expecting value"),
    ],
)
def test_what_is_no_json_in_bounds_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        strict.loads(text)


def test_what_is_in_bounds_is_read() -> None:
    assert strict.loads(b'[9223372036854775807, 1e308, -0.5, "\\ud83d\\ude00", null]') == [
        *(2**63 - 1, 1e308, -0.5, "\U0001f600", None)
    ]


def test_a_message_quotes_little_of_a_long_value() -> None:
    with pytest.raises(ValueError, match="kind is one of") as caught:
        strict.build(Outer, {**SMALL, "kind": "x" * 10_000})
    assert len(str(caught.value)) < 200


def test_an_annotation_that_json_cannot_be_is_our_mistake() -> None:
    with pytest.raises(TypeError, match="no annotation"):
        strict.build(bytes, "x")

"""A conversation with a vision-language model: what is asked, what comes back, what it cost. Values only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from vlmcar_core.types import Proposal

Role = Literal["system", "user", "assistant"]
Told = Callable[[str], None]
"""Told each piece of an answer as it arrives."""

GOAL_STAGE, SUBTASKS_STAGE, GOAL_CHECK_STAGE, REPAIR_STAGE = "goal", "subtasks", "goal-check", "repair"
CHECK_STAGE = "check-"
"""Followed by the sub-task's number, from 1."""


@dataclass(frozen=True)
class Message:
    """One turn of the conversation."""

    role: Role
    text: str
    pictures: tuple[str, ...] = ()
    """Names of the pictures that go with it, in order."""


@dataclass(frozen=True)
class Question:
    """Everything that one request to a model holds."""

    stage: str
    """`GOAL_STAGE`, `SUBTASKS_STAGE`, "check-1" …, `GOAL_CHECK_STAGE` or `REPAIR_STAGE`."""

    attempt: int
    """From 1; grows when an answer could not be read."""

    messages: tuple[Message, ...]
    pictures: Mapping[str, bytes]
    """Name to PNG, for every name in the messages."""

    schema: Mapping[str, Any] | None
    """JSON schema that the answer has to keep; None where plain text with fenced code is wanted."""

    @property
    def asked(self) -> Message:
        """The last message: what is new in this request."""
        return self.messages[-1]


@dataclass(frozen=True)
class Reply:
    """One answer of a model."""

    text: str
    model: str
    """As the server names it."""

    seconds: float
    """From the request to the last word, without waits between tries."""

    prompt_tokens: int | None = None
    """None where the server does not say."""

    answer_tokens: int | None = None
    money: float | None = None
    """US dollars by the price table of the day; None where it has no price for this model."""

    cut: bool = False
    """It was ended by the limit on its length."""

    tries: int = 1
    """Requests that it took, those included that failed."""


@dataclass(frozen=True)
class Exchange:
    """A question and its answer, as kept."""

    stage: str
    attempt: int
    messages: tuple[Message, ...]
    """The whole conversation as it was sent."""

    reply: Reply
    problem: str = ""
    """Why the answer could not be used; empty where it could."""

    created: str = ""
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class Case:
    """A frame on which a checker was wrong, for the request to mend it."""

    trajectory: str
    frame: int
    answered: str
    """What the checker said, or how it failed."""

    expected: str
    """What would have been right, and why."""

    seen: str = ""
    """What its `identify_*` functions found, in words."""

    picture: str = ""
    """Name of the picture: the frame with what was found drawn on it."""


@dataclass(frozen=True)
class Brief:
    """What a conversation is about: everything that the questions are made from."""

    prompts: Mapping[str, str]
    """Name to text, as they were when the conversation began."""

    size: tuple[int, int]
    """True width and height of the frames, in pixels."""

    zoom: float = 1.0
    """The pictures are sent so many times as large as the frames are."""

    structured: bool = False
    """Answers are JSON that keeps a schema; else plain text with fenced code."""

    hint: str = ""
    feedback: str = ""
    """What a person wants changed in `previous`."""

    previous: Proposal | None = None
    """The proposal that this round starts from."""

    repair: str = ""
    """The key of the checker that is to be mended; empty where a whole proposal is wanted."""

    cases: tuple[Case, ...] = ()
    side_by_side: bool = False
    """Both frames are in one picture, for models that take only one."""

    short: bool = False
    """The checkers written so far are left out of the conversation, for models that cannot read much."""

    tries: int = 3
    """An answer that cannot be read is asked for so many times in all."""

    def __post_init__(self) -> None:
        if min(self.size) < 1 or self.zoom <= 0 or self.tries < 1:
            told = f"frames of {self.size[0]} × {self.size[1]} pixels, {self.zoom} times as large, {self.tries} tries"
            raise ValueError(f"a conversation is about frames and asks at least once, not about {told}")


class Vlm(Protocol):
    """A vision-language model that can be asked; made by a file in `vlms/`."""

    name: str
    """How it signs: the model's name."""

    def answer(self, question: Question, told: Told) -> Reply:
        """Raises `VlmError`. May be called by several threads at once."""


@dataclass(frozen=True)
class Spent:
    """What answers cost together."""

    answers: int = 0
    seconds: float = 0.0
    tokens: int = 0
    money: float = 0.0
    unpriced: int = 0
    """Answers whose money is not known, and so not in `money`."""

    uncounted: int = 0
    """Answers whose server did not say how many tokens, and so not in `tokens`."""

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.answers + other.answers,
            self.seconds + other.seconds,
            self.tokens + other.tokens,
            self.money + other.money,
            self.unpriced + other.unpriced,
            self.uncounted + other.uncounted,
        )

    @property
    def words(self) -> str:
        """Answers, tokens, seconds and money, in one line."""
        answers = "1 answer" if self.answers == 1 else f"{self.answers} answers"
        tokens = _sum(f"{self.tokens:,} tokens", self.uncounted, self.answers, "tokens not told")
        return f"{answers}, {tokens}, {self.seconds:.1f} s, " + _sum(
            f"${self.money:.4f}", self.unpriced, self.answers, "price not known"
        )

    @classmethod
    def of(cls, reply: Reply) -> "Spent":
        counted = reply.prompt_tokens is not None and reply.answer_tokens is not None
        tokens = (reply.prompt_tokens or 0) + (reply.answer_tokens or 0)
        return cls(1, reply.seconds, tokens, reply.money or 0.0, int(reply.money is None), int(not counted))


def _sum(known: str, lacking: int, total: int, why: str) -> str:
    """A sum, and of how many it is not known."""
    if lacking and lacking == total:
        return why
    return f"{known} ({lacking} more: {why})" if lacking else known


@dataclass(frozen=True)
class Budget:
    """Where asking stops; None is no limit."""

    money: float | None = None
    """US dollars."""

    tokens: int | None = None


@dataclass(frozen=True)
class EyeTest:
    """What came of sending a tiny picture to a model."""

    sees: bool
    right: int
    """Of the four colours, so many were named in their place."""

    shown: tuple[str, ...]
    said: str
    seconds: float
    reply: Reply = field(repr=False)

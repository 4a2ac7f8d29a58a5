"""What the laboratory found about the checkers of a proposal, as counts and places; judgements are derived."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vlmcar_core.types import Count
from vlmcar_core.verdicts import Judged

Kind = Literal["false alarm", "missed", "fault", "changed"]

Origin = Literal["named", "title", "success", "fires", "none"]
"""How it is known what a checker is about: a person named it; its title does; the environment's own word on success
does; where it first fires does, which is no evidence for it; or it is not known."""

ORIGINS: dict[Origin, str] = {
    "named": "named by a person",
    "title": "guessed from its title",
    "success": "guessed from what comes true when the environment calls an episode solved",
    "fires": "guessed from where it fires itself, which proves nothing",
    "none": "nothing fits",
}


@dataclass(frozen=True)
class Case:
    """A place where a checker contradicts what is known."""

    key: str
    episode: str
    """A trajectory's id; of an episode that was made from one, `<id> <how>`."""

    frame: int
    kind: Kind
    reason: str
    """In plain words: what was answered, and how it is known to be wrong."""


@dataclass(frozen=True)
class Row:
    """What the episodes of one source say about one checker."""

    key: str
    source: str
    should: Count
    """Episodes in which it had to fire; those in which it did, and not too soon."""

    must_not: Count
    """Episodes in which it had not to fire; those in which it kept silent."""

    unknown: int
    """Episodes of which nobody knows what is right."""


@dataclass(frozen=True)
class Survivor:
    """A wrong version of a checker that nothing recorded tells from the right one."""

    what: str
    line: int
    where: str = ""
    """The code around it; empty where it was not kept."""

    value: str = ""
    """Of a number: as it stands in the code; empty for every other mistake."""

    changed: str = ""
    """What became of it."""


@dataclass(frozen=True)
class Unnoticed:
    """A place in the code at which it might be wrong, and nothing recorded would show it."""

    line: int
    told: str
    """What nothing recorded tells apart."""

    record: str
    """What to record to tell it."""


@dataclass(frozen=True)
class Mutation:
    """What became of the small wrong versions of one checker."""

    killed: Count
    survivors: tuple[Survivor, ...] = ()
    alike: int = 0
    """Of the survivors, those that answer every recorded frame as the original does."""


@dataclass(frozen=True)
class Branch:
    """One way that the code may go; its line, from 1."""

    line: int
    what: str


@dataclass(frozen=True)
class Coverage:
    """Of all branches that an answer can depend on, those that some recorded frame takes."""

    taken: Count
    missed: tuple[Branch, ...] = ()


@dataclass(frozen=True)
class Examined:
    """What was found about one checker."""

    key: str
    digest: str
    """SHA-256 of the source that was examined."""

    fact: str | None
    """The simulator's fact that it is compared with; None where there is none."""

    rows: tuple[Row, ...]
    cases: tuple[Case, ...]
    """Contradictions; one is enough to reject it."""

    named: bool = False
    """A person named the fact, or said that there is none."""

    origin: Origin = "fires"
    """Where the fact is known from."""

    likely: tuple[str, ...] = ()
    """The facts that it may be about, the likeliest first."""

    basis: str = ""
    """SHA-256 of all that it was found from: the same while nothing changes. Empty where that is not known."""

    shaken: tuple[Case, ...] = ()
    """Where it answers differently though only the picture changed a little; told, not judged."""

    offsets: tuple[int, ...] = ()
    """First fire less first truth of its fact, in frames, for every episode that has both."""

    flicker: Count = field(default=Count(0, 0))
    """Of the episodes in which it fires, those in which it is called not done again afterwards."""

    mutation: Mutation | None = None
    coverage: Coverage | None = None
    lints: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    """What to record next."""


@dataclass(frozen=True)
class Turn:
    """What becomes of one sub-task that is seen to be done before its turn."""

    key: str
    early: Count
    """Of all recorded episodes, those in which it is called done before every sub-task before it has been."""

    later: Count
    """Of these, those in which it is paid once its turn has come."""

    paid_early: int = 0
    """Of these, those in which it is paid before its turn: none, or the chain is wrong."""


@dataclass(frozen=True)
class Examination:
    """One examination of one proposal."""

    proposal: int
    checkers: tuple[Examined, ...]
    alignment: float | None = None
    """Kendall's tau-b between learned return and success over the episodes whose success is known; None where all
    returns, or all successes, are the same."""

    episodes: int = 0
    """Recorded episodes; `made` more were made from them."""

    made: int = 0
    turns: tuple[Turn, ...] = ()
    """One per sub-task, in order: what the chain pays for it out of its turn."""

    evidence: Mapping[str, str] = field(default_factory=dict)
    """The trajectories that it looked at: by id, SHA-256 of the file."""

    number: int | None = None
    created: str = ""


def judge(examined: Examined) -> Judged:
    """Reject a checker for one contradiction, leave it open where one side is unknown, accept it else."""
    should, must_not = total(examined.rows, "should"), total(examined.rows, "must_not")
    if examined.cases:
        first = examined.cases[0]
        more = f" and in {len(examined.cases) - 1} more places" if len(examined.cases) > 1 else ""
        told = f"{first.kind} in {first.episode}, frame {first.frame}{more}: {first.reason}{_guess(examined)}"
        return Judged("rejected", told)
    said = f"fires in {should.hits} of {should.total} episodes that should have it"
    said += f", is silent in {must_not.hits} of {must_not.total} that must not"
    if examined.lacking:
        return Judged("undecided", f"{said}; record {examined.lacking[0]}")
    if examined.fact is not None and not examined.named and examined.origin == "fires":
        return Judged("undecided", f"{said}{_guess(examined)}: name what it is about")
    return Judged("accepted", said)


def _guess(examined: Examined) -> str:
    """That nobody named the fact, where there is one."""
    if examined.fact is None or examined.named:
        return ""
    return f"; that it is about “{examined.fact}” is {ORIGINS[examined.origin]}"


def total(rows: tuple[Row, ...], side: Literal["should", "must_not"]) -> Count:
    """One side of all rows."""
    counts = [row.should if side == "should" else row.must_not for row in rows]
    return Count(sum(count.hits for count in counts), sum(count.total for count in counts))

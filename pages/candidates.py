"""Several candidates, ranked by what verification found; the best adopted, or their best checkers merged."""

from collections.abc import Mapping, Sequence

import streamlit as st

from vlmcar_core import candidates
from vlmcar_core.errors import VlmcarError
from vlmcar_core.ranking import Choice, Score
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal
from vlmcar_studio import current, widgets


def milliseconds(score: Score) -> str:
    return "—" if score.seconds == float("inf") else f"{score.seconds * 1000:.2f}"


def table(found: Sequence[tuple[Proposal, Score]]) -> None:
    st.dataframe(
        [
            {
                "Proposal": str(proposal.number) + ("" if proposal.candidate else ", stands"),
                "Verdict": score.judgement,
                "Random, below": f"{score.bound:.1%}",
                "Experts": f"{1 - score.missed:.0%}",
                "ms a frame": milliseconds(score),
                "Code, letters": f"{score.length:,}",
                "Sub-tasks": " → ".join(step.title for step in proposal.subtasks),
                "Author": proposal.author,
            }
            for proposal, score in found
        ],
        hide_index=True,
        alt="The candidates, the best first",
    )
    st.caption(
        "In order: verdict, bound of the random episodes that complete everything, experts that do, time, length of "
        "the code."
    )


def adopting(session: Session, found: Sequence[tuple[Proposal, Score]]) -> None:
    numbers = {
        proposal.number: score for proposal, score in found if proposal.candidate and proposal.number is not None
    }
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    number = left.selectbox(
        "Candidate", list(numbers), format_func=lambda number: f"{number}, {numbers[number].judgement}"
    )
    if right.button("Let it stand", type="primary", icon=":material/check:"):
        stored = candidates.adopt(session, number)
        st.toast(f"It stands as proposal {stored.number}.", icon=":material/check:")
        st.rerun()


def merging(session: Session, found: Sequence[tuple[Proposal, Score]]) -> None:
    numbers = [proposal.number for proposal, _ in found if proposal.number is not None]
    base = st.selectbox("Sub-tasks of proposal", numbers)
    proposal = next(item for item, _ in found if item.number == base)
    options = candidates.choices(session, base)
    picked: dict[str, tuple[int, str]] = {}
    for step in proposal.steps:
        chosen = choose(step.key, step.title if step is not proposal.goal else f"Goal: {step.title}", base, options)
        picked[step.key] = (chosen.proposal, chosen.step.key)
    author = widgets.author()
    if st.button("Merge into a new proposal", icon=":material/merge:"):
        stored = candidates.merge(session, base, picked, author)
        st.toast(f"Proposal {stored.number} is there, and verified.", icon=":material/check:")
        st.rerun()


def choose(key: str, title: str, base: int, options: Mapping[str, Sequence[Choice]]) -> Choice:
    """The checkers that watch the same as one sub-task, the best first."""
    there = options[key]

    def label(index: int) -> str:
        choice = there[index]
        same = "" if choice.proposal == base else f" “{choice.step.title}”"
        return (
            f"proposal {choice.proposal}{same}: {choice.score.judgement}, random below {choice.score.bound:.1%}, "
            f"{milliseconds(choice.score)} ms"
        )

    index = st.selectbox(widgets.plain(title), range(len(there)), format_func=label, key=f"choice-{base}-{key}")
    return there[index]


session = current.session()
st.title("Candidates")
widgets.problems([*session.proposals().problems, *session.verifications().problems])
found = candidates.ranked(session)
if not any(proposal.candidate for proposal, _ in found):
    unverified = len(session.candidates())
    words = f"{unverified} candidates are not verified yet." if unverified else "There are no candidates."
    st.info(f"{words} Ask a model for several at once on the Propose page: each is verified and ranked here.")
    widgets.next_page("propose", "Propose")
    st.stop()
table(found)
with st.container(border=True):
    adopting(session, found)
st.header("Merge the best checkers")
st.caption(
    "Checkers of different candidates watch the same sub-task when their titles are alike, or when they first fire "
    "within a frame of each other on every expert."
)
try:
    merging(session, found)
except VlmcarError as error:
    widgets.failed(error)
st.header("What it cost")
accounts = candidates.accounts(session)
left, middle, right = st.columns(3)
left.metric("In all", f"${accounts.spent.money:.4f}", border=True, help=widgets.plain(accounts.spent.words))
middle.metric("Tokens", f"{accounts.spent.tokens:,}", border=True)
right.metric("Seconds", f"{accounts.spent.seconds:.1f}", border=True)
share = accounts.per_accepted
if accounts.spent.unpriced:
    st.caption(f"{accounts.spent.unpriced} of {accounts.spent.answers} answers have no price, and are not in the sum.")
st.caption(
    f"For each of the {accounts.accepted} accepted checkers that stand: {widgets.plain(share.words)}."
    if share
    else "No checker that stands is accepted yet."
)

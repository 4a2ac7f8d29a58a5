"""From the two frames to a proposal: the built-in proposer, a model, a chat page, recorded answers."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from vlmcar_core import authoring, candidates, dialogues, pipeline, plugins, questions, repair
from vlmcar_core.asking import Meter
from vlmcar_core.authoring import Wish
from vlmcar_core.cli.base import as_job, author_option, echo, job_option, session_argument
from vlmcar_core.cli.vlm import budget_options, chosen_budget, chosen_server, server_options
from vlmcar_core.dialogue import Spent
from vlmcar_core.dialogues import Dialogue
from vlmcar_core.errors import BadInput, Unreadable
from vlmcar_core.repair import Round
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal
from vlmcar_core.vlms import clipboard

BUILTIN = "builtin"
WAYS = (*plugins.names("proposers"), *plugins.names("vlms"))


@click.command()
@session_argument
@click.option("--proposer", type=click.Choice(WAYS), help="builtin if not given; openai is any such server.")
@click.option("--hint", default="", help="What the two frames may not tell.")
@click.option("--feedback", default="", help="What should change in the newest proposal: asks for a next round.")
@click.option("--resume", type=int, metavar="DIALOGUE", help="Go on with a conversation that was stopped or failed.")
@click.option(
    "--candidates",
    "count",
    type=click.IntRange(1, candidates.COUNT_MAX),
    default=1,
    show_default=True,
    help="So many, verified and ranked.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, candidates.CONCURRENCY_MAX),
    default=2,
    show_default=True,
    help="So many of them at a time.",
)
@server_options
@budget_options
@job_option
@click.pass_context
def propose(
    context: click.Context, /, session: Session, proposer: str | None, job: Path | None, **options: Any
) -> None:
    """Propose a goal, sub-tasks and a checker for each from the two frames.

    Without a model: --proposer builtin. A model on any OpenAI-compatible server: --proposer openai, see `vlmcar vlm`.
    Any chat page: --proposer clipboard, then `vlmcar answer`. Recorded answers: --proposer replay.
    """
    if proposer is None:
        proposer = BUILTIN if options["resume"] is None else "openai"
    if proposer == BUILTIN:
        if options["hint"].strip() or options["feedback"].strip() or options["count"] > 1:
            raise BadInput("the built-in proposer reads no words and knows one answer; choose --proposer openai")
        with as_job(session, "propose", job) as (progress, reporter):
            proposal = pipeline.propose(session, proposer, progress)
            reporter.finish("success", f"proposal {proposal.number}", {"proposal": proposal.number})
        show_proposal(proposal)
        return
    server, budget = chosen_server(context.obj, options), chosen_budget(options)
    wish = Wish(server, proposer, options["hint"], options["feedback"])
    if options["feedback"].strip():
        wish = dataclasses.replace(wish, previous=session.proposal().number)
    if proposer == "clipboard":
        show_question(session, _dialogue(session, options["resume"]) or authoring.begin(session, wish))
        return
    key, meter = authoring.key_for(server), Meter(budget)
    with as_job(session, "propose", job) as (progress, reporter):
        if options["count"] > 1:
            found = candidates.best_of(session, wish, options["count"], options["concurrency"], key, meter, progress)
            best = f"{len(found.proposals)} candidates, the best is {found.proposals[0]}"
            reporter.finish("success", "; ".join([best, *found.failures]), dataclasses.asdict(found))
        else:
            dialogue = _dialogue(session, options["resume"]) or authoring.begin(session, wish)
            proposal = authoring.carry_on(session, dialogue, server, key, meter, progress)
            reporter.finish("success", f"proposal {proposal.number}", {"proposal": proposal.number})
    if options["count"] > 1:
        show_ranking(session)
    else:
        show_proposal(proposal)
    echo(meter.spent.words)


def _dialogue(session: Session, number: int | None) -> Dialogue | None:
    return None if number is None else dialogues.read(session.dialogue_folder(number))


def show_question(session: Session, dialogue: Dialogue) -> None:
    """What to paste into a chat page, and how to hand the answer in."""
    question = authoring.due(dialogue)
    echo(clipboard.text(question))
    for name in clipboard.pictures(question):
        echo(f"[attach the picture {dialogue.folder / name}]")
    echo(f"\nThen: vlmcar answer {session.name} FILE   (dialogue {dialogue.number}; FILE may be - for the keyboard)")


@click.command()
@session_argument
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--dialogue", "number", type=int, help="Which; the newest that waits for an answer if not given.")
@click.option("--model", default="", help="What answered, for the history.")
def answer(session: Session, file: Any, number: int | None, model: str) -> None:
    """Hand in what a chat page answered; shows the next question, or the proposal that it came to."""
    waiting = [item for item in dialogues.dialogues(session).items if item.proposal is None]
    by_hand = [item for item in waiting if item.header.vlm == "clipboard"]
    dialogue = _dialogue(session, number) or (by_hand[-1] if by_hand else None)
    if dialogue is None:
        raise BadInput(
            f"no question waits for an answer; begin with: vlmcar propose {session.name} --proposer clipboard"
        )
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise BadInput(f"{file.name} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    done = authoring.answer_by_hand(session, dialogue, text, model)
    if done.exchanges[-1].problem:
        echo(f"That answer could not be used: {done.exchanges[-1].problem}\n")
    if done.proposal is not None and done.header.brief.repair:
        show_round(session, repair.judge(session, done))
    elif done.proposal is not None:
        show_proposal(session.proposal(done.proposal))
    else:
        show_question(session, done)


def show_round(session: Session, one: Round) -> None:
    """The table of before and after."""
    found = one.compared
    echo(f"proposal {one.proposal}: {found.summary}")
    for label, names in (("mended", found.mended), ("still wrong", found.still), ("broken", found.broken)):
        if names:
            echo(f"  {label}: {', '.join(names)}")
    echo(f"  before: {found.before.judgement}: {found.before.reason}")
    echo(f"  after:  {found.after.judgement}: {found.after.reason}")
    echo(f"  the whole: {found.whole_before.judgement} before, {found.whole_after.judgement} after")
    echo(
        f"adopt it with: vlmcar adopt {session.name} {one.proposal}"
        if found.offered
        else f"it is not offered; another round: vlmcar repair {session.name} --proposal {one.proposal}"
    )


@click.command(name="dialogues")
@session_argument
@click.argument("number", type=int, required=False)
def show_dialogues(session: Session, number: int | None) -> None:
    """List the conversations with models, or show one word for word."""
    if number is not None:
        show_dialogue(dialogues.read(session.dialogue_folder(number)))
        return
    listing = dialogues.dialogues(session)
    for item in listing.items:
        came = f"proposal {item.proposal}" if item.proposal is not None else state(item)
        about = f" mends {item.header.brief.repair}" if item.header.brief.repair else ""
        echo(f"{item.number:>4} {item.header.vlm:10} {item.model:28} {came}{about}; {item.spent.words}")
    for problem in listing.problems:
        echo(f"damaged: {problem}", err=True)
    echo(f"in all: {dialogues.spent(session).words}")


def state(dialogue: Dialogue) -> str:
    """What a conversation without a proposal waits for."""
    try:
        question = dialogue.question
    except Unreadable:
        return "stopped: no answer could be used"
    if question is None:
        return "answered"
    return f"waits for: {questions.title(question.stage, questions.titles(dialogue.exchanges))}"


def show_dialogue(dialogue: Dialogue) -> None:
    for done in dialogue.exchanges:
        echo(f"== {questions.title(done.stage, questions.titles(dialogue.exchanges))}, try {done.attempt}")
        echo(f"{done.messages[-1].text}\n-- {done.reply.model}, {Spent.of(done.reply).words}")
        echo(done.reply.text + (f"\n-- could not be used: {done.problem}" if done.problem else "") + "\n")


def show_proposal(proposal: Proposal) -> None:
    """The goal and the sub-tasks in order, with their doubts."""
    echo(f"proposal {proposal.number} by {proposal.author}" + (f": {proposal.reason}" if proposal.reason else ""))
    echo(f"goal: {proposal.goal.title}" + (f"  doubt: {proposal.goal.doubt}" if proposal.goal.doubt else ""))
    for number, step in enumerate(proposal.subtasks, 1):
        echo(f"  {number}. {step.title}  [{step.key}]" + (f"  doubt: {step.doubt}" if step.doubt else ""))
    for doubt in proposal.doubts:
        echo(f"  doubt: {doubt}")


@click.command()
@session_argument
def rank(session: Session) -> None:
    """Rank the candidates, and for each sub-task the checkers that watch the same."""
    show_ranking(session)


def show_ranking(session: Session) -> None:
    found = candidates.ranked(session)
    if not found:
        raise BadInput(f"no verified candidate is there; make some with: vlmcar propose {session.name} --candidates 3")
    echo(f"{'':4} {'verdict':10} {'random below':>12} {'experts':>8} {'ms/frame':>9} {'chars':>6}  author")
    for proposal, score in found:
        stands = "" if proposal.candidate else " (stands)"
        echo(
            f"{proposal.number:>4} {score.judgement:10} {score.bound:>12.1%} {1 - score.missed:>8.0%} "
            f"{score.seconds * 1000:>9.2f} {score.length:>6}  {proposal.author}{stands}"
        )
    best = found[0][0]
    for key, options in candidates.choices(session, best.number or 0).items():
        listed = ", ".join(f"{choice.proposal}:{choice.step.key} ({choice.score.judgement})" for choice in options)
        echo(f"  {key}: {listed}")
    accounts = candidates.accounts(session)
    echo(accounts.spent.words)


@click.command()
@session_argument
@click.argument("number", type=int)
def adopt(session: Session, number: int) -> None:
    """Make the candidate NUMBER what the session stands on."""
    show_proposal(candidates.adopt(session, number))


@click.command()
@session_argument
@click.argument("base", type=int)
@click.argument("chosen", nargs=-1, metavar="[KEY=NUMBER:KEY]...")
@author_option
def merge(session: Session, base: int, chosen: tuple[str, ...], author: str) -> None:
    """Put the best checker of each sub-task of the proposal BASE into one new proposal, or those that are named."""
    picks = {
        key: (options[0].proposal, options[0].step.key) for key, options in candidates.choices(session, base).items()
    }
    for text in chosen:
        key, sign, rest = text.partition("=")
        number, colon, other = rest.partition(":")
        if not sign or not number.isdigit():
            raise BadInput(f"a choice is KEY=NUMBER:KEY, such as open-the-door=4:open-door, not {text!r}")
        picks[key] = (int(number), other if colon else key)
    show_proposal(candidates.merge(session, base, picks, author))


COMMANDS = (propose, answer, show_dialogues, rank, adopt, merge)

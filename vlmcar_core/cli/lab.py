"""The laboratory: what is wrong with a checker, beyond experts and random walks."""

import sys
from pathlib import Path

import click

from vlmcar_core import examinations, verdicts
from vlmcar_core.cli.base import as_job, echo, job_option, session_argument
from vlmcar_core.cli.record import EXIT_NOT_ACCEPTED
from vlmcar_core.examinations import Examined
from vlmcar_core.store import Session
from vlmcar_core.types import Count


@click.command()
@session_argument
@click.option("--proposal", "number", type=int, help="Which; the newest if not given.")
@click.option("--mutants/--no-mutants", default=True, show_default=True, help="Work out the mutation score.")
@click.option(
    "--fact",
    "facts",
    multiple=True,
    metavar="KEY=FACT",
    help="What the checker KEY is about; KEY= for no fact. By itself it is what its title names, and for the goal what "
    "comes true when the environment calls an episode solved.",
)
@job_option
def examine(session: Session, number: int | None, mutants: bool, facts: tuple[str, ...], job: Path | None) -> None:
    """Find what is wrong with checkers: labelled episodes, made ones, small changes, wrong versions, branches.

    Exit code 4 where a checker is rejected or left undecided.
    """
    from vlmcar_core import laboratory

    with as_job(session, "examine", job) as (progress, reporter):
        found = laboratory.examine(session, number, mutants, named(facts), progress)
        judged = [examinations.judge(examined).judgement for examined in found.checkers]
        summary = ", ".join(f"{judged.count(one)} {one}" for one in dict.fromkeys(judged))
        reporter.finish("success", summary, {"examination": found.number})
    for examined in found.checkers:
        show_examined(examined)
    for turn in found.turns:
        if turn.early.hits:
            paid = f"{turn.paid_early} times paid then, {turn.later.hits} times once its turn came"
            echo(f"{turn.key} is called done before its turn in {told(turn.early)} episodes: {paid}")
    if found.alignment is not None:
        echo(f"learned return and success agree with a Kendall tau-b of {found.alignment:.2f}")
    if job is None and set(judged) != {"accepted"}:
        sys.exit(EXIT_NOT_ACCEPTED)


@click.command()
@session_argument
@click.option("--proposal", "number", type=int, help="Which; the newest if not given.")
@click.option(
    "--kind",
    type=click.Choice(["reachable", "shooting", "cem", "ppo"]),
    help="How to search; the first of these that the environment allows, or cem, if not given.",
)
@click.option("--budget", type=click.IntRange(1, 5_000_000), help="States, episodes, or steps of training, at most.")
@job_option
def attack(session: Session, number: int | None, kind: str | None, budget: int | None, job: Path | None) -> None:
    """Search for behaviour that the checkers pay and should not.

    \b
    reachable  every state that the session's layout can reach, nearest first
               (MiniGrid); 50,000 states. Alone in proving something.
    cem        the cross-entropy method over sequences of actions, on the
               session's layout; 500 episodes
    shooting   random actions, held for a while each, on ten layouts;
               500 episodes
    ppo        a policy trained on the checkers' pay alone; 20,000 steps,
               then 50 episodes

    Each find becomes an adversarial trajectory, which every later verification and examination meets. What a checker
    is about is what `vlmcar examine` found or was told. Exit code 4 where something is found.
    """
    from vlmcar_core import laboratory

    with as_job(session, "attack", job) as (progress, reporter):
        found = laboratory.attack(session, number, kind, budget, progress)
        reporter.finish("success", found.told, {"finds": len(found.trajectories)})
    echo(found.told)
    for id, reason in zip(found.trajectories, found.reasons, strict=True):
        echo(f"{id}: {reason}")
    if found.trajectories and job is None:
        sys.exit(EXIT_NOT_ACCEPTED)


@click.command(name="near-misses")
@session_argument
@click.option("--layouts", type=click.IntRange(1, 1000), default=2, show_default=True, help="On so many layouts.")
@job_option
def near_misses(session: Session, layouts: int, job: Path | None) -> None:
    """Record near misses: an expert up to each stage of the task, then wandering without ever solving it.

    Where the simulator can go back to a state (MiniGrid), sub-tasks are also played out of order, as far as the layout
    allows: a later one before an earlier one, or one that is undone before the rest. `vlmcar examine` tells what they
    are paid.
    """
    from vlmcar_core import laboratory

    with as_job(session, "near-misses", job) as (progress, reporter):
        ids = laboratory.near_misses(session, layouts, progress)
        reporter.finish("success", f"{len(ids)} near misses", {"trajectories": len(ids)})
    echo(f"{len(ids)} near misses: {', '.join(ids)}")


@click.command(name="hard-scenes")
@session_argument
@click.option("--layouts", type=click.IntRange(1, 1000), default=1, show_default=True, help="On so many layouts.")
@job_option
def hard_scenes(session: Session, layouts: int, job: Path | None) -> None:
    """Record episodes beside a wrong object: another colour, another shape, or in the goal's colour.

    In one the task is done in spite of it; in the other the wrong thing is done, and the task never. The environment
    itself never shows these layouts: a checker that only they contradict may still be right there. So `vlmcar verify`
    counts none of these episodes, and `vlmcar examine` holds the checkers to them.
    """
    from vlmcar_core import laboratory

    with as_job(session, "hard-scenes", job) as (progress, reporter):
        ids = laboratory.hard_scenes(session, layouts, progress)
        reporter.finish("success", f"{len(ids)} episodes beside a wrong object", {"trajectories": len(ids)})
    echo(f"{len(ids)} episodes beside a wrong object: {', '.join(ids)}")


def named(facts: tuple[str, ...]) -> dict[str, str | None]:
    """From KEY=FACT each."""
    found: dict[str, str | None] = {}
    for text in facts:
        key, sign, fact = text.partition("=")
        if not sign:
            raise click.BadParameter(f"{text!r} is not KEY=FACT", param_hint="--fact")
        found[key] = fact or None
    return found


def show_examined(examined: Examined) -> None:
    """One checker: the judgement, the evidence by source, the mutation score, and what is suspicious."""
    from vlmcar_core.lab.unnoticed import unnoticed

    judged = examinations.judge(examined)
    echo(f"{judged.judgement:10} {examined.key}: {judged.reason}")
    fact = f"“{examined.fact}”" if examined.fact else "nothing that the simulator tells"
    echo(f"{'':10} compared with {fact} ({examinations.ORIGINS[examined.origin]})")
    if examined.origin in ("fires", "none") and examined.likely:
        echo(f"{'':10} name it with --fact {examined.key}=FACT: {', '.join(examined.likely)}")
    for row in examined.rows:
        sides = [f"fires rightly in {told(row.should)}", f"silent rightly in {told(row.must_not)}"]
        echo(f"{'':10} {row.source}: {', '.join(sides)}, {row.unknown} unknown")
    if examined.mutation is not None:
        alike = f"; {examined.mutation.alike} answer everything as it does" if examined.mutation.alike else ""
        echo(f"{'':10} wrong versions that the evidence tells: {told(examined.mutation.killed)}{alike}")
        for item in unnoticed(examined.mutation.survivors)[:3]:
            echo(f"{'':12} line {item.line}: {item.told}; record {item.record}")
    for line in (*examined.lints, *examined.lacking):
        echo(f"{'':10} {line}")


def told(count: Count) -> str:
    """Such as "3 of 4 (19 to 99 %)"."""
    low, high = verdicts.interval(count)
    return f"{count.hits} of {count.total} ({100 * low:.0f} to {100 * high:.0f} %)" if count.total else "0 of 0"


COMMANDS = (near_misses, hard_scenes, examine, attack)

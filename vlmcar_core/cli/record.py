"""The stages that ask nobody: record and verify."""

import dataclasses
import sys
from pathlib import Path

import click

from vlmcar_core import pipeline, verdicts
from vlmcar_core.cli.alarms import show_remedies
from vlmcar_core.cli.base import as_job, echo, job_option, session_argument
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal
from vlmcar_core.verdicts import Verification

EXIT_NOT_ACCEPTED = 4


@click.command()
@session_argument
@click.option("--experts", type=int, help="Expert episodes; as in the session if not given.")
@click.option("--random", "randoms", type=int, help="Random episodes; likewise.")
@click.option("--random-steps", type=int, help="Length of a random episode at most, in steps; likewise.")
@click.option("--replace", is_flag=True, help="Forget the recorded experts and random episodes first.")
@job_option
def record(
    session: Session,
    experts: int | None,
    randoms: int | None,
    random_steps: int | None,
    replace: bool,
    job: Path | None,
) -> None:
    """Record the expert and random episodes that are still missing."""
    given = {"experts": experts, "randoms": randoms, "random_steps": random_steps}
    wanted = dataclasses.replace(
        session.header().recording, **{name: value for name, value in given.items() if value is not None}
    )
    with as_job(session, "record", job) as (progress, reporter):
        found = pipeline.record(session, wanted, progress, replace)
        summary = f"{found.experts} expert and {found.randoms} random episodes" + (
            f"; {found.note}" if found.note else ""
        )
        reporter.finish("success", summary, dataclasses.asdict(found))
    echo(summary)


@click.command()
@session_argument
@click.option("--proposal", "number", type=int, help="Which; the newest if not given.")
@job_option
def verify(session: Session, number: int | None, job: Path | None) -> None:
    """Run every checker on every recorded trajectory; exit code 4 unless the whole is accepted."""
    with as_job(session, "verify", job) as (progress, reporter):
        found = pipeline.verify(session, number, progress)
        judged = verdicts.judge_whole(found)
        reporter.finish("success", f"{judged.judgement}: {judged.reason}", {"verification": found.number})
    show_verification(session.proposal(found.proposal), found)
    show_remedies(session)
    if judged.judgement != "accepted" and job is None:
        sys.exit(EXIT_NOT_ACCEPTED)


def show_verification(proposal: Proposal, verification: Verification) -> None:
    """A line per checker and one for the whole, each with its reason and the first place where it is wrong."""
    for step in proposal.steps:
        verdict = verification.verdict(step.key)
        judged = verdicts.judge_checker(verdict, verification)
        echo(f"{judged.judgement:10} {step.key}: {judged.reason}")
        for wrong in verdict.wrong[:1]:
            echo(f"{'':10} first wrong: {wrong.trajectory}, frame {wrong.frame}: {wrong.reason}")
    judged = verdicts.judge_whole(verification)
    echo(f"{judged.judgement:10} the whole: {judged.reason}")


COMMANDS = (record, verify)

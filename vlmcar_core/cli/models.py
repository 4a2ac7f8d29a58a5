"""Mending checkers, comparing models, and the server that replays recorded answers."""

import sys
from pathlib import Path
from typing import Any

import click

from vlmcar_core import authoring, compare, comparisons, jobs, repair, verdicts
from vlmcar_core.asking import Meter
from vlmcar_core.cli.base import Bar, as_job, echo, job_option, session_argument
from vlmcar_core.cli.propose import show_question, show_round
from vlmcar_core.cli.vlm import budget_options, chosen_budget, chosen_server, server_options
from vlmcar_core.comparisons import Comparison, Plan
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session, sessions
from vlmcar_core.types import Recording

EXIT_NOT_MENDED = 4


@click.command(name="repair")
@session_argument
@click.argument("key", required=False)
@click.option("--auto", is_flag=True, help="Unattended: every rejected checker (or KEY), adopting what is offered.")
@click.option("--rounds", default=repair.ROUNDS, show_default=True, help="At most so many for each checker.")
@click.option("--feedback", default="", help="What you want to tell the model.")
@click.option("--proposal", "number", type=int, help="Go on from this one, such as an earlier try.")
@click.option(
    "--proposer", "vlm", type=click.Choice(["openai", "clipboard", "replay"]), default="openai", show_default=True
)
@server_options
@budget_options
@job_option
@click.pass_context
def mend(context: click.Context, /, session: Session, key: str | None, job: Path | None, **options: Any) -> None:
    """Have a rejected checker mended from the frames on which it is wrong.

    One round at a time: look at what came, then `vlmcar adopt` it, go on with --proposal, or edit by hand. With --auto
    unattended; exit code 4 where one stays rejected.
    """
    server, meter = chosen_server(context.obj, options), Meter(chosen_budget(options))
    secret = authoring.key_for(server)
    if options["vlm"] == "clipboard":
        wanted = _wanted(session, key, options["number"])
        show_question(
            session, repair.begin(session, server, wanted, "clipboard", options["number"], options["feedback"])
        )
        return
    with as_job(session, "repair", job) as (progress, reporter):
        if options["auto"]:
            keys = [key] if key else []
            found = repair.auto(
                session, server, secret, options["vlm"], keys, options["rounds"], meter, progress, options["feedback"]
            )
            mended = sum(item.adopted is not None for item in found)
            reporter.finish("success", f"{mended} of {len(found)} checkers mended")
        else:
            one = repair.once(
                session, server, _wanted(session, key, options["number"]), secret, options["vlm"], options["number"],
                options["feedback"], meter, progress,
            )  # fmt: skip
            reporter.finish("success", one.compared.summary, {"proposal": one.proposal, "dialogue": one.dialogue})
    if not options["auto"]:
        show_round(session, one)
        echo(meter.spent.words)
        return
    for item in found:
        for one in item.rounds:
            echo(f"{item.key}: proposal {one.proposal}: {one.compared.summary}")
        echo(f"{item.key}: " + (f"mended, proposal {item.adopted}" if item.adopted is not None else "not mended"))
    echo(meter.spent.words if found else "no checker is rejected; there is nothing to mend")
    if job is None and any(item.adopted is None for item in found):
        sys.exit(EXIT_NOT_MENDED)


def _wanted(session: Session, key: str | None, number: int | None) -> str:
    if key:
        return key
    proposal = session.proposal(number)
    verification = session.verification(proposal.number or 0)
    found = repair.wanting(proposal, verification) if verification else []
    if not found:
        raise BadInput("no checker is rejected by verification; name one by its key to have it changed")
    return found[0]


@click.command(name="compare-vlms")
@click.option("--model", "models", multiple=True, help="A model's name, or name@address; several times for several.")
@click.option("--task", "tasks", multiple=True, help="An environment's id or a session's name; several times.")
@click.option("--repeats", default=1, show_default=True)
@click.option("--rounds", default=repair.ROUNDS, show_default=True, help="Of mending, for every rejected checker.")
@click.option("--builtin/--no-builtin", default=True, show_default=True, help="The built-in proposer as a row.")
@click.option("--random", "randoms", default=Recording.randoms, show_default=True, help="Random episodes per task.")
@click.option("--concurrency", default=2, show_default=True, help="Cells at a time.")
@click.option("--resume", type=int, metavar="NUMBER", help="Go on with a comparison; the other options are its own.")
@click.option("--preset", help="A kind of server.")
@click.option("--base-url", help="The server's address.")
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="Another setting; see `vlmcar vlm`.")
@budget_options
@click.option("--job", type=click.Path(path_type=Path), hidden=True)
@click.pass_obj
def compare_vlms(
    root: Path, /, models: tuple[str, ...], tasks: tuple[str, ...], job: Path | None, **options: Any
) -> None:
    """Compare models: each proposes for every task, is verified and mends; the built-in proposer is a row."""
    resume = options.pop("resume")
    if resume is not None:
        comparison = comparisons.find(root, resume)
    else:
        server, budget = chosen_server(root, options), chosen_budget(options)
        names = (*models, *([comparisons.BUILTIN] if options["builtin"] and comparisons.BUILTIN not in models else []))
        plan = Plan(
            names,
            tasks,
            server,
            options["repeats"],
            options["rounds"],
            Recording(randoms=options["randoms"]),
            options["concurrency"],
            budget,
        )
        comparison = compare.create(root, plan)
    if job is None:
        compare.again(comparison)
    with jobs.running(job or comparison.folder, "compare") as reporter:
        bar = Bar("compare") if job is None else None

        def progress(done: int, total: int, message: str) -> None:
            if bar is not None:
                bar(done, total, message)
            reporter(done, total, message)

        comparison = compare.run(comparison, progress=progress)
        reporter.finish("success", f"{len(comparison.rows)} cells")
        if bar is not None:
            bar.close()
    show_comparison(comparison)


def show_comparison(comparison: Comparison) -> None:
    """A line per model; every rate with its count and interval."""
    echo(f"comparison {comparison.number}: {len(comparison.rows)} of {len(comparison.plan.cells)} cells")
    echo(f"{'model':28} {'whole accepted':24} {'sub-tasks':>10} {'rounds':>7} {'tokens':>9} {'money':>9} {'s':>7}")
    for item in comparison.totals:
        low, high = verdicts.interval(item.whole)
        whole = f"{item.whole.hits} of {item.whole.total} ({low:.0%} to {high:.0%})"
        money = "unknown" if item.money is None else f"${item.money:.4f}"
        echo(
            f"{comparisons.label(item.model):28} {whole:24} {item.subtasks.hits:>3} of {item.subtasks.total:<3} "
            f"{item.rounds:>7.1f} {item.tokens:>9.0f} {money:>9} {item.seconds:>7.1f}"
        )
    for row in comparison.rows:
        if row.failure:
            echo(f"  {comparisons.label(row.model)}, {row.task}, repeat {row.repeat} failed: {row.failure}")


@click.command(name="replay-server")
@click.argument("names", nargs=-1, metavar="[SESSION]...")
@click.option("--port", default=8766, show_default=True, help="0 takes any free one.")
@click.option("--fault", "faults", multiple=True, help="Fail so, one after the other: 429:2, cut*3, no-schema* …")
@click.option("--list-faults", is_flag=True, help="List the ways to fail.")
@click.option("--key", envvar="VLMCAR_REPLAY_KEY", default="", help="Requests must bring it; also VLMCAR_REPLAY_KEY.")
@click.option("--any-pictures", is_flag=True, help="Do not compare pictures with the recorded ones.")
@click.option("--blind", is_flag=True, help="Fail the connection test, as a model without vision does.")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="One line of JSON per request.")
@click.pass_obj
def replay_server(root: Path, /, names: tuple[str, ...], list_faults: bool, port: int, **options: Any) -> None:
    """Serve what models answered in sessions (all that have answers, if none is named) to any OpenAI client.

    On this machine only. Every request is answered by what was recorded for the same question; pictures are decoded
    and compared with the recorded ones.
    """
    from vlmcar_core import replay_server as serving
    from vlmcar_core import replaying

    if list_faults:
        for name, about in replaying.FAULTS.items():
            echo(f"{name:20} {about}")
        return
    chosen = [Session.open(root, name) for name in names or sessions(root).items]
    faults = [replaying.fault(text) for text in options.pop("faults")]
    replayer = replaying.Replayer(replaying.recorded(chosen), faults, **options)
    server = serving.make_server(replayer, port)
    echo(f"{serving.base_url(server)}  models: {', '.join(replayer.models)}")
    sys.stdout.flush()
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        echo("ended")
    finally:
        server.server_close()


COMMANDS = (mend, compare_vlms, replay_server)

"""Seeing where a session stands, its report, its background jobs, and the app."""

import os
import socket
import sys
import time
from pathlib import Path

import click

from vlmcar_core import files, jobs, pipeline
from vlmcar_core.cli.base import Bar, echo, session_argument
from vlmcar_core.cli.propose import show_proposal
from vlmcar_core.cli.record import show_verification
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.jobs import Job
from vlmcar_core.store import Session

DEFAULT_PORT = 8501


@click.command()
@session_argument
def show(session: Session) -> None:
    """Show what a session holds: task, trajectories, newest proposal and its verdict."""
    header = session.header()
    echo(f"session {session.name}: {header.task.env_id or 'two frames'}, seed {header.task.seed}")
    listing = session.trajectories()
    for source in dict.fromkeys(info.source for info in listing.items):
        group = [info for info in listing.items if info.source == source]
        solved = sum(info.success is True for info in group)
        echo(f"{len(group)} {source} trajectories, {solved} solved, {sum(info.steps for info in group)} steps")
    proposals = session.proposals()
    if proposals.items:
        show_proposal(proposals.items[-1])
        verification = session.verification(proposals.items[-1].number or 0)
        if verification is None:
            echo(f"not verified yet; next: vlmcar verify {session.name}")
        else:
            show_verification(proposals.items[-1], verification)
            echo(f"random episodes end after at most {verification.random_steps} steps")
    for problem in (*listing.problems, *proposals.problems, *session.verifications().problems):
        echo(f"damaged: {problem}", err=True)


@click.command()
@session_argument
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where; <session>.html if not given.")
@click.option(
    "--replay-mib",
    default=pipeline.REPLAY_MEBIBYTES,
    show_default=True,
    help="Room for the frames of episodes that can be replayed, in MiB; 0 leaves the player out.",
)
def report(session: Session, out: Path | None, replay_mib: float) -> None:
    """Write the session as one self-contained HTML file.

    It needs no network and no server. Decisive episodes can be replayed in it, with what the checkers see drawn on
    their frames; --replay-mib bounds how large they make it.
    """
    path = out or Path(f"{session.name}.html")
    if not path.parent.is_dir():
        raise BadInput(f"there is no folder {str(path.parent)!r} to write the report to")
    bar = Bar("report")
    text = pipeline.report(session, replay_mib, bar)
    bar.close()
    files.write_text(path, text)
    echo(f"{path} ({path.stat().st_size / 2**20:.1f} MiB)")


@click.command(name="jobs")
@session_argument
def list_jobs(session: Session) -> None:
    """List a session's background jobs and training runs, with their state."""
    for folder in (*session.job_folders(), *session.run_folders()):
        try:
            echo(describe_job(folder, jobs.read(folder)))
        except DamagedFile as error:
            echo(f"damaged: {error}", err=True)


def describe_job(folder: Path, job: Job) -> str:
    """One line: which, state, how far, what it says; in brackets where, if it is elsewhere."""
    where = f" [{job.launcher}]" if job.launcher not in ("", "local") else ""
    share = f"{job.done}/{job.total}" if job.total else ""
    seconds = max(0.0, (time.time() if job.running else job.updated) - job.started)
    return f"{folder.parent.name}/{folder.name:16} {job.state:10} {share:>14} {seconds:7.0f} s  {job.message}{where}"


@click.command()
@session_argument
@click.argument("which", required=False)
def cancel(session: Session, which: str | None) -> None:
    """Stop what runs in a session: all of it, or WHICH as `vlmcar jobs` names it (runs/003)."""
    folders = {f"{path.parent.name}/{path.name}": path for path in (*session.job_folders(), *session.run_folders())}
    if which is not None and which not in folders:
        raise BadInput(f"no job {which!r} in session {session.name!r}; `vlmcar jobs {session.name}` lists them")
    chosen = [folders[which]] if which is not None else list(folders.values())
    stopped = [folder for folder in reversed(chosen) if _stop(folder)]  # what waits first, so that none of it starts
    echo(f"{len(stopped)} stopped")


def _stop(folder: Path) -> bool:
    if not jobs.read(folder).running:
        return False
    jobs.cancel(folder)
    deadline = time.monotonic() + jobs.CANCEL_GRACE_SECONDS + 2.0
    while jobs.read(folder).running and time.monotonic() < deadline:
        time.sleep(0.1)
    return True


@click.command()
@click.option("--port", type=int, envvar="VLMCAR_PORT", help=f"Also VLMCAR_PORT; {DEFAULT_PORT} or the next free one.")
@click.option("--headless", is_flag=True, help="Open no browser; so where there is no display.")
@click.pass_obj
def app(root: Path, port: int | None, headless: bool) -> None:
    """Open the app in a browser, on this machine only."""
    chosen = _port(port)
    no_display = sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    echo(f"VLM-CaR Studio: http://127.0.0.1:{chosen}  (sessions in {root}; Ctrl-C ends it, trainings go on)")
    sys.stdout.flush()
    arguments = ["--port", str(chosen), *(["--headless"] if headless or no_display else [])]
    environment = {**os.environ, "VLMCAR_SESSIONS": str(root.resolve())}
    os.execve(sys.executable, [sys.executable, "-m", "vlmcar_studio", *arguments], environment)


def _port(wanted: int | None) -> int:
    if wanted is not None:
        if not 1 <= wanted <= 65535:
            raise BadInput(f"a port is a number from 1 to 65535, not {wanted}")
        if not _free(wanted):
            raise BadInput(f"port {wanted} is taken; end what uses it or choose another with VLMCAR_PORT")
        return wanted
    return next(port for port in range(DEFAULT_PORT, 65536) if _free(port))


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


COMMANDS = (show, report, list_jobs, cancel, app)

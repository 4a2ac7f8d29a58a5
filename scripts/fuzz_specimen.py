"""A small session that holds every kind of file that there is, and everything that reads one. For fuzzing and tests."""

import io
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from vlmcar_core import (
    alarm,
    authoring,
    boards,
    candidates,
    comparisons,
    continuing,
    contrast,
    dialogues,
    examinations,
    files,
    films,
    jobs,
    marks,
    pipeline,
    policies,
    prices,
    recordings,
    report_html,
    runs,
    seeds,
    servers,
    sweeps,
    verdicts,
    work,
)
from vlmcar_core.authoring import Wish
from vlmcar_core.comparisons import Plan, Row
from vlmcar_core.dialogue import Exchange, Reply
from vlmcar_core.errors import VlmcarError
from vlmcar_core.examinations import Branch, Case, Coverage, Examination, Examined, Mutation, Survivor
from vlmcar_core.examinations import Row as EvidenceRow
from vlmcar_core.marks import Mark
from vlmcar_core.policies import Policy
from vlmcar_core.runs import RunConfig
from vlmcar_core.servers import Server
from vlmcar_core.store import GoalOrigin, Listing, Session, sessions
from vlmcar_core.types import Answers, Checker, Count, Frame, Outcome, Proposal, SubTask, Task, Thresholds, Trajectory
from vlmcar_core.verdicts import Verdict, Verification, Wrong

T = TypeVar("T")

NAME = "specimen"
CODE = "def check(initial, current):\n    return bool(current[..., 0].mean() > 40)\n"
ANSWERS = ("All is red.", f"1. Paint it\n```python\n{CODE}```\n", f"```python\n{CODE}```", f"```python\n{CODE}```")
CHANCE = np.random.default_rng(0)


def picture(red: int) -> Frame:
    """RGB uint8 (8, 12, 3)."""
    frame = np.zeros((8, 12, 3), np.uint8)
    frame[..., 0] = red
    frame[0, 0] = (1, 2, 3)
    return frame


def trajectory(source: str = "expert", seed: int = 0) -> Trajectory:
    """Three steps, of which one changes nothing."""
    reds = (0, 60, 60, 120)
    return Trajectory(
        frames=np.stack([picture(red) for red in reds]),
        actions=np.zeros(3, np.int64),
        rewards=np.array([0.0, 0.0, 1.0]),
        terminated=True,
        truncated=False,
        success=source == "expert",
        source=source,  # type: ignore[arg-type]
        seed=seed,
        env_id="MiniGrid-Empty-5x5-v0",
        versions={"numpy": np.__version__},
        facts={"red": np.array([False, True, True, True])},
    )


def proposal() -> Proposal:
    step = SubTask("Paint it", Checker("paint-it", CODE), "is it red?")
    return Proposal(SubTask("All is red.", Checker("goal", CODE)), (step,), "a test", doubts=("none",))


def policy() -> Policy:
    """Five numbers in, seven actions out."""
    return Policy(((CHANCE.normal(size=(7, 5)).astype(np.float32), np.zeros(7, np.float32)),), "tanh", "categorical")


def build(root: Path) -> Session:
    """The session, beside it a comparison, a table of prices and the settings of a server."""
    session = Session.create(root, NAME, Task("MiniGrid-Empty-5x5-v0", "minigrid", 0, {"tile_size": 8}))
    session.set_initial(picture(0))
    session.set_goal(picture(120), GoalOrigin("trajectory", "expert-000", 3))
    for source, seed in (("expert", 0), ("expert", 1), ("random", 2), ("policy", 3)):
        session.add_trajectory(trajectory(source, seed))
    stored = session.add_proposal(proposal())
    _verified(session, stored)
    _examined(session, stored)
    session.save_draft(stored)
    session.add_mark(Mark("expert-000", 1, 2, "paint-it", True, "a person", "it is red"))
    session.add_mark(marks.undoing(session.marks().items[0], "a person", "no"))
    session.set_own_prompt("goal", "What is the goal?\n\n$frames\n\n$form\n")
    _talked(session)
    _trained(session)
    with jobs.running(session.new_job_folder("verify"), "verify") as job:
        job(1, 2, "half")
    _beside(root)
    return session


def _verified(session: Session, stored: Proposal) -> None:
    """What checkers said, with a fault each, and a verification; no checker is run for it."""
    for step in stored.steps:
        for info in session.trajectories().items:
            fault = {1: Outcome("error", None, "ZeroDivisionError", 2)}
            session.save_answers(
                step.checker.digest, info.id, Answers(np.array([0, 0, 0.5, 1], np.float32), fault, 1e-4)
            )
    found = tuple(
        Verdict(step.key, step.checker.digest, Count(2, 2), Count(0, 1), Count(0, 4), Count(1, 4), Count(0, 1), "boom",
                (Wrong("expert-000", 1, "it failed here: boom"),), 1e-4)
        for step in stored.steps
    )  # fmt: skip
    ids = tuple(info.id for info in session.trajectories().items)
    wrong = (Wrong("random-000", 3, "a random episode completes everything here"),)
    session.add_verification(Verification(0, found, Count(2, 2), Count(0, 1), 0, 100, Thresholds(), ids, wrong))


def _examined(session: Session, stored: Proposal) -> None:
    """An examination that found something of every kind; no checker is run for it."""
    found = tuple(
        Examined(
            step.key,
            step.checker.digest,
            "goal reached",
            (EvidenceRow(step.key, "expert", Count(1, 2), Count(0, 1), 1),),
            (Case(step.key, "expert-000", 1, "missed", "it is never called done"),),
            named=True,
            origin="named",
            likely=("goal reached",),
            shaken=(Case(step.key, "expert-000 half the size", 2, "changed", "done as recorded"),),
            offsets=(0, -1),
            flicker=Count(1, 2),
            mutation=Mutation(Count(1, 2), (Survivor("4 becomes 5", 2),), 1),
            coverage=Coverage(Count(1, 2), (Branch(2, "something was raised"),)),
            lints=("no recorded frame is called done",),
            lacking=("a near miss",),
        )
        for step in stored.steps
    )
    session.add_examination(Examination(0, found, 0.5, 4, 2))


def _talked(session: Session) -> None:
    """Two conversations: one that came to a candidate by hand, one that only began and is half answered."""
    wish = Wish(Server(), "clipboard", candidate=True)
    dialogue = authoring.begin(session, wish)
    for number, answer in enumerate(ANSWERS):
        question = dialogue.question
        assert question is not None and number < 10
        reply = Reply(answer, "by hand", 1.0, 10, 20, 0.5)
        exchange = Exchange(question.stage, question.attempt, question.messages, reply)
        dialogue = dialogues.add(dialogue, exchange)
    stored = session.add_proposal(
        Proposal(proposal().goal, proposal().subtasks, "by hand", dialogue=0, candidate=True, parent=0)
    )
    dialogues.finish(dialogue, stored.number or 0)
    begun = authoring.begin(session, Wish(Server(), "clipboard", feedback="greener", previous=0))
    dialogues.Partial(begun)("half an answ")


def _trained(session: Session) -> None:
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig(proposal=0, settings={"gamma": 0.9}))
    for steps in (2048, 4096):
        row = {"steps": steps, "episodes": 30, "seconds": 2.0, "steps_per_second": 1000.0, "success_rate": 0.5}
        runs.append(folder, runs.PROGRESS, {**row, "learned_return": 0.5, "completions": {"paint-it": 0.5}})
        evaluated = {"steps": steps, "episodes": 20, "successes": 18, "mean_length": 9.5}
        runs.append(folder, runs.EVALUATION, evaluated)
    for number in range(1, 5):
        learned = {"solved": [False] * 9, "lengths": [9] * 9, "env_returns": [0.0] * 9, "learned": [2.0 * number] * 9}
        evaluated = {"steps": 8192 + number, "episodes": 9, "successes": 0, **learned}
        runs.append(folder, runs.EVALUATION, evaluated)
    films.keep_video(folder, trajectory("policy"), 2048)
    films.keep_hack(folder, trajectory("adversarial", 1_000_003), 4096, 2.5)
    runs.keep_checkpoint(folder, 4096, lambda path: files.write_bytes(path, b"PK"))
    policies.save(policy(), folder / runs.MODEL)
    (folder / jobs.LOG).write_text("it trains\n")
    launch = {"kind": "train-run", "pid": 2**22 + 1, "process_created": 1.0, "began": 1.0}
    files.write_json(folder / jobs.LAUNCH, {**launch, "entry": "0" * 32})
    status = {**launch, "kind": "train", "state": "started", "done": 4096, "total": 150_000, "message": "trains"}
    files.write_json(folder / jobs.STATUS, {**status, "result": {}, "updated": 2.0})
    swept = sweeps.Plan((NAME,), {"gamma": (0.9, 0.99), "reward": ("dense",)}, 1, 150_000, (0,))
    kept = sweeps.Sweep(swept, "2026-01-01T00:00:00+00:00", (sweeps.Member(0, 0, 0),))
    files.write_json(session.folder / sweeps.SWEEPS / "000.json", asdict(kept))


def _beside(root: Path) -> None:
    prices.save(root, prices.SHIPPED)
    servers.save(root, Server(model="m"))
    folder = root / "comparisons" / "000"
    plan = Plan(("m",), (NAME,), Server())
    value = {name: getattr(plan, name) for name in ("models", "tasks", "repeats", "rounds", "concurrency")}
    parts = {"server": vars(plan.server), "recording": vars(plan.recording), "budget": vars(plan.budget)}
    files.write_json(folder / comparisons.FILE, value | parts)
    row = Row("m", NAME, 1, "00-00-01-m", "", 1, 2, "accepted", "rejected", 1, 2.0, 3, 0.5)
    files.write_json(folder / comparisons.ROWS / "00-00-01-m.json", vars(row))


def readers(root: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Everything that reads a file of the specimen, as the pages, the stages and the report do; name and call."""
    session = Session(root / NAME)
    yield "sessions", lambda: sessions(root)
    yield "header", session.header
    yield "initial", lambda: session.initial
    yield "goal", lambda: session.goal
    yield "origin", session.goal_origin
    yield "draft", lambda: session.draft
    yield "prompts", lambda: authoring.session_prompts(session)
    yield "trajectories", lambda: _each(session.trajectories(), lambda info: _episode(session, info.id))
    yield "answers", lambda: _answers(session)
    yield "marks", lambda: _marks(session)
    yield "proposals", session.proposals
    yield "verifications", lambda: _verdicts(session)
    yield "examinations", lambda: _each(session.examinations(), lambda item: [*map(examinations.judge, item.checkers)])
    yield "dialogues", lambda: _each(dialogues.dialogues(session), _dialogue)
    yield "runs", lambda: _each(runs.runs(session), _run)
    yield "sweeps", lambda: _each(sweeps.sweeps(session), lambda kept: sweeps.outcomes(session, kept))
    yield "under way", lambda: work.under_way(root)
    yield "jobs", lambda: [(jobs.read(folder), jobs.log(folder)) for folder in session.job_folders()]
    yield "current job", lambda: pipeline.current_job(session, "verify")
    yield "accounts", lambda: candidates.accounts(session)
    yield "ranking", lambda: (candidates.ranked(session), candidates.choices(session, 0))
    yield "report", lambda: report_html.page(session, runs.runs(session), [])
    yield "comparisons", lambda: _each(comparisons.comparisons(root), lambda item: item.totals)
    yield "prices", lambda: prices.load(root)
    yield "server", lambda: servers.load(root)


def read_everything(root: Path) -> list[str]:
    """Call every reader; returns what they say is wrong. Whatever else they raise goes through."""
    said: list[str] = []
    for _, read in readers(root):
        try:
            said += getattr(read(), "problems", ())
        except VlmcarError as error:
            said.append(str(error))
    return said


def _each(listing: Listing[T], read: Callable[[T], Any]) -> Listing[T]:
    """Look at every item, as a page does; what is wrong with one joins the problems."""
    problems = list(listing.problems)
    for item in listing.items:
        try:
            read(item)
        except VlmcarError as error:
            problems.append(str(error))
    return Listing(listing.items, tuple(problems))


def _episode(session: Session, id: str) -> Any:
    path = session.trajectory_path(id)
    order = recordings.read_order(path)
    return (
        session.trajectory(id),
        recordings.read_frame(path, -1 % len(order)),
        recordings.read_png(path, int(order[0])),
    )


def _answers(session: Session) -> list[Any]:
    ids = [info.id for info in session.trajectories().items]
    digests = {step.checker.digest for item in session.proposals().items for step in item.steps}
    return [session.answers(digest, id) for digest in digests for id in ids]


def _marks(session: Session) -> Any:
    listing = session.marks()
    found = marks.standing(listing.items)
    marks.agreement(found, {})
    for mark in found:
        marks.expected(found, mark.trajectory, mark.key, 4)
    return listing


def _verdicts(session: Session) -> Any:
    listing = session.verifications()
    for item in listing.items:
        verdicts.judge_whole(item)
        for verdict in item.verdicts:
            verdicts.judge_checker(verdict, item)
    return listing


def _dialogue(dialogue: dialogues.Dialogue) -> Any:
    shown = dialogue.model, dialogue.spent.words, dialogue.changed, dialogue.partial, dialogue.frame("initial")
    return shown, dialogue.question


def _run(run: runs.Run) -> Any:
    rows, found = runs.read_progress(run.folder), runs.summary(runs.read_evaluations(run.folder))
    evaluations = runs.read_evaluations(run.folder)
    looked = alarm.look(run.config, evaluations), seeds.table(seeds.groups([run])), contrast.contrast([run, run])
    tables = boards.table(rows), boards.table(evaluations), [boards.progress_scalars(row) for row in rows]
    kept = [films.read(run.folder, kind, info.id) for kind, info in _films(run)]
    act = policies.load(run.folder / runs.MODEL)
    acted = act(np.zeros((2, 5), np.float32))
    return rows, found, run.job.seconds_left, looked, tables, kept, continuing.why_not_resumed(run), acted


def _films(run: runs.Run) -> list[tuple[str, recordings.TrajectoryInfo]]:
    """Every episode that a run has kept, with what it says it was paid."""
    found = [(kind, info) for kind in (films.VIDEOS, films.HACKS) for info in films.kept(run.folder, kind).items]
    assert all(np.isfinite(films.paid(info)) for _, info in found)
    return found


def encoded(format: str, mode: str = "RGB", **options: Any) -> bytes:
    """A small picture in one of Pillow's formats and modes."""
    buffer = io.BytesIO()
    Image.fromarray(picture(90)).resize((16, 12)).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()

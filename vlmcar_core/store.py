"""A session: one folder. The only code that knows its file names.

    <name>/
      session.json                  task, how much to record, thresholds; a revision that grows
      frames/                       initial.png, goal.png, goal.json (where the goal frame came from)
      trajectories/<id>.zip         one episode each (see recordings.py)
      proposals/<n>/                proposal.json, one <key>.py per checker, initial.png and goal.png as proposed from
      dialogues/<n>/                one conversation with a model (see dialogues.py)
      prompts/<name>.md             this session's own wording of a prompt, in place of the shipped one
      driving/<n>.jsonl             an episode that somebody drives and has not saved yet (see drafts.py)
      draft.json                    a person's edit that is not saved as a proposal yet
      marks.jsonl                   what people said by eye about frames (see marks.py)
      answers/<digest>/<id>.npz     what one checker said about one trajectory; may be deleted, is made again
      verdicts/<n>.json             what one verification found
      runs/<n>/                     one training each; written by the run itself
      sweeps/<n>.json               a grid of trainings, and which run is which (see sweeps.py)
      jobs/<n>-<stage>/             background recordings, proposals, verifications (see jobs.py)

Files are added, written whole or not at all, and never edited; only session.json, the draft and the two
frames may be replaced, and lines are added to marks.jsonl. A damaged file is reported beside the ones that can be read.
Anybody may have made the folder: files are opened and folders entered through `files`, which leaves neither the folder
nor its limits.
"""

import dataclasses
import re
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from vlmcar_core import answers_files, files, marks, recordings, records
from vlmcar_core.errors import BadInput, ChangedElsewhere, DamagedFile, UnknownName
from vlmcar_core.examinations import Examination
from vlmcar_core.folders import (
    NUMBER_MAX,
    Listing,
    changed,
    is_own_folder,
    new_folder,
    next_number,
    number_of,
    of_source,
    read_all,
)
from vlmcar_core.holding import HOLDING
from vlmcar_core.marks import Mark
from vlmcar_core.recordings import Distinct, TrajectoryInfo
from vlmcar_core.types import (
    Answers,
    Frame,
    Proposal,
    Recording,
    Source,
    Task,
    Thresholds,
    Trajectory,
)
from vlmcar_core.verdicts import Verification

__all__ = [
    "ANSWERS",
    "COMPARISONS",
    "DIALOGUES",
    "DIGEST",
    "DRAFT",
    "EXAMINATIONS",
    "FRAMES",
    "JOB",
    "JOBS",
    "JSON",
    "MADE",
    "MADE_FILE",
    "MADE_KEPT",
    "MARKS",
    "NAME_PATTERN",
    "NUMBER_MAX",
    "PROMPT",
    "PROMPTS",
    "PROMPT_LIMIT_BYTES",
    "PROPOSALS",
    "RUNS",
    "SESSION",
    "TRAJECTORIES",
    "VERDICTS",
    "ZIP",
    "GoalOrigin",
    "Header",
    "Listing",
    "Session",
    "check_name",
    "now",
    "sessions",
]

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SESSION, FRAMES, TRAJECTORIES, PROPOSALS = "session.json", "frames", "trajectories", "proposals"
ANSWERS, VERDICTS, EXAMINATIONS, RUNS, JOBS = "answers", "verdicts", "examinations", "runs", "jobs"
MADE = "made"
DIALOGUES, PROMPTS = "dialogues", "prompts"
DRIVING = "driving"
COMPARISONS = "comparisons"
"""A folder beside the sessions (see compare.py); no session may be called so."""

DRAFT, MARKS = "draft.json", "marks.jsonl"
MADE_KEPT = 2_000
"""Answers about made episodes; a file is of a few KiB. The oldest give way."""

PROMPT_LIMIT_BYTES = 256 * 1024

DIGEST = re.compile(r"[0-9a-f]{24}")
MADE_FILE = re.compile(r"[0-9a-f]{64}\.npz")
ZIP = re.compile(r"[^.].*\.zip", re.DOTALL)
JSON = re.compile(r"[^.].*\.json", re.DOTALL)
PROMPT = re.compile(r"[^.].*\.md", re.DOTALL)
JOB = re.compile(rf"({files.NUMBER.pattern})-[a-z][a-z-]{{0,40}}")

Numbered = TypeVar("Numbered", Verification, Examination)


@dataclass(frozen=True)
class Header:
    """What `session.json` holds."""

    task: Task
    recording: Recording
    thresholds: Thresholds
    created: str
    revision: int
    """Grows with every save; a writer that has read an older one is refused."""

    def __post_init__(self) -> None:
        if not 0 <= self.revision <= NUMBER_MAX:
            raise ValueError(f"a revision is a whole number from 0 to {NUMBER_MAX}, not {self.revision}")


@dataclass(frozen=True)
class GoalOrigin:
    """Where the goal frame came from."""

    kind: str
    """"expert", "upload", "trajectory", or "driven" where somebody drove there and kept no trajectory."""

    trajectory: str | None = None
    frame: int | None = None
    name: str | None = None
    """The uploaded file's name; or who drove, and on which layout."""


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_name(name: str) -> str:
    """A session's name, if it may be one.

    Raises:
        BadInput: it is not.
    """
    if not NAME_PATTERN.fullmatch(name) or name.endswith("."):
        raise BadInput(
            f"{name!r} cannot be a session's name; use 1 to 64 letters, digits, '-', '_' and '.', "
            "beginning with a letter or a digit"
        )
    return name


def sessions(root: Path) -> Listing[str]:
    """The sessions in a folder, most recently changed first; folders without a readable header are problems."""
    found: list[tuple[float, str]] = []
    problems = []
    for folder in files.listed(root, NAME_PATTERN):
        if not folder.is_dir() or not files.there(folder / SESSION):
            continue
        try:
            Session(folder).header()
            found.append((-changed(folder), folder.name))
        except DamagedFile as error:
            problems.append(f"session {folder.name}: {error}")
    return Listing(tuple(name for _, name in sorted(found)), tuple(problems))


class Session:
    """One session's folder. Holds no state of its own: what is on disk is the truth."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(
        cls,
        root: Path,
        name: str,
        task: Task,
        recording: Recording = Recording(),
        thresholds: Thresholds = Thresholds(),
    ) -> "Session":
        """A new, empty session.

        Raises:
            BadInput: the name cannot be used or is taken.
        """
        folder = root / check_name(name)
        if name == COMPARISONS:
            raise BadInput(f"{name!r} cannot be a session's name; comparisons of models are kept there")
        root.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError as error:
            raise BadInput(f"a session named {name!r} exists already; choose another name or open that one") from error
        session = cls(folder)
        session._write_header(Header(task, recording, thresholds, now(), revision=0))
        return session

    @classmethod
    def open(cls, root: Path, name: str) -> "Session":
        """Raises `UnknownName` where there is none, `DamagedFile` where its header cannot be read."""
        folder = root / check_name(name)
        if not files.there(folder / SESSION):
            raise UnknownName.among("session", name, sessions(root).items)
        session = cls(folder)
        session.header()
        return session

    @property
    def name(self) -> str:
        return self.folder.name

    def inside(self, *names: str) -> Path:
        """A folder of the session, which need not be there. Raises `DamagedFile` where a link is in its place."""
        return files.folder(self.folder, *names)

    def _new(self, *names: str) -> Path:
        """The same, made where it is not there."""
        folder = self.inside(*names)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # The header

    def header(self) -> Header:
        return files.read_as(Header, self.folder / SESSION)

    @property
    def task(self) -> Task:
        return self.header().task

    def save(self, header: Header) -> Header:
        """Write a header that was changed, given the revision it was read at.

        Raises:
            ChangedElsewhere: somebody saved since.
        """
        current = self.header().revision
        if current != header.revision:
            raise ChangedElsewhere(
                f"the settings of {self.name!r} were changed in another tab or by a command "
                f"(revision {current}, yours is {header.revision}); nothing was saved: reload and try again"
            )
        header = dataclasses.replace(header, revision=current + 1)
        self._write_header(header)
        return header

    def _write_header(self, header: Header) -> None:
        files.write_json(self.folder / SESSION, asdict(header))

    # The two frames

    @property
    def initial(self) -> Frame | None:
        """RGB uint8 (H, W, 3); None until there is one."""
        return self._frame("initial")

    @property
    def goal(self) -> Frame | None:
        """RGB uint8 (H, W, 3); None until there is one."""
        return self._frame("goal")

    def set_initial(self, frame: Frame) -> None:
        files.write_bytes(self.inside(FRAMES) / "initial.png", files.png(frame))

    def forget_initial(self) -> None:
        """As before there was one."""
        files.remove(self.inside(FRAMES) / "initial.png")

    def set_goal(self, frame: Frame, origin: GoalOrigin) -> None:
        files.write_bytes(self.inside(FRAMES) / "goal.png", files.png(frame))
        files.write_json(self.inside(FRAMES) / "goal.json", asdict(origin))

    def goal_origin(self) -> GoalOrigin | None:
        try:
            return files.read_as(GoalOrigin, self.inside(FRAMES) / "goal.json")
        except FileNotFoundError:
            return None

    def _frame(self, name: str) -> Frame | None:
        try:
            return files.read_png(self.inside(FRAMES) / f"{name}.png")
        except FileNotFoundError:
            return None

    # Trajectories

    def trajectories(self) -> Listing[TrajectoryInfo]:
        """Experts first, then by source and number."""
        listing = read_all(lambda: files.listed(self.inside(TRAJECTORIES), ZIP), _read_info)
        return Listing(tuple(sorted(listing.items, key=_by_source)), listing.problems)

    @property
    def trajectory_count(self) -> int:
        """How many files of trajectories there are, be they damaged or not."""
        return len(files.listed(self.inside(TRAJECTORIES), ZIP))

    def trajectory(self, id: str) -> Trajectory:
        """Raises `UnknownName` or `DamagedFile`."""
        return recordings.read(self.trajectory_path(id))

    def frames(self, id: str) -> Distinct:
        """A trajectory's frames alone, from memory where they were read before. Raises `UnknownName` or
        `DamagedFile`."""
        return HOLDING.distinct(self.trajectory_path(id))

    def trajectory_path(self, id: str) -> Path:
        path = self.inside(TRAJECTORIES) / f"{id}.zip"
        if not NAME_PATTERN.fullmatch(id) or not files.there(path):
            known = [files.label(found.stem) for found in files.listed(path.parent, ZIP)]
            raise UnknownName.among("trajectory", files.label(id), known)
        return path

    def add_trajectory(self, trajectory: Trajectory) -> str:
        """Store it under the next free number of its source; returns its id."""
        folder = self._new(TRAJECTORIES)
        while True:
            number = next_number(path.stem.rpartition("-")[2] for path in of_source(folder, trajectory.source, "zip"))
            path = folder / f"{trajectory.source}-{number:03d}.zip"
            try:
                recordings.write(path, trajectory)
                return path.stem
            except FileExistsError:
                continue

    def remove_trajectories(self, source: Source, keep: Collection[str] = ()) -> int:
        """Forget every trajectory of a source but those with the ids in `keep`, and what was said about them; returns
        how many there were."""
        paths = [path for path in of_source(self.inside(TRAJECTORIES), source, "zip") if path.stem not in keep]
        digests = [path.name for path in files.listed(self.inside(ANSWERS), DIGEST)]
        answers = (path for digest in digests for path in of_source(self.inside(ANSWERS, digest), source, "npz"))
        said = [path for path in answers if path.stem not in keep]
        for path in (*paths, *said):
            files.remove(path)
        return len(paths)

    # Proposals

    def proposals(self) -> Listing[Proposal]:
        """Those that stand, by number; the last one is what the session is about."""
        listing = self._all_proposals()
        return Listing(tuple(item for item in listing.items if not item.candidate), listing.problems)

    def candidates(self) -> tuple[Proposal, ...]:
        """Those that are kept to be looked at, by number."""
        return tuple(item for item in self._all_proposals().items if item.candidate)

    def _all_proposals(self) -> Listing[Proposal]:
        listing = read_all(lambda: files.listed(self.inside(PROPOSALS), files.NUMBER), self._read_proposal)
        return Listing(tuple(sorted(listing.items, key=lambda found: found.number or 0)), listing.problems)

    def proposal(self, number: int | None = None) -> Proposal:
        """One proposal; without a number the newest that stands.

        Raises:
            UnknownName: there is none.
        """
        if number is None:
            items = self.proposals().items
            if not items:
                raise UnknownName(f"session {self.name!r} has no proposal yet; make one first")
            return items[-1]
        folder = self.proposal_folder(number)
        if not files.there(folder):
            raise UnknownName.among("proposal", number, [found.number for found in self._all_proposals().items])
        return self._read_proposal(folder)

    def add_proposal(self, proposal: Proposal, expected_latest: int | None = None) -> Proposal:
        """Store it under the next number.

        Args:
            expected_latest: the newest standing proposal that the author has seen; where there is a newer one
                by now, the author was working on something outdated.

        Raises:
            ChangedElsewhere: there is a newer one than `expected_latest`.
        """
        root = self._new(PROPOSALS)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=root))
        draft.chmod(0o755)
        try:
            for step in proposal.steps:
                files.write_text(draft / f"{step.key}.py", step.checker.source)
            for name, frame in (("initial", self.initial), ("goal", self.goal)):
                if frame is not None:
                    files.write_bytes(draft / f"{name}.png", files.png(frame))
            return self._number(proposal, draft, expected_latest)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _number(self, proposal: Proposal, draft: Path, expected_latest: int | None) -> Proposal:
        """Give a folder that is written the next number that is free, whoever else does so just now."""
        while True:
            number = next_number(path.name for path in files.listed(draft.parent, files.NUMBER))
            self._refuse_outdated(expected_latest)
            stored = dataclasses.replace(proposal, number=number, created=now())
            files.write_json(draft / "proposal.json", records.proposal_json(stored))
            try:
                draft.rename(self.proposal_folder(number))
                return stored
            except OSError:
                if not files.there(self.proposal_folder(number)):
                    raise

    def _refuse_outdated(self, expected_latest: int | None) -> None:
        newer = [item.number for item in self.proposals().items if (item.number or 0) > (expected_latest or 0)]
        if expected_latest is not None and newer:
            raise ChangedElsewhere(
                f"proposal {newer[-1]} was made in another tab or by a command while you worked on "
                f"{expected_latest}; nothing was saved: look at it, then save yours again"
            )

    def proposal_folder(self, number: int) -> Path:
        """Raises `DamagedFile` where a link is in its place."""
        return self.inside(PROPOSALS, f"{number:03d}")

    def _read_proposal(self, folder: Path) -> Proposal:
        path = self.inside(PROPOSALS, folder.name) / "proposal.json"
        try:
            value = files.read_json(path)
        except FileNotFoundError as error:
            raise DamagedFile(f"proposal {folder.name} has no proposal.json; move the folder away") from error
        return files.parse(path, lambda: records.proposal(folder, value))

    # A person's unsaved edit

    @property
    def draft(self) -> Proposal | None:
        """The edit that was not saved yet; its `number` is that of the proposal it was made from.

        Raises:
            DamagedFile: it cannot be read.
        """
        path = self.folder / DRAFT
        try:
            value = files.read_json(path)
        except FileNotFoundError:
            return None
        return files.parse(path, lambda: records.draft(value))

    def save_draft(self, edited: Proposal | None) -> None:
        """Keep an edit that is not a proposal yet, in place of the one before; None forgets it."""
        if edited is None:
            files.remove(self.folder / DRAFT)
            return
        sources = {step.key: step.checker.source for step in edited.steps}
        files.write_json(self.folder / DRAFT, {**records.proposal_json(edited), "sources": sources})

    # What people said by eye

    def marks(self) -> Listing[Mark]:
        """Every mark in the order in which they were made, those that were taken back, too; see `marks.standing`."""
        try:
            return Listing(*marks.read(self.folder / MARKS))
        except DamagedFile as error:
            return Listing((), (str(error),))

    def add_mark(self, mark: Mark) -> None:
        """Raises `BadInput` where there is no room for it, `DamagedFile` where the file is none."""
        marks.append(self.folder / MARKS, dataclasses.replace(mark, created=now()))

    # What checkers said

    def answers(self, digest: str, id: str, frames: int | None = None) -> Answers | None:
        """What the checker with this digest said about a trajectory; None where it was not asked yet.

        These files are a cache: one that cannot be read, or is about another number of frames, counts as not there.

        Args:
            digest: of the checker's source.
            id: of the trajectory.
            frames: how many the trajectory has, T + 1, where the caller knows; else its file is opened to see.
        """
        found = answers_files.read(lambda: self._answers_path(digest, id))
        if found is None:
            return None
        frames = self._frames_of(id) if frames is None else frames
        return found if frames in (None, len(found.values)) else None

    def _frames_of(self, id: str) -> int | None:
        """None where there is no such trajectory that can be read, to which answers could be held."""
        try:
            return recordings.read_info(self.trajectory_path(id)).steps + 1
        except (DamagedFile, UnknownName):
            return None

    def save_answers(self, digest: str, id: str, answers: Answers) -> None:
        files.write_bytes(self._answers_path(digest, id), answers_files.packed(answers))

    def made_answers(self, content: str, frames: int) -> Answers | None:
        """What was said about an episode that was made from a recorded one; None where that is not known any more.

        Args:
            content: SHA-256, hexadecimal, of all that the answers depend on: the checker, its limits, the frames.
            frames: how many the episode has, T + 1.
        """
        found = answers_files.read(lambda: self.inside(MADE) / f"{content}.npz")
        return found if found is not None and len(found.values) == frames else None

    def save_made_answers(self, content: str, answers: Answers) -> None:
        files.write_bytes(self._new(MADE) / f"{content}.npz", answers_files.packed(answers))

    def forget_made_answers(self, keep: int = MADE_KEPT) -> int:
        """Remove the oldest of these until so many are left; returns how many were removed."""
        paths = files.listed(self.inside(MADE), MADE_FILE)
        surplus = sorted(paths, key=lambda path: path.lstat().st_mtime_ns)[: max(0, len(paths) - keep)]
        for path in surplus:
            files.remove(path)
        return len(surplus)

    def _answers_path(self, digest: str, id: str) -> Path:
        return self.inside(ANSWERS, digest[:24]) / f"{id}.npz"

    # Verifications

    def verifications(self) -> Listing[Verification]:
        """By number."""
        listing = read_all(lambda: files.listed(self.inside(VERDICTS), JSON), records.read_verification)
        return Listing(tuple(sorted(listing.items, key=lambda found: found.number or 0)), listing.problems)

    def verification(self, proposal: int) -> Verification | None:
        """The newest verification of a proposal; None where it was not verified yet."""
        found = [item for item in self.verifications().items if item.proposal == proposal]
        return found[-1] if found else None

    def add_verification(self, verification: Verification) -> Verification:
        return self._added(VERDICTS, verification)

    def _added(self, part: str, found: Numbered) -> Numbered:
        """Keep it as JSON under the next number of a folder."""
        folder = self._new(part)
        while True:
            number = next_number(path.stem for path in files.listed(folder, JSON))
            stored = dataclasses.replace(found, number=number, created=now())
            try:
                files.add_json(folder / f"{number:03d}.json", asdict(stored))
                return stored
            except FileExistsError:
                continue

    # Examinations

    def examinations(self) -> Listing[Examination]:
        """By number."""
        listing = read_all(lambda: files.listed(self.inside(EXAMINATIONS), JSON), records.read_examination)
        return Listing(tuple(sorted(listing.items, key=lambda found: found.number or 0)), listing.problems)

    def examination(self, proposal: int) -> Examination | None:
        """The newest examination of a proposal; None where there is none."""
        found = [item for item in self.examinations().items if item.proposal == proposal]
        return found[-1] if found else None

    def add_examination(self, examination: Examination) -> Examination:
        return self._added(EXAMINATIONS, examination)

    # Runs and jobs: folders that belong to the process that writes them

    def run_folders(self) -> list[Path]:
        """One folder per training, by number; see `passed_over` for what is not among them."""
        return self._numbered(RUNS, files.NUMBER)

    def run_folder(self, number: int) -> Path:
        """Raises `UnknownName` where there is none."""
        return self._one(RUNS, "run", number)

    def new_run_folder(self) -> Path:
        """An empty folder of the next number."""
        return new_folder(self._new(RUNS), "")

    def dialogue_folders(self) -> list[Path]:
        """One folder per conversation with a model, by number."""
        return self._numbered(DIALOGUES, files.NUMBER)

    def dialogue_folder(self, number: int) -> Path:
        """Raises `UnknownName` where there is none."""
        return self._one(DIALOGUES, "dialogue", number)

    def new_dialogue_folder(self) -> Path:
        """An empty folder of the next number."""
        return new_folder(self._new(DIALOGUES), "")

    def _one(self, kind: str, called: str, number: int) -> Path:
        path = self.inside(kind, f"{number:03d}")
        if not path.is_dir():
            raise UnknownName.among(called, number, [int(found.name) for found in self._numbered(kind, files.NUMBER)])
        return path

    def _numbered(self, kind: str, pattern: re.Pattern[str]) -> list[Path]:
        return sorted(filter(is_own_folder, files.listed(self.inside(kind), pattern)), key=number_of)

    def passed_over(self, kind: str) -> tuple[str, ...]:
        """A message for each that has the number of a run or a dialogue and is no folder of this session."""
        found = [path.name for path in files.listed(self.inside(kind), files.NUMBER) if not is_own_folder(path)]
        return tuple(f"{kind}/{name} is a link or no folder; move it away" for name in found)

    def own_prompts(self) -> dict[str, str]:
        """The prompts that this session words differently, by name."""
        paths = files.listed(self.inside(PROMPTS), PROMPT)
        return {files.label(path.stem): files.read_text(path, PROMPT_LIMIT_BYTES) for path in paths}

    def set_own_prompt(self, name: str, text: str | None) -> None:
        """Word one prompt differently in this session; None goes back to the shipped one."""
        path = self.inside(PROMPTS) / f"{name}.md"
        if text is None:
            files.remove(path)
        else:
            files.write_text(path, text)

    def job_folders(self) -> list[Path]:
        """One folder per background job other than training, by number."""
        return self._numbered(JOBS, JOB)

    def new_job_folder(self, stage: str) -> Path:
        """An empty folder of the next number, such as `003-record`."""
        return new_folder(self._new(JOBS), f"-{stage}")


def _read_info(path: Path) -> TrajectoryInfo:
    if not NAME_PATTERN.fullmatch(path.stem):
        raise DamagedFile(f"{files.label(path.name)} cannot be the name of a trajectory; rename it")
    return recordings.read_info(path)


def _by_source(info: TrajectoryInfo) -> tuple[int, str, str]:
    return (0 if info.source == "expert" else 1, info.source, info.id)

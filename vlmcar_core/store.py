"""A session: one folder. The only code that knows its file names.

    <name>/
      session.json                  task, how much to record, thresholds; a revision that grows
      frames/                       initial.png, goal.png, goal.json (where the goal frame came from)
      trajectories/<id>.zip         one episode each (see recordings.py)
      proposals/<n>/                proposal.json, one <key>.py per checker, initial.png and goal.png as proposed from
      dialogues/<n>/                one conversation with a model (see dialogues.py)
      prompts/<name>.md             this session's own wording of a prompt, in place of the shipped one
      draft.json                    a person's edit that is not saved as a proposal yet
      answers/<digest>/<id>.npz     what one checker said about one trajectory; may be deleted, is made again
      verdicts/<n>.json             what one verification found
      runs/<n>/                     one training each; written by the run itself
      jobs/<n>-<stage>/             background recordings, proposals, verifications (see jobs.py)

Files are added, written whole or not at all, and never edited; only session.json, the draft and the two
frames may be replaced. A damaged file is reported beside the ones that can be read.
"""

import dataclasses
import io
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from vlmcar_core import files, recordings, records
from vlmcar_core.errors import BadInput, ChangedElsewhere, DamagedFile, UnknownName
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.types import (
    Answers,
    Frame,
    Outcome,
    Proposal,
    Recording,
    Source,
    Task,
    Thresholds,
    Trajectory,
)
from vlmcar_core.verdicts import Verification

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SESSION, FRAMES, TRAJECTORIES, PROPOSALS = "session.json", "frames", "trajectories", "proposals"
ANSWERS, VERDICTS, RUNS, JOBS = "answers", "verdicts", "runs", "jobs"
DIALOGUES, PROMPTS = "dialogues", "prompts"
COMPARISONS = "comparisons"
"""A folder beside the sessions (see compare.py); no session may be called so."""

DRAFT = "draft.json"
NOTE_LIMIT = 4000

T = TypeVar("T")


@dataclass(frozen=True)
class Listing(Generic[T]):
    """What could be read of a folder, and what could not."""

    items: tuple[T, ...]
    problems: tuple[str, ...] = ()
    """One message per damaged file."""


@dataclass(frozen=True)
class Header:
    """What `session.json` holds."""

    task: Task
    recording: Recording
    thresholds: Thresholds
    created: str
    revision: int
    """Grows with every save; a writer that has read an older one is refused."""


@dataclass(frozen=True)
class GoalOrigin:
    """Where the goal frame came from."""

    kind: str
    """"expert", "upload" or "trajectory"."""

    trajectory: str | None = None
    frame: int | None = None
    name: str | None = None
    """The uploaded file's name."""


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
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if not (folder / SESSION).is_file() or not NAME_PATTERN.fullmatch(folder.name):
            continue
        try:
            Session(folder).header()
            found.append((-_changed(folder), folder.name))
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
        if not (folder / SESSION).is_file():
            raise UnknownName.among("session", name, sessions(root).items)
        session = cls(folder)
        session.header()
        return session

    @property
    def name(self) -> str:
        return self.folder.name

    # The header

    def header(self) -> Header:
        path = self.folder / SESSION
        value = files.read_json(path)
        return files.parse(
            path,
            lambda: Header(
                task=Task(**value["task"]),
                recording=Recording(**value["recording"]),
                thresholds=Thresholds(**value["thresholds"]),
                created=str(value["created"]),
                revision=int(value["revision"]),
            ),
        )

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
        files.write_bytes(self.folder / FRAMES / "initial.png", files.png(frame))

    def set_goal(self, frame: Frame, origin: GoalOrigin) -> None:
        files.write_bytes(self.folder / FRAMES / "goal.png", files.png(frame))
        files.write_json(self.folder / FRAMES / "goal.json", asdict(origin))

    def goal_origin(self) -> GoalOrigin | None:
        path = self.folder / FRAMES / "goal.json"
        if not path.is_file():
            return None
        value = files.read_json(path)
        value.pop("version")
        return files.parse(path, lambda: GoalOrigin(**value))

    def _frame(self, name: str) -> Frame | None:
        path = self.folder / FRAMES / f"{name}.png"
        return files.from_png(path.read_bytes(), path.name) if path.is_file() else None

    # Trajectories

    def trajectories(self) -> Listing[TrajectoryInfo]:
        """Experts first, then by source and number."""
        listing = _read_all((self.folder / TRAJECTORIES).glob("*.zip"), recordings.read_info)
        return Listing(tuple(sorted(listing.items, key=_by_source)), listing.problems)

    def trajectory(self, id: str) -> Trajectory:
        """Raises `UnknownName` or `DamagedFile`."""
        return recordings.read(self.trajectory_path(id))

    def trajectory_path(self, id: str) -> Path:
        path = self.folder / TRAJECTORIES / f"{id}.zip"
        if not NAME_PATTERN.fullmatch(id) or not path.is_file():
            known = sorted(found.stem for found in (self.folder / TRAJECTORIES).glob("*.zip"))
            raise UnknownName.among("trajectory", id, known)
        return path

    def add_trajectory(self, trajectory: Trajectory) -> str:
        """Store it under the next free number of its source; returns its id."""
        folder = self.folder / TRAJECTORIES
        folder.mkdir(exist_ok=True)
        while True:
            number = _next(path.stem.rpartition("-")[2] for path in folder.glob(f"{trajectory.source}-*.zip"))
            path = folder / f"{trajectory.source}-{number:03d}.zip"
            try:
                recordings.write(path, trajectory)
                return path.stem
            except FileExistsError:
                continue

    def remove_trajectories(self, source: Source) -> int:
        """Forget every trajectory of a source, and what was said about them; returns how many there were."""
        paths = list((self.folder / TRAJECTORIES).glob(f"{source}-*.zip"))
        for path in paths:
            path.unlink()
        for path in (self.folder / ANSWERS).glob(f"*/{source}-*.npz"):
            path.unlink()
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
        listing = _read_all((self.folder / PROPOSALS).glob("[0-9]*"), self._read_proposal)
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
        if not (folder / "proposal.json").is_file():
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
        root = self.folder / PROPOSALS
        root.mkdir(exist_ok=True)
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
            number = _next(path.name for path in draft.parent.glob("[0-9]*"))
            self._refuse_outdated(expected_latest)
            stored = dataclasses.replace(proposal, number=number, created=now())
            files.write_json(draft / "proposal.json", records.proposal_json(stored))
            try:
                draft.rename(self.proposal_folder(number))
                return stored
            except OSError:
                if not self.proposal_folder(number).exists():
                    raise

    def _refuse_outdated(self, expected_latest: int | None) -> None:
        newer = [item.number for item in self.proposals().items if (item.number or 0) > (expected_latest or 0)]
        if expected_latest is not None and newer:
            raise ChangedElsewhere(
                f"proposal {newer[-1]} was made in another tab or by a command while you worked on "
                f"{expected_latest}; nothing was saved: look at it, then save yours again"
            )

    def proposal_folder(self, number: int) -> Path:
        return self.folder / PROPOSALS / f"{number:03d}"

    def _read_proposal(self, folder: Path) -> Proposal:
        path = folder / "proposal.json"
        if not path.is_file():
            raise DamagedFile(f"proposal {folder.name} has no proposal.json; move the folder away")
        value = files.read_json(path)
        return files.parse(path, lambda: records.proposal(folder, value))

    # A person's unsaved edit

    @property
    def draft(self) -> Proposal | None:
        """The edit that was not saved yet; its `number` is that of the proposal it was made from.

        Raises:
            DamagedFile: it cannot be read.
        """
        path = self.folder / DRAFT
        if not path.is_file():
            return None
        value = files.read_json(path)
        return files.parse(path, lambda: records.draft(value))

    def save_draft(self, edited: Proposal | None) -> None:
        """Keep an edit that is not a proposal yet, in place of the one before; None forgets it."""
        if edited is None:
            (self.folder / DRAFT).unlink(missing_ok=True)
            return
        sources = {step.key: step.checker.source for step in edited.steps}
        files.write_json(self.folder / DRAFT, {**records.proposal_json(edited), "sources": sources})

    # What checkers said

    def answers(self, digest: str, id: str) -> Answers | None:
        """What the checker with this digest said about a trajectory; None where it was not asked yet.

        These files are a cache: one that cannot be read counts as not there.
        """
        path = self._answers_path(digest, id)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                faults = {
                    int(frame): Outcome(str(kind), None, str(message), int(line) or None)  # type: ignore[arg-type]
                    for frame, kind, message, line in zip(*(arrays[name] for name in FAULT_FIELDS), strict=True)
                }
                measured = float(arrays["frame_seconds"]) if "frame_seconds" in arrays else np.nan
                seconds = None if np.isnan(measured) else measured
                return Answers(arrays["values"].astype(np.float32), faults, seconds)
        except (OSError, ValueError, KeyError, EOFError):
            return None

    def save_answers(self, digest: str, id: str, answers: Answers) -> None:
        buffer = io.BytesIO()
        faults = answers.faults
        np.savez_compressed(
            buffer,
            values=answers.values,
            frame=np.array(list(faults), dtype=np.int32),
            kind=np.array([fault.kind for fault in faults.values()], dtype="U16"),
            message=np.array([fault.message for fault in faults.values()], dtype=f"U{NOTE_LIMIT}"),
            line=np.array([fault.line or 0 for fault in faults.values()], dtype=np.int32),
            frame_seconds=np.float64(np.nan if answers.frame_seconds is None else answers.frame_seconds),
        )
        files.write_bytes(self._answers_path(digest, id), buffer.getvalue())

    def _answers_path(self, digest: str, id: str) -> Path:
        return self.folder / ANSWERS / digest[:24] / f"{id}.npz"

    # Verifications

    def verifications(self) -> Listing[Verification]:
        """By number."""
        listing = _read_all((self.folder / VERDICTS).glob("*.json"), records.read_verification)
        return Listing(tuple(sorted(listing.items, key=lambda found: found.number or 0)), listing.problems)

    def verification(self, proposal: int) -> Verification | None:
        """The newest verification of a proposal; None where it was not verified yet."""
        found = [item for item in self.verifications().items if item.proposal == proposal]
        return found[-1] if found else None

    def add_verification(self, verification: Verification) -> Verification:
        folder = self.folder / VERDICTS
        folder.mkdir(exist_ok=True)
        while True:
            number = _next(path.stem for path in folder.glob("*.json"))
            stored = dataclasses.replace(verification, number=number, created=now())
            try:
                files.add_json(folder / f"{number:03d}.json", asdict(stored))
                return stored
            except FileExistsError:
                continue

    # Runs and jobs: folders that belong to the process that writes them

    def run_folders(self) -> list[Path]:
        """One folder per training, by number."""
        return sorted(path for path in (self.folder / RUNS).glob("[0-9]*") if path.is_dir())

    def run_folder(self, number: int) -> Path:
        """Raises `UnknownName` where there is none."""
        path = self.folder / RUNS / f"{number:03d}"
        if not path.is_dir():
            raise UnknownName.among("run", number, [int(found.name) for found in self.run_folders()])
        return path

    def new_run_folder(self) -> Path:
        """An empty folder of the next number."""
        return _new_folder(self.folder / RUNS, "")

    def dialogue_folders(self) -> list[Path]:
        """One folder per conversation with a model, by number."""
        return sorted(path for path in (self.folder / DIALOGUES).glob("[0-9]*") if path.is_dir())

    def dialogue_folder(self, number: int) -> Path:
        """Raises `UnknownName` where there is none."""
        path = self.folder / DIALOGUES / f"{number:03d}"
        if not path.is_dir():
            raise UnknownName.among("dialogue", number, [int(found.name) for found in self.dialogue_folders()])
        return path

    def new_dialogue_folder(self) -> Path:
        """An empty folder of the next number."""
        return _new_folder(self.folder / DIALOGUES, "")

    def own_prompts(self) -> dict[str, str]:
        """The prompts that this session words differently, by name."""
        found = {}
        for path in sorted((self.folder / PROMPTS).glob("*.md")):
            try:
                found[path.stem] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise DamagedFile(f"prompt {path.name} cannot be read ({error}); restore it or move it away") from error
        return found

    def set_own_prompt(self, name: str, text: str | None) -> None:
        """Word one prompt differently in this session; None goes back to the shipped one."""
        path = self.folder / PROMPTS / f"{name}.md"
        if text is None:
            path.unlink(missing_ok=True)
        else:
            files.write_text(path, text)

    def job_folders(self) -> list[Path]:
        """One folder per background job other than training, by number."""
        return sorted(path for path in (self.folder / JOBS).glob("[0-9]*") if path.is_dir())

    def new_job_folder(self, stage: str) -> Path:
        """An empty folder of the next number, such as `003-record`."""
        return _new_folder(self.folder / JOBS, f"-{stage}")


FAULT_FIELDS = ("frame", "kind", "message", "line")


def _new_folder(root: Path, suffix: str) -> Path:
    root.mkdir(exist_ok=True)
    while True:
        number = _next(path.name.partition("-")[0] for path in root.glob("[0-9]*"))
        path = root / f"{number:03d}{suffix}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue


def _next(numbers: Iterable[str]) -> int:
    return max((int(number) for number in numbers if number.isdigit()), default=-1) + 1


def _read_all(paths: Iterable[Path], read: Callable[[Path], T]) -> Listing[T]:
    items, problems = [], []
    for path in sorted(paths):
        try:
            items.append(read(path))
        except DamagedFile as error:
            problems.append(str(error))
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{path.name} cannot be read ({error.strerror}); check its permissions")
    return Listing(tuple(items), tuple(problems))


def _by_source(info: TrajectoryInfo) -> tuple[int, str, str]:
    return (0 if info.source == "expert" else 1, info.source, info.id)


def _changed(folder: Path) -> float:
    return max((path.stat().st_mtime for path in (folder, folder / SESSION, *folder.iterdir())), default=0.0)

"""What a bundle is made from, read from a session once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from types import ModuleType

from vlmcar_core import dialogues, plugins, prompts, runs
from vlmcar_core.dialogues import Dialogue
from vlmcar_core.envs import Standalone
from vlmcar_core.errors import BadInput, DamagedFile, UnknownName
from vlmcar_core.examinations import Examination
from vlmcar_core.marks import Mark, standing
from vlmcar_core.payments import Payment
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.runs import Run
from vlmcar_core.store import Session
from vlmcar_core.trainers import _defaults
from vlmcar_core.types import Proposal, SubTask, Task
from vlmcar_core.verdicts import Verification

DEFAULT = "once"
"""The payment that a bundle begins with; the others are those that the session's runs used."""


@dataclass(frozen=True)
class Source:
    """A proposal, and everything that is known of it."""

    session: Session
    task: Task
    proposal: Proposal
    verification: Verification
    examination: Examination | None
    ancestry: tuple[Proposal, ...]
    """What the proposal was made from, the first one first; the proposal itself is the last."""

    dialogues: tuple[Dialogue, ...]
    """The conversations with models that these came from."""

    infos: Mapping[str, TrajectoryInfo]
    """By id, those that it was verified on and that can be read."""

    marks: tuple[Mark, ...]
    """What people said by eye about its checkers' answers, as it stands."""

    trained: tuple[Run, ...]
    """Runs in which it paid."""

    payments: Mapping[str, Payment]
    """By name; the first is the default."""

    family: ModuleType | None
    """The environment's; None for a session of frames only, or where it cannot be loaded."""

    standalone: Standalone | None
    """How its environment is made and drawn without the studio; None where that is not known, or not here."""

    notes: tuple[str, ...]
    """What could not be read, or is not in the bundle."""

    @property
    def paid(self) -> tuple[SubTask, ...]:
        return self.proposal.paid

    @property
    def files(self) -> dict[str, str]:
        """Checker key to the module that holds it: a word of Python, whatever the key is."""
        places = {step.key: f"step_{place}" for place, step in enumerate(self.proposal.subtasks, 1)}
        named = {key: f"{place}_{key.replace('-', '_')}" for key, place in places.items()}
        return {**named, self.proposal.goal.key: "goal"}

    @classmethod
    def read(cls, session: Session, number: int | None) -> "Source":
        """Raises `UnknownName` or `BadInput`, see `export.bundle`."""
        proposal = session.proposal(number)
        _refuse_programs(proposal)
        verification = session.verification(proposal.number or 0)
        if verification is None:
            raise BadInput(
                f"proposal {proposal.number} of {session.name!r} is not verified, so there is nothing that a bundle "
                f"could prove; first: vlmcar verify {session.name}"
            )
        notes: list[str] = []
        keys = {step.key for step in proposal.steps}
        ancestry = _ancestry(session, proposal)
        trained = [run for run in runs.runs(session).items if run.config.proposal == proposal.number]
        infos = {info.id: info for info in session.trajectories().items if info.id in verification.trajectories}
        if lacking := len(verification.trajectories) - len(infos):
            notes.append(f"{lacking} trajectories that it was verified on are gone or damaged")
        task = session.task
        family = _family(task, notes)
        return cls(
            session=session,
            task=task,
            proposal=proposal,
            verification=verification,
            examination=session.examination(proposal.number or 0),
            ancestry=ancestry,
            dialogues=_dialogues(session, ancestry, notes),
            infos=infos,
            marks=tuple(mark for mark in standing(session.marks().items) if mark.key in keys),
            trained=tuple(trained),
            payments=_payments(proposal, trained),
            family=family,
            standalone=_standalone(task, family, notes),
            notes=tuple(notes),
        )


def _refuse_programs(proposal: Proposal) -> None:
    programs = [step.key for step in proposal.steps if step.checker.in_order]
    if programs:
        raise BadInput(
            f"a bundle cannot hold programs in the released style ({', '.join(programs)}): they read frames by path, "
            "in order, which the sandbox makes up for them and nothing does outside; write them as check(initial, "
            "current) in a new proposal, and export that"
        )


def _ancestry(session: Session, proposal: Proposal) -> tuple[Proposal, ...]:
    found = [proposal]
    while (parent := found[0].parent) is not None and parent not in {one.number for one in found}:
        try:
            found.insert(0, session.proposal(parent))
        except (UnknownName, DamagedFile):
            break
    return tuple(found)


def _dialogues(session: Session, ancestry: tuple[Proposal, ...], notes: list[str]) -> tuple[Dialogue, ...]:
    numbers = dict.fromkeys(one.dialogue for one in ancestry if one.dialogue is not None)
    found = []
    for number in numbers:
        try:
            found.append(dialogues.read(session.dialogue_folder(number)))
        except (UnknownName, DamagedFile, FileNotFoundError) as error:
            notes.append(f"the conversation {number} with a model cannot be read: {error}")
    return tuple(found)


def _payments(proposal: Proposal, trained: list[Run]) -> dict[str, Payment]:
    """The default, and what runs paid by, each once; a payment that does not fit these checkers is left out."""
    keys = [step.key for step in proposal.paid]
    found = {DEFAULT: Payment(DEFAULT)}
    for run in trained:
        payment = run.config.payment(_discount(run))
        if payment in found.values() or not _fits(lambda payment=payment: payment.shares(keys)):  # type: ignore[misc]
            continue
        name = payment.way if payment.way not in found else f"{payment.way}-run-{run.number}"
        found[name] = payment
    return found


def _discount(run: Run) -> float:
    """The learner's γ."""
    try:
        return float(_defaults.merged(_defaults.DEFAULTS[run.config.trainer], run.config.settings)["gamma"])
    except (BadInput, KeyError):
        return Payment.discount


def _fits(ask: Callable[[], object]) -> bool:
    try:
        ask()
        return True
    except BadInput:
        return False


def _family(task: Task, notes: list[str]) -> ModuleType | None:
    if task.family is None:
        return None
    try:
        return plugins.load("envs", task.family)
    except UnknownName as error:
        notes.append(str(error))
        return None


def _standalone(task: Task, family: ModuleType | None, notes: list[str]) -> Standalone | None:
    make = getattr(family, "standalone", None)
    try:
        found: Standalone | None = make(task) if make is not None else None
    except (BadInput, PackageNotFoundError) as error:
        notes.append(f"its demo shows recorded frames, since its environment cannot be made here: {error}")
        return None
    return found


def prompt_hashes(dialogue: Dialogue) -> dict[str, str]:
    """Name of each prompt as it was worded in a conversation to its SHA-256."""
    return {name: prompts.digest({name: text}) for name, text in sorted(dialogue.header.brief.prompts.items())}

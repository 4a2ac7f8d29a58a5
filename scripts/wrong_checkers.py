"""Which tool of the laboratory catches which wrong checker, and whether it leaves the right ones alone.

    python scripts/wrong_checkers.py --out docs/wrong_checkers.md

For each of four tasks a session in a temporary folder: two experts and random episodes, as in the paper, and the
built-in proposer's proposal, whose checkers are the right ones. Each specimen takes the place of one of them.
"""

import argparse
import dataclasses
import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.wrong_checkers import FACTS, SPECIMENS, Specimen
from vlmcar_core import examinations, laboratory, pipeline, verdicts
from vlmcar_core.examinations import Examined
from vlmcar_core.files import write_text
from vlmcar_core.lab.examine import examine
from vlmcar_core.sandbox import diagnose
from vlmcar_core.store import Session
from vlmcar_core.types import Checker, Proposal, Recording

CAUGHT, MISSED = "caught", "-"

ABOUT = """\
Each specimen stands in the place of a right checker under its title, as a model's wrong code would. *No title tells*:
with titles that say nothing a checker is compared with what comes true where it first fires itself. That may reject it
and never accepts it: the column after it counts what is left open, too, among them right ones until somebody names what
they are about. *As titles tell*: the titles are the built-in proposer's, and nobody names anything.
"""

EARLIER: list[Examined] = []
"""What was found already: of a proposal with a specimen in it, only that one is examined."""


def prepared(root: Path, env_id: str, randoms: int, steps: int) -> tuple[Session, Proposal]:
    session = pipeline.create_from_env(
        root, env_id.lower().replace(".", "-"), env_id, recording=Recording(2, randoms, steps)
    )
    pipeline.record(session)
    proposal = pipeline.propose(session)
    laboratory.examine(session, mutants=False)
    return session, proposal


def with_specimen(proposal: Proposal, specimen: Specimen) -> tuple[Proposal, str]:
    """The proposal with the wrong checker in it, and the key that it has there."""
    step = proposal.steps[specimen.step]
    return pipeline.with_step(proposal, dataclasses.replace(step, checker=Checker(step.key, specimen.source))), step.key


def named(proposal: Proposal, env_id: str) -> dict[str, str | None]:
    return {step.key: fact for step, fact in zip(proposal.steps, FACTS[env_id], strict=True)}


def gate(_session: Session, proposal: Proposal, key: str, _facts: Mapping[str, str | None]) -> str:
    source = next(step.checker.source for step in proposal.steps if step.key == key)
    return next((item.message for item in diagnose(source) if item.severity == "error"), "")


def paper(session: Session, proposal: Proposal, key: str, _facts: Mapping[str, str | None]) -> str:
    """Experts and random walks alone."""
    found = pipeline.verify(session, proposal.number)
    found = dataclasses.replace(
        found, verdicts=tuple(dataclasses.replace(verdict, impure="") for verdict in found.verdicts)
    )
    for judged in (verdicts.judge_checker(found.verdict(key), found), verdicts.judge_whole(found)):
        if judged.judgement == "rejected":
            return judged.reason
    return ""


def order(session: Session, proposal: Proposal, key: str, _facts: Mapping[str, str | None]) -> str:
    found = session.verification(proposal.number or 0)
    return found.verdict(key).impure if found is not None else ""


def guessed(session: Session, proposal: Proposal, key: str, _facts: Mapping[str, str | None]) -> str:
    """The laboratory without a person's word: titles, and the environment's own word on success."""
    return facts(session, proposal, key, {})


def untitled(session: Session, proposal: Proposal, key: str, _facts: Mapping[str, str | None]) -> str:
    """The same, where titles name nothing: what is left is where checkers fire themselves."""
    return facts(session, without_titles(proposal), key, {})


def unaccepted(session: Session, proposal: Proposal, key: str, _facts: Mapping[str, str | None]) -> str:
    """The same, and at least not accepted: rejected, or left open with what to name or to record."""
    judged = examined(session, without_titles(proposal), key, {})
    return judged.reason if judged.judgement != "accepted" else ""


def facts(session: Session, proposal: Proposal, key: str, known: Mapping[str, str | None]) -> str:
    """The laboratory with a person who names what each checker is about."""
    judged = examined(session, proposal, key, known)
    return judged.reason if judged.judgement == "rejected" else ""


def examined(session: Session, proposal: Proposal, key: str, known: Mapping[str, str | None]) -> verdicts.Judged:
    verification = session.verification(proposal.number or 0) or pipeline.verify(session, proposal.number)
    material = laboratory.material_of(session, proposal, verification, known)
    found = examine(proposal, dataclasses.replace(material, earlier=[*material.earlier, *EARLIER]), mutants=False)
    EARLIER.extend(found.checkers)
    return examinations.judge(next(item for item in found.checkers if item.key == key))


def without_titles(proposal: Proposal) -> Proposal:
    """With titles that say nothing."""
    subtasks = tuple(
        dataclasses.replace(step, title=f"Part {place}") for place, step in enumerate(proposal.subtasks, 1)
    )
    return dataclasses.replace(proposal, subtasks=subtasks)


TOOLS: dict[str, Callable[[Session, Proposal, str, Mapping[str, str | None]], str]] = {
    "static gate": gate,
    "experts and random walks": paper,
    "another order": order,
    "laboratory, no title tells": untitled,
    "… at least not accepted": unaccepted,
    "laboratory, as titles tell": guessed,
    "laboratory, facts named": facts,
}
"""Each says why it rejects a checker, or nothing."""


def row(session: Session, right: Proposal, specimen: Specimen) -> list[str]:
    """Why each tool rejects it."""
    edited, key = with_specimen(right, specimen)
    stored = pipeline.save_edit(session, edited, "a specimen", specimen.name)
    return [tool(session, stored, key, named(stored, specimen.env_id)) for tool in TOOLS.values()]


def right_rows(session: Session, right: Proposal, env_id: str) -> list[list[str]]:
    return [[tool(session, right, step.key, named(right, env_id)) for tool in TOOLS.values()] for step in right.steps]


def table(rows: Sequence[tuple[Specimen, list[str]]], right: Sequence[list[str]]) -> list[str]:
    lines = [
        f"| specimen | task | what is wrong with it | {' | '.join(TOOLS)} |",
        "|---|---|---|" + "---|" * len(TOOLS),
    ]
    for specimen, reasons in rows:
        said = " | ".join(CAUGHT if reason else MISSED for reason in reasons)
        task = specimen.env_id.removeprefix("MiniGrid-").removesuffix("-v0")
        lines.append(f"| {specimen.name.replace('_', ' ')} | {task} | {specimen.fault} | {said} |")
    caught = [sum(bool(reasons[place]) for _, reasons in rows) for place in range(len(TOOLS))]
    lines.append(f"| **caught, of {len(rows)}** | | | {' | '.join(f'**{count}**' for count in caught)} |")
    wrongly = [sum(bool(reasons[place]) for reasons in right) for place in range(len(TOOLS))]
    lines.append(
        f"| **right ones called so, of {len(right)}** | | | {' | '.join(f'**{count}**' for count in wrongly)} |"
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=100, help="random episodes a task")
    parser.add_argument("--steps", type=int, default=100, help="their length at most")
    parser.add_argument("--only", nargs="+", help="names of specimens")
    parser.add_argument("--out", type=Path, help="also write the table there")
    options = parser.parse_args()
    rows, right = [], []
    with tempfile.TemporaryDirectory(prefix="vlmcar-wrong-") as folder:
        for env_id in FACTS:
            session, proposal = prepared(Path(folder), env_id, options.random, options.steps)
            right += right_rows(session, proposal, env_id)
            for specimen in SPECIMENS:
                if specimen.env_id == env_id and (not options.only or specimen.name in options.only):
                    rows.append((specimen, row(session, proposal, specimen)))
                    print(specimen.name, [reason[:90] for reason in rows[-1][1]], flush=True)
    lines = [
        "# Wrong checkers, and what catches them\n",
        f"`python scripts/wrong_checkers.py --random {options.random} --steps {options.steps}`\n",
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}. Two",
        f"experts and {options.random} random episodes of at most {options.steps} steps a task.\n",
        ABOUT,
        *table(rows, right),
    ]
    print("\n".join(lines))
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

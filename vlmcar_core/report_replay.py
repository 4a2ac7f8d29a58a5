"""The decisive episodes of a session, packed into its report together with the player: no server, no network.

Whatever a checker or a file says is a string of JSON in which no sign can end the script that holds it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmcar_core import files, marks, player
from vlmcar_core.errors import DamagedFile
from vlmcar_core.escaping import bounded, for_html, harmless
from vlmcar_core.recordings import Distinct, TrajectoryInfo
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Progress, Proposal
from vlmcar_core.verdicts import Verification, Wrong

EXPERTS, WRONG = 2, 4
"""Episodes at most: experts', and those that verification calls wrong; beside them one of each other source."""
FRAMES_MAX = 400
"""An episode is cut after so many different frames."""
WORDS_MAX = 2000

STYLE = """
.replay { --st-text-color: CanvasText; --st-secondary-background-color: color-mix(in srgb, CanvasText 8%, Canvas);
  --st-primary-color: #1f6f8b; }
.episodes { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0.8rem 0; }
.episodes button { font: inherit; font-size: 0.85rem; color: inherit; background: none; border: 1px solid #8887;
  border-radius: 4px; padding: 0.25rem 0.6rem; cursor: pointer; text-align: left; }
.episodes button[aria-pressed="true"] { outline: 2px solid #1f6f8b; }
.episodes button:focus-visible { outline: 3px solid #1f6f8b; outline-offset: 2px; }
@media (prefers-color-scheme: dark) { .replay { --st-primary-color: #6cb8d2; } }
@media print { .replay, .episodes { display: none; } }
"""


@dataclass(frozen=True)
class Asked:
    """One verification, the trajectories of it that can be read, and what is known that was said of them."""

    session: Session
    proposal: Proposal
    verification: Verification
    infos: Mapping[str, TrajectoryInfo]
    """By id."""
    said: Mapping[str, Mapping[str, Answers]]
    """By trajectory and checker key."""

    @classmethod
    def read(cls, session: Session) -> "Asked | None":
        """Of the newest proposal; None where it is not verified."""
        proposal = next(reversed(session.proposals().items), None)
        verification = session.verification(proposal.number or 0) if proposal else None
        if proposal is None or verification is None:
            return None
        infos = {info.id: info for info in session.trajectories().items if info.id in verification.trajectories}
        said = {id: _answers(session, proposal, info) for id, info in infos.items()}
        return cls(session, proposal, verification, infos, said)

    @property
    def wrong(self) -> dict[str, list[Wrong]]:
        """By trajectory, the places that verification calls wrong."""
        found: dict[str, list[Wrong]] = {}
        each = (wrong for verdict in self.verification.verdicts for wrong in verdict.wrong)
        for wrong in (*self.verification.wrong, *each):
            found.setdefault(wrong.trajectory, []).append(wrong)
        return found


def _answers(session: Session, proposal: Proposal, info: TrajectoryInfo) -> dict[str, Answers]:
    found = {step.key: session.answers(step.checker.digest, info.id, info.steps + 1) for step in proposal.steps}
    return {key: answers for key, answers in found.items() if answers is not None}


@dataclass(frozen=True)
class Episode:
    """One episode, ready to be put into a page."""

    label: str
    data: str
    """JSON that the player takes; safe between the tags of a script."""


@dataclass(frozen=True)
class Replay:
    """The episodes of a report, and what is left out."""

    episodes: tuple[Episode, ...] = ()
    notes: tuple[str, ...] = ()


def replay(asked: Asked, mebibytes: float, progress: Progress) -> Replay:
    """Choose the decisive episodes, and ask the checkers, in the sandbox, what they see in each of their frames.

    Args:
        asked: what was verified.
        mebibytes: all frames together take no more than this; 0 for no replay at all.
        progress: told before each episode.
    """
    if mebibytes <= 0:
        return Replay()
    chosen = decisive(asked)
    found, notes, left = [], [], mebibytes * 2**20
    with CheckerProcess([step.checker for step in asked.proposal.steps]) as process:
        for number, id in enumerate(chosen):
            progress(number, len(chosen), f"what the code sees in {id}")
            try:
                episode = asked.session.frames(id)
            except DamagedFile as error:
                notes.append(str(error))
                continue
            pictures = _pictures(episode, left)
            made = _episode(asked, id, episode, pictures, process)
            if made is None:
                notes.append(f"{id} has no room in {mebibytes:g} MiB and is left out")
                continue
            found.append(made)
            left -= sum(map(len, pictures))
    progress(len(chosen), len(chosen), f"{len(found)} episodes can be replayed")
    return Replay(tuple(found), tuple(notes))


def decisive(asked: Asked) -> list[str]:
    """Ids of the trajectories that tell most: experts, what is wrong, of each other source the one with most done."""
    infos, wrong = asked.infos, asked.wrong

    def done(id: str) -> int:
        return sum(bool(answers.done.any()) for answers in asked.said[id].values())

    experts = [id for id, info in infos.items() if info.source == "expert"][:EXPERTS]
    faulty = [id for id in infos if id in wrong and id not in experts][:WRONG]
    others = [id for id, info in infos.items() if info.source != "expert" and id not in faulty]
    best = {infos[id].source: id for id in sorted(others, key=done)}
    return [*experts, *faulty, *(id for id in others if id in best.values())]


def section(found: Replay) -> str:
    """The player and its episodes as HTML; empty where there is none. `script` makes it live."""
    notes = "".join(f"<p class=small>{for_html(note)}</p>" for note in found.notes)
    if not found.episodes:
        return f"<h2>Replay</h2>{notes}" if notes else ""
    buttons = "".join(
        f'<button type="button" data-replay="replay-{number}" aria-pressed="false">{for_html(episode.label)}</button>'
        for number, episode in enumerate(found.episodes)
    )
    data = "".join(
        f'<script type="application/json" id="replay-{number}">{episode.data}</script>'
        for number, episode in enumerate(found.episodes)
    )
    return (
        "<h2>Replay</h2><p class=small>Decisive episodes: experts', what verification calls wrong, and of each other "
        "source the one in which most is done. Outlines are what each checker's <code>identify_</code> functions found "
        "when this page was written.</p><noscript><p>The replay needs JavaScript; this page runs its own alone.</p>"
        f'</noscript>{notes}<div class="episodes" role="group" aria-label="Episodes">{buttons}</div>{player.html()}'
        f"{data}"
    )


def script(found: Replay) -> str:
    """The player's code for the end of the page, without its tags; empty where nothing is replayed."""
    return f'"use strict";\n{{\n{player.script(player.PAGE)}\n}}' if found.episodes else ""


def style(found: Replay) -> str:
    return f"{player.css()}{STYLE}" if found.episodes else ""


def _pictures(episode: Distinct, room: float) -> list[bytes]:
    """The first different frames of an episode as PNG, as many as there is room for."""
    found: list[bytes] = []
    for frame in episode.frames[:FRAMES_MAX]:
        picture = files.png(frame)
        if sum(map(len, found)) + len(picture) > room:
            break
        found.append(picture)
    return found


def _episode(
    asked: Asked, id: str, episode: Distinct, pictures: Sequence[bytes], process: CheckerProcess
) -> Episode | None:
    """As much of an episode as there are pictures for; None where that is not one step."""
    # Distinct frames are numbered as they appear, so an episode is cut where the first one is missing.
    length = next((at for at, number in enumerate(episode.order) if number >= len(pictures)), len(episode.order))
    if length < 2:
        return None
    shown = Distinct(episode.frames[: len(pictures)], episode.order[:length])
    track = {
        "name": id,
        "frames": [_url(picture) for picture in pictures],
        "order": shown.order.tolist(),
        **_said(asked, id, shown, process),
    }
    data = {"id": id, "start": 0, "jump": 0, "marked": 0, "marks": False, "tracks": [track]}
    info, cut = asked.infos[id], "" if length == len(episode.order) else f", the first {length - 1}"
    solved = {True: "solved", False: "not solved", None: "success not known"}[info.success]
    label = f"{id}: {info.steps} steps{cut}, {solved}{', wrong' if id in asked.wrong else ''}"
    return Episode(label, _json(data))


def _said(asked: Asked, id: str, shown: Distinct, process: CheckerProcess) -> dict[str, Any]:
    """What checkers said and see, and what people expect, in the frames that are shown."""
    length, steps = len(shown.order), asked.proposal.steps
    standing = marks.standing(asked.session.marks().items)
    return player.said(
        asked.proposal,
        {key: _cut(answers, length) for key, answers in asked.said[id].items()},
        player.together({step.key: player.seen(process, step.checker, shown) for step in steps}),
        [item for item in asked.wrong.get(id, []) if item.frame < length],
        {step.key: marks.expected(standing, id, step.key, length) for step in steps},
    )


def _cut(answers: Answers, length: int) -> Answers:
    return Answers(answers.values[:length], {frame: fault for frame, fault in answers.faults.items() if frame < length})


def _url(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _json(data: Any) -> str:
    """JSON of ASCII without the signs that mean something to HTML."""
    text = json.dumps(_harmless(data), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.startswith("data:image/png;base64,") else harmless(bounded(value, WORDS_MAX))
    if isinstance(value, dict):
        return {_harmless(key): _harmless(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(item) for item in value]
    return value

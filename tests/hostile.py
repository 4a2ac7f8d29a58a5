"""For tests: sessions in which every word that somebody could choose tries to be more than a word."""

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import RED_AT_LEAST, proposal
from tests.recorded_answers import ANSWERS, record
from tests.studio_sessions import framed, recorded
from vlmcar_core import pipeline
from vlmcar_core.store import Session
from vlmcar_core.types import Task

EXAMPLE = Path(__file__).parent.parent / "sessions" / "example-doorkey-6x6"
WORDS = (
    "W0RD ![leak](http://evil.example/a.png) <img src=http://evil.example/b.png onerror=owned=1> "
    "<script>owned=2</script></script> <a href='http://evil.example/c'>tag</a> [click](http://evil.example/d) "
    "<http://evil.example/e> http://evil.example/f www.evil.example/g me@evil.example [ref]: http://evil.example/h "
    "$x^2$ $$y$$ :red[red] :blue-background[b] :material/home: :material_home: :streamlit: :smile: -> <- -- "
    "`code` **bold** ~~gone~~ %{x} &lt;b&gt; \x1b]0;owned\x07\x1b[31m\u202eesrever\n\n# heading\n\n- item\n===\n"
)
TOKENS = (
    *("![leak](", "<img", "<script", "<a href", "[click](", "<http", "http://evil", "www.evil", "me@evil", "$x^2$"),
    *(":red[", ":material/home:", ":material_home:", ":streamlit:", ":smile:", "`code`", "**bold**", "\n#"),
    *("&lt;b", "\x1b", "\x07", "\u202e"),
)
"""What of `WORDS` would be read as more than text."""

CHOSEN = {
    *("title", "doubt", "doubts", "author", "reason", "created", "message", "fault", "impure", "name", "kind", "note"),
    *("model", "problem", "hint", "feedback", "text", "group", "trainer", "faults", "completions", "id", "finish"),
}
"""Fields of a session's files that hold words, and nothing that the program takes apart."""

EVIL_CHECKER = f"""
def identify_www(image):
    return {WORDS!r}


def check(initial, current):
    print({WORDS!r})
    if current.any():
        raise ValueError({WORDS!r})
    return initial.any()
"""


def sessions(root: Path) -> dict[str, Session]:
    """One of two frames that was verified and talked about, one that was trained in, one of no known environment."""
    return {"asked": asked(root), "trained": trained(root), "unknown": unknown(root)}


def asked(root: Path) -> Session:
    session = recorded(root, "asked")
    session.add_proposal(
        proposal(("fails", EVIL_CHECKER), ("sees", RED_AT_LEAST.format(pixels=4)), goal=RED_AT_LEAST.format(pixels=9))
    )
    pipeline.verify(session)
    standing = session.proposal()
    record(session, (WORDS, *ANSWERS), f"model {WORDS}"[:80])
    session.add_proposal(standing)
    (session.folder / "trajectories" / "![leak](x) :red[r] `code` <b>.zip").write_bytes(b"no zip")
    ended_badly(session)
    poison(session)
    pipeline.verify(session)
    return session


def trained(root: Path) -> Session:
    shutil.copytree(EXAMPLE, root / "trained")
    session = Session(root / "trained")
    for path in (session.folder / "trajectories").glob("*.zip"):
        with_words(path)
    poison(session)
    return session


def unknown(root: Path) -> Session:
    session = framed(root, "unknown")
    header = json.loads((session.folder / "session.json").read_text())
    header["task"] |= {"env_id": WORDS, "family": "minigrid"}
    (session.folder / "session.json").write_text(json.dumps(header))
    return session


def ended_badly(session: Session) -> None:
    """Background work of every stage that failed, and said so in many words."""
    for stage in ("record", "propose", "verify", "repair", "watch"):
        folder = session.new_job_folder(stage)
        folder.mkdir(parents=True, exist_ok=True)
        status = {"version": 1, "kind": stage, "state": "error", "message": WORDS, "began": 1.0, "updated": 2.0}
        (folder / "status.json").write_text(json.dumps(status))
        (folder / "log.txt").write_text(WORDS)


def with_words(path: Path) -> None:
    """The same trajectory, recorded by somebody with words for a source."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    meta = json.loads(members["meta.json"])
    meta["versions"] = {WORDS: WORDS}
    meta["source"] = f"{meta['source']} {WORDS}" if meta["source"] == "policy" else meta["source"]
    members["meta.json"] = json.dumps(meta).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    path.write_bytes(buffer.getvalue())


def poison(session: Session) -> None:
    """Put `WORDS` wherever a file holds words."""
    for path in [*session.folder.rglob("*.json"), *session.folder.rglob("*.jsonl")]:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        path.write_text("\n".join(json.dumps(poisoned(json.loads(line))) for line in lines))


def poisoned(value: Any, chosen: bool = False) -> Any:
    if isinstance(value, dict):
        return {key: poisoned(item, chosen or key in CHOSEN) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, chosen) for item in value]
    return f"{value} {WORDS}" if chosen and isinstance(value, str) and value else value


def texts(message: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a message to the browser, with the path of its fields."""
    for field, value in message.ListFields():
        here = f"{path}.{field.name}"
        for item in value if isinstance(value, list) or hasattr(value, "append") else [value]:
            if isinstance(item, str):
                yield here, item
            elif hasattr(item, "ListFields"):
                yield from texts(item, here)


__all__ = ["TOKENS", "WORDS", "Task", "sessions", "texts"]

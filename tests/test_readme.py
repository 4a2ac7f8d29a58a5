"""The blocks of shell and Python in the README, and in what it leads to, do what they say, in order, with small settings;
links lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?^```(?P<kind>sh|python)\n(?P<text>.*?)^```$", re.M | re.S
)
SMALLER = (
    (r"MiniGrid-DoorKey-8x8-v0", "MiniGrid-DoorKey-6x6-v0 --experts 2 --random 30 --random-steps 10"),
    (r"--steps \d+", "--steps 300 --seeds 1"),
    (r"--seeds \d+", "--seeds 1"),
    (r"(vlmcar train (?!.*--steps)[^#\n]*)", r"\1 --seeds 1 --steps 300 "),
    (r"total_timesteps=[\d_]+", "total_timesteps=64"),
)
"""What stands there, and what is run instead."""
SECONDS = 600
DEEPER = ("checkers", "data", "environments", "laboratory", "models", "sessions", "training")
PAGES = (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in DEEPER))
LINK = re.compile(r"\]\((?!https?://)(?P<file>[^)#]*)(?:#(?P<part>[^)]*))?\)")


class Block(NamedTuple):
    kind: str
    text: str
    reason: str | None
    """Why it is not run; None where it is."""


def text() -> str:
    """What a person reads in that order: the README, then the pages that go deeper."""
    return "\n".join(path.read_text(encoding="utf-8") for path in PAGES)


def blocks() -> list[Block]:
    return [Block(found["kind"], found["text"], found["reason"]) for found in BLOCK.finditer(text())]


def smaller(text: str) -> str:
    for pattern, instead in SMALLER:
        text = re.sub(pattern, instead, text)
    return text


def run(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one block where the example sessions are; the first command that fails ends it."""
    commands = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "VLMCAR_SESSIONS": str(folder / "sessions")}
    command = [*commands[block.kind], smaller(block.text)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)


def test_every_block_is_run_or_says_why_not() -> None:
    assert len(blocks()) == len(re.findall(r"^```(?:sh|python)$", text(), re.M))
    assert sum(block.reason is None for block in blocks()) >= 5


def test_the_blocks_run_in_their_order(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sessions", tmp_path / "sessions")
    for block in blocks():
        if block.reason is None:
            done = run(block, tmp_path)
            assert done.returncode == 0, f"{smaller(block.text)}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "demo.html").is_file() and (tmp_path / "demo-reward" / "reward.py").is_file()


def test_a_block_that_fails_is_told() -> None:
    assert run(Block("sh", "false\ntrue\n", None), ROOT).returncode != 0
    assert run(Block("python", "import nothing_of_that_name\n", None), ROOT).returncode != 0
    with pytest.raises(KeyError):
        run(Block("ruby", "", None), ROOT)


def anchors(path: Path) -> set[str]:
    """The names by which headings are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for found in LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / found["file"]).resolve() if found["file"] else page
        assert target.is_file(), found[0]
        assert found["part"] is None or found["part"] in anchors(target), found[0]


def test_pictures_are_small_and_the_flow_is_what_its_script_draws() -> None:
    from scripts import flow_picture

    assert flow_picture.OUT.read_text(encoding="utf-8") == flow_picture.drawn()
    pictures = list((ROOT / "docs" / "screenshots").glob("*.png"))
    assert pictures and sum(path.stat().st_size for path in pictures) < 2 * 2**20

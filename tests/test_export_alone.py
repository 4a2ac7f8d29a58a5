"""Bundles in an empty virtual environment: their tests pass and their demos run, with only what they ask for."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_export_gymnasium import lake
from vlmcar_core import export, pipeline
from vlmcar_core.store import Session
from vlmcar_core.types import Recording

EXAMPLES = Path(__file__).parent.parent / "sessions"
SECONDS = 600


class Empty:
    """A virtual environment that has nothing of the studio's."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=SECONDS)

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        environment = {**kept, "PYTHONNOUSERSITE": "1"}
        command = [str(self.python), *arguments]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=SECONDS)

    def install(self, *what: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "pip", "--disable-pip-version-check", "-q", "install", *what, cwd=cwd)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Empty:
    made = Empty(tmp_path_factory.mktemp("empty") / "venv")
    tried = made.install("numpy", cwd=made.python.parent)
    if tried.returncode:
        pytest.skip(f"pip reaches no index: {tried.stderr.strip().splitlines()[-1]}")
    return made


def written(session: Session, folder: Path) -> Path:
    export.write(pipeline.export(session), folder)
    return folder


def passes(empty: Empty, bundle: Path) -> int:
    """How many of a bundle's tests ran; all of them passed."""
    installed = empty.install("-r", "requirements.txt", cwd=bundle)
    assert installed.returncode == 0, installed.stderr
    found = empty.run("-m", "unittest", "discover", "tests", cwd=bundle)
    assert found.returncode == 0 and "OK" in found.stderr, found.stderr
    count = re.search(r"Ran (\d+) tests", found.stderr)
    assert count is not None
    return int(count[1])


def test_a_gymnasium_bundle_asks_for_the_extra_that_draws_and_acts_in_its_environment(
    empty: Empty, tmp_path: Path
) -> None:
    """Before MiniGrid's, which brings what draws here."""
    bundle = written(lake(tmp_path, "lake"), tmp_path / "bundle")
    assert passes(empty, bundle) == 4
    without = empty.run("demo.py", cwd=bundle)
    assert without.returncode == 0 and "pygame is not installed, so recorded frames" in without.stdout, without.stderr
    assert (bundle / "requirements-demo.txt").read_text().splitlines()[1].startswith("gymnasium[toy-text]  # made with")
    assert empty.install("-r", "requirements-demo.txt", cwd=bundle).returncode == 0
    played = empty.run("demo.py", cwd=bundle)
    assert played.returncode == 0, played.stderr
    assert played.stdout.count("FrozenLake-v1 draws the same first frame as recorded") == 2
    assert played.stdout.count("the last frame is the same as recorded") == 2


def test_a_minigrid_bundle_needs_nothing_else_and_its_demo_plays_the_environment(empty: Empty, tmp_path: Path) -> None:
    bundle = written(Session.open(EXAMPLES, "example-doorkey-6x6"), tmp_path / "doorkey")
    assert passes(empty, bundle) == 4
    assert empty.run("-c", "import vlmcar_core", cwd=bundle).returncode != 0
    without = empty.run("demo.py", cwd=bundle)
    assert without.returncode == 0 and "minigrid is not installed, so recorded frames" in without.stdout, without.stderr
    assert empty.install("-r", "requirements-demo.txt", cwd=bundle).returncode == 0
    played = empty.run("demo.py", cwd=bundle)
    assert played.returncode == 0, played.stderr
    assert played.stdout.count("draws the same first frame as recorded") == 2
    assert played.stdout.count("3 of 3 sub-tasks done, 1.000 paid") == without.stdout.count("1.000 paid") == 2


def test_its_tests_fail_where_a_checker_was_changed(empty: Empty, tmp_path: Path) -> None:
    bundle = written(Session.open(EXAMPLES, "example-unlock"), tmp_path / "unlock")
    assert passes(empty, bundle) == 4
    goal = bundle / "checkers" / "goal.py"
    goal.write_text(goal.read_text() + "\n\ndef check(initial, current):\n    return True\n")
    found = empty.run("-m", "unittest", "discover", "tests", cwd=bundle)
    assert "test_the_code_is_what_was_verified" in found.stderr and "one before it is done" in found.stderr


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pybullet has no wheels for CPython 3.12 and later")
@pytest.mark.parametrize(
    ("env_id", "lacks"), [("Tabletop/put-block-in-bowl-v0", "PIL"), ("PandaReach-v3", "panda_gym")]
)
def test_a_bundle_whose_camera_is_the_studios_brings_it_and_its_demo_acts_in_the_simulator(
    empty: Empty, tmp_path: Path, env_id: str, lacks: str
) -> None:
    """In this order: what the arm needs holds what the tabletop needs."""
    session = pipeline.create_from_env(tmp_path, "it", env_id, recording=Recording(2, 6, 20))
    pipeline.record(session)
    pipeline.propose(session)
    pipeline.verify(session)
    bundle = written(session, tmp_path / "bundle")
    card = (bundle / "card.md").read_text()
    assert "frames that code of the studio's own draws. It is in `studio/`" in card and "CPython 3.11" in card
    assert passes(empty, bundle) == 4
    shown = empty.run("demo.py", cwd=bundle)
    assert shown.returncode == 0 and f"{lacks} is not installed, so recorded frames are shown" in shown.stdout
    assert "expert-000" in shown.stdout and "+" in shown.stdout
    installed = empty.install("-r", "requirements-demo.txt", cwd=bundle)
    assert installed.returncode == 0, installed.stderr
    played = empty.run("demo.py", cwd=bundle)
    assert played.returncode == 0, played.stderr
    assert played.stdout.count(f"{env_id} draws the same first frame as recorded") == 2
    assert played.stdout.count("the last frame is the same as recorded") == 2
    assert paid(played.stdout) == paid(shown.stdout) and paid(played.stdout)


def paid(shown: str) -> list[str]:
    """The lines that tell what was paid when."""
    return [line for line in shown.splitlines() if line.startswith("  step")]

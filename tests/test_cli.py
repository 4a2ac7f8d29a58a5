"""The command line as a person meets it: whole sessions through real processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import picture
from vlmcar_core.store import Session

ENV = "MiniGrid-DoorKey-5x5-v0"


def vlmcar(root: Path, *arguments: str, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vlmcar_core", "--root", str(root), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "COLUMNS": "120"},
    )


@pytest.mark.parametrize(("chosen", "taken"), [(None, "1"), ("4", "4")])
def test_a_product_of_matrices_takes_one_thread_unless_the_person_chose(chosen: str | None, taken: str) -> None:
    """NumPy reads it when it is imported: two busy processes with two threads each wait for each other."""
    code = (
        "import os, sys\n"
        "from vlmcar_core import __main__\n"
        "assert 'numpy' not in sys.modules\n"
        "sys.argv = ['vlmcar', '--version']\n"
        "try:\n    __main__.main()\n"
        "finally:\n    print([os.environ[name] for name in __main__.THREADS])\n"
    )
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    env = {name: value for name, value in os.environ.items() if name not in names}
    env |= dict.fromkeys(names, chosen) if chosen else {}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert shown.splitlines()[-1] == str([taken] * 3)


def test_help_teaches_the_whole_flow_and_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['vlmcar', '--help']\n"
        "from vlmcar_core.cli import cli\n"
        "cli(standalone_mode=False)\n"
        "print(sorted({'torch', 'numba', 'stable_baselines3', 'streamlit', 'minigrid', 'cv2', 'openai', 'keyring'} & set(sys.modules)))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for command in ("new", "record", "propose", "verify", "train", "report", "app"):
        assert f"vlmcar {command}" in shown
    assert shown.rstrip().endswith("[]")


def test_a_session_from_an_environment_to_a_report(tmp_path: Path) -> None:
    steps = [
        ("new", "demo", "--env", ENV, "--random", "30", "--random-steps", "30"),
        ("record", "demo"),
        ("propose", "demo"),
        ("verify", "demo"),
        ("train", "demo", "--reward", "dense", "--reward", "sparse", "--seeds", "1", "--steps", "2048"),
        ("runs", "demo"),
        ("watch", "demo", "0", "--episodes", "1"),
        ("show", "demo"),
        ("jobs", "demo"),
        ("report", "demo", "--out", str(tmp_path / "demo.html")),
    ]
    said = {}
    for step in steps:
        done = vlmcar(tmp_path, *step)
        assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
        said[step[0]] = done.stdout
    assert "2 expert and 30 random episodes" in said["record"]
    assert vlmcar(tmp_path, "goal", "demo", "--trajectory", "random-003", "--frame", "7").stdout == (
        "goal frame: frame 7 of random-003\n"
    )
    assert "has frames 0 to" in vlmcar(tmp_path, "goal", "demo", "--trajectory", "random-003", "--frame", "999").stderr
    assert "built-in, no VLM" in said["propose"]
    assert "accepted   the whole" in said["verify"]
    assert said["runs"].count("0 success") == 2
    assert "policy-000" in said["watch"]
    page = (tmp_path / "demo.html").read_text()
    assert "built-in, no VLM" in page and ENV in page


def test_edits_make_proposals_that_can_be_compared_and_restored(tmp_path: Path) -> None:
    paths = []
    for name, red in (("initial.png", 0), ("goal.png", 60)):
        Image.fromarray(picture(red)).save(tmp_path / name)
        paths.append(str(tmp_path / name))
    code = tmp_path / "red.py"
    code.write_text("def check(initial, current):\n    return bool((current[..., 0] > 200).sum() >= 4)\n")
    root = tmp_path / "sessions"
    assert vlmcar(root, "new", "red", "--initial", paths[0], "--goal", paths[1]).returncode == 0
    session = Session.open(root, "red")
    from tests.conftest import ALWAYS, proposal

    begun = vlmcar(root, "edit", "begin", "red", "The picture is red", "--code", str(code), "--author", "Ada")
    assert begun.returncode == 0 and session.proposal(0).goal.title == "The picture is red"
    assert vlmcar(root, "edit", "begin", "red", "again").returncode == 1
    (session.folder / "proposals").rename(tmp_path / "begun")
    session.add_proposal(proposal(("first", ALWAYS)))
    for edit in (
        ("edit", "add", "red", "See some red", "--code", str(code), "--author", "Ada", "--reason", "it was missing"),
        ("edit", "move", "red", "see-some-red", "1", "--author", "Ada"),
        ("edit", "set", "red", "goal", "--title", "All red", "--author", "Ada"),
        ("edit", "remove", "red", "first", "--author", "Ada"),
    ):
        done = vlmcar(root, *edit)
        assert done.returncode == 0, done.stderr
    newest = session.proposal()
    assert (newest.number, newest.author, newest.goal.title) == (4, "Ada", "All red")
    assert [step.key for step in newest.subtasks] == ["see-some-red"]
    shown = vlmcar(root, "diff", "red", "0", "4").stdout
    assert "-first: first" in shown and "+see-some-red: See some red" in shown and "+def check" in shown
    assert vlmcar(root, "restore", "red", "0", "--author", "Ada").returncode == 0
    assert [step.key for step in session.proposal().subtasks] == ["first"]
    looked = vlmcar(root, "look", "red", "see-some-red", "--proposal", "4").stdout
    assert looked.startswith("done: progress 1")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("record", "nowhere"), 1, "no session 'nowhere'"),
        (("new", "a/b", "--env", ENV), 1, "'a/b' cannot be a session's name"),
        (("new", "x", "--env", "MiniGrid-DoorKey-7x7-v0"), 1, "no environment 'MiniGrid-DoorKey-7x7-v0'"),
        (("new", "x", "--env", ENV, "--seed", "-3"), 1, "not -3"),
        (("new", "x", "--env", ENV, "--random-steps", "0"), 1, "not 0"),
        (("new", "x", "--env", ENV, "--settings", "{"), 1, "not JSON"),
        (("new", "x", "--env", ENV, "--settings", '{"nonsense": 1}'), 1, "nonsense"),
        (("new", "x"), 2, "give --env"),
        (("envs", "zzz"), 1, "'zzz'"),
    ],
)
def test_bad_input_is_one_clear_line_and_creates_nothing(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = vlmcar(tmp_path, *arguments)
    assert done.returncode == code
    assert words in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*/session.json"))


def test_a_run_can_be_stopped_from_the_shell(tmp_path: Path) -> None:
    assert vlmcar(tmp_path, "new", "demo", "--env", ENV).returncode == 0
    done = vlmcar(tmp_path, "train", "demo", "--reward", "sparse", "--seeds", "1", "--steps", "5000000", "--detach")
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 90
    while " 0/5000000" not in (shown := vlmcar(tmp_path, "jobs", "demo").stdout) and "/5000000" not in shown:
        assert time.monotonic() < deadline, shown
    assert vlmcar(tmp_path, "cancel", "demo").stdout == "1 stopped\n"
    assert "cancelled" in vlmcar(tmp_path, "jobs", "demo").stdout

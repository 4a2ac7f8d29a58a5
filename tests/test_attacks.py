"""The attack suite in all four ways (this user and nobody, gate on and off), and proof that its tests can fail.

The programs are in tests/attacks. Each way is one run of `python -m tests.attacks.run`; what is asserted about each
program was seen there.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.attacks import run, trial
from tests.attacks.arena import ENVIRONMENT, PREFIX, Arena
from tests.attacks.attack import Attack
from tests.attacks.honest import CONTROLS
from tests.attacks.programs import attacks
from tests.attacks.tools import CALLS, FORGE, LOOT, REACH, RUNS
from tests.attacks.trial import MEMORY_BYTES
from tests.attacks.unprivileged import CANNOT
from vlmcar_core.sandbox import CheckerProcess, Limits
from vlmcar_core.types import Checker

ROOT = Path(__file__).parents[1]
ATTACKS = {attack.name: attack for _, attack in attacks()}
HONEST = [honest.name for honest in CONTROLS]
GATES = ("on", "off")
USERS = {"this-user": "tests.attacks.run", "nobody": "tests.attacks.unprivileged"}
RUN_SECONDS = 1800


@dataclass(frozen=True)
class Told:
    """What one run told, by the names of the programs."""

    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: str = ""


def _started(module: str, arguments: list[str], file: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", module, *arguments, "--json", str(file)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _told(process: "subprocess.Popen[str]", file: Path) -> Told:
    output, _ = process.communicate(timeout=RUN_SECONDS)
    if process.returncode == CANNOT:
        return Told(skipped=output.strip().splitlines()[-1])
    assert file.exists(), f"the run ended with {process.returncode} and told nothing:\n{output[-3000:]}"
    return Told({result["name"]: result for result in json.loads(file.read_text())["results"]})


@pytest.fixture(scope="module")
def every_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Told]]:
    """What all users' runs told, gate on and off; all at once, for they mostly wait."""
    folder = tmp_path_factory.mktemp("told")
    users = [user for user in USERS if user != "nobody" or os.geteuid() == 0]
    files = {(user, gate): folder / f"{user}-{gate}.json" for user in users for gate in GATES}
    started = {(user, gate): _started(USERS[user], ["--gate", gate], file) for (user, gate), file in files.items()}
    return {user: {gate: _told(started[user, gate], files[user, gate]) for gate in GATES} for user in users}


@pytest.fixture(scope="module", params=list(USERS))
def runs(request: pytest.FixtureRequest, every_run: dict[str, dict[str, Told]]) -> dict[str, Told]:
    """What one user's runs told, gate on and off."""
    if request.param not in every_run:
        pytest.skip("only root can try the attacks as somebody else, too")
    return every_run[request.param]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What the attacks do where nothing contains them."""
    file = tmp_path_factory.mktemp("bare") / "bare.json"
    return _told(_started("tests.attacks.run", ["--bare"], file), file)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_does_not_work_and_harms_nobody(runs: dict[str, Told], gate: str, name: str) -> None:
    result = _result(runs[gate], name)
    assert result["verdict"] == "held", result["failures"]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("name", HONEST)
def test_the_honest_checker_answers_rightly(runs: dict[str, Told], gate: str, name: str) -> None:
    result = _result(runs[gate], name)
    assert result["verdict"] == "works", result["failures"]


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.bare != "nobody"])
def test_the_attack_works_where_nothing_contains_it(bare: Told, name: str) -> None:
    result = _result(bare, name)
    assert result["verdict"] == "works", result["message"]


def _result(told: Told, name: str) -> dict[str, Any]:
    result = told.results.get(name, {"skipped": told.skipped or "it was not run"})
    if result["skipped"]:
        pytest.skip(result["skipped"])
    return result


def test_most_system_calls_of_the_suite_reach_a_bare_kernel(bare: Told) -> None:
    """A kernel that refuses by itself proves nothing about the seal."""
    counts = Counter(told["verdict"] for told in bare.results.values() if told["category"] == "kernel")
    assert counts["works"] > sum(counts.values()) / 2


def test_the_suite_is_as_wide_as_it_was() -> None:
    categories = Counter(category for category, _ in attacks())
    assert len(ATTACKS) == sum(categories.values()) >= 700 and len(HONEST) >= 12
    assert set(categories) == {
        *(
            "answers",
            "forging",
            "kernel",
            "language",
            "language_past_gate",
            "memory",
            "network",
            "processes",
            "reading",
        ),
        *("resources_memory", "resources_time", "secrets", "signals", "tampering", "tampering_frames", "writing"),
    }


TOOLS = {
    "calls": (CALLS, "call(39) == os.getpid()"),
    "machine-code-would-run": (RUNS, "runs(ctypes.cast(libc.getpid, ctypes.c_void_p).value, None, os.getpid())"),
    "secrets-are-found": (LOOT, "found('a vlmcar-canary-' + '0' * 28) and not found('vlmcar-canary-')"),
    "modules-are-reached": (REACH + "\nimport sys", "'posix' in sys.modules and sys.modules['posix'].open"),
}


@pytest.mark.parametrize("name", TOOLS)
def test_the_attackers_tools_work_in_the_sandbox(name: str) -> None:
    """Otherwise attacks would fail there for the wrong reason."""
    tools, expression = TOOLS[name]
    if "def call(" in tools and os.uname().machine != "x86_64":
        pytest.skip("numbers of system calls are those of x86-64")
    source = f"{tools}\n\ndef check(initial, current):\n    return bool({expression})\n"
    with CheckerProcess([Checker("it", source)], Limits(0.5, MEMORY_BYTES, gate=False)) as process:
        (outcome,) = process.run("it", _black()[0], _black())
    assert outcome.done, outcome


def test_the_forger_speaks_the_workers_language() -> None:
    """A well-formed lie about itself is believed, so those that are not are read, too, and not lost on the way."""
    source = f"""{FORGE}

def identify_it(image):
    lie = {{"kind": "ok", "value": 1.0}}
    forge(b"A", {{"outcome": lie, "printed": "forged", "initial": [], "current": []}})


def check(initial, current):
    return False
"""
    with CheckerProcess([Checker("it", source)], Limits(0.5, MEMORY_BYTES, gate=False)) as process:
        found = process.inspect("it", _black()[0], _black()[0])
    assert found.printed == "forged" and found.outcome.done


@pytest.fixture
def arena(monkeypatch: pytest.MonkeyPatch) -> Iterator[Arena]:
    monkeypatch.setenv(ENVIRONMENT, f"{PREFIX}{'0' * 28}")  # or the arena leaves one of its own behind
    with Arena() as arena:
        arena.reset()
        yield arena


def _facts(arena: Arena) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(arena.facts(), names)
    return names


def test_a_file_that_is_changed_made_or_removed_is_seen(arena: Arena) -> None:
    facts = _facts(arena)
    Path(facts["CANARY"]).write_text("changed")
    Path(facts["NEW"]).touch()
    (Path(facts["FOLDER"]) / "array.npy").unlink()
    seen = arena.traces()
    assert {"canary.txt was changed", "new was made", "array.npy is gone"} <= set(seen)
    arena.reset()
    assert arena.traces() == []


def test_whoever_comes_to_a_socket_is_seen(arena: Arena) -> None:
    facts = _facts(arena)
    families = (
        (socket.AF_INET, ("127.0.0.1", facts["TCP"])),
        (socket.AF_UNIX, facts["STREAM"]),
        (socket.AF_UNIX, "\0" + facts["ABSTRACT"]),
    )
    for family, address in families:
        with socket.socket(family) as caller:
            caller.connect(address)
    with socket.socket(type=socket.SOCK_DGRAM) as caller:
        caller.sendto(b"x", ("127.0.0.1", facts["UDP"]))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
        caller.sendto(b"x", facts["DATAGRAMS"])
    heard = ["TCP", "a Unix socket", "an abstract socket", "UDP", "a Unix datagram socket"]
    assert arena.traces() == [f"{name} was reached" for name in heard]


def test_a_signal_and_a_death_are_seen(arena: Arena) -> None:
    facts = _facts(arena)
    os.kill(facts["VICTIM"], signal.SIGURG)
    os.kill(facts["RUNNER"], signal.SIGWINCH)
    seen: list[str] = []
    while len(seen) < 2:
        seen += arena.traces()
    assert sorted(seen) == ["the runner received SIGWINCH", "the victim received SIGURG"]
    os.kill(facts["VICTIM"], signal.SIGKILL)
    while not (seen := arena.traces()):
        pass
    assert seen == ["the victim is dead"]


def test_a_process_that_is_left_behind_is_seen_and_ended(arena: Arena) -> None:
    code = "import os, time; os.fork() or (os.setsid(), time.sleep(60))"
    subprocess.run([sys.executable, "-c", code], check=True)
    (left,) = arena.left()
    assert left.endswith("was left behind")
    assert arena.left() == []


def test_a_leak_and_a_changed_memory_are_seen(arena: Arena) -> None:
    assert arena.leaked(f"x{arena.secrets['the memory']}x") == ["a secret from the memory came out"]
    assert arena.leaked("vlmcar-canary-") == []
    ctypes.memset(_facts(arena)["SCRATCH_AT"], 255, 3)
    assert arena.traces() == ["the runner's memory was changed"]


ODD = {
    "says-that-it-worked": (Attack("odd", "def check(a, b):\n    return True\n"), "it says that it worked"),
    "ends-otherwise": (Attack("odd", "def check(a, b):\n    return 1 / 0\n", kinds=("memory",)), ", not memory"),
    "tells-a-secret": (Attack("odd", "def check(a, b):\n    raise ValueError('{secret}')\n"), "a secret from a file"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_not_as_it_should_be_is_told(arena: Arena, name: str) -> None:
    attack, words = ODD[name]
    source = attack.source.replace("{secret}", arena.secrets["a file"])
    result = trial.tried(replace(attack, source=source), "odd", arena, gate=False)
    assert result.verdict == "breach" and words in " ".join(result.failures)


def test_what_takes_too_long_is_told(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_most_seconds", lambda attack: -1.0)
    result = trial.tried(Attack("slow", "def check(a, b):\n    return False\n"), "odd", arena, gate=False)
    assert result.verdict == "breach" and "took" in result.failures[0]


def test_an_app_that_hangs_is_told(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "BESIDE_SECONDS", 0.5)
    monkeypatch.setattr(trial, "_most_seconds", lambda attack: 0.0)
    source = (
        "import threading\n\n\ndef check(a, b):\n    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()\n"
    )
    result = trial.tried(Attack("stuck", source), "odd", arena, gate=False)
    assert "the app's side hangs" in " ".join(result.failures)


@pytest.mark.parametrize(("answer", "code"), [("False", 0), ("True", 1)])
def test_the_runner_exits_with_1_where_an_attack_got_through(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, code: int
) -> None:
    odd = Attack("odd-one", f"def check(a, b):\n    return {answer}\n")
    monkeypatch.setattr(run, "attacks", lambda: iter([("odd", odd)]))
    monkeypatch.setenv(ENVIRONMENT, f"{PREFIX}{'0' * 28}")
    assert run.main(["--gate", "on", "--only", "odd-one"]) == code
    assert ("BREACH" in capsys.readouterr().out) == bool(code)


def _black() -> np.ndarray:
    return np.zeros((1, 16, 16, 3), np.uint8)

"""What teaches at the command line: help by stage with examples, completion, progress bars, exit codes."""

import importlib
import os
import pkgutil
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from tests.conftest import NEVER, RED_AT_LEAST, proposal, trajectory
from tests.test_cli import ENV, vlmcar
from vlmcar_core import cli as commands
from vlmcar_core.cli import cli
from vlmcar_core.cli.contents import ENTRIES, MODULES, STAGES
from vlmcar_core.store import Session

HERE = Path(sys.executable).parent
"""Where `vlmcar` is installed."""


def given(line: str) -> list[str]:
    """The words of an example that are the command's own, up to where the shell takes over."""
    words = shlex.split(line)
    ends = [words.index(sign) for sign in (">", "||") if sign in words]
    return words[: min(ends, default=len(words))]


def test_the_table_has_every_command_of_every_module_and_no_other() -> None:
    found = {}
    for module in pkgutil.iter_modules(commands.__path__):
        for command in getattr(importlib.import_module(f"vlmcar_core.cli.{module.name}"), "COMMANDS", ()):
            found[command.name] = module.name
            assert command.hidden == (command.name not in ENTRIES), command.name
    assert found == MODULES


@pytest.mark.parametrize("name", ENTRIES)
def test_a_command_has_one_line_and_examples_that_its_parser_takes(name: str) -> None:
    entry = ENTRIES[name]
    assert 10 < len(entry.told) <= 70 and not entry.told.endswith(".")
    assert entry.examples
    for line in entry.examples:
        context, command, words = click.Context(cli, info_name="vlmcar"), cli, given(line)
        while isinstance(command, click.Group):
            _, words, _ = command.make_parser(context).parse_args(words)
            found = command.get_command(context, words[0])
            assert found is not None, line
            command, words = found, words[1:]
            context = click.Context(command, parent=context, info_name=command.name)
        values, rest, _ = command.make_parser(context).parse_args(words)
        missing = [part.name for part in command.params if part.required and values.get(part.name or "") is None]
        assert not rest and not missing, f"{line}: left over {rest}, missing {missing}"


def test_help_lists_the_stages_in_order_and_each_command_ends_with_examples(tmp_path: Path) -> None:
    shown = vlmcar(tmp_path, "--help").stdout
    places = [shown.index(f"\n{stage.title}:") for stage in STAGES]
    assert places == sorted(places)
    assert "Exit codes:" in shown and "train-run" not in shown
    told = vlmcar(tmp_path, "sweep", "--help").stdout
    assert told.rstrip().endswith("vlmcar sweep demo --again 0")


def test_help_loads_no_command() -> None:
    code = (
        "import sys; from vlmcar_core.cli import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith(('vlmcar_core.', 'numpy', 'scipy'))))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == str(
        [f"vlmcar_core.{name}" for name in ("cli", "cli.contents", "cli.group", "errors", "escaping")]
    )


def test_a_wrong_command_is_answered_with_the_nearest(tmp_path: Path) -> None:
    done = vlmcar(tmp_path, "verfy", "demo")
    assert done.returncode == 2 and "did you mean verify?" in done.stderr


def completed(root: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    script = (
        f'eval "$(vlmcar completion bash)"; COMP_WORDS=({shlex.join(["vlmcar", *words])}); COMP_CWORD={len(words)}; '
        '_vlmcar_completion vlmcar; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{HERE}:{os.environ['PATH']}", "VLMCAR_SESSIONS": str(root)}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
def test_bash_completes_commands_options_and_sessions(make_session: Callable[..., Session], tmp_path: Path) -> None:
    make_session("red")
    make_session("blue")
    assert completed(tmp_path, "sweep") == ["sweep", "sweep-status"]
    assert completed(tmp_path, "verify", "bl") == ["blue"]
    assert completed(tmp_path, "train", "red", "--launc") == ["--launcher"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_of_completion_says_how_to_keep_it(tmp_path: Path, shell: str) -> None:
    shown = vlmcar(tmp_path, "completion", shell).stdout
    assert f"_VLMCAR_COMPLETE={shell}_complete" in shown
    assert "# To keep it:     mkdir -p ~/" in shown and f" && vlmcar completion {shell} > ~/" in shown


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has nothing yet, and for whom `vlmcar` is this one."""
    home = tmp_path / "home"
    home.mkdir()
    paths = f"{HERE}:{os.environ['PATH']}"
    return {**os.environ, "HOME": str(home), "PATH": paths, "VLMCAR_SESSIONS": str(tmp_path), "TERM": "dumb"}


def kept(shell: str, home: dict[str, str]) -> None:
    """What the script says is done to keep it."""
    shown = subprocess.run(["vlmcar", "completion", shell], env=home, capture_output=True, text=True, check=True).stdout
    command = shown.partition("# To keep it:     ")[2].splitlines()[0]
    subprocess.run(["sh", "-c", command], env=home, check=True)


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish on this machine")
def test_fish_completes_commands_options_and_sessions(
    make_session: Callable[..., Session], home: dict[str, str]
) -> None:
    make_session("blue")
    kept("fish", home)
    lines = ("vlmcar swee", "vlmcar verify bl", "vlmcar train red --launc")
    script = "; ".join(f'complete -C "{line}"' for line in lines)
    done = subprocess.run(["fish", "-c", script], env=home, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["sweep", "sweep-status", "blue", "--launcher"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh on this machine")
@pytest.mark.parametrize("way", ["kept", "in this shell only", "in a shell without compinit"])
def test_zsh_completes_each_time_that_it_is_asked(
    make_session: Callable[..., Session], home: dict[str, str], way: str
) -> None:
    make_session("blue")
    (Path(home["HOME"]) / ".zshrc").write_text("")
    compinit = "autoload -Uz compinit && compinit -i"
    begun = compinit if way != "in a shell without compinit" else ":"
    if way == "kept":
        kept("zsh", home)
        begin = f"fpath=(~/.zfunc $fpath); {compinit}"
    else:
        begin = f'{begun}; eval "$(vlmcar completion zsh)"'
    with Zsh(home) as zsh:
        zsh.type(begin + "; print rea''dy\r", "ready")
        for _ in range(3):
            zsh.type("vlmcar verify bl\t", "vlmcar verify blue")
            zsh.type("\x15", "")
        zsh.type("vlmcar lis\t", "")


class Zsh:
    """An interactive zsh at a terminal."""

    def __init__(self, environment: dict[str, str]) -> None:
        ours, theirs = pty.openpty()
        self._ours = ours
        self._process = subprocess.Popen(
            ["zsh", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)

    def __enter__(self) -> "Zsh":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def type(self, text: str, expected: str, seconds: float = 40.0) -> None:
        """Type, and wait until this is shown."""
        os.write(self._ours, text.encode())
        shown, until = b"", time.monotonic() + seconds
        while expected not in shown.decode(errors="replace"):
            assert time.monotonic() < until, shown.decode(errors="replace")
            if select.select([self._ours], [], [], 0.1)[0]:
                shown += os.read(self._ours, 4096)


def on_terminal(root: Path, *arguments: str) -> str:
    """What a command says on standard error where that is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "vlmcar_core", "--root", str(root), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        assert process.wait(60) == 0
    os.close(ours)
    return said.decode()


def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    made = ("new", "demo", "--env", ENV, "--experts", "1", "--random", "2", "--random-steps", "5")
    assert vlmcar(tmp_path, *made).returncode == 0
    assert "record [" in on_terminal(tmp_path, "record", "demo")
    again = vlmcar(tmp_path, "record", "demo", "--replace")
    assert (again.returncode, again.stderr) == (0, "")


def test_packing_unpacking_and_exporting_draw_a_bar_too(tmp_path: Path) -> None:
    examples, path = Path(__file__).parent.parent / "sessions", tmp_path / "door.zip"
    drawn = on_terminal(examples, "pack", "example-doorkey-6x6", "--out", str(path))
    assert "pack [" in drawn and "files packed" in drawn
    assert "unpack [" in on_terminal(tmp_path / "root", "unpack", str(path))
    exported = on_terminal(examples, "export", "example-unlock", "--to", str(tmp_path / "reward.zip"))
    assert "export [" in exported and "100/100" in exported


def test_exit_code_0_and_4_tell_whether_the_checkers_pass(make_session: Callable[..., Session], tmp_path: Path) -> None:
    session = make_session("red")
    for seed in (0, 1):
        session.add_trajectory(trajectory([0, 2, 4, 9], seed=seed))
    for seed in range(30):
        session.add_trajectory(trajectory([0, 1], source="random", success=False, seed=seed))
    sound = RED_AT_LEAST.format(pixels=4)
    session.add_proposal(proposal(("see-red", sound), goal=RED_AT_LEAST.format(pixels=9)))
    assert vlmcar(tmp_path, "verify", "red").returncode == 0
    session.add_proposal(proposal(("see-red", sound), goal=NEVER))
    assert vlmcar(tmp_path, "verify", "red").returncode == 4


def test_exit_code_3_is_a_fault_of_the_program_with_its_traceback() -> None:
    code = (
        "import sys; from vlmcar_core.cli import cli, main\n"
        "@cli.command()\n"
        "def broken(): raise RuntimeError('a bolt came loose')\n"
        "sys.argv = ['vlmcar', 'broken']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3
    assert "a bolt came loose" in done.stderr and "a fault of the program, not yours" in done.stderr


def test_ctrl_c_is_exit_code_130_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    assert vlmcar(tmp_path, "new", "demo", "--env", ENV, "--random", "9000").returncode == 0
    command = [sys.executable, "-m", "vlmcar_core", "--root", str(tmp_path), "record", "demo"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 90
        while not list(tmp_path.glob("demo/trajectories/random-*")):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "Traceback" not in said and "stop" in said
    assert Session.open(tmp_path, "demo").trajectories().items

"""Every launcher in `launchers/`: what it is called, what it refuses. A new file there is tested by being there."""

import subprocess
import sys

import pytest

from vlmcar_core import plugins
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.queue import Entry

NAMES = plugins.names("launchers")


def test_this_machine_is_among_them() -> None:
    assert "local" in NAMES and "ray" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_launcher_says_what_it_is(name: str) -> None:
    launcher = plugins.load("launchers", name)
    assert launcher.TITLE and launcher.ABOUT.endswith(".") and isinstance(launcher.HERE, bool)
    assert launcher.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_a_launcher_says_what_is_missing_here_and_then_takes_no_address(name: str) -> None:
    launcher = plugins.load("launchers", name)
    lacking = launcher.lacking()
    assert isinstance(lacking, str)
    if lacking:
        with pytest.raises(BadInput, match="pip install"):
            launcher.check("http://127.0.0.1:8265")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "address", ["no address", "file:///etc/passwd", "http://user:secret@host:8265", "http://", "\n"]
)
def test_an_address_that_is_none_is_refused_with_what_to_do(name: str, address: str) -> None:
    with pytest.raises(BadInput):
        plugins.load("launchers", name).check(address)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_do_is_done_without_asking_anybody(name: str) -> None:
    nothing: list[Entry] = []
    with plugins.load("launchers", name).opened() as advance:
        advance(nothing)


@pytest.mark.parametrize("name", NAMES)
def test_checking_imports_nothing_heavy(name: str) -> None:
    code = (
        "import sys\nfrom vlmcar_core import plugins\n"
        f"launcher = plugins.load('launchers', {name!r})\n"
        "try:\n    launcher.check('')\nexcept ValueError:\n    pass\n"
        "print(sorted({'ray', 'aiohttp', 'torch', 'minigrid', 'cv2'} & set(sys.modules)))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.rstrip().endswith("[]"), shown


def test_a_launcher_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UnknownName, match="no launcher 'cloud'; there are: local, ray"):
        plugins.load("launchers", "cloud")

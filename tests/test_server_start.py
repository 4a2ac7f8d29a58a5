"""Starting the app where others could reach it, or with a protection switched off: it says why, and does not serve."""

import socket
import subprocess
import sys

import pytest

from vlmcar_core.errors import BadInput
from vlmcar_studio import guard, server

SECONDS = 60


def started(*options: str) -> subprocess.CompletedProcess[str]:
    """`streamlit run app.py` with these options on a free port, until it ends by itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = server.command(port, headless=True)
    return subprocess.run([*argv, *options], capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_an_address_that_others_reach_is_refused_with_the_way_out(address: str) -> None:
    done = started("--server.address", address)
    assert done.returncode == 1
    assert f"vlmcar app: a server of VLM-CaR Studio listens on 127.0.0.1 only, not on '{address}'" in done.stderr
    assert "ssh -L" in done.stderr and "Traceback" not in done.stderr


def test_a_protection_that_is_switched_off_is_refused() -> None:
    done = started("--server.enableXsrfProtection", "false")
    assert done.returncode == 1 and "server.enableXsrfProtection has to be true here" in done.stderr


def test_an_app_without_its_configuration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit's own defaults listen on every address."""
    monkeypatch.setattr(guard.st, "get_option", lambda name: 8501 if name == "server.port" else None)
    with pytest.raises(BadInput, match="not on every address of this machine"):
        guard.check_options()


def test_the_shell_has_no_option_for_another_address() -> None:
    argv = [sys.executable, "-m", "vlmcar_core", "app", "--address", "0.0.0.0"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2 and "No such option" in done.stderr

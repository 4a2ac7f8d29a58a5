"""For tests: many servers in one other process, each with its own faults or its own awkward answers, made as asked for.

The servers of `tests/recorded_answers.py` are the command line's own, one process each; these cost nothing to start.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from tests.recorded_answers import Serving
from vlmcar_core.store import Session

PROCESS = """
import json, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from vlmcar_core import replay_server, replaying
from vlmcar_core.store import Session


def replay(wish):
    answers = replaying.recorded([Session.open(Path(wish["root"]), wish["session"])])
    faults = [replaying.fault(text) for text in wish["faults"]]
    log = Path(wish["log"])
    replayer = replaying.Replayer(answers, faults, any_pictures=wish["any_pictures"], log=log)
    return replay_server.make_server(replayer)


def scripted(wish):
    left = list(wish["script"])

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with Path(wish["log"]).open("a") as file:
                noted = {name: request.get(name) for name in ("temperature", "max_tokens", "max_completion_tokens")}
                file.write(json.dumps({"time": time.monotonic(), **noted}) + "\\n")
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            body = body.replace("{key}", self.headers["Authorization"].removeprefix("Bearer ")).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


for line in sys.stdin:
    wish = json.loads(line)
    server = scripted(wish) if "script" in wish else replay(wish)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    print(replay_server.base_url(server), flush=True)
"""

Scripted = tuple[int, dict[str, str], str]
"""Status, headers and body of an answer; `{key}` in the body is the key that came with the request."""

TYPE = "Content-Type"


def refusing(status: int, message: str, **headers: str) -> Scripted:
    """An error as OpenAI's server words it."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {TYPE: "application/json", **more}, json.dumps({"error": {"message": message}})


def whole(text: str, model: str = "m", **message: Any) -> Scripted:
    """An answer in one piece."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": model, "choices": [choice]}
    return 200, {TYPE: "application/json"}, json.dumps(body)


def streamed(*pieces: str, model: str = "m", end: bool = True) -> Scripted:
    """An answer in pieces."""
    deltas: list[tuple[dict[str, str], str | None]] = [({"content": piece}, None) for piece in pieces]
    return 200, {TYPE: "text/event-stream"}, events([*deltas, *([({}, "stop")] if end else [])], model)


def events(deltas: list[tuple[dict[str, str], str | None]], model: str) -> str:
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": model}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish} for delta, finish in deltas]
    return "".join(f"data: {json.dumps({**chunk, 'choices': [one]})}\n\n" for one in choices) + "data: [DONE]\n\n"


class Servers:
    """Makes servers in the other process."""

    def __init__(self, asked: IO[str], told: IO[str]) -> None:
        self._asked, self._told = asked, told

    def replaying(self, session: Session, *faults: str, any_pictures: bool = False) -> Serving:
        """One that answers with what is recorded in a session, after its faults."""
        wish = {"root": str(session.folder.parent), "session": session.name, "any_pictures": any_pictures}
        return self._made(session, {**wish, "faults": faults})

    def scripted(self, session: Session, *script: Scripted) -> Serving:
        """One that answers each request with the next of the script, and then always with its last."""
        return self._made(session, {"script": script})

    def _made(self, session: Session, wish: dict[str, Any]) -> Serving:
        log = session.folder.parent / f"requests-{os.urandom(4).hex()}.jsonl"
        self._asked.write(json.dumps({**wish, "log": str(log)}) + "\n")
        self._asked.flush()
        return Serving(self._told.readline().strip(), log)


@contextmanager
def servers_elsewhere() -> Iterator[Servers]:
    """The other process, for the length of the block."""
    argv = [sys.executable, "-c", PROCESS]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield Servers(process.stdin, process.stdout)
    finally:
        process.kill()
        process.wait(20)
        process.stdin.close()
        process.stdout.close()

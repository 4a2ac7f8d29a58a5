"""The worker: loads checkers, answers about frames. Started by path with `python -I`; knows nothing of the app.

A message, both ways: two little-endian uint32 (length of a JSON object, length of a payload), the object, the
payload. Never pickle. Requests:
    {"op": "start", "skimage", "memory_bytes", "seconds", "output_chars"}    -> {"ready": true}; the limits fall
    {"op": "load", "key", "source"}                                          -> {"ready": true}
    {"op": "keep", "slot", "shape"} + an initial frame                       -> nothing
    {"op": "run", "key", "slot", "shape": [n, H, W, 3]} + frames             -> n answers, each as soon as it is known
    {"op": "inspect", "key", "slot", "shape"} + one frame                    -> one answer + packed masks
    {"op": "diagnose", "source"}                                             -> {"findings": [...]}
"""

import builtins
import contextlib
import functools
import importlib
import inspect
import json
import os
import resource
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import gate  # type: ignore[import-not-found]

HEADER = struct.Struct("<II")
MESSAGE_LIMIT = 600
SKIMAGE = (
    "color",
    "draw",
    "exposure",
    "feature",
    "filters",
    "measure",
    "morphology",
    "segmentation",
    "transform",
    "util",
)
PARENT_POLL_SECONDS = 0.5


class OutOfTime(BaseException):
    """The soft limit; no `except Exception` of a checker catches it."""


class Output:
    """What a checker prints, bounded."""

    def __init__(self, limit: int) -> None:
        self.limit, self.text = limit, ""

    def write(self, text: str) -> int:
        text = str(text)
        self.text += text[: max(0, self.limit - len(self.text))]
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered."""


class Loaded:
    """One checker after its source was run: its functions, or why there are none."""

    def __init__(self, key: str, source: str) -> None:
        self.key, self.source = key, source
        self.fault: dict[str, Any] | None = None
        self.names: dict[str, Any] = {}

    def load(self, seconds: float) -> None:
        refused = gate.refusals(self.source)
        if refused:
            first = refused[0]
            hint = f" ({first['hint']})" if first["hint"] else ""
            self.fault = {"kind": "rejected", "message": f"{first['message']}{hint}", "line": first["line"]}
            return
        self.names = {"__builtins__": BUILTINS, "__name__": "checker"}
        code = compile(self.source, self.file, "exec", dont_inherit=True)
        _, self.fault = self.call(lambda: exec(code, self.names), seconds)
        if self.fault is None and not callable(self.names.get("check")):
            self.fault = {"kind": "rejected", "message": "check is no function", "line": None}

    @property
    def file(self) -> str:
        return f"<{self.key}>"

    def call(self, function: Callable[[], Any], seconds: float) -> tuple[Any, dict[str, Any] | None]:
        """A result and None, or None and the fault."""
        try:
            with time_limit(seconds):
                return function(), None
        except OutOfTime:
            line = self.line_of(sys.exc_info()[2])
            return None, {"kind": "timeout", "message": f"took longer than {seconds:g} s of CPU time", "line": line}
        except MemoryError as error:
            return None, self.describe("memory", error)
        except (PermissionError, BlockingIOError) as error:
            return None, self.describe("denied", error)
        except OSError as error:
            return None, self.describe("denied" if error.errno == 24 else "error", error)
        except ImportError as error:
            return None, self.describe("denied", error)
        except BaseException as error:  # noqa: BLE001 (whatever a checker raises is an answer)
            kind = "memory" if "nsufficient memory" in safe_text(error) else "error"
            return None, self.describe(kind, error)

    def describe(self, kind: str, error: BaseException) -> dict[str, Any]:
        text = f"{type(error).__name__}: {safe_text(error)}" if safe_text(error) else type(error).__name__
        return {"kind": kind, "message": clean(text, MESSAGE_LIMIT), "line": self.line_of(error.__traceback__)}

    def line_of(self, trace: Any) -> int | None:
        lines = [line for frame, line in traceback.walk_tb(trace) if frame.f_code.co_filename == self.file]
        return lines[-1] if lines else None


def safe_text(error: BaseException) -> str:
    """The text of an exception whose class may be the checker's own."""
    try:
        with time_limit(0.2):
            return str(error)
    except BaseException:  # noqa: BLE001 (as above)
        return "(its text cannot be read)"


def clean(text: str, limit: int) -> str:
    """Bounded, valid UTF-8, without control characters but for line ends and tabs."""
    kept = "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:limit])
    return kept.encode("utf-8", "replace").decode()


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime after so much CPU time of this process."""
    before = signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, before[0])


def on_time(_signal: int, _frame: object) -> None:
    raise OutOfTime


def guarded_import(name: str, *rest: Any) -> Any:
    """Only what is allowed and was loaded before the limits fell. NumPy itself imports through this, too."""
    level = rest[3] if len(rest) > 3 else 0
    if level == 0 and name.split(".")[0] not in gate.IMPORTS:
        raise ImportError(f"{name!r} may not be imported")
    try:
        return builtins.__import__(name, *rest)
    except OSError as error:
        raise ImportError(f"{name!r} was not loaded before the checker was contained") from error


def allowed_builtins() -> dict[str, Any]:
    found = {name: value for name, value in vars(builtins).items() if name not in gate.NAMES}
    found["__import__"] = guarded_import
    return found


BUILTINS = allowed_builtins()


def answer_of(value: Any) -> dict[str, Any]:
    """What check returned, if it is a bool or a finite number from 0 to 1."""
    if type(value) not in ANSWER_TYPES:
        kind = clean(type(value).__name__, 60)
        return _bad(f"check must return True, False or a number from 0 to 1, not {kind}")
    number = float(value)
    if number != number or not -1e-6 <= number <= 1.0 + 1e-6:
        return _bad(f"check returned {number:g}; progress lies from 0 to 1")
    return {"kind": "ok", "value": min(1.0, max(0.0, number))}


def _bad(message: str) -> dict[str, Any]:
    return {"kind": "badreturn", "message": message, "line": None}


def seen(loaded: Loaded, image: Any, seconds: float) -> tuple[list[dict[str, Any]], bytes]:
    """What every identify_* finds in a frame; masks as packed bits."""
    found, masks = [], b""
    for name, function in loaded.names.items():
        if name.startswith("identify_") and inspect.isfunction(function):
            value, fault = loaded.call(functools.partial(function, image.copy()), seconds)
            item, mask = _seen(value, image.shape[:2]) if fault is None else ({"kind": "fault", **_only(fault)}, b"")
            found.append({"name": name.removeprefix("identify_"), **item, "bytes": len(mask)})
            masks += mask
    return found, masks


def _only(fault: dict[str, Any]) -> dict[str, Any]:
    where = f"line {fault['line']}: " if fault["line"] else ""
    return {"message": where + fault["message"]}


def _seen(value: Any, shape: tuple[int, int]) -> tuple[dict[str, Any], bytes]:
    if value is None:
        return {"kind": "nothing"}, b""
    if isinstance(value, np.ndarray) and value.shape == shape:
        return {"kind": "mask", "shape": list(shape)}, np.packbits(value != 0).tobytes()
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) in (2, 4) and all(abs(number) < 1e6 for number in numbers):
        return {"kind": "point" if len(numbers) == 2 else "box", "numbers": numbers}, b""
    kind = f"array of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
    message = f"returned {clean(kind, 80)}; expected a mask {shape}, a box (x, y, w, h), a point (x, y) or None"
    return {"kind": "fault", "message": message}, b""


class Worker:
    """Answers requests until its input ends."""

    def __init__(self) -> None:
        self.checkers: dict[str, Loaded] = {}
        self.initial: dict[int, Any] = {}
        self.seconds, self.output = 1.0, 4000

    def start(self, request: dict[str, Any], _payload: bytes) -> None:
        self.seconds, self.output = float(request["seconds"]), int(request["output_chars"])
        if request["skimage"]:
            for name in SKIMAGE:
                importlib.import_module(f"skimage.{name}")
        warm_up()
        contain(int(request["memory_bytes"]))
        send({"ready": True})

    def load(self, request: dict[str, Any], _payload: bytes) -> None:
        loaded = self.checkers[request["key"]] = Loaded(request["key"], request["source"])
        with contextlib.redirect_stdout(Output(0)):
            loaded.load(max(self.seconds, 1.0))
        send({"ready": True})

    def keep(self, request: dict[str, Any], payload: bytes) -> None:
        self.initial[int(request["slot"])] = np.frombuffer(payload, np.uint8).reshape(request["shape"])

    def run(self, request: dict[str, Any], payload: bytes) -> None:
        loaded, initial = self.checkers[request["key"]], self.initial[int(request["slot"])]
        frames = np.frombuffer(payload, np.uint8).reshape(request["shape"])
        with contextlib.redirect_stdout(Output(0)):
            for frame in frames:
                send(self.one(loaded, initial, frame))

    def one(self, loaded: Loaded, initial: Any, frame: Any) -> dict[str, Any]:
        if loaded.fault is not None:
            return loaded.fault
        check, first, now = loaded.names["check"], initial.copy(), frame.copy()
        value, fault = loaded.call(lambda: check(first, now), self.seconds)
        return answer_of(value) if fault is None else fault

    def inspect(self, request: dict[str, Any], payload: bytes) -> None:
        loaded, initial = self.checkers[request["key"]], self.initial[int(request["slot"])]
        current = np.frombuffer(payload, np.uint8).reshape(request["shape"])
        output = Output(self.output)
        with contextlib.redirect_stdout(output):
            outcome = self.one(loaded, initial, current)
        printed = clean(output.text, self.output)
        if loaded.fault is not None:
            send({"outcome": outcome, "printed": printed, "initial": [], "current": []})
            return
        with contextlib.redirect_stdout(Output(0)):
            before, masks_before = seen(loaded, initial, self.seconds)
            now, masks_now = seen(loaded, current, self.seconds)
        send({"outcome": outcome, "printed": printed, "initial": before, "current": now}, masks_before + masks_now)

    def diagnose(self, request: dict[str, Any], _payload: bytes) -> None:
        send({"findings": gate.examine(request["source"])})


def warm_up() -> None:
    """Make NumPy and OpenCV load what they load at first use, while files can still be opened."""
    cv2.setNumThreads(1)
    picture = np.zeros((8, 8, 3), np.uint8)
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    mask = cv2.inRange(hsv, (0, 0, 0), (255, 255, 255))
    cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.connectedComponentsWithStats(mask)
    for function in (np.mean, np.std, np.median, np.argmax, np.unique, np.any, np.max):
        function(picture)
    np.percentile(picture, 50)
    np.linalg.norm(picture.astype(float).ravel())


def contain(memory_bytes: int) -> None:
    """Let the limits fall: from here no file, socket or process can be opened, and memory is bounded."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, 0)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def watch_parent(parent: int) -> None:
    """End with the process that started us, even in the middle of a checker's endless loop."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(1)


def receive() -> tuple[dict[str, Any], bytes] | None:
    header = INPUT.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    text, payload = HEADER.unpack(header)
    return json.loads(INPUT.read(text)), INPUT.read(payload)


def send(value: dict[str, Any], payload: bytes = b"") -> None:
    text = json.dumps(value).encode()
    OUTPUT.write(HEADER.pack(len(text), len(payload)) + text + payload)
    OUTPUT.flush()


def serve() -> None:
    signal.signal(signal.SIGPROF, on_time)
    threading.Thread(target=watch_parent, args=(os.getppid(),), daemon=True).start()
    worker = Worker()
    operations = {name: getattr(worker, name) for name in ("start", "load", "keep", "run", "inspect", "diagnose")}
    while (message := receive()) is not None:
        request, payload = message
        operations[request["op"]](request, payload)


if __name__ == "__main__":
    INPUT = sys.stdin.buffer
    OUTPUT = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    Path.cwd().rmdir()  # an empty folder of our own: gone now, so nothing stays behind however we end
    import cv2
    import numpy as np

    NUMBERS = {kind for kind in np.sctypeDict.values() if issubclass(kind, np.integer | np.floating | np.bool_)}
    ANSWER_TYPES = {bool, int, float, *NUMBERS}
    serve()

"""One checker in its worker: its source run once, its functions called, its faults put into words.

NumPy and OpenCV are there already; what else may be imported was loaded by the zygote.
"""

import builtins
import contextlib
import functools
import inspect
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from vlmcar_core.sandbox.inside import gate

MESSAGE_CHARS = 600
NAME_CHARS = 80
TICKS = 8
"""The clock ticks so often within the soft limit."""
TICK_SECONDS_MIN = 0.004
IDENTIFIED = 64
"""`identify_*` functions that are asked, at most."""

NUMBERS = {kind for kind in np.sctypeDict.values() if issubclass(kind, np.integer | np.floating | np.bool_)}
NUMBERS -= {np.timedelta64}  # an integer to NumPy, no number to anybody else
ANSWER_TYPES = frozenset({bool, int, float, *NUMBERS})

Fault = dict[str, Any]
"""{"kind", "message", "line"}"""


class OutOfTime(BaseException):
    """The soft limit; no `except Exception` of a checker catches it."""


class Clock:
    """Counts ticks of CPU time; it is armed once, before the seal, and costs a call nothing."""

    def __init__(self) -> None:
        self.left = 0
        self.running = False
        self.seconds = 0.0

    def arm(self, seconds: float) -> None:
        """Tick from now on; a call may take about so many seconds of CPU time."""
        self.seconds = seconds
        tick = max(TICK_SECONDS_MIN, seconds / TICKS)
        signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, tick, tick)
        self.ticks = max(2, round(seconds / tick)) + 1

    def _tick(self, _signal: int, _frame: object) -> None:
        if self.running:
            self.left -= 1
            if self.left <= 0:
                raise OutOfTime


CLOCK = Clock()


class Output:
    """What a checker prints, bounded."""

    def __init__(self, limit: int) -> None:
        self.limit, self.text = limit, ""

    def write(self, text: str) -> int:
        self.text += str(text)[: max(0, self.limit - len(self.text))]
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered."""


class Program:
    """A checker after its source was run: its functions, or why there are none."""

    def __init__(self, key: str, source: str, gated: bool) -> None:
        self.file = f"<{key}>"
        self.fault: Fault | None = None
        self.names: dict[str, Any] = {}
        self.writes = False
        """It changes the frames that it is given, so it is given copies."""
        refused = gate.refusals(source) if gated else []
        if refused:
            first = refused[0]
            hint = f" ({first['hint']})" if first["hint"] else ""
            self.fault = {"kind": "rejected", "message": f"{first['message']}{hint}", "line": first["line"]}
            return
        self._run(source, gated)

    def _run(self, source: str, gated: bool) -> None:
        self.names = {"__builtins__": BUILTINS if gated else builtins, "__name__": "checker"}

        def load() -> None:
            exec(compile(source, self.file, "exec", dont_inherit=True), self.names)

        _, self.fault = self.call(load)
        if self.fault is None and not callable(self.names.get("check")):
            self.fault = {"kind": "rejected", "message": "check is no function", "line": None}

    def following(self, _stream: int, _begins: bool) -> Callable[[Any, Any], float | Fault]:
        """What answers about the frames of one message."""
        return self.answer

    def looked_at(self, initial: Any, current: Any) -> float | Fault:
        """The answer about one frame alone."""
        return self.answer(initial, current)

    def answer(self, initial: Any, current: Any) -> float | Fault:
        """Progress in [0, 1], or the fault. The frames are uint8 (H, W, 3) and read-only."""
        if self.fault is not None:
            return self.fault
        value, fault = self._asked(initial, current)
        return progress(value) if fault is None else fault

    def _asked(self, initial: Any, current: Any) -> tuple[Any, Fault | None]:
        check = self.names["check"]
        if not self.writes:
            value, fault = self.call(check, initial, current)
            if fault is None or not ("read-only" in fault["message"] or "readonly" in fault["message"]):
                return value, fault
            self.writes = True
        return self.call(lambda: check(initial.copy(), current.copy()))

    def identified(self, image: Any) -> tuple[list[dict[str, Any]], bytes]:
        """What every identify_* finds in a frame; masks as packed bits."""
        found: list[dict[str, Any]] = []
        masks = b""
        functions = {name: value for name, value in self.named().items() if str(name).startswith("identify_")}
        for name, function in list(functions.items())[:IDENTIFIED]:
            if inspect.isfunction(function) or inspect.ismethod(function):
                value, fault = self.call(functools.partial(function, self.given(image)))
                item, mask = self._described(value, image.shape[:2]) if fault is None else (_only(fault), b"")
                found.append({"name": clean(name.removeprefix("identify_"), NAME_CHARS), **item, "bytes": len(mask)})
                masks += mask
        return found, masks

    def named(self) -> dict[str, Any]:
        """Where `identify_*` are looked for."""
        return self.names

    def given(self, image: Any) -> Any:
        """A frame as `identify_*` take it."""
        return image.copy()

    def _described(self, value: Any, shape: tuple[int, int]) -> tuple[dict[str, Any], bytes]:
        described, fault = self.call(functools.partial(_described, value, shape))
        return described if fault is None else (_only(fault), b"")

    def call(self, function: Callable[..., Any], *frames: Any) -> tuple[Any, Fault | None]:
        """A result and None, or None and the fault."""
        try:
            CLOCK.left = CLOCK.ticks
            CLOCK.running = True
            try:
                return function(*frames), None
            finally:
                CLOCK.running = False
        except OutOfTime:
            CLOCK.running = False
            line = self._line(sys.exc_info()[2])
            return None, {
                "kind": "timeout",
                "message": f"took longer than {CLOCK.seconds:g} s of CPU time",
                "line": line,
            }
        except BaseException as error:  # noqa: BLE001 (whatever a checker raises is an answer)
            return None, self._fault(error)

    def _fault(self, error: BaseException) -> Fault:
        words = _text(error)
        name = clean(type(error).__name__, NAME_CHARS)
        text = clean(f"{name}: {words}" if words else name, MESSAGE_CHARS)
        return {"kind": _kind(error, words), "message": text, "line": self._line(error.__traceback__)}

    def _line(self, trace: Any) -> int | None:
        lines = [line for frame, line in traceback.walk_tb(trace) if frame.f_code.co_filename == self.file]
        return lines[-1] if lines else None


def progress(value: Any) -> float | Fault:
    """What check returned, if it is a bool or a finite number from 0 to 1."""
    if value is True or value is False:
        return float(value)
    if type(value) not in ANSWER_TYPES:
        kind = clean(type(value).__name__, NAME_CHARS)
        return _bad(f"check must return True, False or a number from 0 to 1, not {kind}")
    try:
        number = float(value)
    except OverflowError:
        return _bad("check returned a number that is too large; progress lies from 0 to 1")
    if number != number or not -1e-6 <= number <= 1.0 + 1e-6:
        return _bad(f"check returned {number:g}; progress lies from 0 to 1")
    return min(1.0, max(0.0, number))


def clean(text: Any, limit: int) -> str:
    """Bounded, valid UTF-8, without control characters but for line ends and tabs."""
    kept = "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text)[:limit])
    return kept.encode("utf-8", "replace").decode()


def _kind(error: BaseException, words: str) -> str:
    if isinstance(error, MemoryError) or "nsufficient memory" in words:
        return "memory"
    if isinstance(error, PermissionError | BlockingIOError | ImportError):
        return "denied"
    return "denied" if isinstance(error, OSError) and error.errno == 24 else "error"


def _text(error: BaseException) -> str:
    """The text of an exception whose class may be the checker's own."""
    try:
        CLOCK.left, CLOCK.running = 2, True
        try:
            text = str(error)
            return text if type(text) is str else "(its text is no text)"
        finally:
            CLOCK.running = False
    except BaseException:  # noqa: BLE001 (as above)
        CLOCK.running = False
        return "(its text cannot be read)"


def _bad(message: str) -> Fault:
    return {"kind": "badreturn", "message": message, "line": None}


def _only(fault: Fault) -> dict[str, Any]:
    where = f"line {fault['line']}: " if fault["line"] else ""
    return {"kind": "fault", "message": where + fault["message"]}


def _described(value: Any, shape: tuple[int, int]) -> tuple[dict[str, Any], bytes]:
    """What an identify_* returned, for the app to draw."""
    if value is None:
        return {"kind": "nothing"}, b""
    if type(value) is np.ndarray and value.shape == shape:
        return {"kind": "mask"}, np.packbits(value != 0).tobytes()
    numbers: list[float] = []
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        numbers = [float(number) for number in value]
    if len(numbers) in (2, 4) and all(abs(number) < 1e6 for number in numbers):
        return {"kind": "point" if len(numbers) == 2 else "box", "numbers": numbers}, b""
    kind = f"array of shape {value.shape}" if type(value) is np.ndarray else type(value).__name__
    message = f"returned {clean(kind, NAME_CHARS)}; expected a mask {shape}, a box (x, y, w, h), a point (x, y) or None"
    return {"kind": "fault", "message": message}, b""


def _guarded_import(name: str, *rest: Any) -> Any:
    """Only what is allowed and was loaded before the seal. NumPy itself imports through this, too."""
    level = rest[3] if len(rest) > 3 else 0
    if level == 0 and name.split(".")[0] not in gate.IMPORTS:
        raise ImportError(f"{name!r} may not be imported")
    try:
        return builtins.__import__(name, *rest)
    except (OSError, ModuleNotFoundError) as error:
        raise ImportError(f"{name!r} was not loaded before the checker was sealed in") from error


def _allowed_builtins() -> dict[str, Any]:
    found = {name: value for name, value in vars(builtins).items() if name not in gate.NAMES}
    found["__import__"] = _guarded_import
    return found


BUILTINS = _allowed_builtins()

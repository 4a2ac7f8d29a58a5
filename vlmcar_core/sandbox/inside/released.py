"""A program in the released style in its worker: a class that is shown an episode's frames, one after the other.

It reads each frame as its authors' programs do, by a path, with `cv2.imread`, in BGR. There are no files: `imread` is
replaced, and knows the path of the frame that is being shown and of the episode's first frame. Every episode gets the
module run anew and an instance of its own, so nothing is carried from one episode to the next.
"""

import builtins
import functools
import os
from dataclasses import dataclass
from typing import Any

import cv2

from vlmcar_core.programs import Reading
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.sandbox.inside.program import ANSWER_TYPES, BUILTINS, NAME_CHARS, Fault, Program, clean

LOOK = wire.STREAMS
"""The episode in which single frames are looked at."""


class Sight:
    """What `cv2.imread` finds."""

    def __init__(self) -> None:
        self.frames: dict[str, Any] = {}
        """Path to the RGB frame."""

    def read(self, filename: Any, flags: int = cv2.IMREAD_COLOR) -> Any:
        """As `cv2.imread`: uint8 (H, W, 3) in BGR, or (H, W) where grey is asked for; None for any other path."""
        frame = self.frames.get(os.fspath(filename))
        if frame is None:
            return None
        grey = flags != cv2.IMREAD_UNCHANGED and not flags & cv2.IMREAD_COLOR
        return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY if grey else cv2.COLOR_RGB2BGR)


@dataclass
class Episode:
    """One instance, or why there is none, and how many frames it was shown."""

    instance: Any
    fault: Fault | None
    shown: int = 0


class Released(Program):
    """Its source run once an episode, its method called once a frame."""

    def __init__(self, key: str, source: str, gated: bool, reading: Reading) -> None:
        self._reading = reading
        self._sight = Sight()
        self._episodes: dict[int, Episode] = {}
        cv2.imread = self._sight.read  # type: ignore[assignment]
        super().__init__(key, source, gated)

    def _run(self, source: str, gated: bool) -> None:
        self._builtins = BUILTINS if gated else builtins
        compiled = functools.partial(compile, source, self.file, "exec", dont_inherit=True)
        self._code, self.fault = self.call(compiled)
        if self.fault is None:
            self.fault = self._begun().fault

    def following(self, stream: int, begins: bool) -> Any:
        """What answers about the next frames of an episode; `begins` where they are its first."""
        if self.fault is None and (begins or stream not in self._episodes):
            self._episodes[stream] = self._begun()
        return functools.partial(self._next, stream)

    def looked_at(self, initial: Any, current: Any) -> float | Fault:
        """The answer about a frame as if it came right after the first one."""
        answer = self.following(LOOK, True)
        first: float | Fault = answer(initial, initial)
        return first if (initial == current).all() else answer(initial, current)

    def named(self) -> dict[str, Any]:
        """Functions of the module and methods of the class."""
        episode = self._episodes.get(LOOK)
        names = {} if episode is None else {name: getattr(episode.instance, name, None) for name in self._methods()}
        return {**self.names, **names}

    def given(self, image: Any) -> Any:
        """A frame in BGR."""
        return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)

    def _methods(self) -> list[str]:
        made = self.names.get(self._reading.class_name)
        return [name for name in vars(made) if name.startswith("identify_")] if isinstance(made, type) else []

    def _begun(self) -> Episode:
        self.names = {"__builtins__": self._builtins, "__name__": "checker"}
        _, fault = self.call(lambda: exec(self._code, self.names))
        made = self.names.get(self._reading.class_name)
        if fault is None and not isinstance(made, type):
            fault = {"kind": "rejected", "message": f"there is no class {self._reading.class_name}", "line": None}
        if fault is not None:
            return Episode(None, fault)
        instance, fault = self._called(made)
        if fault is None and hasattr(instance, "reset"):
            _, fault = self._called(lambda: instance.reset())
        if fault is None and not callable(getattr(instance, self._reading.method, None)):
            where = f"{self._reading.class_name} has no method {self._reading.method}"
            fault = {"kind": "rejected", "message": where, "line": None}
        return Episode(instance, fault)

    def _next(self, stream: int, initial: Any, frame: Any) -> float | Fault:
        if self.fault is not None:
            return self.fault
        episode = self._episodes[stream]
        if episode.fault is not None:
            return episode.fault
        first, path = _path(0), _path(episode.shown)
        episode.shown += 1
        self._sight.frames = {first: initial, path: frame}
        value, fault = self._called(lambda: getattr(episode.instance, self._reading.method)(path))
        return self._read(value) if fault is None else fault

    def _called(self, function: Any) -> tuple[Any, Fault | None]:
        """As `call`; a call of ours that does not fit is the fault of the definition that it meets."""
        value, fault = self.call(function)
        if fault is not None and fault["line"] is None and fault["message"].startswith("TypeError"):
            fault = {**fault, "line": self._definition(fault["message"])}
        return value, fault

    def _definition(self, message: str) -> int | None:
        """The line of the method that a message about arguments names."""
        for made in self.names.values():
            for function in vars(made).values() if isinstance(made, type) else ():
                code = getattr(function, "__code__", None)
                if code is not None and code.co_filename == self.file and f"{function.__qualname__}()" in message:
                    return int(code.co_firstlineno)
        return None

    def _read(self, value: Any) -> float | Fault:
        """Progress in [0, 1] from what it returned."""
        if self._reading.item is not None:
            if type(value) not in (tuple, list) or len(value) <= self._reading.item:
                return self._unread(value, f"a tuple with an item {self._reading.item}")
            value = value[self._reading.item]
        if self._reading.done_at is None:
            if value is None:
                return 0.0
            if type(value) not in ANSWER_TYPES or value not in (0, 1):
                return self._unread(value, "True or False")
            return float(value)
        if type(value) not in ANSWER_TYPES:
            return self._unread(value, "a number")
        try:
            share = float(value) / self._reading.done_at
        except OverflowError:
            return self._unread(value, "a smaller number")
        return min(1.0, max(0.0, share)) if abs(share) < float("inf") else self._unread(value, "a finite number")

    def _unread(self, value: Any, wanted: str) -> Fault:
        told = f"{float(value):g}" if type(value) in ANSWER_TYPES and abs(value) < 1e300 else type(value).__name__
        message = f"{self._reading.method} returned {clean(told, NAME_CHARS)}; {wanted} was expected"
        return {"kind": "badreturn", "message": message, "line": None}


def _path(number: int) -> str:
    return f"frame_{number:06d}.png"

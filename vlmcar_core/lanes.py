"""Checkers asked about many trajectories side by side: while one lane reads frames, the other's checker judges."""

import queue
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from vlmcar_core.recordings import Distinct
from vlmcar_core.sandbox import Chances, CheckerProcess
from vlmcar_core.types import Answers, Checker
from vlmcar_core.verify import ask

LANES = 2
"""On every machine, so that the same trajectories meet the same process."""

Asked = tuple[str, str]
"""Digest of a checker, id of a trajectory."""

FramesOf = Callable[[str], Distinct | None]


def ask_all(
    checkers: Mapping[str, Checker], wanted: Sequence[Asked], frames_of: FramesOf
) -> Generator[tuple[Asked, Answers | None], None, None]:
    """What the checkers say about the trajectories, each as soon as it is known; None where there are no frames.

    Close it (`contextlib.closing`) where it may be left early: the checkers are ended then.

    Args:
        checkers: by digest.
        wanted: what to ask; every trajectory is read once.
        frames_of: its frames, by id; None where they cannot be read. Called from several threads.

    Raises:
        SandboxError: our own machinery failed; and what `frames_of` raises.
    """
    ids = list(dict.fromkeys(id for _, id in wanted))
    asked = [checkers[digest] for digest in dict.fromkeys(digest for digest, _ in wanted)]
    chances = Chances()
    found: queue.Queue[tuple[Asked, Answers | None] | None] = queue.Queue()
    with ExitStack() as stack:
        processes = [stack.enter_context(CheckerProcess(asked, chances=chances)) for _ in ids[:LANES]]
        lanes = stack.enter_context(ThreadPoolExecutor(LANES, "asking"))
        stack.callback(_stop, processes)
        ended = []
        for number, process in enumerate(processes):
            part = [(id, [digest for digest, other in wanted if other == id]) for id in ids[number::LANES]]
            ended.append(lanes.submit(_run, process, checkers, part, frames_of, found.put))
        going = len(ended)
        while going:
            item = found.get()
            if item is None:
                going -= 1
            else:
                yield item
        for lane in ended:
            lane.result()


def _run(
    process: CheckerProcess,
    checkers: Mapping[str, Checker],
    part: Sequence[tuple[str, Sequence[str]]],
    frames_of: FramesOf,
    tell: Callable[[tuple[Asked, Answers | None] | None], None],
) -> None:
    """One lane; the last that it tells is None, however it ends."""
    try:
        for id, digests in part:
            frames = frames_of(id)
            for digest in digests:
                tell(((digest, id), None if frames is None else ask(process, checkers[digest], frames)))
    finally:
        tell(None)


def _stop(processes: Sequence[CheckerProcess]) -> None:
    for process in processes:
        process.stop()

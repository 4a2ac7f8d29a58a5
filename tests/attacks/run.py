"""Try all attacks as the current user: `python -m tests.attacks.run --gate on|off [--only NAME] [--json FILE]`.

Prints a table and exits 1 if one got through. With --bare, nothing contains them, and it exits 1 if one that should
work there did not: `python -m tests.attacks.run --bare`.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.attacks.arena import ENVIRONMENT, PREFIX, Arena, with_secret
from tests.attacks.attack import Attack
from tests.attacks.bare import Bare
from tests.attacks.honest import CONTROLS, judged
from tests.attacks.programs import attacks
from tests.attacks.trial import HONEST, Result, Verdict, tried
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Checker

X86 = ("x86_64", "AMD64")
WRONG: tuple[Verdict, ...] = ("breach", "fails")


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 where all is as it should be, 1 where not, 2 where there is nothing to try."""
    options = _options(arguments)
    if not os.environ.get(ENVIRONMENT, "").startswith(PREFIX):
        # A key comes with the environment that a process is started in; what is set later others cannot read.
        os.execve(sys.executable, [sys.executable, "-m", "tests.attacks.run", *arguments], with_secret())
    chosen = [(category, attack) for category, attack in attacks() if options.only in attack.name]
    if not chosen and not any(options.only in honest.name for honest in CONTROLS):
        print(f"there is nothing with {options.only!r} in its name")
        return 2
    began = time.monotonic()
    with Arena() as arena:
        found = _all_bare(chosen, arena) if options.bare else _all(chosen, arena, options.gate == "on", options.only)
        results = [_shown(result) for result in found]
    seconds = time.monotonic() - began
    counts = Counter(result.verdict for result in results)
    print(f"\n{len(results)} programs as user {os.geteuid()} in {seconds:.0f} s:", dict(counts))
    if options.json:
        told = {"user": os.geteuid(), "gate": options.gate, "bare": options.bare, "seconds": round(seconds, 1)}
        told["results"] = [asdict(result) for result in results]
        options.json.write_text(json.dumps(told, indent=1))
    return int(any(counts[verdict] for verdict in WRONG))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.run", description=__doc__)
    parser.add_argument("--gate", choices=("on", "off"), default="off")
    parser.add_argument("--bare", action="store_true", help="nothing contains them")
    parser.add_argument("--only", metavar="NAME", default="", help="those with this in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    return parser.parse_args(arguments)


def _all(chosen: Sequence[tuple[str, Attack]], arena: Arena, gate: bool, only: str) -> Iterator[Result]:
    # What stays for all checkers of a process is there before the first count of processes.
    with CheckerProcess([Checker("honest", HONEST)]) as process:
        process.run("honest", arena.picture(), arena.picture()[None])
    for honest in CONTROLS:
        if only in honest.name:
            yield judged(honest, gate)
    for category, attack in chosen:
        yield _not_here(attack, category) or tried(attack, category, arena, gate)


def _all_bare(chosen: Sequence[tuple[str, Attack]], arena: Arena) -> Iterator[Result]:
    with Bare() as bare:
        for category, attack in chosen:
            yield _not_here(attack, category) or _nowhere(attack, category) or _bare(attack, category, arena, bare)


def _bare(attack: Attack, category: str, arena: Arena, bare: Bare) -> Result:
    """Here to have worked is what should be."""
    arena.reset()
    began = time.monotonic()
    found = bare.run(attack.text(arena.facts(), gate=True), attack.frames)
    seconds = time.monotonic() - began
    traces = [*arena.left(), *arena.traces(), *arena.leaked(found["message"])]
    traces += ["it has started a thread"] if found["threads"] > 1 else []
    message = "; ".join(traces + ([found["message"]] if found["message"] else []))
    worked = bool(found["worked"] or traces)
    if not worked and attack.asks:
        return Result(attack.name, category, "skipped", skipped="this machine refuses it by itself", seconds=seconds)
    verdict: Verdict = "works" if worked else "fails"
    return Result(attack.name, category, verdict, message=message, seconds=seconds)


def _not_here(attack: Attack, category: str) -> Result | None:
    if attack.numbered and platform.machine() not in X86:
        return Result(attack.name, category, "skipped", skipped=f"for x86-64, not {platform.machine()}")
    return None


def _nowhere(attack: Attack, category: str) -> Result | None:
    if attack.bare == "nobody":
        return Result(attack.name, category, "skipped", skipped="cannot be shown where nothing contains it")
    if attack.bare == "root" and os.geteuid() != 0:
        return Result(attack.name, category, "skipped", skipped="works for root only")
    return None


def _shown(result: Result) -> Result:
    """A line of the table, as soon as there is one."""
    kinds = ",".join(dict.fromkeys(result.kinds))
    why = " ".join(("; ".join(result.failures) or result.skipped or result.message).split())
    verdict = result.verdict.upper() if result.verdict in WRONG else result.verdict
    print(
        f"{result.category:18} {result.name:38} {kinds:16} {verdict:8} {result.seconds:5.1f} s  {why[:160]}", flush=True
    )
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

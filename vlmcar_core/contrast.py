"""Runs beside each other: in what they were asked differently, and what they came to, against one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vlmcar_core import runs
from vlmcar_core.runs import Run, RunConfig

NOT_SET = "default"


@dataclass(frozen=True)
class Outcome:
    """One number that a run came to."""

    name: str
    unit: str
    """What it is counted in: "steps", "%", "steps/s", or nothing."""

    values: tuple[float | None, ...]
    """Of each run; None where it has none."""

    deltas: tuple[float | None, ...]
    """By how much each is above the baseline's; None where either has none."""

    def words(self, place: int) -> str:
        """ "100 % (+30)": the value of a run, and by how much it is above the baseline's."""
        value, delta = self.values[place], self.deltas[place]
        if value is None:
            return "-"
        told = f"{_told(value)} {self.unit}".strip()
        return told if delta is None else f"{told} ({'+' if delta >= 0 else '−'}{_told(abs(delta))})"


@dataclass(frozen=True)
class Contrast:
    """Some runs beside each other."""

    runs: tuple[Run, ...]
    baseline: int
    """Its place among them."""

    settings: Mapping[str, tuple[str, ...]]
    """What they were asked differently: the name of a setting to what each run has; as text."""

    outcomes: tuple[Outcome, ...]


def contrast(found: Sequence[Run], baseline: int = 0) -> Contrast:
    """Put runs beside each other.

    Args:
        found: at least one.
        baseline: the place of the one that the others are held against.
    """
    asked = [_flat(run.config) for run in found]
    names = dict.fromkeys(name for one in asked for name in one)
    settings = {name: tuple(one.get(name, NOT_SET) for one in asked) for name in names}
    differing = {name: values for name, values in settings.items() if len(set(values)) > 1}
    return Contrast(tuple(found), baseline, differing, tuple(_outcomes(found, baseline)))


def _flat(config: RunConfig) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in asdict(config).items():
        if isinstance(value, Mapping):
            found |= {f"{name}: {key}": str(part) for key, part in value.items()}
        elif name != "cloned_from":
            found[name.replace("_", " ")] = str(value)
    return found


def _outcomes(found: Sequence[Run], baseline: int) -> list[Outcome]:
    numbers = [_numbers(run) for run in found]
    units = {"final success": "%", "mean success": "%", "steps to 80 %": "steps", "pace": "steps/s"}
    rows = []
    for name in numbers[0]:
        values = tuple(one[name] for one in numbers)
        base = values[baseline]
        deltas = tuple(
            None if value is None or base is None or place == baseline else value - base
            for place, value in enumerate(values)
        )
        rows.append(Outcome(name, units.get(name, ""), values, deltas))
    return rows


def _numbers(run: Run) -> dict[str, float | None]:
    evaluations, progress = runs.read_evaluations(run.folder), runs.read_progress(run.folder)
    found = runs.summary(evaluations)
    rates = [rate for _, rate in runs.success_rates(evaluations)]
    last: Mapping[str, Any] = progress[-1] if progress else {}
    return {
        "steps to 80 %": found.steps_to_learned,
        "final success": None if found.final_success is None else 100 * found.final_success,
        "mean success": 100 * float(np.mean(rates)) if rates else None,
        "learned return": last.get("learned_return"),
        "env return": last.get("env_return"),
        "episode length": last.get("episode_length"),
        "pace": float(np.median([row["steps_per_second"] for row in progress])) if progress else None,
    }


def _told(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"

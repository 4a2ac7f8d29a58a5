"""panda-gym's environments, made repeatable, and with a picture for checkers.

Three faults of panda-gym 3.0.7 are worked around:

* `reset(seed)` on an environment that was used does not give what a fresh one gives, once bodies have touched: the
  engine remembers contacts. Before each reset the bodies are moved apart, one step is made, and all come to rest.
* Flip's goal is drawn from SciPy's global generator, whatever the seed; here it comes from the environment's own.
* Flip's texture is missing from the package; a plain one takes its place (frames do not show it).
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlmcar_core.envs import _extra
from vlmcar_core.envs._bullet import quietly
from vlmcar_core.envs.panda import beside, kind_of
from vlmcar_core.envs.panda.drawing import Drawing
from vlmcar_core.types import Frame

with quietly():
    import panda_gym
    import panda_gym.assets
    import panda_gym.envs

MOVED = 0.01
"""Metres: an object that is further from where it was at first has moved."""

LIFTED = 0.02
"""Metres above the table, less its own half height: an object that is higher is lifted."""

TOUCHED = 0.06
"""Metres between the fingers' tips and an object's middle: nearer is at it."""

AWAY = 2.0
"""Metres between the places where free bodies wait while the engine forgets their contacts."""


class Panda(gym.Wrapper[Any, Any, Any, Any]):
    """One panda-gym environment.

    Args:
        env_id: of `tasks()`.
        settings: all of `SETTINGS`.
    """

    def __init__(self, env_id: str, settings: dict[str, Any]) -> None:
        with _texture(), quietly():
            super().__init__(gym.make(env_id, render_mode="rgb_array", renderer="Tiny", disable_env_checker=True))
        self.env_id = env_id
        self.kind = kind_of(env_id)
        self.settings = settings
        self.seed: int | None = None
        """Of the last reset."""
        self._drawing: Drawing | None = None
        self._twin: Panda | None = None
        self.starts_solved = False
        """The last reset was to a state that counts as success."""
        self._first: dict[str, NDArray[np.float64]] = {}
        self.extra = _extra.read(settings["extra"], beside.SHAPES, beside.COLOURS)
        """One more thing, which is not the task's."""
        if self.extra is not None:
            beside.create(self, self.extra)
        self.client.setPhysicsEngineParameter(deterministicOverlappingPairs=1)

    @property
    def stock(self) -> Any:
        """panda-gym's own environment: `sim`, `robot`, `task`."""
        return self.env.unwrapped

    @property
    def client(self) -> Any:
        return self.stock.sim.physics_client

    @property
    def objects(self) -> tuple[str, ...]:
        """What can be moved, by panda-gym's names."""
        return tuple(name for name in ("object", "object1", "object2") if name in self.stock.sim._bodies_idx)

    @property
    def hand(self) -> NDArray[np.float64]:
        """Between the fingers' tips, metres, (3,)."""
        return np.asarray(self.stock.robot.get_ee_position())

    @property
    def goal(self) -> NDArray[np.float64]:
        return np.asarray(self.stock.task.get_goal())

    def place(self, name: str) -> NDArray[np.float64]:
        """A body's middle, metres, (3,)."""
        return np.asarray(self.stock.sim.get_base_position(name))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As ever; without a seed, one is drawn, so that the episode can be repeated."""
        if seed is None:
            generator = self.np_random if self.seed is not None else np.random.default_rng()
            seed = int(generator.integers(2**31))
        self.seed = seed
        self._forget()
        seen, info = self.env.reset(seed=seed, options=options)
        if self.kind == "Flip":
            seen = self._draw_goal()
        if self.extra is not None:
            beside.put(self, self.extra)
        self._first = {name: self.place(name) for name in self.objects}
        self.starts_solved = bool(self.stock.task.is_success(self.stock.task.get_achieved_goal(), self.goal))
        info["is_success"] = np.array(self.starts_solved)
        return seen, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, reward, terminated, truncated, info = self.env.step(action)
        return seen, float(reward), terminated, truncated, info

    def _forget(self) -> None:
        """Bring the engine to a state that does not depend on what was before."""
        free = (*self.objects, beside.NAME) if self.extra is not None else self.objects
        for number, name in enumerate(free):
            self.stock.sim.set_base_pose(
                name, np.array([AWAY * (number + 1), AWAY, AWAY]), np.array([0.0, 0.0, 0.0, 1.0])
            )
        self.stock.robot.reset()
        self.client.stepSimulation()
        for name in free:
            self.client.resetBaseVelocity(self.stock.sim._bodies_idx[name], [0, 0, 0], [0, 0, 0])

    def _draw_goal(self) -> Any:
        """Flip's goal from the environment's own generator: a uniformly random rotation (Marsaglia 1972)."""
        task = self.stock.task
        quaternion = task.np_random.normal(size=4)
        task.goal = quaternion / np.linalg.norm(quaternion)
        position = self.stock.sim.get_base_position("target")
        self.stock.sim.set_base_pose("target", position, task.goal)
        return self.stock._get_obs()

    def scene(self) -> Frame:
        """The bare scene at the bodies' poses now, RGB uint8 (H, W, 3)."""
        if self._drawing is None:
            self._drawing = Drawing(self.kind, self.settings)
        return self._drawing.of(self)

    def render(self) -> Any:
        return self.scene()

    def twin(self) -> "Panda":
        """Another environment in the state that this one was last reset to, to try things in."""
        if self._twin is None:
            self._twin = Panda(self.env_id, self.settings)
        self._twin.reset(seed=self.seed)
        return self._twin

    def facts(self) -> dict[str, bool]:
        """Named facts of the state now."""
        hand = self.hand
        if self.kind == "Reach":
            return {"hand at target": _near(hand, self.goal, self.threshold)}
        found = {}
        for number, name in enumerate(self.objects):
            place = self.place(name)
            found[f"hand at {name}"] = _near(hand, place, TOUCHED)
            found[f"{name} moved"] = not _near(place[:2], self._first.get(name, place)[:2], MOVED)
            found[f"{name} lifted"] = bool(place[2] > LIFTED + self.half_height)
            if self.kind != "Flip":
                target = self.goal[3 * number : 3 * number + 3]
                found[f"{name} at target"] = _near(place, target, self.threshold)
        if self.kind == "Flip":
            found["object turned"] = bool(self.stock.task.is_success(self.stock.task.get_achieved_goal(), self.goal))
        return found

    @property
    def threshold(self) -> float:
        """Within so many metres of its target a thing is there."""
        return float(self.stock.task.distance_threshold)

    @property
    def half_height(self) -> float:
        """Of an object, metres."""
        return 0.015 if self.kind == "Slide" else 0.02

    def close(self) -> None:
        if self._drawing is not None:
            self._drawing.close()
        if self._twin is not None:
            self._twin.close()
        self._drawing = self._twin = None
        super().close()


def panda_of(env: gym.Env[Any, Any]) -> Panda:
    """The `Panda` within some wrappers."""
    inner: Any = env
    while not isinstance(inner, Panda):
        if not isinstance(inner, gym.Wrapper):
            raise TypeError(f"expected a panda-gym environment, not {type(env.unwrapped).__name__}")
        inner = inner.env
    return inner


def _near(one: NDArray[np.float64], other: NDArray[np.float64], metres: float) -> bool:
    return bool(np.linalg.norm(one - other) < metres)


@contextlib.contextmanager
def _texture() -> Iterator[None]:
    """Where panda-gym looks for Flip's texture there is one, while an environment is made."""
    stock = panda_gym.assets.get_data_path
    with tempfile.TemporaryDirectory() as folder:
        Image.new("RGB", (8, 8), (200, 200, 200)).save(Path(folder) / "colored_cube.png")
        panda_gym.assets.get_data_path = lambda: folder + os.sep
        try:
            yield
        finally:
            panda_gym.assets.get_data_path = stock

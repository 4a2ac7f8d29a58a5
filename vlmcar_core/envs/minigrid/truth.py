"""What the simulator knows, for judging checkers; no checker and no proposer ever sees it."""

from minigrid.core.world_object import Door
from minigrid.minigrid_env import MiniGridEnv

from vlmcar_core.envs.minigrid.scenes import is_extra

CARRIED = ("key", "ball", "box")


def facts(env: MiniGridEnv) -> dict[str, bool]:
    """Named facts of the state now.

    "key held", "ball held", "box held" always, of the task's own objects; "door open" where there is one door,
    "<colour> door open" per door colour where there are more, and "locked door open" and "unlocked door open" where a
    room was made locked: how they were made; "goal reached" where there is a goal square.
    """
    held = env.carrying.type if env.carrying is not None and not is_extra(env.carrying) else None
    found = {f"{kind} held": held == kind for kind in CARRIED}
    doors = [cell for cell in env.grid.grid if isinstance(cell, Door)]
    if len(doors) == 1:
        found["door open"] = bool(doors[0].is_open)
    else:
        for colour in sorted({door.color for door in doors}):
            found[f"{colour} door open"] = any(door.is_open for door in doors if door.color == colour)
        locked = _made_locked(env)
        if locked:
            found["locked door open"] = any(door.is_open for door in locked)
            found["unlocked door open"] = any(door.is_open for door in doors if door not in locked)
    if any(cell is not None and cell.type == "goal" for cell in env.grid.grid):
        under = env.grid.get(*env.agent_pos)
        found["goal reached"] = under is not None and under.type == "goal"
    return found


def _made_locked(env: MiniGridEnv) -> list[Door]:
    """The doors of rooms that were made locked, locked now or not."""
    rooms = [room for row in getattr(env, "room_grid", ()) for room in row if room.locked]
    places = [place for room in rooms for place, door in zip(room.door_pos, room.doors, strict=True) if door]
    cells = [env.grid.get(*place) for place in places]
    return [cell for cell in cells if isinstance(cell, Door)]

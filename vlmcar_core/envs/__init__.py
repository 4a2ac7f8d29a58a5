"""Environment families, one file or folder each. Adding one is adding a file; nothing else changes.

A family is a module with these functions (tests/test_envs_contract.py runs over every one that it finds):

    TITLE: str                                    its name for people
    tasks() -> list[EnvTask]                      what can be chosen; the paper's first
    make(task) -> gym.Env                         with render_mode "rgb_array"; seeds are given to reset()
    steps_limit(env) -> int                       the environment's own time limit, in steps
    expert(env) -> list[action]                   from the state it was just reset to, to success;
                                                  raises NoExpert and says why; leaves env as it was
    succeeded(rewards, terminated) -> bool        the environment's own word on a finished or cut episode
    facts(env) -> dict[str, bool]                 the simulator's truth now, only ever used to judge
    versions() -> dict[str, str]                  packages that shape what is recorded
    policy_view(env) -> gym.Env                   what a policy is trained on: the usual observation, as a flat
                                                  float32 Box
    scene(env) -> Frame                           the full render: RGB uint8 (H, W, 3)
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class EnvTask:
    """One environment that can be chosen."""

    env_id: str
    paper: bool
    """It is one of those that the paper used."""

    expert: bool
    """The family's planner claims to solve it."""

    note: str = ""
    """Why it has no expert, or cannot be made here; empty where there is nothing to say."""

    works: bool = True
    """It can be made with what is installed."""

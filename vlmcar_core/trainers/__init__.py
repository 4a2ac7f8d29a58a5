"""Training algorithms, one file each. torch and Stable-Baselines3 are imported here and nowhere else.

A trainer is a module with:

    TITLE: str                          its name for people
    DEFAULTS: dict[str, number]         its settings, from `_defaults.py`
    learn(training: Training) -> None   train for so many steps; however that ends, the policy is in `save_to`;
                                        what it is asked and what it tells: training.py
    load(path) -> act                   what is saved is a `Policy` (policies.py), never a pickle

What its settings are, their defaults, and which actions it can take stand in `_defaults.py`, which imports nothing
heavy.
"""

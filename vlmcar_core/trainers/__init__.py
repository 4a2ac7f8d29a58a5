"""Training algorithms, one file each. torch and Stable-Baselines3 are imported here and nowhere else.

A trainer is a module with:

    TITLE: str                          its name for people
    DEFAULTS: dict[str, value]          its settings, from `_defaults.py`
    learn(training: Training) -> None   train for so many steps; however that ends, the policy is in `save_to`;
                                        what it is asked and what it tells: training.py
    load(path) -> Act                   what is saved is a `Policy` (policies.py), never a pickle

All that they share is in `_learning.py`: one of Stable-Baselines3's own algorithms is a file of ten lines. What its
settings are, their defaults, and which actions it can take stand in `_defaults.py` and `_parameters.py`, which import
nothing heavy; what a policy acts by is taken out of its networks in `_networks.py`; how training goes on from a
checkpoint is in `_checkpoints.py`, with what that leaves out.
"""

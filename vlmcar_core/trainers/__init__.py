"""Training algorithms, one file each. torch and Stable-Baselines3 are imported here and nowhere else.

A trainer is a module with:

    TITLE: str                                            its name for people
    DEFAULTS: dict[str, number]                           its settings, from `_defaults.py`
    learn(make_env, steps, seed, settings, watch, save_to, tick) -> None
        make_env() -> gym.Env with a flat Box observation; make_env("goal") -> one with a Dict of observation,
        achieved_goal and desired_goal, for trainers that change goals in hindsight; raises BadInput where the
        environment has none. Every ended episode's last info has "episode_record"
        watch(steps_so_far, records, act, save) is called after each stretch with the episodes that ended in it;
        it may raise to stop. act: flat observations (N, D) -> actions (N,) or (N, A); save() writes the policy to
        save_to.
        tick(steps_so_far) is called after every step of the copies, and may raise to stop, too; however learning
        ends, the policy is in save_to.
    load(path) -> act; what is saved is a `Policy` (policies.py), never a pickle

What its settings are, their defaults, and which actions it can take stand in `_defaults.py`, which imports nothing
heavy.
"""

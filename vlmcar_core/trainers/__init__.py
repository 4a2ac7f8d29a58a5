"""Training algorithms, one file each. torch and Stable-Baselines3 are imported here and nowhere else.

A trainer is a module with:

    learn(make_env, steps, seed, settings, watch, save_to, tick) -> None
        make_env() -> gym.Env with a flat Box observation; every ended episode's last info has "episode_record"
        watch(steps_so_far, records, act, save) is called after each stretch with the episodes that ended in it;
        it may raise to stop. act: observations (N, D) -> actions (N,); save() writes the policy to save_to.
        tick(steps_so_far) is called after every step of the copies, and may raise to stop, too; however learning
        ends, the policy is in save_to.
    load(path) -> act

What its settings are, and their defaults, stands in `_defaults.py`, which imports nothing heavy.
"""

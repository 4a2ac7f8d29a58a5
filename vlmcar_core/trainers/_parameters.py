"""What each setting of a trainer does and may be, by its name, which is Stable-Baselines3's where it has one.

Imports nothing heavy: pages and the command line read it.
"""

from vlmcar_core.envs import Setting

TINY = 1e-9
"""Below any number that makes sense, above 0."""

PARAMETERS: dict[str, Setting] = {
    "n_envs": Setting("Copies", 16, 1, 512, help="Environments stepped side by side; 8 to 128."),
    "n_steps": Setting(
        "Steps per update", 128, 1, 100_000, help="Of each copy, between two updates of the policy; 5 to 2048."
    ),
    "batch_size": Setting(
        "Batch size", 256, 1, 1_000_000, help="Transitions in one gradient step; 32 to 2048. Larger is quicker a step."
    ),
    "n_epochs": Setting("Epochs", 4, 1, 1000, help="How often an update goes over the steps it was given; 3 to 20."),
    "learning_rate": Setting(
        "Learning rate", 1e-3, TINY, 1.0, help="How far a gradient step goes; 1e-5 to 1e-2. Lower it where curves jump."
    ),
    "learning_rate_schedule": Setting(
        "Learning rate over time",
        "constant",
        choices=("constant", "linear"),
        help="Linear falls from the learning rate to 0 at the last step.",
    ),
    "gamma": Setting(
        "Discount γ",
        0.99,
        0.0,
        1.0,
        help="What a reward one step later is worth; 0.9 to 0.999. Longer tasks need more.",
    ),
    "gae_lambda": Setting(
        "GAE λ", 0.95, 0.0, 1.0, help="How far advantages trust rewards rather than the value estimate; 0.8 to 1."
    ),
    "ent_coef": Setting(
        "Entropy coefficient",
        0.01,
        0.0,
        10.0,
        help="What acting at random is worth; 0 to 0.05 for PPO and A2C. For SAC and TQC 0 lets it tune itself.",
    ),
    "vf_coef": Setting(
        "Value coefficient", 0.5, 0.0, 100.0, help="The weight of the value estimate in the loss; 0.2 to 1."
    ),
    "max_grad_norm": Setting(
        "Gradient norm at most", 0.5, TINY, 1000.0, help="Longer gradients are cut to it; 0.3 to 10."
    ),
    "clip_range": Setting(
        "Clip range", 0.2, TINY, 10.0, help="How far one update may change an action's chance; 0.1 to 0.4."
    ),
    "clip_range_schedule": Setting(
        "Clip range over time",
        "constant",
        choices=("constant", "linear"),
        help="Linear falls from the clip range to 0 at the last step.",
    ),
    "target_kl": Setting(
        "KL divergence at most",
        0.0,
        0.0,
        10.0,
        help="An update stops where the policy moved so far; 0.01 to 0.05, 0: never.",
    ),
    "normalize_advantage": Setting(
        "Normalize advantages",
        True,
        help="To mean 0 and deviation 1 in each batch, so that the reward's scale matters less.",
    ),
    "use_rms_prop": Setting("RMSProp", True, help="The optimizer of the original A2C; Adam without."),
    "lstm_hidden_size": Setting("Memory, width", 64, 1, 4096, help="Numbers that the LSTM remembers; 32 to 256."),
    "n_lstm_layers": Setting("Memory, layers", 1, 1, 4, help="LSTM layers one on the other; mostly 1."),
    "net_width": Setting("Network, width", 64, 1, 4096, help="Units in each fully connected layer; 32 to 512."),
    "net_depth": Setting(
        "Network, layers", 2, 0, 8, help="Fully connected layers between what is seen and what is answered; 1 to 3."
    ),
    "activation": Setting(
        "Activation",
        "tanh",
        choices=("tanh", "relu"),
        help="Between layers: tanh is usual for PPO and A2C, relu elsewhere.",
    ),
    "buffer_size": Setting(
        "Replay buffer",
        200_000,
        1,
        10_000_000,
        help="Transitions kept to learn from again; 10,000 to 1,000,000. Pictures take a lot of memory.",
    ),
    "learning_starts": Setting(
        "Learning starts at", 500, 0, 1_000_000, help="Steps at random before the first gradient step; 100 to 10,000."
    ),
    "tau": Setting(
        "Target update τ", 0.05, TINY, 1.0, help="How fast target networks follow; 0.001 to 0.05, 1: at once."
    ),
    "train_freq": Setting(
        "Steps per training", 1, 1, 100_000, help="Environment steps between two trainings; 1 to 64."
    ),
    "gradient_steps": Setting("Gradient steps", 1, 1, 1000, help="At each training; as many as steps, or fewer."),
    "target_update_interval": Setting(
        "Target update every",
        1000,
        1,
        1_000_000,
        help="Steps between two updates of the target network; 500 to 10,000.",
    ),
    "exploration_fraction": Setting(
        "Exploring for", 0.3, 0.0, 1.0, help="The share of training in which random actions become fewer; 0.1 to 0.5."
    ),
    "exploration_initial_eps": Setting(
        "Random at first", 1.0, 0.0, 1.0, help="The share of random actions at the beginning; mostly 1."
    ),
    "exploration_final_eps": Setting(
        "Random at last", 0.05, 0.0, 1.0, help="The share of random actions after that; 0.01 to 0.1."
    ),
    "action_noise": Setting(
        "Action noise",
        0.1,
        0.0,
        10.0,
        help="Deviation of the noise on actions while learning, in half ranges; 0.1 to 0.5.",
    ),
    "policy_delay": Setting(
        "Policy every", 2, 1, 100, help="Updates of what judges actions for each of what chooses them; mostly 2."
    ),
    "target_policy_noise": Setting(
        "Noise on targets", 0.2, 0.0, 10.0, help="Smooths what an action is judged to be worth; mostly 0.2."
    ),
    "target_noise_clip": Setting(
        "Noise on targets at most", 0.5, 0.0, 10.0, help="That noise is cut to it; mostly 0.5."
    ),
    "n_critics": Setting("Critics", 2, 1, 10, help="Networks that judge actions; the most pessimistic counts. 1 to 5."),
    "top_quantiles_to_drop_per_net": Setting(
        "Quantiles dropped", 2, 0, 24, help="The highest of each critic's 25, against optimism; 0 to 5."
    ),
    "hindsight_goals": Setting(
        "Goals in hindsight",
        4,
        0,
        100,
        help="How many goals are put in place of each real one (Andrychowicz et al. 2017); 4 is usual, 0 for none.",
    ),
}

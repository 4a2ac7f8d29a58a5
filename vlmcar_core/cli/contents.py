"""What `vlmcar --help` tells: every command by stage, in the order in which a session uses them, each with a line and
examples.

A table, so that help and completion load no command: each is imported from its module when it is asked for.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One command."""

    name: str
    module: str
    """The module of this package whose COMMANDS has it."""

    told: str
    """What it does, in one line of at most 70 characters."""

    examples: tuple[str, ...]
    """Command lines that end its help, without the leading `vlmcar`."""


@dataclass(frozen=True)
class Stage:
    """Commands that belong to one step of the work."""

    title: str
    entries: tuple[Entry, ...]


STAGES = (
    Stage(
        "1 Set the task",
        (
            Entry(
                "new",
                "task",
                "Make a session, on an environment or from two pictures",
                (
                    "new demo --env MiniGrid-DoorKey-8x8-v0",
                    """new arm --env PandaPush-v3 --settings '{"views": "front", "size": 84}'""",
                    "new drawer --initial closed.png --goal open.png",
                    "new camera --no-env",
                ),
            ),
            Entry(
                "envs",
                "task",
                "List environments, the paper's first",
                ("envs", "envs doorkey", "envs panda --expert"),
            ),
            Entry(
                "check-env",
                "task",
                "Say whether any Gymnasium id can be used, and what is missing",
                (
                    """check-env FrozenLake-v1 --settings '{"kwargs": "{\\"is_slippery\\": false}"}'""",
                    "--gym-module my_envs check-env My-v0",
                ),
            ),
            Entry(
                "goal",
                "task",
                "Set the goal frame from a picture or a recorded frame",
                ("goal demo --image open.png", "goal demo --trajectory expert-001 --frame 12"),
            ),
            Entry("list", "task", "List the sessions", ("list", "--root /data/sessions list")),
            Entry("show", "view", "Show where a session stands, and what comes next", ("show demo",)),
        ),
    ),
    Stage(
        "2 Record",
        (
            Entry(
                "record",
                "record",
                "Record the expert and random episodes that are missing",
                ("record demo", "record demo --random 300 --random-steps 100 --replace"),
            ),
            Entry(
                "import-trajectories",
                "trajectories",
                "Take trajectories from NPZ, pictures, video or Minari",
                (
                    "import-trajectories demo push.mp4 --look",
                    "import-trajectories demo push.mp4 --source expert --success yes",
                    "import-trajectories demo D4RL/door/human-v2 --success key:infos/success",
                ),
            ),
            Entry(
                "near-misses",
                "lab",
                "Record experts that stop short of each stage, and wander",
                ("near-misses demo", "near-misses demo --layouts 5"),
            ),
            Entry(
                "hard-scenes",
                "lab",
                "Record episodes beside a wrong object",
                ("hard-scenes demo --layouts 3",),
            ),
        ),
    ),
    Stage(
        "3 Propose sub-tasks and checkers",
        (
            Entry(
                "propose",
                "propose",
                "Propose a goal, sub-tasks, and a checker for each",
                (
                    "propose demo",
                    'propose demo --proposer openai --hint "the door is the yellow thing"',
                    "propose demo --proposer openai --candidates 5 --budget-money 0.50",
                    "propose demo --proposer clipboard",
                ),
            ),
            Entry(
                "answer",
                "propose",
                "Hand in what a chat page answered",
                ("answer demo answer.txt", "answer demo - --model the-model-of-that-page"),
            ),
            Entry("dialogues", "propose", "Show the conversations with models", ("dialogues demo", "dialogues demo 3")),
            Entry("rank", "propose", "Rank candidates, and the checkers of each sub-task", ("rank demo",)),
            Entry("adopt", "propose", "Make a candidate what the session stands on", ("adopt demo 4",)),
            Entry(
                "merge",
                "propose",
                "Put the best checker of each sub-task into one proposal",
                ("merge demo 4", "merge demo 4 open-the-door=2:open-door"),
            ),
        ),
    ),
    Stage(
        "4 Read and edit",
        (
            Entry(
                "edit",
                "edit",
                "Change the newest proposal; each change is a new one",
                (
                    'edit begin demo "The agent is at the green square"',
                    'edit set demo open-door --title "Open the yellow door" --code door.py',
                    'edit add demo "Leave the room" --code leave.py --position 3',
                    "edit move demo open-door 1",
                    "edit remove demo open-door",
                ),
            ),
            Entry(
                "look",
                "inspect",
                "Run one checker on one frame: its answer, what it saw",
                ("look demo open-door", "look demo open-door --trajectory expert-000 --frame 7"),
            ),
            Entry("lint", "inspect", "Check the source of a checker without running it", ("lint door.py",)),
            Entry(
                "import-program",
                "edit",
                "Import a program in the released VLM-CaR style",
                ("import-program demo doorkey.py", "import-program demo bowl.py --goal --item 1 --done-at 4 --yes"),
            ),
            Entry("diff", "edit", "Compare two proposals", ("diff demo 0 2",)),
            Entry("restore", "edit", "Make an earlier proposal the newest again", ("restore demo 0",)),
        ),
    ),
    Stage(
        "5 Verify and mend",
        (
            Entry(
                "verify",
                "record",
                "Judge every checker on every recorded episode",
                ("verify demo", "verify demo --proposal 2", "verify demo || vlmcar repair demo --auto"),
            ),
            Entry(
                "examine",
                "lab",
                "Find what is wrong with checkers, beyond random walks",
                ("examine demo", "examine demo --no-mutants", 'examine demo --fact "open-door=door open"'),
            ),
            Entry(
                "attack",
                "lab",
                "Search for behaviour that is paid and should not be",
                ("attack demo", "attack demo --kind cem --budget 2000"),
            ),
            Entry(
                "repair",
                "models",
                "Have a model mend what was rejected",
                ("repair demo", "repair demo open-door --rounds 2", "repair demo --auto --budget-money 1"),
            ),
        ),
    ),
    Stage(
        "6 Train",
        (
            Entry(
                "train",
                "training",
                "Train on the checkers' reward and on the environment's",
                (
                    "train demo --seeds 3 --steps 300000",
                    "train demo --reward dense --pay potential --detach",
                    "train demo --trainer dqn --hyperparams dqn.yml",
                    """train demo --settings '{"learning_rate": 0.0003}'""",
                ),
            ),
            Entry(
                "hyperparams",
                "hyperparameters",
                "Print a trainer's settings as RL Baselines3 Zoo writes them",
                (
                    "hyperparams MiniGrid-DoorKey-6x6-v0 --trainer dqn > dqn.yml",
                    "hyperparams demo --run 0",
                ),
            ),
            Entry("runs", "training", "List the runs with what they learned", ("runs demo",)),
            Entry(
                "watch",
                "training",
                "Record episodes of a trained policy, to replay and verify",
                ("watch demo 0", "watch demo 0 --episodes 10"),
            ),
            Entry(
                "sweep",
                "queue",
                "Train over a grid of settings",
                (
                    "sweep demo --grid reward=dense,sparse --grid gamma=0.95,0.99",
                    "sweep demo --grid pay=once,potential --env MiniGrid-Unlock-v0",
                    "sweep demo --again 0",
                ),
            ),
            Entry(
                "resume",
                "monitoring",
                "Go on with a run from its last checkpoint",
                ("resume demo 3",),
            ),
            Entry(
                "clone-run",
                "monitoring",
                "Start a run with another's settings, some changed",
                (
                    "clone-run demo 3 --set seed=7",
                    "clone-run demo 3 --set steps=300000 --set learning_rate=0.0003",
                    "clone-run demo 3 --set proposal=4 --go-on",
                ),
            ),
            Entry(
                "compare-runs",
                "monitoring",
                "Put runs beside each other",
                ("compare-runs demo 0 1 2", "compare-runs demo 0 4 --baseline 4"),
            ),
            Entry(
                "keep-hacks",
                "monitoring",
                "Keep episodes that were paid and not solved, as evidence",
                ("keep-hacks demo 2",),
            ),
            Entry(
                "export-run",
                "monitoring",
                "Write a run's progress as CSV, and for TensorBoard",
                ("export-run demo 0 --to run-0",),
            ),
            Entry("sweep-status", "queue", "Show what the cells of a sweep came to", ("sweep-status demo",)),
            Entry("queue", "queue", "Show all that runs or waits, over all sessions", ("queue",)),
            Entry("move-up", "queue", "Let a waiting run pass those before it", ("move-up demo 7 --to-front",)),
            Entry("jobs", "view", "List a session's background jobs and runs", ("jobs demo",)),
            Entry("cancel", "view", "Stop what runs in a session", ("cancel demo", "cancel demo runs/003")),
        ),
    ),
    Stage(
        "7 Take away",
        (
            Entry(
                "report",
                "view",
                "Write the session as one HTML file, with the replay in it",
                ("report demo", "report demo --replay-mib 4 --out demo-for-the-paper.html"),
            ),
            Entry(
                "figures",
                "share",
                "Write the figures for a paper, as SVG and PNG",
                ("figures demo --to figures", "figures demo --to figures --format svg"),
            ),
            Entry(
                "export",
                "share",
                "Write the reward as a bundle that runs without the studio",
                ("export demo --to demo-reward", "export demo --proposal 2 --to demo-reward.zip"),
            ),
            Entry(
                "export-trajectories",
                "trajectories",
                "Write trajectories as NPZ or as a Minari dataset",
                ("export-trajectories demo", "export-trajectories demo --to minari --source expert"),
            ),
            Entry("pack", "packing", "Write a session as one file, for another machine", ("pack demo",)),
            Entry("unpack", "packing", "Make a session of such a file", ("unpack demo.zip --name again",)),
        ),
    ),
    Stage(
        "Models",
        (
            Entry(
                "vlm",
                "vlm",
                "Show or keep how models are asked: server, model, settings",
                ("vlm", "vlm --preset ollama --model llava --save", "vlm --base-url http://127.0.0.1:8000/v1 --save"),
            ),
            Entry("models", "vlm", "List the models that the server offers", ("models", "models --preset openrouter")),
            Entry("test-vlm", "vlm", "Send a tiny picture: does the model see it?", ("test-vlm --model llava",)),
            Entry("key", "vlm", "Keep a key in the system's keyring", ("key set --preset openai", "key where")),
            Entry(
                "prompts",
                "vlm",
                "Show the prompts, or word one differently",
                ("prompts demo", "prompts demo goal --set goal.md", "prompts demo goal --diff"),
            ),
            Entry("prices", "vlm", "Show or change the price table", ("prices", "prices --set some-model 0.15 0.60")),
            Entry(
                "compare-vlms",
                "models",
                "Compare models: verdicts, tokens, money, seconds",
                ("compare-vlms --model a --model b --task MiniGrid-Unlock-v0 --repeats 5",),
            ),
            Entry(
                "replay-server",
                "models",
                "Serve recorded answers to any OpenAI client",
                (
                    "replay-server example-recorded-answers",
                    "replay-server --port 0 --fault 429:2",
                    "replay-server --list-faults",
                ),
            ),
        ),
    ),
    Stage(
        "This installation",
        (
            Entry("app", "view", "Open the app in a browser", ("app", "app --port 8600 --headless")),
            Entry("doctor", "doctor", "Show what works on this machine", ("doctor",)),
            Entry(
                "completion",
                "completion",
                "Print what makes a shell complete commands and sessions",
                (
                    "completion bash > ~/.local/share/bash-completion/completions/vlmcar",
                    "completion zsh > ~/.zfunc/_vlmcar",
                    "completion fish > ~/.config/fish/completions/vlmcar.fish",
                ),
            ),
        ),
    ),
)

HIDDEN = {"train-run": "training", "train-elsewhere": "training", "drive-host": "drive"}
"""Commands that only our own processes use, with their modules."""

ENTRIES = {entry.name: entry for stage in STAGES for entry in stage.entries}
MODULES = {name: entry.module for name, entry in ENTRIES.items()} | HIDDEN

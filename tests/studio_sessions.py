"""For tests of the pages: small sessions, and a page of the app run without a browser."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.conftest import NEVER, RED_AT_LEAST, picture, proposal, trajectory
from vlmcar_core import pipeline
from vlmcar_core.store import GoalOrigin, Session
from vlmcar_core.types import Task
from vlmcar_studio.server import ROUTER
from vlmcar_studio.widgets import JOINER

SECONDS = 60

FAILS = """
def check(initial, current):
    if current.any():
        raise ValueError("red is here")
    return False
"""


def framed(root: Path, name: str = "red") -> Session:
    """Two frames and nothing else."""
    session = Session.create(root, name, Task(env_id=None, family=None))
    session.set_initial(picture(0))
    session.set_goal(picture(9), GoalOrigin("upload", name="goal.png"))
    return session


def recorded(root: Path, name: str = "red") -> Session:
    """Two experts and a random episode, and a proposal with a sound, a failing and a silent checker; not verified."""
    session = framed(root, name)
    for seed in (0, 1):
        session.add_trajectory(trajectory([0, 2, 4, 6, 9], seed=seed))
    session.add_trajectory(trajectory([0, 0, 1], source="random", success=False))
    sound = ("see-red", RED_AT_LEAST.format(pixels=4))
    session.add_proposal(proposal(sound, ("fails", FAILS), ("silent", NEVER), goal=RED_AT_LEAST.format(pixels=9)))
    return session


def verified(root: Path, name: str = "red") -> Session:
    """The same, verified."""
    session = recorded(root, name)
    pipeline.verify(session)
    return session


def opened(page: str, session: str, **query: str) -> AppTest:
    """A page of the app at this session; its sessions are those of `VLMCAR_SESSIONS`."""
    app = AppTest.from_file(str(ROUTER), default_timeout=SECONDS)
    app.query_params["session"] = session
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    return app.switch_page(f"../pages/{page}.py").run()


def said(app: AppTest) -> str:
    """All that the page says, in one text, as a person reads it."""
    groups = (app.title, app.markdown, app.caption, app.info, app.warning, app.error, app.success)
    return "\n".join(item.value for group in groups for item in group).replace("\\", "").replace(JOINER, "")

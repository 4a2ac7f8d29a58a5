"""How the app is started, and what is served beside its pages: frames, the charts' library, a socket to drive."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

from vlmcar_core import films, pipeline, recordings
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import Session
from vlmcar_studio import charts
from vlmcar_studio.driving import drive
from vlmcar_studio.guard import OnlyUs

ROUTER = Path(__file__).with_name("router.py")
ROOT = Path(__file__).parent.parent
ADDRESS = "127.0.0.1"


def command(port: int, headless: bool) -> list[str]:
    """The command line that serves the app on loopback."""
    argv = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port)]
    return [*argv, "--server.address", ADDRESS, "--server.headless", str(headless).lower()]


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Streamlit collects garbage after every run of a script: what never changes is put out of its way once.

    A component of Streamlit's first kind, such as the editor, must not be imported here: it would register itself
    before there is a server to register with.
    """
    import gymnasium
    import plotly.graph_objects

    assert gymnasium and plotly.graph_objects
    gc.collect()
    gc.freeze()
    yield


def frame(request: Request) -> Response:
    """One distinct frame of a recorded trajectory, as the PNG that was stored; it never changes."""
    try:
        session = Session.open(pipeline.default_root(), request.path_params["session"])
        path = session.trajectory_path(request.path_params["trajectory"])
        data = recordings.read_png(path, _number(request.path_params["number"]))
    except (BadInput, DamagedFile) as error:
        return PlainTextResponse(str(error), status_code=404)
    return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})


def run_frame(request: Request) -> Response:
    """One distinct frame of an episode that a training run has kept."""
    asked = request.path_params
    try:
        session = Session.open(pipeline.default_root(), asked["session"])
        folder = session.run_folder(_number(asked["run"]))
        data = recordings.read_png(films.path(folder, asked["kind"], asked["id"]), _number(asked["number"]))
    except (BadInput, DamagedFile) as error:
        return PlainTextResponse(str(error), status_code=404)
    except FileNotFoundError:
        return PlainTextResponse("there is no such episode any more", status_code=404)
    return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})


async def chart_library(_request: Request) -> Response:
    """The library that draws charts; its address has its version."""
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(charts.LIBRARY, media_type="text/javascript", headers=headers)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadInput(f"a frame has a whole number, not {text[:20]!r}")
    return int(text)


async def home(_request: Request) -> Response:
    """The first page is at the root; its name leads there, too."""
    return RedirectResponse("/")


ROUTES = [
    Route("/home", home, methods=["GET"]),
    WebSocketRoute("/vlmcar/drive/{session}", drive),
    Route("/vlmcar/frame/{session}/{trajectory}/{number}.png", frame, methods=["GET"]),
    Route("/vlmcar/run-frame/{session}/{run}/{kind}/{id}/{number}.png", run_frame, methods=["GET"]),
    Route(charts.ROUTE, chart_library, methods=["GET"]),
]

MIDDLEWARE = [Middleware(OnlyUs)]

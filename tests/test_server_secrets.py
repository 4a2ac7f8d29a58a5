"""A key is in no page, no log and no session, wherever it comes from and whatever goes wrong."""

import sys
from pathlib import Path

import keyring
import keyring.backend
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from tests.servers import TYPE, events, servers_elsewhere, whole
from tests.studio_sessions import SECONDS, opened, recorded
from tests.test_pages import PAGES
from tests.test_server_words import shown
from vlmcar_core import authoring, cli, escaping, jobs, pipeline, servers
from vlmcar_core.authoring import Wish
from vlmcar_core.errors import RefusedToAnswer
from vlmcar_core.servers import PRESETS, Key, Server
from vlmcar_core.store import Session
from vlmcar_studio import asking, faults
from vlmcar_studio.server import ROUTER

SECRET = "sk-0f-a-test-that-shows-nothing-9876543210"
ADDRESS = PRESETS["openai"].base_url


class Keeping(keyring.backend.KeyringBackend):
    """A system's keyring with one key in it."""

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:
        return SECRET if service == servers.KEYRING_SERVICE else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise AssertionError("nothing is to be kept")

    def delete_password(self, service: str, username: str) -> None:
        raise AssertionError("nothing is to be forgotten")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "sessions"
    monkeypatch.setenv("VLMCAR_SESSIONS", str(root))
    recorded(root)
    servers.save(root, Server(model="some-model"))
    return root


@pytest.fixture(params=["typed", "environment", "maker's variable", "keyring"])
def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The Models page, at which the key is known; `typed` types it there."""
    before = keyring.get_keyring()
    if request.param == "keyring":
        keyring.set_keyring(Keeping())
    elif request.param != "typed":
        monkeypatch.setenv("VLMCAR_API_KEY" if request.param == "environment" else "OPENAI_API_KEY", SECRET)
    request.addfinalizer(lambda: keyring.set_keyring(before))
    page = opened("models", "red")
    if request.param == "typed":
        next(field for field in page.text_input if field.label.startswith("Key")).set_value(SECRET).run()
    return page


def everything(app: AppTest) -> str:
    return "\n".join(text for _, text in shown(app._tree))


def test_a_key_is_on_no_page_and_in_no_file(app: AppTest, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "Used: the key from" in everything(app)
    for page in PAGES:
        app.switch_page(f"../pages/{page}.py").run()
        assert not app.exception and SECRET not in everything(app)
    assert not [path for path in root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert SECRET not in "".join(capfd.readouterr()) and SECRET not in str(app.query_params)


def test_a_fault_of_the_program_shows_no_key_no_value_and_no_folder(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    def failing(*_: object) -> None:
        password = "a-local-variable"
        raise RuntimeError(f"{SECRET} <b>![x](http://evil.example)</b> {root} {Path.home()} {len(password)}")

    monkeypatch.setattr(pipeline, "current_job", failing)
    app.switch_page("../pages/verify.py").run()
    text = everything(app)
    assert "A fault of the program" in text and "[key]" in text and "./pages/verify.py" in text
    assert SECRET not in text and "a-local-variable" not in text
    assert str(faults.ROOT) not in text and str(root) not in text and sys.prefix not in text
    assert f"{Path.home()}/" not in text
    assert "![x]" not in "\n".join(alert.value for alert in app.error)


def test_a_fault_on_the_command_line_shows_no_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> None:
        raise RuntimeError(f"{SECRET} \x1b]0;owned\x07")

    monkeypatch.setenv("VLMCAR_API_KEY", SECRET)
    monkeypatch.setattr(pipeline, "env_tasks", failing)
    monkeypatch.setattr(sys, "argv", ["vlmcar", "envs"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 3 and "RuntimeError: [key]" in said
    assert SECRET not in said and "\x1b" not in said


def test_a_fault_of_a_job_writes_no_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with pytest.raises(RuntimeError), jobs.running(tmp_path / "job", "propose"):
        raise RuntimeError(f"the header was {SECRET}")
    assert jobs.read(tmp_path / "job").message.startswith("RuntimeError: the header was [key]")
    assert SECRET not in "".join(capsys.readouterr())
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("stream", [True, False])
def test_a_key_that_a_server_repeats_when_it_declines_is_in_no_message(stream: bool, root: Path) -> None:
    session = Session.open(root, "red")
    delta: list[tuple[dict[str, str], str | None]] = [({"refusal": "not with {key}"}, None), ({}, "stop")]
    said = (200, {TYPE: "text/event-stream"}, events(delta, "m")) if stream else whole("", refusal="not with {key}")
    with servers_elsewhere() as elsewhere:
        server = elsewhere.scripted(session, said).server(retries=0, stream=stream, structured="off")
        with pytest.raises(RefusedToAnswer, match=r"not with \[key\]") as caught:
            authoring.carry_on(session, authoring.begin(session, Wish(server)), server, Key(SECRET, "typed"))
    assert SECRET not in str(caught.value)


@given(st.lists(st.one_of(st.text("sk-0f", max_size=5), st.just(SECRET), st.sampled_from([SECRET[:9], SECRET[9:]]))))
def test_a_key_that_comes_in_pieces_is_told_in_none(pieces: list[str]) -> None:
    told: list[str] = []
    scrubbing = Key(SECRET).scrubbing(told.append)
    for piece in pieces:
        scrubbing(piece)
        assert SECRET not in "".join(told)
    scrubbing.close()
    assert "".join(told) == "".join(pieces).replace(SECRET, "[key]")


def test_keys_are_taken_out_and_short_words_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEBODYS_API_KEY", SECRET)
    assert escaping.without_keys(f"a {SECRET} b", "", "abc") == "a [key] b"
    assert escaping.without_keys("abc", "abc") == "abc"


def test_no_key_is_known_where_none_is(root: Path) -> None:
    app = AppTest.from_file(str(ROUTER), default_timeout=SECONDS).run()
    assert not app.exception and [key for key in asking.known_keys() if key] == []

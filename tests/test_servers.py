"""Addresses, settings, keys and prices."""

import dataclasses
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from vlmcar_core import prices, servers
from vlmcar_core.errors import BadInput, DamagedFile, UnknownName
from vlmcar_core.prices import Price
from vlmcar_core.servers import Key, Server


class Memory(keyring.backend.KeyringBackend):
    """A keyring that forgets."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise keyring.errors.PasswordDeleteError("not there")
        del self.kept[service, username]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch):
    for name in (servers.KEY_VARIABLE, servers.URL_VARIABLE, servers.MODEL_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for preset in servers.PRESETS.values():
        if preset.variable:
            monkeypatch.delenv(preset.variable, raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    yield
    keyring.set_keyring(before)


LOCAL = Server(preset="other", base_url="http://127.0.0.1:8000/v1")


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://x/v1", "http://", "http://x:99999/v1", "javascript:alert(1)"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="is no address"):
        Server(base_url=url)


@pytest.mark.parametrize("url", ["http://me:secret@x/v1", "https://x/v1?key=secret", "https://x/v1#secret"])
def test_an_address_with_a_secret_in_it_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadInput, match="written to disk") as caught:
        Server(base_url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", list(servers.PRESETS))
def test_every_preset_is_a_server(name: str) -> None:
    server = servers.with_preset(Server(), name)
    assert server.preset == name and servers.preset_of(server.base_url) == name and server.model == ""


def test_settings_have_their_ranges() -> None:
    for wrong in ({"side": 3}, {"temperature": 9.0}, {"detail": "huge"}, {"structured": "yes"}, {"preset": "gpt"}):
        with pytest.raises(BadInput):
            Server(**wrong)  # type: ignore[arg-type]


def test_settings_as_text_are_read_by_their_kind() -> None:
    found = servers.with_settings(Server(), {"side": "512", "stream": "no", "temperature": "0.5", "detail": "low"})
    assert (found.side, found.stream, found.temperature, found.detail) == (512, False, 0.5, "low")
    assert servers.with_settings(found, {"temperature": "none"}).temperature is None
    with pytest.raises(UnknownName, match="colour"):
        servers.with_settings(Server(), {"colour": "red"})
    with pytest.raises(BadInput, match="'many'"):
        servers.with_settings(Server(), {"side": "many"})


def test_settings_are_kept_beside_the_sessions_and_the_environment_goes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert servers.load(tmp_path) == Server()
    kept = dataclasses.replace(LOCAL, model="m", side=512)
    servers.save(tmp_path, kept)
    assert servers.load(tmp_path) == kept == servers.from_json(servers.to_json(kept))
    monkeypatch.setenv(servers.URL_VARIABLE, "http://127.0.0.1:11434/v1")
    monkeypatch.setenv(servers.MODEL_VARIABLE, "other")
    found = servers.load(tmp_path)
    assert (found.preset, found.model, found.side) == ("ollama", "other", 512)


@pytest.mark.parametrize("text", ["{", '{"version": 1, "colour": 3}', '{"version": 1, "base_url": "x"}', "[]"])
def test_damaged_settings_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / servers.FILE).write_text(text)
    with pytest.raises(DamagedFile, match=r"vlm\.json"):
        servers.load(tmp_path)


def test_a_typed_key_goes_first_then_the_environment_then_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    openai = Server()
    assert not servers.key_for(openai)
    servers.keep_key(openai, "kept-in-keyring")
    assert servers.key_for(openai).origin == "the system's keyring"
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-maker")
    assert servers.key_for(openai) == Key("of-the-maker", "the environment's OPENAI_API_KEY")
    monkeypatch.setenv(servers.KEY_VARIABLE, "ours")
    assert servers.key_for(openai).value == "ours"
    assert servers.key_for(openai, " typed ") == Key("typed", "typed")
    servers.keep_key(openai, "")
    servers.keep_key(openai, "")


def test_a_key_goes_only_to_the_server_that_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-maker")
    servers.keep_key(Server(), "kept")
    assert not servers.key_for(LOCAL)
    assert not servers.key_for(Server(preset="openai", base_url="https://api.openai.com.evil.example/v1"))
    monkeypatch.setenv(servers.KEY_VARIABLE, "ours")
    monkeypatch.setenv(servers.URL_VARIABLE, "http://127.0.0.1:1/v1")
    assert not servers.key_for(LOCAL)
    monkeypatch.setenv(servers.URL_VARIABLE, LOCAL.base_url + "/")
    assert servers.key_for(LOCAL).value == "ours"
    assert servers.secrets(LOCAL, Key("a", "typed")) == {
        servers.KEY_VARIABLE: "a",
        servers.URL_VARIABLE: LOCAL.base_url,
    }


def test_a_key_shows_nothing_of_itself() -> None:
    key = Key("sk-0123456789", "typed")
    assert "sk-" not in repr(key) and key.scrubbed("wrong: sk-0123456789!") == "wrong: [key]!"
    with pytest.raises(BadInput) as caught:
        servers.key_for(LOCAL, "sk-012\n3456")
    assert "sk-" not in str(caught.value)


TABLE = (
    Price("gpt-5.4", 2.5, 15.0, "2026-06-04"),
    Price("gpt-5.4-mini", 0.75, 4.5, "2026-06-04"),
    Price("local/*", 0.0, 0.0, "2026-06-04"),
)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("gpt-5.4", "gpt-5.4"),
        ("gpt-5.4-2026-03-05", "gpt-5.4"),
        ("openai/gpt-5.4-mini", "gpt-5.4-mini"),
        ("gpt-5.4-mini-2026-03-17", "gpt-5.4-mini"),
        ("gpt-5.4-pro", None),
        ("local/llava", "local/*"),
        ("qwen", None),
    ],
)
def test_a_price_is_found_by_name_pattern_maker_and_date(model: str, found: str | None) -> None:
    price = prices.price_of(model, TABLE)
    assert (price.model if price else None) == found


def test_money_is_not_known_where_price_or_tokens_are_not() -> None:
    assert prices.money("gpt-5.4", 1_000_000, 100_000, TABLE) == pytest.approx(4.0)
    assert prices.money("gpt-5.4", None, 1, TABLE) is None and prices.money("qwen", 1, 1, TABLE) is None
    assert prices.money("local/x", 5, 5, TABLE) == 0.0


def test_the_price_table_is_the_persons_once_it_is_saved(tmp_path: Path) -> None:
    assert prices.load(tmp_path) == prices.SHIPPED
    prices.save(tmp_path, TABLE)
    assert prices.load(tmp_path) == TABLE
    with pytest.raises(BadInput, match="two prices"):
        prices.save(tmp_path, [*TABLE, TABLE[0]])
    (tmp_path / prices.FILE).write_text('{"version": 1, "prices": [{"model": 3}]}')
    with pytest.raises(DamagedFile, match=r"prices\.json"):
        prices.load(tmp_path)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"model": "a", "prompt": 1.0, "answer": None, "known": "2026-01-01"}, "lacks a number"),
        ({"model": "a", "prompt": -1.0, "answer": 1.0, "known": "2026-01-01"}, "from 0 upwards"),
        ({"model": "a", "prompt": float("nan"), "answer": 1.0, "known": "2026-01-01"}, "from 0 upwards"),
        ({"model": "", "prompt": 1.0, "answer": 1.0, "known": "2026-01-01"}, "needs the name"),
        ({"model": "a", "prompt": 1.0, "answer": 1.0, "known": "yesterday"}, "needs its day"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(row: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        prices.from_rows([row, {"model": "", "prompt": None, "answer": None}])

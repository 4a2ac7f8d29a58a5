"""Addresses, settings, keys and prices."""

import dataclasses
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
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
    "url",
    [
        "",
        "localhost:8000",
        "ftp://x/v1",
        "http://",
        "http://x:99999/v1",
        "http://x:0/v1",
        "http://[::1/v1",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="is no address"):
        Server(base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@x/v1",
        "http://:secret@x/v1",
        "http://secret@x/v1",
        "https://x/v1?key=secret",
        "https://x/v1#secret",
    ],
)
def test_an_address_with_a_secret_in_it_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadInput, match="written to disk") as caught:
        Server(base_url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", list(servers.PRESETS))
def test_every_preset_is_a_server(name: str) -> None:
    server = servers.with_preset(Server(), name)
    assert server.preset == name and servers.preset_of(server.base_url) == name and server.model == ""


@pytest.mark.parametrize(("name", "low", "high"), servers.RANGES)
def test_settings_have_their_ranges(name: str, low: float, high: float) -> None:
    for value in (low, high):
        assert getattr(Server(**{name: value}), name) == value
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(BadInput, match=f"{name} lies between {low} and {high}, not at {value}"):
            Server(**{name: value})


def test_settings_that_are_one_of_a_few_say_which() -> None:
    for wrong, words in (
        ({"detail": "huge"}, "auto, low, high, not 'huge'"),
        ({"structured": "yes"}, "auto, off, not 'yes'"),
        ({"preset": "gpt"}, "no preset 'gpt'; there are: openai"),
    ):
        with pytest.raises(BadInput, match=words):
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


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 100_000,
        "{}",
        '{"version": 99}',
        '{"version": 1, "colour": 3}',
        '{"version": 1, "base_url": "x"}',
        '{"version": 1, "base_url": "http://me:secret@x/v1"}',
        '{"version": 1, "temperature": "hot"}',
        '{"version": 1, "preset": []}',
        '{"version": 1, "max_tokens": 1}',
    ],
)
def test_damaged_settings_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / servers.FILE).write_text(text)
    with pytest.raises(DamagedFile, match=r"vlm\.json") as caught:
        servers.load(tmp_path)
    assert "secret" not in str(caught.value) and len(str(caught.value)) < 500


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


def test_a_key_is_in_no_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    server = servers.load(tmp_path)
    key = servers.key_for(server)
    servers.save(tmp_path, server)
    assert key and "sk-" not in f"{(tmp_path / servers.FILE).read_text()} {servers.to_json(server)} {server!r} {key}"
    assert not servers.secrets(server, Key())


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.openai.com/v1",
        "https://api.openai.com:8443/v1",
        "https://api.openai.com.evil.example/v1",
        "https://evil.example/api.openai.com/v1",
        "https://openrouter.ai/api/v1",
        "http://127.0.0.1:11434/v1",
    ],
)
def test_a_makers_key_goes_to_no_other_address(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-maker")
    assert servers.key_for(Server(preset="openai")).value == "of-the-maker"
    assert servers.key_for(Server(preset="openai", base_url=base_url)) == Key()


def test_the_keyring_keeps_a_key_for_each_server() -> None:
    other = dataclasses.replace(LOCAL, base_url="http://127.0.0.1:9000/v1")
    servers.keep_key(LOCAL, " one ")
    servers.keep_key(other, "two")
    assert servers.key_for(LOCAL) == Key("one", "the system's keyring") and servers.key_for(other).value == "two"
    assert servers.key_for(dataclasses.replace(LOCAL, base_url="HTTP://127.0.0.1:8000/v2")).value == "one"
    servers.keep_key(LOCAL, "")
    assert not servers.key_for(LOCAL) and servers.key_for(other).value == "two"


def test_a_machine_without_a_keyring_has_no_key_and_says_what_to_do_instead() -> None:
    keyring.set_keyring(keyring.backends.fail.Keyring())
    assert not servers.key_for(LOCAL)
    with pytest.raises(BadInput, match=r"no keyring .*VLMCAR_API_KEY") as caught:
        servers.keep_key(LOCAL, "sk-0123456789")
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["sk-01\r\nX: y", "sk-ключ", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_refused_wherever_it_comes_from(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.keep_key(LOCAL, "good")
    with pytest.raises(BadInput, match="copy it again") as typed:
        servers.key_for(LOCAL, wrong)
    with pytest.raises(BadInput) as kept:
        servers.keep_key(LOCAL, wrong)
    assert "sk-" not in f"{typed.value} {kept.value}" and servers.key_for(LOCAL).value == "good"
    if "\x00" not in wrong:
        monkeypatch.setenv(servers.KEY_VARIABLE, wrong)
        with pytest.raises(BadInput):
            servers.key_for(LOCAL)


def test_this_machine_is_told_from_others() -> None:
    local = ("http://127.0.0.1:1/v1", "http://LOCALHOST/v1", "http://[::1]:8000/v1")
    others = ("http://127.0.0.1.evil.example/v1", "https://localhost.example/v1", "http://192.168.0.1/v1")
    assert all(servers.is_local(url) for url in local) and not any(servers.is_local(url) for url in others)
    assert Server(base_url=local[2], model="m").title == "m at [::1]:8000"


TABLE = (
    Price("gpt-5.4", 2.5, 15.0, "2026-06-04"),
    Price("gpt-5.4-mini", 0.75, 4.5, "2026-06-04"),
    Price("local/*", 0.0, 0.0, "2026-06-04"),
    Price("local/small-*", 0.0, 0.0, "2026-06-04"),
    Price("local/small-exact", 1.0, 1.0, "2026-06-04"),
)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("gpt-5.4", "gpt-5.4"),
        ("gpt-5.4-2026-03-05", "gpt-5.4"),
        ("openai/gpt-5.4-mini", "gpt-5.4-mini"),
        ("gpt-5.4-mini-2026-03-17", "gpt-5.4-mini"),
        ("gpt-5.4-20260305", "gpt-5.4"),
        ("openai/gpt-5.4-2026-03-05", "gpt-5.4"),
        ("gpt-5.4-pro", None),
        ("gpt-5.4-mini-pro", None),
        ("gpt-5.4-", None),
        ("gpt-5.40", None),
        ("gpt-5", None),
        ("local/llava", "local/*"),
        ("local/small-exact", "local/small-exact"),
        ("local/small-llava", "local/small-*"),
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
    assert prices.load(tmp_path) == TABLE


@pytest.mark.parametrize(
    "rows", ['[{"model": 3}]', "[3]", "7", '[{"model": "a", "prompt": "x", "answer": 1, "known": "2026-01-01"}]']
)
def test_a_damaged_price_table_is_named(tmp_path: Path, rows: str) -> None:
    (tmp_path / prices.FILE).write_text(f'{{"version": 1, "prices": {rows}}}')
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

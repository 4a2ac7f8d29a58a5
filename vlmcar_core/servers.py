"""Which server answers, with which settings, and with which key. Keys are found, never kept: no file of ours has one.

The settings are of one installation (`vlm.json` beside the sessions), not of a session: opening a stranger's session
must not send one's key to an address that the stranger chose.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from vlmcar_core import files, strict
from vlmcar_core.errors import BadInput, DamagedFile, UnknownName

Structured = Literal["auto", "off"]
Detail = Literal["auto", "low", "high"]

FILE = "vlm.json"
KEY_VARIABLE, URL_VARIABLE, MODEL_VARIABLE = "VLMCAR_API_KEY", "VLMCAR_BASE_URL", "VLMCAR_MODEL"
KEYRING_SERVICE = "vlm-car-studio"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Preset:
    """A kind of server that many people have."""

    title: str
    base_url: str
    variable: str = ""
    """The environment variable that its users keep their key in; empty where it wants none."""

    about: str = ""


PRESETS = {
    "openai": Preset("OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", "Needs a key from your account."),
    "openrouter": Preset(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "Models of many makers behind one key; choose one that takes images.",
    ),
    "vllm": Preset(
        "vLLM",
        "http://127.0.0.1:8000/v1",
        "VLLM_API_KEY",
        "vllm serve <a vision model> --limit-mm-per-prompt '{\"image\": 8}'",
    ),
    "ollama": Preset(
        "Ollama", "http://127.0.0.1:11434/v1", "", "ollama pull <a vision model>; it serves as soon as it is installed."
    ),
    "lmstudio": Preset("LM Studio", "http://127.0.0.1:1234/v1", "", "Load a vision model and start the local server."),
    "llamacpp": Preset(
        "llama.cpp's server",
        "http://127.0.0.1:8080/v1",
        "",
        "llama-server -m <model.gguf> --mmproj <projector.gguf> -c 16384",
    ),
    "other": Preset(
        "Another server", "http://127.0.0.1:8766/v1", "", "Anything that speaks OpenAI's chat completions."
    ),
}


@dataclass(frozen=True)
class Server:
    """How a model is asked. Holds no key."""

    preset: str = "openai"
    base_url: str = PRESETS["openai"].base_url
    model: str = ""
    structured: Structured = "auto"
    """"auto" asks for JSON by a schema, and goes on in plain text where the server refuses that."""

    detail: Detail = "auto"
    """OpenAI's image detail; other servers ignore it."""

    side: int = 768
    """The pictures' longer side comes to about so many pixels."""

    side_by_side: bool = False
    """Send both frames as one picture."""

    stream: bool = True
    temperature: float | None = None
    """None leaves it to the server."""

    max_tokens: int = 8000
    """Length of one answer at most, in tokens; thinking counts."""

    silence_seconds: float = 120.0
    """So long may nothing come, before the answer and within it."""

    answer_seconds: float = 900.0
    """So long may one answer take in all."""

    retries: int = 5
    """So many times is a question sent again after a fault that may pass."""

    tries: int = 3
    """So many times in all is an answer asked for that cannot be read."""

    short: bool = False
    """Leave earlier checkers out of the conversation."""

    def __post_init__(self) -> None:
        check_url(self.base_url)
        for name, low, high in RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise BadInput(f"{name} lies between {low} and {high}, not at {value}")
        for name, allowed in (("structured", ("auto", "off")), ("detail", ("auto", "low", "high"))):
            if getattr(self, name) not in allowed:
                raise BadInput(f"{name} is one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if self.preset not in PRESETS:
            raise UnknownName.among("preset", self.preset, PRESETS)

    @property
    def title(self) -> str:
        return f"{self.model or 'no model'} at {urlsplit(self.base_url).netloc}"


RANGES = (
    ("side", 64, 4096),
    ("temperature", 0.0, 2.0),
    ("max_tokens", 16, 1_000_000),
    ("silence_seconds", 1.0, 3600.0),
    ("answer_seconds", 1.0, 36_000.0),
    ("retries", 0, 50),
    ("tries", 1, 20),
)


def check_url(url: str) -> str:
    """An address, if it may be one.

    Raises:
        BadInput: it is none, or holds a password or a question mark, which would be kept on disk.
    """
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_ok = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
        raise BadInput(f"{url[:200]!r} is no address; it looks like http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadInput(
            "the address holds a user's name, a password or a query; it would be written to disk: leave them out "
            f"and give the key as {KEY_VARIABLE}, in the system's keyring, or typed"
        )
    return url


def is_local(url: str) -> bool:
    return (urlsplit(url).hostname or "") in LOOPBACK


def build(values: dict[str, Any]) -> Server:
    """Settings from names and values, such as a file's or the command line's.

    Raises:
        BadInput: there is no such setting, or its value makes no sense.
    """
    known = {one.name for one in fields(Server)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UnknownName.among("setting of the server", unknown[0], sorted(known))
    try:
        return strict.build(Server, values)
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"a setting of the server has the wrong type ({error}); see {FILE}") from error


def with_settings(server: Server, values: dict[str, str]) -> Server:
    """The same with some settings given as text, such as "side" and "512"; "none" is None.

    Raises:
        BadInput: there is no such setting, or its value makes no sense.
    """
    changed: dict[str, Any] = asdict(server)
    for name, text in values.items():
        if name not in changed:
            raise UnknownName.among("setting of the server", name, sorted(changed))
        changed[name] = _parsed(name, text)
    return build(changed)


def _parsed(name: str, text: str) -> Any:
    kind = {one.name: str(one.type) for one in fields(Server)}[name]
    try:
        if kind.startswith("<class"):
            kind = kind.split("'")[1]
        if "None" in kind and text.lower() in ("", "none"):
            return None
        if "bool" in kind:
            return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}[text.lower()]
        return int(text) if kind == "int" else float(text) if "float" in kind else text
    except (ValueError, KeyError) as error:
        raise BadInput(f"{name} cannot be {text!r}; see `vlmcar vlm` for what it is now") from error


def from_json(text: str) -> Server:
    """Raises `BadInput` for what is no JSON object of settings."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{text[:80]!r} is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise BadInput(f"{text[:80]!r} is no JSON object of settings")
    return build(value)


def to_json(server: Server) -> str:
    return json.dumps(asdict(server))


def load(root: Path) -> Server:
    """The settings that were used last; the environment's address and model go before them.

    Raises:
        DamagedFile: they cannot be read.
    """
    try:
        values = files.read_json(root / FILE)
        del values["version"]
    except FileNotFoundError:
        values = {}
    if url := os.environ.get(URL_VARIABLE):
        values.update(base_url=url, preset=preset_of(url))
    if model := os.environ.get(MODEL_VARIABLE):
        values["model"] = model
    try:
        return build(values)
    except BadInput as error:
        raise DamagedFile(f"{FILE} does not hold settings of a server ({error}); correct it or remove it") from error


def save(root: Path, server: Server) -> None:
    files.write_json(root / FILE, asdict(server))


def preset_of(url: str) -> str:
    """The preset whose address this is."""
    return next((name for name, preset in PRESETS.items() if preset.base_url.rstrip("/") == url.rstrip("/")), "other")


def with_preset(server: Server, name: str) -> Server:
    """The same settings for another kind of server."""
    if name not in PRESETS:
        raise UnknownName.among("preset", name, PRESETS)
    return replace(server, preset=name, base_url=PRESETS[name].base_url, model="")


# Keys


@dataclass(frozen=True)
class Key:
    """A key and where it came from. Its text shows nothing of it."""

    value: str = field(default="", repr=False)
    origin: str = "none"
    """In words: typed, the environment's variable, the system's keyring; "none" where there is none."""

    def __bool__(self) -> bool:
        return bool(self.value)

    def scrubbed(self, text: str) -> str:
        """A text without the key in it."""
        return text.replace(self.value, "[key]") if len(self.value) >= 6 else text

    def scrubbing(self, told: Callable[[str], None]) -> "Scrubbing":
        """The same for a text that comes in pieces."""
        return Scrubbing(self, told)


class Scrubbing:
    """Tells a text that comes in pieces, without the key, also where the key is cut in two.

    The end of what has come is held back while it may be the key's beginning; `close` tells it.
    """

    def __init__(self, key: Key, told: Callable[[str], None]) -> None:
        self._key, self._told, self._held = key, told, ""

    def __call__(self, piece: str) -> None:
        text = self._key.scrubbed(self._held + piece)
        begun = (size for size in range(len(self._key.value) - 1, 0, -1) if text.endswith(self._key.value[:size]))
        end = len(text) - next(begun, 0)
        self._held = text[end:]
        if end:
            self._told(text[:end])

    def close(self) -> None:
        if self._held:
            self._told(self._held)
            self._held = ""


def key_for(server: Server, typed: str = "") -> Key:
    """The key for a server: typed, or from the environment, or from the system's keyring; else none.

    A key is only used for the server that it is for: `VLMCAR_API_KEY` for the address in `VLMCAR_BASE_URL` where
    that is set, a maker's own variable for that maker's own address.
    """
    if typed.strip():
        return Key(_plain(typed), "typed")
    ours, address = os.environ.get(KEY_VARIABLE, ""), os.environ.get(URL_VARIABLE, "")
    if ours and (not address or address.rstrip("/") == server.base_url.rstrip("/")):
        return Key(_plain(ours), f"the environment's {KEY_VARIABLE}")
    for preset in PRESETS.values():
        known = os.environ.get(preset.variable, "") if preset.variable else ""
        if known and _origin(preset.base_url) == _origin(server.base_url):
            return Key(_plain(known), f"the environment's {preset.variable}")
    kept = _keyring_get(server.base_url)
    return Key(_plain(kept), "the system's keyring") if kept else Key()


def secrets(server: Server, key: Key) -> dict[str, str]:
    """The environment variables that hand a key on to a process of our own, for this server alone."""
    return {KEY_VARIABLE: key.value, URL_VARIABLE: server.base_url} if key else {}


def keep_key(server: Server, value: str) -> None:
    """Put a key into the system's keyring, or take it out where it is empty.

    Raises:
        BadInput: this machine has no keyring.
    """
    import keyring
    import keyring.errors

    try:
        if value:
            keyring.set_password(KEYRING_SERVICE, _origin(server.base_url), _plain(value))
        else:
            keyring.delete_password(KEYRING_SERVICE, _origin(server.base_url))
    except keyring.errors.PasswordDeleteError:
        return
    except (keyring.errors.KeyringError, RuntimeError) as error:
        raise BadInput(
            f"this machine has no keyring that can be used ({type(error).__name__}); set {KEY_VARIABLE} in the "
            "environment, or type the key for this session"
        ) from error


def _keyring_get(url: str) -> str:
    import keyring
    import keyring.errors

    try:
        return keyring.get_password(KEYRING_SERVICE, _origin(url)) or ""
    except (keyring.errors.KeyringError, RuntimeError):
        return ""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _plain(key: str) -> str:
    """Raises `BadInput` for what no header can carry; the message does not show it."""
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise BadInput("the key holds letters that no key has (a line break, or one outside ASCII); copy it again")
    return key

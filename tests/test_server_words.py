"""A hostile session on every page, in the report and in the terminal: its words stay words."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests import hostile
from tests.studio_sessions import opened
from tests.test_pages import PAGES
from vlmcar_core import escaping, pipeline, report
from vlmcar_core.cli import cli
from vlmcar_core.store import Session
from vlmcar_core.types import Count
from vlmcar_studio import widgets

VERBATIM = {
    "Code.code_text",  # shown by <pre>
    *(
        "TextInput.default",
        "TextInput.id",
        "TextArea.default",
        "TextArea.id",
        "Selectbox.options",
        "MultiSelect.options",
    ),
    *("ComponentInstance.json_args", "BidiComponent.json"),  # the editor and the player: see the browser's test
}
"""What of a page's messages is no Markdown, whatever it holds."""
FIGURE = "PlotlyChart.spec"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    hostile.sessions(root)
    return root


def shown(node: object) -> Iterator[tuple[str, str]]:
    """Every text that a page sends to the browser, with the message and the field that it is in."""
    proto = getattr(node, "proto", None)
    if hasattr(proto, "ListFields"):
        yield from hostile.texts(proto, proto.DESCRIPTOR.name)
    for child in getattr(node, "children", {}).values():
        yield from shown(child)


def read_as_more(text: str) -> list[str]:
    """What of the hostile words Markdown would see in a text, once what is escaped is gone."""
    return [token for token in hostile.TOKENS if token in re.sub(r"\\[!-/:-@[-`{-~]", "", text)]


@pytest.mark.parametrize("name", ["asked", "trained", "unknown"])
@pytest.mark.parametrize("page", PAGES)
def test_no_word_of_a_hostile_session_is_markdown(
    root: Path, name: str, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(root))
    app = opened(page, name)
    assert not app.exception
    for field, text in shown(app._tree):
        assert "A fault of the program" not in text
        if field == FIGURE:
            assert "<a " not in text and "<img" not in text
        elif field not in VERBATIM:
            assert not read_as_more(text), (field, text)


def test_the_hostile_words_do_come_to_the_pages(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, a page that shows nothing would pass the test above."""
    monkeypatch.setenv("VLMCAR_SESSIONS", str(root))
    counts = {
        (name, page): sum("W0RD" in text for _, text in shown(opened(page, name)._tree))
        for name, page in (("asked", "propose"), ("asked", "review"), ("asked", "verify"), ("trained", "train"))
    }
    assert all(count >= 3 for count in counts.values()), counts


@pytest.mark.parametrize(
    "text", [hostile.WORDS, "a:b www.x http://x -> `", "1. x", "    code", "a\n===\nb", "&amp;", "\\"]
)
def test_plain_text_is_read_back_as_it_was(text: str) -> None:
    assert not read_as_more(widgets.plain(text))
    unescaped = re.sub(r"\\([!-/:-@[-`{-~])", r"\1", widgets.plain(text)).replace(widgets.JOINER, "")
    assert unescaped == escaping.one_line(text)


@given(st.text())
def test_plain_text_is_one_harmless_line(text: str) -> None:
    line = widgets.plain(text).replace(widgets.JOINER, "")
    assert line.isprintable() and line == line.strip() and isinstance(line.encode(), bytes)
    assert not re.search(r"(?<!\\)(?:\\\\)*[!-/:-@[-`{-~]", re.sub(r"\\[!-/:-@[-`{-~]", "", line))


@given(st.text())
def test_a_terminal_gets_no_control_characters(text: str) -> None:
    assert all(letter.isprintable() or letter in "\n\t" for letter in escaping.harmless(text))
    assert isinstance(escaping.harmless(text).encode(), bytes) and len(escaping.harmless(text)) == len(text)


def test_what_is_too_long_is_cut_with_a_word() -> None:
    assert escaping.bounded("a" * 300_000).endswith("… and 100,000 more characters")
    assert len(escaping.one_line("a " * 300_000)) <= escaping.LINE_CHARS


class Page(HTMLParser):
    """The tags of a report and their attributes, without the scripts of its figures."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", ["asked", "trained", "unknown"])
def test_a_report_of_a_hostile_session_has_no_tag_of_its_words(root: Path, name: str) -> None:
    page = Page()
    written = pipeline.report(Session.open(root, name))
    page.feed(written)
    kinds = {tag for tag, _ in page.tags}
    assert (not kinds & {"a", "iframe", "link", "form", "object", "base"} and "W0RD" in written) or name == "unknown"
    sources = [attributes.get("src") or "" for tag, attributes in page.tags if tag == "img"]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert "\x1b" not in written and "\u202e" not in written


def test_a_report_may_run_the_scripts_of_its_figures_alone(root: Path) -> None:
    written = pipeline.report(Session.open(root, "trained"))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1].replace("style-src 'unsafe-inline'", "") and "http" not in policy[1]
    elements = re.findall(r"<script([^>]*)>.*?</script>", written, re.DOTALL)
    run = [attributes for attributes in elements if 'type="application/json"' not in attributes]
    assert len(elements) >= len(run) == policy[1].count("'sha256-") > 1


def test_a_figure_shows_the_names_of_models_as_they_are() -> None:
    figure = report.acceptance_figure([("<a href='http://evil.example'>m</a> %{x}", Count(1, 2), 3.0)], "tokens")
    trace = json.loads(figure.to_json())["data"][0]
    assert trace["text"] == ["&lt;a href='http://evil.example'&gt;m&lt;/a&gt; %{x}"]
    assert "evil" not in trace["hovertemplate"]


COMMANDS = (
    *(("show", "asked"), ("jobs", "asked"), ("dialogues", "asked"), ("dialogues", "asked", "0")),
    *(("look", "asked", "fails"), ("runs", "trained"), ("jobs", "trained"), ("show", "trained"), ("show", "unknown")),
    *(("diff", "asked", "0", "1"), ("report", "nowhere\x1b]0;owned\x07"), ("look", "asked", "no\x1b[31msuch")),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_terminal_is_not_steered(root: Path, command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, ["--root", str(root), *command])
    said = done.output if done.exception is None or isinstance(done.exception, SystemExit) else ""
    assert all(letter.isprintable() or letter in "\n\t" for letter in said)
    assert said or isinstance(done.exception, pipeline.BadInput)

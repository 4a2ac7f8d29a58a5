"""Models: which server, with which settings and key; what they cost; the wording of the questions."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import click

from vlmcar_core import authoring, history, prices, prompts, servers
from vlmcar_core.cli.base import F, echo, session_argument
from vlmcar_core.cli.inspect import read_source
from vlmcar_core.dialogue import Budget
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.prices import Price
from vlmcar_core.servers import Server
from vlmcar_core.store import Session, now

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def server_options(function: F) -> F:
    """Options that choose a server; the command gets `server`."""
    for option in (
        click.option("--preset", type=click.Choice(list(servers.PRESETS)), help="A kind of server."),
        click.option("--base-url", help="Its address, such as http://127.0.0.1:8000/v1; also VLMCAR_BASE_URL."),
        click.option("--model", help="The model's name there; also VLMCAR_MODEL."),
        click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="Another setting; see `vlmcar vlm`."),
        click.option("--server", "server_json", hidden=True),
    ):
        function = option(function)
    return function


def budget_options(function: F) -> F:
    """Options that limit what is spent; the command gets `budget_money` and `budget_tokens`."""
    function = click.option("--budget-money", type=float, help="Stop at so many US dollars.")(function)
    return click.option("--budget-tokens", type=int, help="Stop at so many tokens.")(function)


def chosen_server(root: Path, options: dict[str, Any]) -> Server:
    """The server that `server_options` name; what they do not is as it was used last. Takes them out of `options`."""
    preset, url, model = (options.pop(name, None) for name in ("preset", "base_url", "model"))
    more, whole = options.pop("more", ()), options.pop("server_json", None)
    server = servers.from_json(whole) if whole else servers.load(root)
    if preset:
        server = servers.with_preset(server, preset)
    if url:
        server = dataclasses.replace(server, base_url=url, preset=servers.preset_of(url))
    if model:
        server = dataclasses.replace(server, model=model)
    return servers.with_settings(server, dict(_pair(text) for text in more)) if more else server


def chosen_budget(options: dict[str, Any]) -> Budget:
    """The limits that `budget_options` name; takes them out of `options`."""
    money, tokens = options.pop("budget_money", None), options.pop("budget_tokens", None)
    for label, value in (("budget in dollars", money), ("budget in tokens", tokens)):
        if value is not None and value <= 0:
            raise BadInput(f"the {label} is more than 0, not {value}")
    return Budget(money, tokens)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise BadInput(f"--set takes NAME=VALUE, not {text!r}")
    return name.strip(), value.strip()


@click.command()
@server_options
@click.option("--save", is_flag=True, help="Keep these as the settings to use from now on.")
@click.pass_obj
def vlm(root: Path, /, save: bool, **options: Any) -> None:
    """Show, or with --save keep, how models are asked: server, model and every setting."""
    server = chosen_server(root, options)
    if save:
        servers.save(root, server)
    for name, value in dataclasses.asdict(server).items():
        echo(f"{name:16} {value}")
    echo(f"{'key':16} {authoring.key_for(server).origin}")
    if server.preset != "other":
        echo(f"{'':16} {servers.PRESETS[server.preset].about}")


@click.command()
@server_options
@click.pass_obj
def models(root: Path, /, **options: Any) -> None:
    """List the models that the server offers."""
    from vlmcar_core.vlms import openai

    server = chosen_server(root, options)
    found = openai.models(server, authoring.key_for(server))
    for name in found:
        price = prices.price_of(name, prices.load(root))
        cost = f"  ${price.prompt:g} / ${price.answer:g} per million tokens ({price.known})" if price else ""
        echo(f"{name}{cost}")
    if not found:
        echo(f"{server.base_url} lists no models; enter one by its name with --model")


@click.command(name="test-vlm")
@server_options
@click.pass_obj
def test_vlm(root: Path, /, **options: Any) -> None:
    """Send a tiny picture to the model and say whether it sees it; exit code 1 where it does not."""
    from vlmcar_core import eyes
    from vlmcar_core.vlms import openai

    server = chosen_server(root, options)
    if not server.model:
        raise BadInput("no model is chosen; name one with --model (`vlmcar models` lists them)")
    test = eyes.eye_test(openai.OpenAiVlm(server, authoring.key_for(server), prices.load(root)))
    echo(eyes.verdict(test, server))
    if not test.sees:
        sys.exit(1)


@click.command()
@click.argument("what", type=click.Choice(["set", "forget", "where"]))
@server_options
@click.pass_obj
def key(root: Path, /, what: str, **options: Any) -> None:
    """The key for the server: `set` asks for it and puts it into the system's keyring, `forget` takes it out,
    `where` says where the one that would be used comes from. A key is never written to a file of ours."""
    server = chosen_server(root, options)
    if what == "set":
        servers.keep_key(server, click.prompt(f"Key for {server.base_url}", hide_input=True))
    elif what == "forget":
        servers.keep_key(server, "")
    echo(f"{server.base_url}: {authoring.key_for(server).origin}")


@click.command(name="prompts")
@session_argument
@click.argument("name", required=False)
@click.option("--set", "file", type=FILE, help="Word it as in this file, in this session only.")
@click.option("--reset", is_flag=True, help="Go back to the shipped wording.")
@click.option("--diff", "differ", is_flag=True, help="Compare the session's wording with the shipped one.")
def show_prompts(session: Session, name: str | None, file: Path | None, reset: bool, differ: bool) -> None:
    """List the prompts, or show NAME, or word it differently in this session."""
    own = session.own_prompts()
    if name is None:
        for each, about in prompts.ABOUT.items():
            echo(f"{each:12} {'own' if each in own else f'v{prompts.VERSION}':4} {about}")
        return
    if name not in prompts.ABOUT:
        raise UnknownName.among("prompt", name, prompts.ABOUT)
    if file is not None or reset:
        authoring.set_prompt(session, name, None if reset or file is None else read_source(file))
        own = session.own_prompts()
    shipped = prompts.shipped()[name]
    text = own.get(name, shipped)
    echo(history.text_diff(shipped, text, f"shipped {name}", f"own {name}") if differ else text)


@click.command(name="prices")
@click.option("--set", "row", nargs=3, metavar="MODEL PROMPT ANSWER", help="US dollars per million tokens.")
@click.option("--remove", metavar="MODEL", help="Take a model out.")
@click.pass_obj
def show_prices(root: Path, /, row: tuple[str, str, str] | None, remove: str | None) -> None:
    """Show the price table, or change it; every row has the day on which it was true."""
    rows = list(prices.load(root))
    if row:
        try:
            new = Price(row[0], float(row[1]), float(row[2]), now()[:10])
        except ValueError as error:
            raise BadInput(f"a price is a model and two numbers, not {' '.join(row)!r} ({error})") from error
        rows = [item for item in rows if item.model != new.model] + [new]
    if remove:
        if remove not in {item.model for item in rows}:
            raise UnknownName.among("model in the price table", remove, [item.model for item in rows])
        rows = [item for item in rows if item.model != remove]
    if row or remove:
        prices.save(root, rows)
    echo(f"{'model':32} {'prompt':>10} {'answer':>10}  known (US dollars per million tokens)")
    for item in rows:
        echo(f"{item.model:32} {item.prompt:>10g} {item.answer:>10g}  {item.known}")


COMMANDS = (vlm, models, test_vlm, key, show_prompts, show_prices)

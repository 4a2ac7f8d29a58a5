"""Who is answered: the policy that both servers ask, and the replay server and the app's guard keeping it."""

import http.client
import json
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.testclient import TestClient

from vlmcar_core import loopback, replay_server
from vlmcar_core.errors import BadInput
from vlmcar_core.loopback import Headers
from vlmcar_core.replaying import Replayer
from vlmcar_studio import guard

HOST = "127.0.0.1:8501"


def headers(*pairs: tuple[str, str]) -> Headers:
    def values(name: str) -> Sequence[str]:
        return [value for known, value in pairs if known == name]

    return values


def status(*pairs: tuple[str, str], peer: str = "127.0.0.1", method: str = "GET", scheme: str = "http") -> int:
    """What a request gets: 200 where nothing is held against it."""
    refused = loopback.refusal(headers(*pairs), peer, method, scheme)
    return 200 if refused is None else refused.status


@pytest.mark.parametrize("host", [HOST, "localhost:8501", "LOCALHOST", "[::1]:8501", "127.0.0.1", "localhost:9000"])
def test_this_machines_own_names_are_answered(host: str) -> None:
    assert status(("host", host)) == 200


@pytest.mark.parametrize(
    "hosts",
    [
        *([], [""], ["evil.example"], ["evil.example:8501"], ["127.0.0.1.evil.example"], ["127.0.0.1@evil.example"]),
        *(["localhost.evil.example"], ["localhost."], ["127.0.0.1:x"], ["127.0.0.1:"], ["127.0.0.1:123456"]),
        *(
            ["::1"],
            ["[::1].evil.example"],
            ["0.0.0.0:8501"],
            ["127.1"],
            ["2130706433"],
            [" localhost"],
            ["localhost\n"],
        ),
        *([HOST, HOST], [HOST, "evil.example"], ["127.0.0.2:8501"], ["localhost:8501,evil.example"]),
    ],
)
def test_any_other_name_is_refused(hosts: list[str]) -> None:
    assert status(*(("host", host) for host in hosts)) == 400


@given(st.text())
def test_no_other_text_is_a_name_of_this_machine(host: str) -> None:
    known = ("127.0.0.1", "localhost", "[::1]")
    name = host.rpartition(":")[0] if host.count(":") == 1 or host.startswith("[::1]:") else host
    assert status(("host", host)) == 400 or name.lower() in known


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_a_peer_on_this_machine_is_answered(peer: str) -> None:
    assert status(("host", HOST), peer=peer) == 200


@pytest.mark.parametrize("peer", ["192.168.0.7", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "", "testclient", "0.0.0.0"])
def test_a_peer_on_the_network_is_refused_whatever_it_says(peer: str) -> None:
    assert status(("host", HOST), ("origin", f"http://{HOST}"), peer=peer) == 403


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT"])
@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "null", "", "http://127.0.0.1", "http://127.0.0.1:8502", "https://127.0.0.1:8501"),
        *("http://localhost:8501", "http://127.0.0.1:8501.evil.example", "http://127.0.0.1:8501/", "file://"),
    ],
)
def test_another_origin_is_refused(method: str, origin: str) -> None:
    assert status(("host", HOST), ("origin", origin), method=method) == 403


def test_one_of_two_origins_that_is_anothers_is_refused() -> None:
    assert status(("host", HOST), ("origin", f"http://{HOST}"), ("origin", "http://evil.example")) == 403


def test_our_own_origin_and_a_program_without_one_are_answered() -> None:
    assert status(("host", HOST), ("origin", f"http://{HOST}"), method="CONNECT") == 200
    assert status(("host", HOST), ("origin", f"https://{HOST}"), scheme="https") == 200
    assert status(("host", HOST), method="POST") == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_another_site_may_link_to_a_page_and_no_more(site: str) -> None:
    def asked(mode: str, dest: str, method: str = "GET") -> int:
        fetched = (("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest))
        return status(("host", HOST), *fetched, method=method)

    assert asked("navigate", "document") == 200
    assert asked("navigate", "iframe") == asked("no-cors", "image") == asked("no-cors", "script") == 403
    assert asked("navigate", "document", "POST") == asked("websocket", "websocket", "CONNECT") == 403


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.0.7", "example.com", "", None])
def test_no_server_is_bound_where_others_reach_it(address: str | None) -> None:
    with pytest.raises(BadInput, match=r"listens on 127\.0\.0\.1 only.*ssh -L 8600:127\.0\.0\.1:8600"):
        loopback.check_address(address, 8600)


# The replay server


@pytest.fixture(scope="module")
def replay() -> Iterator[str]:
    with replay_server.serving(Replayer([], [])) as url:
        yield urlsplit(url).netloc


def ask(netloc: str, path: str, method: str = "GET", **given: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(netloc, timeout=20)
    connection.request(method, path, b"{}" if method == "POST" else None, given)
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


@pytest.mark.parametrize(("path", "method"), [("/v1/models", "GET"), ("/v1/chat/completions", "POST"), ("/x", "GET")])
def test_the_replay_server_keeps_the_policy_everywhere(replay: str, path: str, method: str) -> None:
    assert ask(replay, path, method, Host="evil.example").status == 400
    assert ask(replay, path, method, Origin="http://evil.example").status == 403
    assert ask(replay, path, method, Origin=f"http://{replay}", **{"Sec-Fetch-Site": "same-site"}).status == 403


def test_the_replay_server_answers_programs_and_itself_with_its_headers(replay: str) -> None:
    answer = ask(replay, "/v1/models", Origin=f"http://{replay}")
    assert answer.status == 200 and json.loads(answer.body)["object"] == "list"  # type: ignore[attr-defined]
    for answer in (ask(replay, "/v1/models"), ask(replay, "/x"), ask(replay, "/v1/models", Host="evil.example")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_replay_server_is_not_bound_elsewhere() -> None:
    with pytest.raises(BadInput, match=r"not on '0\.0\.0\.0'"):
        replay_server.make_server(Replayer([], []), host="0.0.0.0")


# The app's guard


def broken(_request: object) -> None:
    raise RuntimeError("with a secret in it")


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/broken", broken)]
    app = Starlette(routes=routes, middleware=[Middleware(guard.OnlyUs)], exception_handlers={Exception: guard.fault})
    return TestClient(app, f"http://{HOST}", raise_server_exceptions=False, client=("127.0.0.1", 50_000))


@pytest.mark.parametrize(("path", "host", "wanted"), [("/broken", HOST, 500), ("/none", HOST, 404), ("/", "evil", 400)])
def test_every_answer_of_the_app_has_the_headers_also_a_failed_one(
    client: TestClient, path: str, host: str, wanted: int
) -> None:
    answer = client.get(path, headers={"host": host})
    assert answer.status_code == wanted and "secret" not in answer.text
    assert {name: answer.headers.get(name) for name in guard.SECURITY_HEADERS} == guard.SECURITY_HEADERS


def test_the_policy_lets_no_other_server_in_and_no_inline_script() -> None:
    policy = guard.POLICY
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["connect-src"] == policy["frame-src"] == policy["worker-src"] == "'self'"
    assert "'unsafe-inline'" not in policy["script-src"] and "'unsafe-eval'" not in policy["script-src"]
    assert policy["script-src"].count("'sha256-") == len(guard.DOCUMENTS)
    assert not any(word in value for value in policy.values() for word in ("*", "http:", "https:", "ws:", "wss:"))

"""The app as it is served: every route and the WebSocket, asked by strangers, over plain sockets."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.browser.conftest import Server, serving
from tests.studio_sessions import recorded

ROUTES = (
    "/",
    "/_stcore/health",
    "/_stcore/host-config",
    "/static/index.html",
    "/media/x.png",
    "/vlmcar/frame/a/b/0.png",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("served") / "sessions"
    root.mkdir()
    recorded(root)
    with serving(root) as found:
        yield found


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def handshake(server: Server, **headers: str) -> int:
    """The status with which a WebSocket handshake is answered."""
    address = urlsplit(server.url)
    wanted = {"Host": address.netloc, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    wanted |= {"Upgrade": "websocket", "Connection": "Upgrade", **headers}
    lines = [f"{name}: {value}" for name, value in wanted.items()]
    assert address.hostname is not None and address.port is not None
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall("\r\n".join(["GET /_stcore/stream HTTP/1.1", *lines, "", ""]).encode())
        return int(connection.recv(1000).split(b" ")[1])


@pytest.mark.parametrize("path", ROUTES)
def test_a_foreign_host_is_refused_everywhere(server: Server, path: str) -> None:
    for host in ("evil.example", "evil.example:8501", "127.0.0.1.evil.example", "[::1].evil.example"):
        assert ask(server, path, Host=host).status == 400


@pytest.mark.parametrize("path", ROUTES)
def test_another_site_is_refused_everywhere(server: Server, path: str) -> None:
    assert ask(server, path, Origin="http://evil.example").status == 403
    assert ask(server, path, Origin="null").status == 403
    assert ask(server, path, method="POST", Origin="http://127.0.0.1:1").status == 403


def test_a_websocket_of_another_site_or_host_is_refused(server: Server) -> None:
    assert handshake(server, Origin=server.url) == 101
    assert handshake(server, Origin="http://evil.example") == 403
    assert handshake(server, Origin="http://127.0.0.1:1") == 403
    assert handshake(server, Host="evil.example", Origin="http://evil.example") == 403


@pytest.mark.parametrize("path", ROUTES)
def test_every_answer_has_the_security_headers(server: Server, path: str) -> None:
    headers = ask(server, path).headers
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self';" in policy and "http:" not in policy


def test_it_listens_on_loopback_only(server: Server) -> None:
    port = urlsplit(server.url).port
    mine = [found for found in psutil.net_connections("tcp") if found.status == "LISTEN" and found.laddr.port == port]
    assert {found.laddr.ip for found in mine} == {"127.0.0.1"}


def test_a_hostile_session_leads_nowhere_from_the_terminal(tmp_path: Path) -> None:
    from vlmcar_core.cli.base import harmless

    assert (
        harmless("a\x1b]0;owned\x07\x1b[2Jb\r\x9b31m\u202ec") == "a\ufffd]0;owned\ufffd\ufffd[2Jb\ufffd\ufffd31m\ufffdc"
    )

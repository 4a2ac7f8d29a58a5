"""Sockets of every family, and libraries that open them; the runner listens where no network is needed."""

from tests.attacks.attack import Attack, tries
from tests.attacks.tools import CALLS

SOCKET = ["socket"]
TCP_ADDRESS = "struct.pack('<H', 2) + struct.pack('>H', TCP) + bytes([127, 0, 0, 1]) + bytes(8)"
UDP_ADDRESS = "struct.pack('<H', 2) + struct.pack('>H', UDP) + bytes([127, 0, 0, 1]) + bytes(8)"

ATTACKS = (
    tries("net-tcp", "socket.create_connection(('127.0.0.1', TCP), 1)", SOCKET),
    tries("net-tcp-nonblocking", "socket.socket().connect_ex(('127.0.0.1', TCP)) == 0", SOCKET),
    tries("net-listen", "socket.create_server(('127.0.0.1', 0))", SOCKET),
    tries("net-udp", "socket.socket(type=2).sendto(b'x', ('127.0.0.1', UDP))", SOCKET),
    tries("net-udp-ipv6", "socket.socket(socket.AF_INET6, 2)", SOCKET),
    tries("net-unix-connect", "socket.socket(1).connect(STREAM) is None", SOCKET),
    tries("net-unix-datagram", "socket.socket(1, 2).sendto(b'x', DATAGRAMS)", SOCKET),
    tries("net-unix-bind", "socket.socket(1).bind(NEW) is None", SOCKET),
    tries("net-abstract-connect", "socket.socket(1).connect(chr(0) + ABSTRACT) is None", SOCKET),
    tries("net-abstract-bind", "socket.socket(1).bind(chr(0) + ABSTRACT + 'x') is None", SOCKET),
    tries("net-socketpair", "socket.socketpair()", SOCKET),
    tries("net-netlink", "socket.socket(16, 3, 0)", SOCKET),
    tries("net-raw", "socket.socket(2, 3, 1)", SOCKET, bare="root"),
    tries("net-packet", "socket.socket(17, 3, 768)", SOCKET, bare="root"),
    tries("net-kernel-crypto", "socket.socket(38, 5, 0)", SOCKET, bare="nobody"),  # not in every kernel
    tries("net-vsock", "socket.socket(40, 1, 0)", SOCKET, bare="nobody"),  # not in every kernel
    tries("net-c-socket", "_socket.socket(2, 1, 0)", ["_socket"]),
    tries("net-libc-socket", "libc.socket(2, 1, 0) >= 0", tools=CALLS),
    tries("net-call-socket", "call(41, 2, 2, 0) >= 0", tools=CALLS),
    tries("net-call-connect", f"call(42, call(41, 2, 1, 0), {TCP_ADDRESS}, 16) == 0", ["struct"], CALLS),
    tries("net-call-sendto", f"call(44, call(41, 2, 2, 0), b'x', 1, 0, {UDP_ADDRESS}, 16) == 1", ["struct"], CALLS),
    tries("net-call-socketpair", "call(53, 1, 1, 0, bytes(8)) == 0", tools=CALLS),
    tries("net-dns-hosts", "socket.gethostbyname('localhost').startswith('127.')", SOCKET),
    tries("net-interfaces", "socket.if_nameindex()", SOCKET),
    tries("net-asyncio", "asyncio.run(asyncio.open_connection('127.0.0.1', TCP))", ["asyncio"]),
    tries("net-event-loop", "asyncio.new_event_loop()", ["asyncio"]),
    tries("net-multiprocessing", "connection.Listener(NEW)", ["multiprocessing.connection as connection"]),
    tries(
        "net-listener-of-logging",
        "handlers.SocketHandler('127.0.0.1', TCP).makeSocket()",
        ["logging.handlers as handlers"],
    ),
    Attack(
        "net-urllib",
        """
        import urllib.request

        def check(initial, current):
            urllib.request.urlopen(f"http://127.0.0.1:{TCP}/", timeout=0.2)
        """,
    ),
    Attack(
        "net-http-client",
        """
        import http.client

        def check(initial, current):
            http.client.HTTPConnection("127.0.0.1", TCP, timeout=0.2).request("GET", "/")
            return True
        """,
    ),
    Attack(
        "net-dns-query",
        """
        import socket

        def check(initial, current):
            # What a resolver sends, to a name server of ours.
            query = bytes.fromhex("1234010000010000000000000676" + "6c6d636172" + "07696e76616c696400" + "00010001")
            return socket.socket(type=socket.SOCK_DGRAM).sendto(query, ("127.0.0.1", UDP)) > 0
        """,
    ),
    Attack(
        "net-numpy-datasource",
        """
        import numpy as np
        import socket

        def check(initial, current):
            socket.setdefaulttimeout(0.2)
            np.lib.npyio.DataSource(None).open(f"http://127.0.0.1:{TCP}/x")
        """,
    ),
    Attack(
        "net-skimage-url",
        """
        import skimage.io
        import socket

        def check(initial, current):
            socket.setdefaulttimeout(0.2)
            skimage.io.imread(f"http://127.0.0.1:{TCP}/x.png")
        """,
    ),
    Attack(
        "net-cv2-video-url",
        """
        import cv2

        def check(initial, current):
            patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 300]
            return cv2.VideoCapture(f"http://127.0.0.1:{TCP}/x.avi", cv2.CAP_FFMPEG, patience).isOpened()
        """,
    ),
    Attack(
        "net-cv2-video-url-by-operator",
        """
        import cv2
        import operator

        def check(initial, current):
            patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 300]
            video = operator.attrgetter("VideoCapture")(cv2)
            return video(f"tcp://127.0.0.1:{TCP}", cv2.CAP_FFMPEG, patience).isOpened()
        """,
    ),
    Attack(
        "net-pass-a-descriptor",
        """
        import array
        import os
        import socket

        def check(initial, current):
            # The channel must not carry descriptors out, or anything but a worker's answers to anybody else.
            for file in range(64):
                try:
                    with socket.socket(fileno=os.dup(file)) as channel:
                        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
                        return channel.sendmsg([b""], rights) >= 0
                except OSError:
                    pass
            return False
        """,
        bare="nobody",  # there is no socket to pass it over
    ),
    Attack(
        "net-connect-the-channel-elsewhere",
        """
        def check(initial, current):
            # Dissolve the channel's peer or name it anew: connect, bind, listen, shutdown.
            address = b"\\x01\\x00\\x00" + ABSTRACT.encode()
            return any(
                call(42, file, address, len(address)) == 0 or call(49, file, address, len(address)) == 0
                for file in range(64)
            )
        """,
        CALLS,
        bare="nobody",  # there is no socket to turn
    ),
)

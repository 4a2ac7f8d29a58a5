"""Files made wrong: bytes, and what has a structure from the inside, so that checksums and lengths still fit.

Every choice is drawn from a `Random` of Hypothesis, which can make what fails smaller.
"""

import io
import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

ODD_NUMBERS = (0, 1, -1, 7, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 10**30)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, "", "x", "\0", "a\nb", "../../evil", "x" * 3000, "\u202e", "\U0001f600", "1", "NaN"),
    *(*ODD_NUMBERS, 0.5, -0.0, 1e-300, 1e300, [], {}, [[]], [None], {"": None}, [[[[[[[[[[]]]]]]]]]]),
)
ODD_JSON = (
    *(b"", b"NaN", b"Infinity", b"1e999", b"-", b"\xff", b"[" * 5000, b'{"a":' * 5000, b'"\\ud800"', b"9" * 5000),
    *(b'{"version":1,"version":1}', b"\xef\xbb\xbf{}", b"1_0", b"0x1", b"\0"),
)
MAGICS = (
    *(b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"\x93NUMPY", b"'descr'", b"|O"),
    *(b"IHDR", b"IDAT", b"tRNS", b"acTL", b"eXIf", b"iCCP", b"zTXt", b"PLTE", b"Exif\0\0", b"RIFF", b"VP8X"),
    *(b"\xff\xda", b"\xff\xd8", b"\xff\xe1", b"'shape': (", b"True", b"null", b"{", b"[", b'"'),
)

Mutate = Callable[[bytes, Random], bytes]


def mutated(data: bytes, name: str, chance: Random) -> bytes:
    """One to three things wrong with a file; its name says what structure it has."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        structured = next((mutate for ending, mutate in BY_ENDING if name.endswith(ending)), None)
        mutate = raw if structured is None or chance.random() < 0.25 else structured
        data = mutate(data, chance)
    return data


def raw(data: bytes, chance: Random) -> bytes:
    """Bytes changed, cut out, repeated, put in; the end cut off."""
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.choice((0, 1, 2, 4, 16, 200)))
    return chance.choice(RAW)(data, start, end, chance)


RAW: Sequence[Callable[[bytes, int, int, Random], bytes]] = (
    lambda data, start, end, chance: data[:start] + chance.randbytes(end - start) + data[end:],
    lambda data, start, end, chance: data[:start] + data[end:],
    lambda data, start, end, chance: data[:start] + data[start:end] * chance.randint(2, 9) + data[end:],
    lambda data, start, end, chance: data[:start] + chance.choice(MAGICS) + data[start:],
    lambda data, start, end, chance: data[:start],
    lambda data, start, end, chance: data + data[:start],
    lambda data, start, end, chance: data[:start] + _number(chance) + data[start + 4 :],
    lambda data, start, end, chance: data[:start] + b"\0" * (end - start) + data[end:],
)


def _number(chance: Random) -> bytes:
    return struct.pack(chance.choice(("<I", ">I")), chance.choice(ODD_NUMBERS) & 0xFFFFFFFF)


def json_text(data: bytes, chance: Random) -> bytes:
    """A value at some place replaced, taken out, put in, or called otherwise; or no JSON any more."""
    if chance.random() < 0.1:
        return chance.choice(ODD_JSON)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return raw(data, chance)
    holder: Any = {"": value}
    inner, key = holder, ""
    while isinstance(inner[key], (dict, list)) and inner[key] and chance.random() < 0.85:
        inner = inner[key]
        key = chance.choice(sorted(inner)) if isinstance(inner, dict) else chance.randrange(len(inner))
    _change(inner, key, chance)
    return json.dumps(holder.get("", {})).encode()


def _change(inner: Any, key: Any, chance: Random) -> None:
    what = chance.random()
    if what < 0.6:
        inner[key] = chance.choice(ODD_VALUES)
    elif what < 0.75 and inner is not None:
        del inner[key]
    elif isinstance(inner, list):
        inner += [inner[key]] * chance.choice((1, 50))
    else:
        inner[chance.choice(("version", "evil", "", "number", "a\0"))] = chance.choice(ODD_VALUES)


def json_lines(data: bytes, chance: Random) -> bytes:
    lines = data.splitlines() or [b"{}"]
    place = chance.randrange(len(lines))
    lines[place] = json_text(lines[place], chance)
    return b"\n".join(lines) + chance.choice((b"", b"\n", b"\r\n", b"\x0b\x1c"))


UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, ValueError, OSError, EOFError, RuntimeError),
    *(NotImplementedError, OverflowError, KeyError, IndexError, MemoryError),
)
"""What the standard library's reader of zip files raises."""


def zip_file(data: bytes, chance: Random) -> bytes:
    """A member made wrong from the inside, taken out, or put in twice; or a field of the zip's own."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except UNREADABLE:
        return raw(data, chance)
    if not members:
        return raw(data, chance)
    place = chance.randrange(len(members))
    name, content = members[place]
    what = chance.random()
    if what < 0.7:
        members[place] = name, mutated(content, name, chance)
    elif what < 0.8:
        del members[place]
    elif what < 0.9:
        members.append((chance.choice((name, "../evil", "frames/000009.png", "a\0b")), content))
    else:
        members[place] = name, members[chance.randrange(len(members))][1]
    return _field(zipped(members, chance), chance) if chance.random() < 0.2 else zipped(members, chance)


def zipped(members: Sequence[tuple[str, bytes]], chance: Random) -> bytes:
    buffer = io.BytesIO()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(buffer, "w", chance.choice(methods)) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = archive.compression
            archive.writestr(info, content)
    return buffer.getvalue()


def _field(data: bytes, chance: Random) -> bytes:
    """A number in one of the zip's own records."""
    signature, length = chance.choice(((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22)))
    start = data.rfind(signature, 0, chance.randint(4, len(data)))
    if start < 0:
        return raw(data, chance)
    at = start + chance.randrange(4, length)
    return data[:at] + _number(chance)[: chance.choice((1, 2, 4))] + data[at + 4 :]


def png_file(data: bytes, chance: Random) -> bytes:
    """A chunk changed, moved, repeated or put in, with its checksum right."""
    chunks = _chunks(data)
    if not chunks:
        return raw(data, chance)
    place = chance.randrange(len(chunks))
    kind, content = chunks[place]
    what = chance.random()
    if what < 0.5:
        chunks[place] = kind, raw(content, chance)
    elif what < 0.65:
        del chunks[place]
    elif what < 0.8:
        chunks.insert(chance.randrange(len(chunks) + 1), (kind, content))
    else:
        new = chance.choice(
            (b"tRNS", b"PLTE", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"pHYs")
        )
        chunks.insert(place, (new, raw(content[:40], chance)))
    packed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return data[:8] + b"".join(packed)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def npy_file(data: bytes, chance: Random) -> bytes:
    """The header of an array, as text, or what follows it."""
    end = data.find(b"\n") + 1
    if not data.startswith(b"\x93NUMPY") or not end or chance.random() < 0.4:
        return raw(data, chance)
    header = data[10:end]
    old = chance.choice((b"<f4", b"<f8", b"<i4", b"<i8", b"False", b"(", b",", b"}", b"3", b"4"))
    new = chance.choice(
        (b"|O", b"<U9", b"<f2", b">i8", b"<M8[s]", b"|V0", b"|b1", b"True", b"(9", b"99999999", b"-1", b"", b"((")
    )
    header = header.replace(old, new, 1)
    return data[:8] + struct.pack("<H", len(header) & 0xFFFF) + header + data[end:]


def python_text(data: bytes, chance: Random) -> bytes:
    """A word, a sign or a line of the source put where another is, taken out, or repeated."""
    parts = re.split(rb"(\n)" if chance.random() < 0.3 else rb"(\w+|[^\w\s]|\n *)", data)
    place = chance.randrange(len(parts))
    one, other = parts[place], chance.choice((*parts, *ODD_SOURCE))
    parts[place : place + 1] = chance.choice(([], [other], [one, other], [one] * chance.randint(2, 300)))
    return b"".join(parts)


ODD_SOURCE = (
    *(b"self", b"None", b"()", b"(self)", b"*", b"**{}", b"=", b":=", b"\nreturn\n", b"yield", b"await x", b"async "),
    *(b"lambda: 0", b"[0] * 10 ** 9", b"while True: pass", b"raise SystemExit", b"(" * 300, b"-" * 5000, b"1" * 5000),
    *(b"class A(A): pass", b"@property", b"global x", b"del self", b"\x0c", b"\t", b"\\", b"'" * 3, b"f'{x!r}'"),
)
BY_ENDING: tuple[tuple[str, Mutate], ...] = (
    (".jsonl", json_lines),
    (".json", json_text),
    (".zip", zip_file),
    (".npz", zip_file),
    (".npy", npy_file),
    (".png", png_file),
    (".py", python_text),
)

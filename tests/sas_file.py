"""SAS data sets (sas7bdat, 32 bit, little-endian, UTF-8, not compressed) and transport files, written byte by byte.

No free program writes this format; the layout here is the one its readers have found out, and two
independent ones read these files.
"""

import struct
from collections.abc import Mapping, Sequence

__all__ = ["sas_bytes", "transport_bytes"]

_MAGIC = bytes.fromhex("000000000000000000000000c2ea8160b31411cfbd92080009c7318c181f1011")
_HEADER, _PAGE, _FIRST = 1024, 8192, 24
_ROW, _SIZE, _TEXT, _NAME, _ATTRIBUTES, _FORMAT = (
    b"\xf7\xf7\xf7\xf7",
    b"\xf6\xf6\xf6\xf6",
    b"\xfd\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\xfc\xff\xff\xff",
    b"\xfe\xfb\xff\xff",
)
_MISSING = struct.pack("<Q", 0xFFFFFE0000000000)
_TEXT_START = 40


def sas_bytes(columns: Mapping[str, Sequence[float | str | None]], *, formats: Mapping[str, str]) -> bytes:
    """Return a data set; numbers are doubles, text is padded with blanks, and dates are days since 1960."""
    widths = [_width(cells) for cells in columns.values()]
    rows = [b"".join(map(_cell, row, widths)) for row in zip(*columns.values(), strict=True)]
    held = (_PAGE - _FIRST) // sum(abs(width) for width in widths)
    pages = [_meta(columns, widths, count=len(rows), formats=formats)]
    pages += [_data(rows[at : at + held]) for at in range(0, len(rows), held)]
    return _header(len(pages)) + b"".join(pages)


def _width(cells: Sequence[float | str | None]) -> int:
    """Return the bytes of a column; negative for text."""
    texts = [cell.encode() for cell in cells if isinstance(cell, str)]
    return -max(map(len, texts)) if texts else 8


def _cell(cell: float | str | None, width: int) -> bytes:
    if width < 0:
        return str(cell or "").encode().ljust(-width)
    return _MISSING if cell is None else struct.pack("<d", float(cell))


def _header(pages: int) -> bytes:
    head = bytearray(_HEADER)
    head[: len(_MAGIC)] = _MAGIC
    head[32], head[35], head[37], head[39], head[70] = 0x22, 0x22, 1, ord("1"), 20
    head[84:92], head[92:156], head[156:164] = b"SAS FILE", b"PEOPLE".ljust(64), b"DATA".ljust(8)
    struct.pack_into("<dd", head, 164, 0.0, 0.0)
    struct.pack_into("<III", head, 196, _HEADER, _PAGE, pages)
    head[216:224] = b"9.0401M6"
    return bytes(head)


def _meta(
    columns: Mapping[str, Sequence[float | str | None]], widths: list[int], *, count: int, formats: Mapping[str, str]
) -> bytes:
    words = list(dict.fromkeys([*columns, *formats.values()]))
    places, text = {}, b""
    for word in words:
        places[word] = (_TEXT_START + len(text), len(word.encode()))
        text += word.encode().ljust(-(-len(word.encode()) // 4) * 4, b"\0")
    block = struct.pack("<H", _TEXT_START + len(text)).ljust(_TEXT_START, b"\0") + text
    size = bytearray(480)
    size[:4] = _ROW
    struct.pack_into("<II", size, 20, sum(map(abs, widths)), count)
    struct.pack_into("<II", size, 36, len(columns), 0)
    struct.pack_into("<I", size, 52, _PAGE)
    names = b"".join(struct.pack("<HHHH", 0, *places[name], 0) for name in columns)
    subheaders = [
        bytes(size),
        _SIZE + struct.pack("<II", len(columns), 0),
        _TEXT + block + bytes(8),
        _NAME + struct.pack("<HHI", 16 + len(names) - 8, 0, 0) + names + bytes(8),
        _ATTRIBUTES + struct.pack("<HHI", 8 + 12 * len(columns), 0, 0) + _attributes(widths) + bytes(8),
        *(_format(places.get(formats.get(name, ""), (0, 0))) for name in columns),
    ]
    return _page(0, subheaders)


def _attributes(widths: list[int]) -> bytes:
    found, at = b"", 0
    for width in widths:
        found += struct.pack("<IIHBB", at, abs(width), 0, 1 if width > 0 else 2, 0)
        at += abs(width)
    return found


def _format(place: tuple[int, int]) -> bytes:
    found = bytearray(52)
    found[:4] = _FORMAT
    struct.pack_into("<HHH", found, 34, 0, *place)
    return bytes(found)


def _page(kind: int, subheaders: list[bytes]) -> bytes:
    page, end = bytearray(_PAGE), _PAGE
    struct.pack_into("<HHHH", page, 16, kind, len(subheaders), len(subheaders), 0)
    for at, content in enumerate(subheaders):
        end -= -(-len(content) // 4) * 4
        page[end : end + len(content)] = content
        struct.pack_into("<IIBBH", page, _FIRST + 12 * at, end, len(content), 0, 0, 0)
    return bytes(page)


def _data(rows: list[bytes]) -> bytes:
    page = bytearray(_PAGE)
    struct.pack_into("<HHHH", page, 16, 0x0100, len(rows), 0, 0)
    content = b"".join(rows)
    page[_FIRST : _FIRST + len(content)] = content
    return bytes(page)


def transport_bytes(columns: Mapping[str, Sequence[float | str | None]], *, formats: Mapping[str, str]) -> bytes:
    """Return a transport file of version 5; numbers are IBM's, and names have eight letters at most."""
    widths = [_width(cells) for cells in columns.values()]
    moment, blank = b"01JAN60:00:00:00", b" " * 24
    system = b"9.4".ljust(8) + b"LINUX".ljust(8) + blank + moment
    head = [
        _record("LIBRARY", "0" * 30),
        b"SAS".ljust(8) * 2 + b"SASLIB".ljust(8) + system,
        moment.ljust(80),
        _record("MEMBER", "0" * 17 + "1600000000140"),
        _record("DSCRPTR", "0" * 30),
        b"SAS".ljust(8) + b"PEOPLE".ljust(8) + b"SASDATA".ljust(8) + system,
        moment.ljust(80),
        _record("NAMESTR", f"000000{len(columns):04d}" + "0" * 20),
    ]
    fields, at = b"", 0
    for number, (name, width) in enumerate(zip(columns, widths, strict=True), 1):
        told = formats.get(name, "").encode().ljust(8)
        fields += struct.pack(
            ">hhhh8s40s8shhh2s8shhl52s", 1 if width > 0 else 2, 0, abs(width), number, name.encode().ljust(8),
            b" " * 40, told, 9, 0, 0, b"", told, 9, 0, at, b"",
        )  # fmt: skip
        at += abs(width)
    rows = b"".join(
        str(cell or "").encode().ljust(-width) if width < 0 else _ibm(cell)
        for row in zip(*columns.values(), strict=True)
        for cell, width in zip(row, widths, strict=True)
    )
    return b"".join(head) + _filled(fields) + _record("OBS", "0" * 30) + _filled(rows)


def _record(kind: str, rest: str) -> bytes:
    return f"HEADER RECORD*******{kind:8}HEADER RECORD!!!!!!!{rest}".encode().ljust(80)


def _filled(content: bytes) -> bytes:
    return content.ljust(-(-len(content) // 80) * 80)


def _ibm(cell: float | str | None) -> bytes:
    """Return a number of at most 56 binary digits as base-16 exponent and fraction, exactly."""
    if cell is None:
        return b".".ljust(8, b"\0")
    numerator, denominator = abs(float(cell)).as_integer_ratio()
    if numerator == 0:
        return bytes(8)
    exponent = 0
    while numerator >= denominator:
        denominator, exponent = denominator * 16, exponent + 1
    while numerator * 16 < denominator:
        numerator, exponent = numerator * 16, exponent - 1
    fraction = numerator * 2**56 // denominator
    sign = 0x80 if float(cell) < 0 else 0
    return bytes([sign | (64 + exponent)]) + fraction.to_bytes(7, "big")

"""Which addresses the processes of a group listen on, as Linux sees it ("proc_pid_net")."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

_LISTENS: Final = "0A"
_WORD: Final = 8
_IPV4_BYTES: Final = 4


def listening(group: int) -> set[tuple[IPv4Address | IPv6Address, int]]:
    """Addresses and ports of all TCP sockets that a process group accepts connections on."""
    found = set()
    for process in _processes(group):
        inodes = set(_sockets(process))
        # A process in a network namespace of its own may hold a socket of ours, too.
        for network in (process / "net", Path("/proc/self/net")):
            for table in ("tcp", "tcp6"):
                found |= {at for inode, at in _listed(network / table) if inode in inodes}
    return found


def _processes(group: int) -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if os.getpgid(int(process.name)) == group:
                yield process


def _sockets(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for handle in (process / "fd").iterdir():
            with suppress(OSError):
                target = str(handle.readlink())
                if target.startswith("socket:["):
                    yield target.removeprefix("socket:[").removesuffix("]")


def _listed(table: Path) -> Iterator[tuple[str, tuple[IPv4Address | IPv6Address, int]]]:
    """The inode and the address of each listening socket; words as the kernel has them."""
    lines: list[str] = []
    with suppress(OSError):  # the process ended meanwhile
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    for line in lines:
        fields = line.split()
        if fields[3] == _LISTENS:
            written, _, port = fields[1].partition(":")
            words = [written[at : at + _WORD] for at in range(0, len(written), _WORD)]
            packed = b"".join(struct.pack("=I", int(word, 16)) for word in words)
            yield fields[9], (_address(packed), int(port, 16))


def _address(packed: bytes) -> IPv4Address | IPv6Address:
    if len(packed) == _IPV4_BYTES:
        return IPv4Address(packed)
    address = IPv6Address(packed)
    return address.ipv4_mapped or address

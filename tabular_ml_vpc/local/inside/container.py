"""Acts as the container of a job: mounts its folders, isolates its network, runs its command.

The job environment's Python runs it as `python container.py SPEC`, with the standard library only;
`tabular_ml_vpc.local.sandbox` writes the specification. It uses Linux namespaces for mounts and the
network if the user can create them, inside a user namespace if the user is not root.

Exits with the command's exit status, or 128 + n after signal n. Ends its whole process group when
its standard input is closed (if attached), so that nothing outlives the process that started it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000
MS_RDONLY: Final = 1
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_CHUNK: Final = 1 << 16
_CONNECT_SECONDS: Final = 5.0

Spec = dict[str, Any]

_libc = ctypes.CDLL(None, use_errno=True)


def main(argv: list[str]) -> int:
    """Run the specification in the file `argv[0]`; `--probe` only prints what is possible."""
    if argv == ["--probe"]:
        sys.stdout.write(json.dumps(probe()))
        return 0
    spec: Spec = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    isolate(spec)
    if spec["attached"]:
        threading.Thread(target=_end_with_starter, daemon=True).start()
    # The command gets the variables that the service sets, and none of the user's.
    process = subprocess.Popen(  # noqa: S603 - the command of our own request
        spec["command"], cwd=spec["cwd"], env=spec["environment"], stdin=subprocess.DEVNULL
    )
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    if spec["listener"] is not None:
        listener = socket.socket(fileno=spec["listener"])
        threading.Thread(target=forward, args=(listener, spec["port"]), daemon=True).start()
    code = process.wait()
    _note_usage(Path(spec["usage"]))
    return code if code >= 0 else 128 - code


def probe() -> dict[str, bool]:
    """Return which namespaces this user can create: `mounts`, `network`; `user` if it needs one."""
    for user in (False, True):
        mounts = _works(CLONE_NEWNS, user)
        network = _works(CLONE_NEWNET, user)
        if mounts or network:
            return {"mounts": mounts, "network": network, "user": user}
    return {"mounts": False, "network": False, "user": False}


def _works(flag: int, user: bool) -> bool:
    """Try the namespace in a child process."""
    child = os.fork()
    if child == 0:
        try:
            _enter(flag, user)
            if flag == CLONE_NEWNS:
                _mount("none", "/", MS_REC | MS_PRIVATE)
                here = tempfile.gettempdir()
                _mount(here, here, MS_BIND | MS_REC)
            else:
                _raise_loopback()
        except (OSError, AttributeError):  # not allowed here, or not Linux
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def isolate(spec: Spec) -> None:
    """Enter the namespaces in `spec`, and mount its folders."""
    mounts, offline = spec["mounts"], spec["offline"]
    flags = (CLONE_NEWNS if mounts else 0) | (CLONE_NEWNET if offline else 0)
    if flags:
        _enter(flags, spec["user"])
    if mounts:
        _mount("none", "/", MS_REC | MS_PRIVATE)
        for mount in mounts:
            _bind(Path(mount["source"]), Path(mount["target"]), mount["read_only"])
    if offline:
        _raise_loopback()


def _enter(flags: int, user: bool) -> None:
    uid, gid = os.getuid(), os.getgid()
    _check(_libc.unshare(flags | (CLONE_NEWUSER if user else 0)), "unshare")
    if user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")


def _bind(source: Path, target: Path, read_only: bool) -> None:
    """Mount `source` at `target`, for this process and its children only."""
    held = os.open(source, os.O_PATH)
    if not target.exists():
        _make_room(target)
    _mount(f"/proc/self/fd/{held}", str(target), MS_BIND | MS_REC)
    os.close(held)
    if read_only:
        # A user namespace must keep the flags of the source's file system.
        kept = os.statvfs(target).f_flag & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)
        _mount("none", str(target), MS_BIND | MS_REMOUNT | MS_RDONLY | kept)


def _make_room(target: Path) -> None:
    """Create an empty `target` without changing the machine's own folders.

    Mounts a memory file system over its parent, with everything that the parent contained.
    """
    parent = target.parent
    before = os.open(parent, os.O_PATH)
    names = [child.name for child in parent.iterdir()]
    _check(_libc.mount(b"tmpfs", os.fsencode(parent), b"tmpfs", 0, None), f"tmpfs on {parent}")
    target.mkdir()
    for name in names:
        old, new = Path(f"/proc/self/fd/{before}/{name}"), parent / name
        if old.is_symlink():
            new.symlink_to(old.readlink())
            continue
        new.mkdir() if old.is_dir() else new.touch()
        _mount(str(old), str(new), MS_BIND | MS_REC)
    os.close(before)


def _mount(source: str, target: str, flags: int) -> None:
    result = _libc.mount(os.fsencode(source), os.fsencode(target), None, flags, None)
    _check(result, f"mount {source} on {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _raise_loopback() -> None:
    """Bring up `lo`, which is down in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _note_usage(file: Path) -> None:
    """Write what the command and its children used: CPU seconds, and the largest one's bytes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_bytes": used.ru_maxrss * 1024}
    file.write_text(json.dumps(found), encoding="utf-8")


def _end_with_starter() -> None:
    """Wait until the process that started this closes our input, then end the process group."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)
    threading.Event().wait(2.0)
    os.killpg(0, signal.SIGKILL)


def forward(listener: socket.socket, port: int) -> None:
    """Forward each connection to `listener` to `port` in this network namespace.

    A socket belongs to the namespace in which it was created: the listener was created outside.
    """
    while True:
        outer, _ = listener.accept()
        try:
            inner = socket.create_connection(("127.0.0.1", port), _CONNECT_SECONDS)
        except OSError:
            outer.close()
            continue
        inner.settimeout(None)
        for source, sink in ((outer, inner), (inner, outer)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

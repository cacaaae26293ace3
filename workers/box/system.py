"""What every process in the box sees of the host: programs and libraries, nothing of anybody's."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import ffrtmp
import workers
from workers.box.programs import Shown, folder_words

_TOP: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SETTINGS: Final = (
    # the dynamic linker
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives"),
    # names of hosts, and who vouches for them
    *("resolv.conf", "hosts", "nsswitch.conf", "host.conf", "gai.conf", "localtime"),
    *("ssl", "pki", "ca-certificates", "crypto-policies", "gnutls"),
    # drivers of GPUs
    *("OpenCL", "glvnd", "vulkan", "nvidia", "drirc"),
)
_PACKAGES: Final = ("site-packages", "dist-packages")
_WHOLE: Final = ("opt", "nix")
"""Where programs lie with their libraries, seen only where one of ours does."""
_DEVICES: Final = ("nvidia*", "dri/*", "kfd")


def gpu_devices(dev: Path = Path("/dev")) -> tuple[Path, ...]:
    """The nodes of this host's GPUs."""
    return tuple(sorted(path for pattern in _DEVICES for path in dev.glob(pattern)))


def system_words(programs: Iterable[Path], devices: Iterable[Path]) -> tuple[str, ...]:
    """For bubblewrap: the host's programs, and these ``devices`` with what drivers read."""
    return (
        *("--ro-bind", "/usr", "/usr"),
        *folder_words(Path("/etc")),
        *(word for name in _TOP for word in _top(Path("/") / name)),
        *(word for name in _SETTINGS for word in _read_only(f"/etc/{name}")),
        *(word for name in _wholes(programs) for word in _read_only(f"/{name}")),
        *_device_words(tuple(devices)),
    )


def python_shown() -> tuple[Shown, ...]:
    """This Python with its packages, and the farm's own two."""
    packages = {Path(package.__path__[0]) for package in (ffrtmp, workers)}
    homes = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve()}
    homes |= {Path(sys.executable).resolve().parent.parent}
    homes |= {Path(entry) for entry in sys.path if entry.endswith(_PACKAGES)}
    return tuple(Shown(path=str(path), at=str(path)) for path in _outermost(homes | packages))


def is_seen_by_all(path: Path) -> bool:
    """True for what lies where all of the box sees it."""
    return path.is_relative_to("/usr")


def _outermost(paths: Iterable[Path]) -> Iterator[Path]:
    """Without those that lie within others, or are seen anyway."""
    every = set(paths)
    for path in sorted(every):
        if not is_seen_by_all(path) and not any(other in every for other in path.parents):
            yield path


def _top(path: Path) -> Iterator[str]:
    if path.is_symlink():
        yield from ("--symlink", str(path.readlink()), str(path))
    elif path.is_dir():
        yield from _read_only(str(path))


def _read_only(path: str) -> tuple[str, ...]:
    return ("--ro-bind-try", path, path)


def _wholes(programs: Iterable[Path]) -> set[str]:
    tops = {path.resolve().parts[1] for path in programs}
    return tops & set(_WHOLE)


def _device_words(devices: tuple[Path, ...]) -> tuple[str, ...]:
    if not devices:
        return ()
    folders = sorted({device.parent for device in devices} - {Path("/dev")})
    around = (word for folder in folders for word in folder_words(folder))
    nodes = (word for device in devices for word in ("--dev-bind-try", str(device), str(device)))
    return (*around, *nodes, *_read_only("/sys"))

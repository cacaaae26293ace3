"""The command lines that put a program into the box, purely."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from workers.box.user import MediaUser


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A file or folder of the host at a place of the box."""

    path: str
    at: str
    is_writable: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """For bubblewrap."""
        return ("--bind" if self.is_writable else "--ro-bind", self.path, self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where the tools lie that make the box."""

    setpriv: Path
    bwrap: Path | None = None
    env: Path | None = None

    def as_user(self, user: MediaUser) -> tuple[str, ...]:
        """What goes on as that user without any capability, before the program's own words."""
        groups = ",".join(map(str, user.groups))
        return (
            *(str(self.setpriv), f"--reuid={user.uid}", f"--regid={user.gid}"),
            f"--groups={groups}" if groups else "--clear-groups",
            *("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"),
            *("--no-new-privs", "--pdeathsig=KILL", "--"),
        )

    def in_namespaces(
        self,
        shown: Iterable[Shown],
        *,
        system: Sequence[str],
        has_network: bool,
        gives_up_rights: bool,
    ) -> tuple[str, ...]:
        """What goes on in namespaces of its own, where only ``system`` and ``shown`` are seen.

        Whoever ends the group asks the program itself: bubblewrap ignores SIGTERM.
        ``gives_up_rights`` leaves the program the capabilities that it takes to do that, none
        otherwise.
        """
        caps = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP") if gives_up_rights else ()
        return (
            *(str(self.env), "--ignore-signal=TERM", str(self.bwrap)),
            *("--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"),
            *(() if has_network else ("--unshare-net",)),
            *("--die-with-parent", "--hostname", "box", "--cap-drop", "ALL"),
            *(word for cap in caps for word in ("--cap-add", cap)),
            *("--proc", "/proc", "--dev", "/dev", *system),
            *_shown(tuple(shown)),
            *("--remount-ro", "/", "--chdir", "/", "--"),
        )

    def within(self, folder: str) -> tuple[str, ...]:
        """What goes on within a folder, by whoever may enter it, without what bubblewrap adds to
        the environment."""
        return (str(self.env), "--unset=PWD", f"--chdir={folder}")


def folder_words(folder: PurePath) -> tuple[str, ...]:
    """For bubblewrap: a folder that everybody may enter."""
    return ("--perms", "0755", "--dir", str(folder))


def _shown(every: tuple[Shown, ...]) -> Iterator[str]:
    """The folders around first: bubblewrap would make them for nobody but root."""
    around = {folder for one in every for folder in PurePath(one.at).parents}
    for folder in sorted(around - {PurePath("/")}):
        yield from folder_words(folder)
    for one in every:
        yield from one.words


def identity_of(user: MediaUser | None) -> str:
    """For ``inside.become``; None is whoever starts it."""
    if user is None:
        return "-"
    return f"{user.uid}:{user.gid}:{','.join(map(str, user.groups))}"

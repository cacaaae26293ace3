"""Giving a committed output its place, on this node or elsewhere, as its journal tells."""

from collections.abc import Callable
from pathlib import Path

from ffrtmp.domain.retry import FailureClass
from workers.beneath import open_beneath
from workers.destinations import failure_of
from workers.errors import AttemptFailed
from workers.ledger import Held, Progress
from workers.publish import DestinationTaken, FileVanished, publish
from workers.remote.items import Upload, Whole
from workers.remote.shipping import ship
from workers.remote.stores import Stores
from workers.spool import Journal


def publish_locally(journal: Journal, temporary: Path) -> None:
    """One change of name in the folder of the destination; AttemptFailed where it cannot be."""
    destination = journal.destination
    if destination is None or journal.sha256 is None:
        raise ValueError("a committed attempt has a destination and a hash")
    try:
        folder = open_beneath(journal.root or destination.parent, destination.parent)
    except FileNotFoundError as error:
        why = f"{temporary} is gone: {destination.parent} is not there"
        raise AttemptFailed(FailureClass.OUTPUT_WRONG, why) from error
    except OSError as error:
        raise failure_of(error) from error
    with folder:
        try:
            publish(
                folder.view / temporary.name,
                folder.view / destination.name,
                sha256=journal.sha256,
                inode=journal.inode,
                overwrite=journal.overwrite,
                own=journal.committed_sha256,
            )
        except DestinationTaken as taken:
            raise AttemptFailed(FailureClass.OUTPUT_EXISTS, folder.named(str(taken))) from taken
        except FileVanished as gone:
            raise AttemptFailed(FailureClass.OUTPUT_WRONG, folder.named(str(gone))) from gone
        except OSError as error:
            failure = failure_of(error)
            raise AttemptFailed(failure.failure_class, folder.named(str(error))) from error


class Sending:
    """One output on its way: what ``workers.remote`` tells and asks meanwhile."""

    def __init__(
        self,
        held: Held,
        journal: Callable[[], Journal],
        *,
        record: Callable[[Upload], None],
        confirm: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        self._held = held
        self._journal = journal
        self.remember = record
        self.confirm = confirm
        self._check = check

    @property
    def upload(self) -> Upload:
        """How far it is."""
        return self._journal().upload

    def moved(self, at_bytes: int) -> None:
        """Show it, unless the attempt is to end."""
        self._check()
        mark = f"uploading {len(self.upload.sent)} {at_bytes}"
        self._held.progress = Progress(phase="uploading", fraction=1.0, mark=mark)

    def send(self, stores: Stores, temporary: Path, location: str) -> None:
        """Send all of it; AttemptFailed, OutputAway, and what ``confirm`` and ``check`` raise."""
        journal = self._journal()
        if journal.sha256 is None or journal.size is None:
            raise ValueError("a committed attempt has a hash and a size")
        try:
            with stores.opened(location) as store:
                ship(
                    store,
                    temporary,
                    location,
                    self,
                    whole=Whole(sha256=journal.sha256, size=journal.size),
                    overwrite=journal.overwrite,
                    own=journal.committed_sha256,
                )
        except OSError as error:
            raise failure_of(error) from error

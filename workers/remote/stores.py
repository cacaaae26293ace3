"""The places outside of a node that outputs are sent to."""

from collections.abc import Iterator
from contextlib import contextmanager

from ffrtmp.domain.locations import Kind, kind_of
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer
from workers.addresses import Networks
from workers.errors import AttemptFailed, OutputAway
from workers.remote.http import HttpStore
from workers.remote.items import Whole
from workers.remote.shipping import MASTER_PLAYLIST, Store, place_of


class Stores:
    """Opens the place of an output by the kind of its URL."""

    def __init__(self, *, allow_networks: Networks = ()) -> None:
        self._allow_networks = allow_networks

    def adopted(self, claim: ClaimAnswer, location: str) -> Whole | None:
        """What an earlier attempt of this job has sent there; None where the way seems free.

        AttemptFailed where somebody else's is there and is to stay, or nothing can be sent there.
        """
        spec = claim.spec
        first = place_of(location, MASTER_PLAYLIST) if spec.makes_folder else location
        try:
            with self.opened(location) as store:
                found = store.look(first)
        except OutputAway as away:
            raise AttemptFailed(FailureClass.CONNECTION, str(away)) from away
        if found is None:
            return None
        if found.whole is not None and found.whole.sha256 in claim.committed_sha256:
            return found.whole
        if spec.overwrite:
            return None
        raise AttemptFailed(
            FailureClass.OUTPUT_EXISTS, f"output {first} exists; overwrite was not asked for"
        )

    @contextmanager
    def opened(self, location: str) -> Iterator[Store]:
        """Where this output goes; AttemptFailed where this node sends nothing like that."""
        match kind_of(location):
            case Kind.HTTP:
                with HttpStore(self._allow_networks) as store:
                    yield store
            case _:
                raise AttemptFailed(
                    FailureClass.OUTPUT_REFUSED, f"output {location}: this node sends none there"
                )

"""The folder of an authority: its own files, what it issued, and where each holder's files lie.

``ca.pem``, ``ca-key.pem``, ``crl.pem``; ``issued/SERIAL.pem`` of every certificate; ``NAME/`` with
``cert.pem``, ``key.pem`` and ``ca.pem`` for one holder to have, or a link to where those are.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cli.certs.signing import (
    Pair,
    kind_of,
    name_of,
    new_authority,
    pem_of,
    pem_of_key,
    revocations,
    sign,
    wanted_again,
)
from cli.certs.wanted import Wanted, is_due
from cli.exits import CliError, UsageError
from cli.folder import write_file, write_secret
from ffrtmp.tls.files import read_certificates, read_key, read_revocations

PRIVATE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A certificate that was issued."""

    certificate: x509.Certificate
    is_revoked: bool
    is_latest: bool
    """No newer one has its name."""


class AuthorityFolder:
    """One authority on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.certificate = self.path / "ca.pem"
        self.key = self.path / "ca-key.pem"
        self.revoked = self.path / "crl.pem"

    def holder(self, name: str) -> Path:
        """Where the files of the holder of that name are."""
        return self.path / name

    def exists(self) -> bool:
        """Whether there is an authority."""
        return self.certificate.exists()

    def create(self, name: str, *, life: timedelta, now: datetime) -> Pair:
        """Make the authority; CliError where the folder holds anything already."""
        self._refuse_used()
        with self._locked():
            self.path.chmod(PRIVATE)
            made = new_authority(name, life=life, now=now)
            write_secret(self.key, pem_of_key(made.key))
            write_file(self.certificate, pem_of([made.certificate]))
            self._write_revocations(made, [], now=now)
            return made

    def issue(
        self, wanted: Wanted, *, now: datetime, into: Path | None, may_replace: bool
    ) -> tuple[x509.Certificate, Path]:
        """Issue a certificate into ``into``, else into the holder's own folder; the certificate
        and its folder. CliError where that has one which must not be replaced."""
        self.own_certificate()
        with self._locked():
            signer = self._signer(now)
            place = self._place(wanted.name, into)
            if not may_replace:
                self._refuse_present(place, wanted.name)
            issued = sign(self._fitted(wanted, signer, now), signer, now=now)
            self._keep(issued, signer, place)
            if into is not None:
                self._link(wanted.name, into)
            return issued.certificate, place

    def renew(self, record: Record, *, now: datetime, into: Path | None) -> Path:
        """A new certificate and key that say the same, in the place of the old; that place."""
        kind = kind_of(record.certificate)
        if kind is None:
            raise CliError(f"{name_of(record.certificate)} was not issued here; issue it anew")
        again = wanted_again(record.certificate, kind)
        return self.issue(again, now=now, into=into, may_replace=True)[1]

    def revoke(self, name: str, *, now: datetime) -> Sequence[x509.Certificate]:
        """Put every certificate of that name that is still good on the list; those."""
        self.own_certificate()
        with self._locked():
            signer = self._signer(now)
            named = [r.certificate for r in self.records() if name_of(r.certificate) == name]
            if not named:
                raise CliError(
                    f"no certificate named {name!r} was issued in {self.path}; "
                    "'ffrtmp certs show' lists those that were"
                )
            good = [one for one in named if one.not_valid_after_utc > now]
            self._write_revocations(signer, good, now=now)
            return good

    def records(self) -> Sequence[Record]:
        """Every certificate that was issued, by name and age."""
        if not self.exists():
            raise self._absent()
        found = [
            (file.stat().st_mtime_ns, read_certificates(file)[0])
            for file in (self.path / "issued").glob("*.pem")
        ]
        found.sort(key=lambda pair: (name_of(pair[1]), pair[1].not_valid_before_utc, pair[0]))
        latest = {name_of(certificate): certificate for _, certificate in found}
        gone = self._revoked_serials()
        return [
            Record(
                certificate=certificate,
                is_revoked=certificate.serial_number in gone,
                is_latest=latest[name_of(certificate)] is certificate,
            )
            for _, certificate in found
        ]

    def renewable(self, names: Sequence[str], *, now: datetime) -> Sequence[Record]:
        """What is to be renewed: the latest of each of these names, or of all that are due."""
        latest = {name_of(r.certificate): r for r in self.records() if r.is_latest}
        if not names:
            return [r for r in latest.values() if not r.is_revoked and _is_due(r.certificate, now)]
        for name in names:
            if name not in latest:
                raise CliError(f"no certificate named {name!r} was issued in {self.path}")
            if latest[name].is_revoked:
                raise CliError(
                    f"{name} is revoked; issue it anew with 'ffrtmp certs issue --renew'"
                )
        return [latest[name] for name in names]

    def own_certificate(self) -> x509.Certificate:
        """That of the authority; CliError where there is none."""
        if not self.exists():
            raise self._absent()
        return read_certificates(self.certificate)[0]

    def _refuse_used(self) -> None:
        if self.exists():
            raise CliError(f"{self.certificate} exists, and is not replaced; give another --dir")
        if self.path.is_dir() and any(file.name != ".lock" for file in self.path.iterdir()):
            raise CliError(f"{self.path} is not empty; an authority has a folder of its own")

    def _absent(self) -> CliError:
        return CliError(
            f"there is no authority in {self.path}; make one with 'ffrtmp certs init', "
            "or give its folder with --dir"
        )

    def _signer(self, now: datetime) -> Pair:
        certificate = self.own_certificate()
        if certificate.not_valid_after_utc <= now:
            raise CliError(
                f"{self.certificate} expired on {certificate.not_valid_after_utc:%Y-%m-%d}; "
                "make a new authority in another --dir and issue its certificates anew"
            )
        if not self.key.exists():
            raise CliError(
                f"{self.key} is missing; only the machine that has the authority's key can issue"
            )
        key = read_key(self.key)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or (
            key.public_key() != certificate.public_key()
        ):
            raise CliError(
                f"{self.key} is not the key of {self.certificate}; restore the right one"
            )
        return Pair(certificate=certificate, key=key)

    def _fitted(self, wanted: Wanted, signer: Pair, now: datetime) -> Wanted:
        left = signer.certificate.not_valid_after_utc - now
        if wanted.life > left:
            raise UsageError(
                f"{wanted.name} for {wanted.life.days} days: the authority itself ends in "
                f"{left.days}; issue it with fewer --days, or make a new authority in another --dir"
            )
        return wanted

    def _place(self, name: str, into: Path | None) -> Path:
        place = (into if into is not None else self.holder(name)).absolute()
        if place.is_symlink() and not place.exists():
            raise CliError(f"{place.readlink()} of {name} is gone; give its folder with --to")
        return place

    def _refuse_present(self, place: Path, name: str) -> None:
        for file in (place / "cert.pem", place / "key.pem"):
            if file.exists():
                raise CliError(
                    f"{file} exists, and is not replaced; 'ffrtmp certs renew {name}' makes a new "
                    "one that says the same, --renew one that says this"
                )

    def _keep(self, issued: Pair, signer: Pair, place: Path) -> None:
        # On record first: what is not can never be revoked.
        records = _private_folder(self.path / "issued")
        write_file(
            records / f"{issued.certificate.serial_number:040x}.pem", pem_of([issued.certificate])
        )
        _private_folder(place)
        write_file(place / "ca.pem", pem_of([signer.certificate]))
        write_secret(place / "key.pem", pem_of_key(issued.key))
        write_file(place / "cert.pem", pem_of([issued.certificate]))

    def _link(self, name: str, into: Path) -> None:
        own = self.holder(name)
        if own.is_symlink():
            own.unlink()
        if not own.exists():
            own.symlink_to(into.absolute(), target_is_directory=True)

    def _revoked_serials(self) -> set[int]:
        if not self.revoked.exists():
            return set()
        return {entry.serial_number for found in read_revocations(self.revoked) for entry in found}

    def _write_revocations(
        self, signer: Pair, revoked: Sequence[x509.Certificate], *, now: datetime
    ) -> None:
        before = read_revocations(self.revoked)[0] if self.revoked.exists() else None
        listed = revocations(signer, revoked=revoked, before=before, now=now)
        write_file(self.revoked, pem_of([listed]))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        _private_folder(self.path)
        lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _is_due(certificate: x509.Certificate, now: datetime) -> bool:
    return is_due(
        now=now,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _private_folder(path: Path) -> Path:
    """The folder, made for its owner only where it was not there."""
    try:
        path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"cannot use {path}: {error.strerror}") from error
    return path

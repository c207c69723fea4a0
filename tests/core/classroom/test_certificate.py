"""The certificate of this computer: whom it convinces, for what, how long, and when it is made again."""

from __future__ import annotations

import hashlib
import os
import ssl
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from transfer_core.classroom import certificate
from transfer_core.classroom.certificate import (
    CertificatePaths,
    authority_fingerprint,
    certificate_for,
    certificate_paths,
)
from transfer_core.errors import WorkspaceError
from transfer_core.workspace import Workspace

HOSTS = ("127.0.0.1", "localhost", "192.168.7.5", "laptop.local")
NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)


def shake_hands(server: CertificatePaths, host: str, trusted: Path) -> bytes:
    """Let a browser that trusts this authority connect to the server. Returns the certificate that it was shown.

    Raises:
        ssl.SSLCertVerificationError: If the browser is not convinced.
    """
    behind = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    behind.load_cert_chain(server.chain, server.key)
    before = ssl.create_default_context(cafile=str(trusted))
    to_server, to_browser = ssl.MemoryBIO(), ssl.MemoryBIO()
    browser = before.wrap_bio(to_browser, to_server, server_hostname=host)
    listening = behind.wrap_bio(to_server, to_browser, server_side=True)
    open_ends = [browser, listening]
    while open_ends:
        for end in list(open_ends):
            try:
                end.do_handshake()
                open_ends.remove(end)
            except ssl.SSLWantReadError:
                continue
    return browser.getpeercert(binary_form=True) or b""


def leaf(paths: CertificatePaths) -> x509.Certificate:
    return x509.load_pem_x509_certificate(paths.chain.read_bytes())


def contents(paths: CertificatePaths) -> list[bytes]:
    return [path.read_bytes() for path in (paths.authority, paths.authority_key, paths.chain, paths.key)]


@pytest.mark.parametrize("host", HOSTS)
def test_a_browser_that_accepts_the_authority_is_convinced(workspace: Workspace, host: str) -> None:
    paths = certificate_for(workspace, HOSTS)
    shown = shake_hands(paths, host, paths.authority)
    assert shown == leaf(paths).public_bytes(serialization.Encoding.DER)


def test_no_other_address_is_served_with_it(workspace: Workspace) -> None:
    paths = certificate_for(workspace, HOSTS)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"192\.168\.7\.6"):
        shake_hands(paths, "192.168.7.6", paths.authority)


@pytest.mark.parametrize("host", ["bank.example", "8.8.8.8", "localhost.bank.example"])
def test_the_authority_convinces_nobody_of_a_website(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Phones are asked to accept it: whoever steals its key must not be able to imitate a bank."""
    certificate_for(workspace, HOSTS)
    monkeypatch.setattr(certificate, "_permits", lambda authority, names: True)
    forged = certificate_for(workspace, (*HOSTS, host))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shake_hands(forged, host, forged.authority)


@pytest.mark.parametrize("host", ["141.20.1.7", "laptop"])
def test_an_unusual_address_of_this_computer_gets_an_authority_for_it(
    workspace: Workspace, host: str
) -> None:
    """Universities give laptops public addresses, and a name may have no domain."""
    before = certificate_for(workspace, HOSTS).authority.read_bytes()
    paths = certificate_for(workspace, (*HOSTS, host))
    assert paths.authority.read_bytes() != before
    shake_hands(paths, host, paths.authority)


def test_it_is_made_once(workspace: Workspace) -> None:
    first = contents(certificate_for(workspace, HOSTS, NOW))
    assert contents(certificate_for(workspace, HOSTS[:2], NOW + timedelta(days=200))) == first


def test_another_address_needs_no_new_consent_of_phones(workspace: Workspace) -> None:
    first = contents(certificate_for(workspace, HOSTS))
    paths = certificate_for(workspace, (*HOSTS, "10.0.0.9"))
    assert contents(paths)[:2] == first[:2] and contents(paths)[2:] != first[2:]
    shake_hands(paths, "10.0.0.9", paths.authority)


@pytest.mark.parametrize(("days", "is_authority_kept"), [(330, True), (3 * 365 - 30, False), (3000, False)])
def test_it_is_renewed_before_it_expires(workspace: Workspace, days: int, is_authority_kept: bool) -> None:
    first = certificate_for(workspace, HOSTS, NOW).authority.read_bytes()
    later = NOW + timedelta(days=days)
    paths = certificate_for(workspace, HOSTS, later)
    assert leaf(paths).not_valid_after_utc > later + timedelta(days=60)
    assert (paths.authority.read_bytes() == first) is is_authority_kept


def test_apple_accepts_how_long_it_lasts(workspace: Workspace) -> None:
    made = leaf(certificate_for(workspace, HOSTS))
    assert made.not_valid_after_utc - made.not_valid_before_utc < timedelta(days=825)


def test_a_stop_between_key_and_certificate_is_repaired(workspace: Workspace) -> None:
    paths = certificate_for(workspace, HOSTS)
    other = certificate_for(Workspace(workspace.root / "other"), HOSTS)
    paths.key.write_bytes(other.key.read_bytes())
    paths.authority_key.unlink()
    certificate_for(workspace, HOSTS)
    shown = shake_hands(paths, "localhost", paths.authority)
    assert shown == leaf(paths).public_bytes(serialization.Encoding.DER)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_keys_are_for_this_account_alone(workspace: Workspace) -> None:
    paths = certificate_for(workspace, HOSTS)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (paths.key, paths.authority_key)] == [0o600] * 2


@pytest.mark.parametrize("name", ["authority", "chain", "key", "authority_key"])
def test_a_damaged_file_is_one_sentence(workspace: Workspace, name: str) -> None:
    getattr(certificate_for(workspace, HOSTS), name).write_text("nothing")
    with pytest.raises(WorkspaceError, match=r"is damaged: it is not a .* Delete the folder"):
        certificate_for(workspace, HOSTS)


def test_pupils_see_the_fingerprint_of_the_servers_authority(workspace: Workspace) -> None:
    paths = certificate_for(workspace, HOSTS)
    pupil = workspace.person("20261128-101112-0123456789abcdef")
    assert certificate_paths(pupil) == paths
    der = ssl.PEM_cert_to_DER_cert(paths.authority.read_text())
    assert authority_fingerprint(pupil).replace(":", "").lower() == hashlib.sha256(der).hexdigest()

"""A certificate for https in the local network: browsers give the camera to encrypted pages alone.

No public authority signs addresses of a local network. So this computer has an authority of its own, which phones
accept once. Even with its key nobody could imitate other websites: it is limited to local addresses and names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from transfer_core.files import damaged_file, write_bytes, write_secret
from transfer_core.language import _
from transfer_core.locks import changing
from transfer_core.workspace import Workspace

_AUTHORITY_LASTS = timedelta(days=3 * 365)
# Apple's systems refuse certificates that last longer than 825 days.
_CERTIFICATE_LASTS = timedelta(days=365)
_RENEWED_BEFORE = timedelta(days=60)
# The clocks of phones differ.
_VALID_BEFORE_MADE = timedelta(days=1)
# Those of RFC 1918, RFC 6598 (behind the router of a provider) and of this computer itself.
_LOCAL_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8")
_LOCAL_DOMAIN = "local"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class CertificatePaths:
    """The files of the certificate, all PEM.

    Args:
        authority: The certificate that phones accept.
        authority_key: Signs the certificates of this server.
        chain: The certificate of this server, followed by the authority's.
        key: Of this server's certificate.
    """

    authority: Path
    authority_key: Path
    chain: Path
    key: Path


@dataclass(frozen=True)
class _Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def certificate_paths(workspace: Workspace) -> CertificatePaths:
    """Return the places of the certificate's files, whether they exist or not.

    Args:
        workspace: Of the server or of a pupil.
    """
    folder = workspace.server.root / "certificates"
    return CertificatePaths(
        folder / "authority.pem",
        folder / "authority-key.pem",
        folder / "server.pem",
        folder / "server-key.pem",
    )


def authority_fingerprint(workspace: Workspace) -> str:
    """Return the SHA-256 of the authority's certificate as phones show it, such as `3F:A0:...`.

    Raises:
        WorkspaceError: If the file is damaged.
        OSError: If there is none.
    """
    return (
        _read_certificate(certificate_paths(workspace).authority)
        .fingerprint(hashes.SHA256())
        .hex(":")
        .upper()
    )


def certificate_for(
    workspace: Workspace, hosts: Iterable[str], now: datetime | None = None
) -> CertificatePaths:
    """Return a certificate for these hosts. It is kept until it expires soon or lacks a host.

    Args:
        workspace: Of the server.
        hosts: IP addresses and host names.
        now: With a time zone; the current time if not given.

    Raises:
        WorkspaceError: If a file is damaged or cannot be written.
    """
    moment = now or datetime.now(timezone.utc)
    names = [_general_name(host) for host in dict.fromkeys(hosts)]
    paths = certificate_paths(workspace)
    with changing(paths.chain):
        authority = _kept(paths.authority, paths.authority_key, moment)
        if authority is None or not _permits(authority.certificate, names):
            authority = _make_authority(names, moment)
            _write(authority, paths.authority, paths.authority_key)
        server = _kept(paths.chain, paths.key, moment)
        if server is None or not _is_for(server.certificate, names, authority.certificate):
            _write(_make_certificate(authority, names, moment), paths.chain, paths.key, authority.certificate)
    return paths


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _make_authority(names: list[x509.GeneralName], now: datetime) -> _Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Transfer Studio, local network")])
    permitted: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_network(network)) for network in _LOCAL_NETWORKS
    ]
    permitted += [x509.DNSName(_LOCAL_DOMAIN)]
    permitted += [_network_of(name) for name in names if not _is_local(name)]
    certificate = (
        _builder(subject, subject, key, now, now + _AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _Signed(certificate, key)


def _make_certificate(authority: _Signed, names: list[x509.GeneralName], now: datetime) -> _Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Transfer Studio, this server")])
    issuer = authority.certificate
    until = min(now + _CERTIFICATE_LASTS, issuer.not_valid_after_utc)
    certificate = (
        _builder(subject, issuer.subject, key, now, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_key_identifier(authority.key), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _Signed(certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    return (
        builder.not_valid_before(now - _VALID_BEFORE_MADE)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_identifier(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _is_local(name: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName):
        return name.value.endswith(f".{_LOCAL_DOMAIN}")
    return any(name.value in ipaddress.ip_network(network) for network in _LOCAL_NETWORKS)


def _network_of(name: x509.GeneralName) -> x509.GeneralName:
    """Return what permits one name alone."""
    return name if isinstance(name, x509.DNSName) else x509.IPAddress(ipaddress.ip_network(name.value))


def _permits(authority: x509.Certificate, names: list[x509.GeneralName]) -> bool:
    """Whether the authority may sign a certificate for these names."""
    permitted = (
        authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    )
    return all(_is_local(name) or _network_of(name) in permitted for name in names)


def _is_for(
    certificate: x509.Certificate, names: list[x509.GeneralName], authority: x509.Certificate
) -> bool:
    """Whether a certificate has all of these names and was signed by this authority."""
    known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    subject = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return set(names) <= set(known) and issuer.key_identifier == subject.key_identifier


def _kept(certificate_path: Path, key_path: Path, now: datetime) -> _Signed | None:
    """Return what is on disk; None if something is missing or expires soon."""
    if not certificate_path.is_file() or not key_path.is_file():
        return None
    certificate = _read_certificate(certificate_path)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _RENEWED_BEFORE:
        return None
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    except ValueError as error:
        raise damaged_file(key_path, _("it is not a key"), _advice()) from error
    # Both files are moved in one after the other: a stop between them leaves halves of two pairs.
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return _Signed(certificate, key)


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise damaged_file(path, _("it is not a certificate"), _advice()) from error


def _write(signed: _Signed, certificate: Path, key: Path, *issuers: x509.Certificate) -> None:
    write_secret(
        key,
        signed.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    chain = (signed.certificate, *issuers)
    write_bytes(certificate, b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))


def _advice() -> str:
    return _("Delete the folder. Then phones accept the new certificate once more.")

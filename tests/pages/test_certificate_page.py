"""The page that explains how a phone accepts the certificate of this server."""

from __future__ import annotations

import pytest
from cryptography import x509
from starlette.requests import Request

from pages.ui.server.certificate import send_certificate, show_certificate
from pages.ui.server.gate import PUBLIC_PREFIXES
from transfer_core.classroom.certificate import authority_fingerprint, certificate_for
from transfer_core.workspace import WORKSPACE_VARIABLE, Workspace


def request(scheme: str) -> Request:
    path = "/certificate"
    assert path in PUBLIC_PREFIXES
    server = ("192.168.1.5", 8501)
    scope = {"method": "GET", "scheme": scheme, "path": path, "headers": [], "server": server}
    return Request({"type": "http", **scope})


@pytest.fixture(autouse=True)
def of_this_server(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))


def test_over_http_it_says_how_to_start_with_a_certificate() -> None:
    response = show_certificate(request("http"))
    assert response.status_code == 200
    assert b"python3 start.py --class --https" in response.body


def test_it_shows_the_steps_and_the_fingerprint(workspace: Workspace) -> None:
    certificate_for(workspace, ["192.168.1.5"])
    text = bytes(show_certificate(request("https")).body).decode()
    assert "iPhone" in text and "Android" in text
    assert authority_fingerprint(workspace).replace(":", "") in "".join(text.replace("<br>", " ").split())


def test_it_sends_the_certificate_of_the_authority_alone(workspace: Workspace) -> None:
    certificate_for(workspace, ["192.168.1.5"])
    response = send_certificate(request("https"))
    assert response.media_type == "application/x-x509-ca-cert"
    (certificate,) = x509.load_pem_x509_certificates(bytes(response.body))
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert b"PRIVATE KEY" not in response.body


def test_with_a_certificate_from_elsewhere_there_is_nothing_to_accept() -> None:
    assert show_certificate(request("https")).status_code == 404
    assert send_certificate(request("https")).status_code == 404

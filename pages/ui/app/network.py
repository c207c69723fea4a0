"""Addresses of this server, as its own computer and other devices in the network reach it."""

from __future__ import annotations

import html
import ipaddress
import socket
from urllib.parse import urljoin, urlsplit

import segno
import streamlit as st

from transfer_core.language import _


def here_address(path: str) -> str:
    """Return the address of a path of this server, as the visitor reaches it."""
    return urljoin(st.context.url or "", path)


def network_address(path: str) -> str:
    """Return the same for another device in the network; empty if the server listens to its own computer alone."""
    address = urlsplit(here_address(path))
    if address.hostname and not _is_loopback(address.hostname):
        return address.geturl()
    if not address.hostname or _is_loopback(_server_address()):
        return ""
    host = _network_host()
    return address._replace(netloc=f"{host}:{address.port}").geturl() if host else ""


def code_image(address: str) -> str:
    """Return an HTML image of the QR code of an address."""
    # Streamlit takes an SVG element out of HTML; an image of one is shown.
    source = segno.make(address, micro=False).svg_data_uri(scale=6, border=3, light="#fff")
    alt = html.escape(_("QR code of {address}").format(address=address))
    return f'<img src="{html.escape(source)}" alt="{alt}">'


def _server_address() -> str:
    return str(st.get_option("server.address") or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _network_host() -> str:
    """Return the address that this computer has in its network; empty without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: for a datagram the system only chooses the way out. The address is reserved (RFC 5737).
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])

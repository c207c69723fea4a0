"""Addresses of this server, as its own computer and other devices in the network reach it."""

from __future__ import annotations

import html
import ipaddress
from urllib.parse import urljoin, urlsplit

import segno
import streamlit as st

from transfer_core.classroom.facts import address_in_network
from transfer_core.language import _


def here_address(path: str) -> str:
    """Return the address of a path of this server, as the visitor reaches it."""
    return urljoin(st.context.url or "", path)


def network_address(path: str) -> str:
    """Return the same for another device in the network; empty if the server listens to its own computer alone."""
    address = urlsplit(here_address(path))
    if address.hostname and not _is_loopback(address.hostname):
        return address.geturl()
    in_network = address_in_network()
    return urljoin(in_network, path) if in_network else ""


def code_image(address: str) -> str:
    """Return an HTML image of the QR code of an address."""
    # Streamlit takes an SVG element out of HTML; an image of one is shown.
    source = segno.make(address, micro=False).svg_data_uri(scale=6, border=3, light="#fff")
    alt = html.escape(_("QR code of {address}").format(address=address))
    return f'<img src="{html.escape(source)}" alt="{alt}">'


def show_code(address: str, words: str) -> None:
    """Draw the QR code of an address, with sentences below."""
    st.html(
        f'<figure class="share-code">{code_image(address)}<figcaption>{html.escape(words)}</figcaption></figure>'
    )


def say_how_phones_reach_it() -> None:
    """Say how to start the server so that other devices reach it."""
    st.caption(
        _(
            "Phones cannot reach this server yet. To let them, start it with `python3 start.py --address 0.0.0.0`."
        ),
        help=_("Everyone in your network can then open it too."),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

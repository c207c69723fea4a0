"""How a phone accepts the certificate of this server, so that its browser lets pages use the live camera."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pages.ui.server.plain_page import plain_page, sentence_page
from pages.ui.server.service import service
from transfer_core.classroom.certificate import authority_fingerprint, certificate_paths
from transfer_core.errors import TransferStudioError
from transfer_core.language import _

PREFIX = "/certificate"
# The ending by which phones know what it is. They read the text form of the file as well.
_FILE_PATH = f"{PREFIX}/transfer-studio.crt"
_FINGERPRINT_BYTES_A_LINE = 8


def show_certificate(request: Request) -> Response:
    """Answer with the steps for each kind of phone, or say how to start the server with a certificate."""
    if request.url.scheme != "https":
        return sentence_page(
            _("The live camera needs https"),
            _("This server was started without it. Phones can still take photos one by one."),
            _("To use the live camera on phones, start it with: {command}").format(
                command="python3 start.py --class --https"
            ),
            status=200,
        )
    try:
        fingerprint = authority_fingerprint(service().workspace)
    except (OSError, TransferStudioError):
        return sentence_page(
            _("There is nothing to accept"),
            _("This server has a certificate that was not made by Transfer Studio."),
            status=404,
        )
    return plain_page(_("Accept the certificate"), _steps(fingerprint))


def send_certificate(_request: Request) -> Response:
    """Answer with the certificate that phones accept. It is no secret."""
    try:
        content = certificate_paths(service().workspace).authority.read_bytes()
    except OSError:
        return PlainTextResponse(_("This server has no certificate of its own.") + "\n", 404)
    # An attachment would not be offered for installation by an iPhone.
    return Response(content, media_type="application/x-x509-ca-cert")


def _steps(fingerprint: str) -> str:
    """Return the HTML of the steps. Names of menus are those of iOS 18 and Android 14."""
    bytes_shown = fingerprint.split(":")
    lines = [
        " ".join(bytes_shown[start : start + _FINGERPRINT_BYTES_A_LINE])
        for start in range(0, len(bytes_shown), _FINGERPRINT_BYTES_A_LINE)
    ]
    return "".join(
        (
            _paragraph(_("Browsers give the live camera only to servers that they trust. Do this once.")),
            f'<p><a class="button primary" href="{_FILE_PATH}">{escape(_("Download the certificate"))}</a></p>',
            _list(
                _("iPhone and iPad"),
                _("Open this page in Safari. Tap the button above, then Allow."),
                _("Open Settings and tap “Profile Downloaded”. Tap Install."),
                _("In Settings, open General, About, Certificate Trust Settings. Switch it on."),
            ),
            _list(
                _("Android"),
                _("Tap the button above."),
                _("Open Settings and search for “CA certificate”. Tap it, then “Install anyway”."),
                _("Choose the file transfer-studio.crt."),
            ),
            f"<h2>{escape(_('Is it the right one?'))}</h2>",
            _paragraph(_("Compare these numbers (SHA-256) with those on the teacher's screen.")),
            f"<p><code>{'<br>'.join(map(escape, lines))}</code></p>",
            _paragraph(
                _(
                    "It is valid for addresses of local networks alone. "
                    "Delete it in the same place when you no longer need it."
                )
            ),
        )
    )


def _paragraph(sentence: str) -> str:
    return f"<p>{escape(sentence)}</p>"


def _list(title: str, *steps: str) -> str:
    items = "".join(f"<li>{escape(step)}</li>" for step in steps)
    return f"<h2>{escape(title)}</h2><ol>{items}</ol>"


ROUTES = [Route(PREFIX, show_certificate), Route(_FILE_PATH, send_certificate)]

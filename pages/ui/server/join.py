"""Joining the class without Streamlit: by its code, on a second device, or as its teacher; and leaving it.

These routes change the class or a cookie by POST alone, and the gate refuses a POST from a page of another server.
The one exception is the teacher's link, which holds a secret.
"""

from __future__ import annotations

import math
from html import escape
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from pages.ui.server.plain_page import plain_page, sentence_page
from pages.ui.server.rate_limit import RateLimit
from pages.ui.server.service import service
from pages.ui.server.visitor_language import language_links
from transfer_core.classroom.board import card_of, datasets_of
from transfer_core.classroom.facts import ClassFacts, Classroom, is_class_mode
from transfer_core.classroom.handout import received
from transfer_core.classroom.people import MAX_NAME_LENGTH, Person, get_person, join
from transfer_core.classroom.visitor import (
    COOKIE,
    COOKIE_SECONDS,
    cookie_of_person,
    cookie_of_teacher,
    sign,
    verify,
    visitor_of,
)
from transfer_core.errors import TransferStudioError
from transfer_core.language import _, sort_key

DEVICE_SECONDS = 10 * 60
_TEACHER_PAGE = "/Class"
_MAX_FORM_BYTES = 4_096
# A whole class may come from one address, and everybody mistypes; a code has 24 ** 6 values. The second limit holds
# for all addresses together.
_wrong_codes = RateLimit(burst=60, seconds_each=3.0)
_all_wrong_codes = RateLimit(burst=240, seconds_each=1.0)


def device_path(facts: ClassFacts, person_id: str) -> str:
    """Return the path by which another device joins a pupil's place within `DEVICE_SECONDS`."""
    return f"/join/{sign(facts, 'device', person_id)}"


def show_join(request: Request) -> Response:
    """Answer with the form, or with what a person who has already joined may do."""
    if not is_class_mode():
        return _no_class()
    visitor = visitor_of(service().workspace, request.cookies)
    if visitor is None:
        return _join_page(code=request.query_params.get("code", ""))
    if visitor.role == "teacher":
        return _joined_page(_("You are the teacher"), _TEACHER_PAGE)
    person = get_person(service().workspace, visitor.person_id)
    return _joined_page(_("You are {name}").format(name=person.name), _newest_work(person))


async def take_part(request: Request) -> Response:
    """Give a pupil who knows the code a place and the cookie of it."""
    if not is_class_mode():
        return _no_class()
    fields = await _form(request)
    code, name = fields.get("code", ""), fields.get("animal") or fields.get("name", "")
    address = request.client.host if request.client else ""
    wait = max(_wrong_codes.seconds_to_wait(address), _all_wrong_codes.seconds_to_wait(""))
    if wait:
        sentence = _("Too many wrong codes. Try again in {count} s.").format(count=math.ceil(wait))
        return _join_page(sentence, code, name, 429, {"Retry-After": str(math.ceil(wait))})
    facts = Classroom(service().workspace).facts()
    if "".join(code.split()).upper() != facts.code:
        _wrong_codes.count(address)
        _all_wrong_codes.count("")
        return _join_page(_("This is not the code of the class. Check each letter."), code, name, 403)
    if not facts.is_open:
        return _join_page(_("The class is closed. Ask your teacher to open it."), code, name, 403)
    try:
        person = await run_in_threadpool(join, service().workspace, name)
    except TransferStudioError as error:
        return _join_page(str(error), code, name, 400)
    return _with_cookie(RedirectResponse("/", 303), request, cookie_of_person(facts, person.id))


def show_second_device(request: Request) -> Response:
    """Ask on another device whether it shall join the place of a pupil. Previews of links must not do it."""
    if not is_class_mode():
        return _no_class()
    person = _person_of_link(request)
    if isinstance(person, Response):
        return person
    return plain_page(
        _("Hello {name}").format(name=person.name),
        f"<p>{escape(_('Go on with your photos and models on this device.'))}</p>"
        f'<form method="post"><button class="primary">{escape(_("Continue"))}</button></form>',
    )


def join_second_device(request: Request) -> Response:
    """Give another device the cookie of a pupil."""
    if not is_class_mode():
        return _no_class()
    person = _person_of_link(request)
    if isinstance(person, Response):
        return person
    facts = Classroom(service().workspace).facts()
    return _with_cookie(
        RedirectResponse(_newest_work(person), 303), request, cookie_of_person(facts, person.id)
    )


def let_teacher_in(request: Request) -> Response:
    """Give the browser that opens the teacher's own link the teacher's cookie."""
    if not is_class_mode():
        return _no_class()
    value = cookie_of_teacher(Classroom(service().workspace).facts(), request.path_params["key"])
    if value is None:
        return sentence_page(
            _("This link is not valid"),
            _("Use the teacher's link that this server wrote down when it started."),
            status=403,
        )
    return _with_cookie(RedirectResponse(_TEACHER_PAGE, 303), request, value)


def ask_to_leave(_request: Request) -> Response:
    """Ask before a place is left, since the class code alone does not lead back to it."""
    if not is_class_mode():
        return _no_class()
    return plain_page(
        _("Leave this place?"),
        f"<p>{escape(_('Your photos and models are kept. This browser forgets who you are.'))}</p>"
        f"<p>{escape(_('To come back, use a code from your other device or your teacher.'))}</p>"
        f'<div class="actions"><a class="button" href="/">{escape(_("Stay"))}</a>'
        f'<form method="post"><button>{escape(_("Leave"))}</button></form></div>',
    )


def leave(_request: Request) -> Response:
    """Let the browser forget its cookie."""
    response = RedirectResponse("/join" if is_class_mode() else "/", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return response


def _person_of_link(request: Request) -> Person | Response:
    try:
        facts = Classroom(service().workspace).facts()
        person_id = verify(facts, "device", request.path_params["token"], DEVICE_SECONDS)
        return get_person(service().workspace, person_id)
    except TransferStudioError as error:
        return sentence_page(_("This link does not work"), str(error), status=403)


def _newest_work(person: Person) -> str:
    """Return the address at which a pupil goes on: of their newest model or, where they changed others, photos."""
    place = service().workspace.person(person.id)
    # Photos from the teacher that nobody has opened are no work.
    unopened = {dataset.id for dataset in received(place)}
    newest = next((dataset.id for dataset in datasets_of(place) if dataset.id not in unopened), None)
    model = card_of(service().workspace, person).model
    if model and newest in (None, model.run.dataset_id):
        return f"/?run={model.run.id}"
    return f"/?images={newest}" if newest else "/"


def _with_cookie(response: Response, request: Request, value: str) -> Response:
    response.set_cookie(
        COOKIE,
        value,
        max_age=COOKIE_SECONDS,
        secure=request.url.scheme == "https",
        httponly=True,
        # A link or a QR code that another app opens has to find the place; what changes something is a POST.
        samesite="lax",
    )
    return response


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; none if it is longer than every form of these pages."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            return {}
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _join_page(
    trouble: str = "",
    code: str = "",
    name: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    said = f'<p class="trouble" role="alert">{escape(trouble)}</p>' if trouble else ""
    languages = language_links(**({"code": code[:20]} if code else {}))
    code, name = escape(code[:20]), escape(name[:MAX_NAME_LENGTH])
    animals = "".join(
        f'<button name="animal" value="{escape(animal)}">{escape(animal)}</button>'
        for animal in sorted(_animals(), key=sort_key)
    )
    return plain_page(
        _("Join the class"),
        f'{said}<form method="post" action="/join">'
        f'<label for="code">{escape(_("Class code"))}</label>'
        f'<input id="code" name="code" class="code" value="{code}" required maxlength="20" autocomplete="off"'
        ' autocapitalize="characters" spellcheck="false">'
        f'<label for="name">{escape(_("Your first name"))}</label>'
        f'<input id="name" name="name" value="{name}" maxlength="{MAX_NAME_LENGTH}" autocomplete="given-name">'
        f'<button class="primary">{escape(_("Join"))}</button>'
        f'<fieldset><legend>{escape(_("Or join as an animal"))}</legend><div class="choices">{animals}</div>'
        f"</fieldset></form>{languages}",
        status,
        headers,
    )


def _joined_page(title: str, address: str) -> HTMLResponse:
    return plain_page(
        title,
        f'<p><a class="button primary" href="{escape(address)}">{escape(_("Continue"))}</a></p>'
        f'<p><a href="/leave">{escape(_("Somebody else? Leave this place."))}</a></p>',
    )


def _no_class() -> HTMLResponse:
    return sentence_page(
        _("No class here"), _("This server was started for one person. Open its first page."), status=404
    )


def _animals() -> tuple[str, ...]:
    return (
        *(_("Badger"), _("Bear"), _("Beaver"), _("Dolphin"), _("Fox"), _("Gecko"), _("Hare"), _("Hedgehog")),
        *(_("Heron"), _("Koala"), _("Lion"), _("Lynx"), _("Otter"), _("Owl"), _("Panda"), _("Penguin")),
        *(_("Robin"), _("Seal"), _("Squirrel"), _("Swan"), _("Tiger"), _("Turtle"), _("Whale"), _("Zebra")),
    )


ROUTES = [
    Route("/join", show_join),
    Route("/join", take_part, methods=["POST"]),
    Route("/join/{token:path}", show_second_device),
    Route("/join/{token:path}", join_second_device, methods=["POST"]),
    Route("/teacher/{key:path}", let_teacher_in),
    Route("/leave", ask_to_leave),
    Route("/leave", leave, methods=["POST"]),
]

"""An address for other programs: the switch, the key that is shown once, and examples that work."""

from __future__ import annotations

import json
from pathlib import Path

import streamlit as st

from pages.ui.app.network import here_address
from pages.ui.app.page import choose_part, guarded_callback
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.server.api import PREFIX
from transfer_core.language import _
from transfer_core.runs.api_key import key_of, make_key, withdraw_key
from transfer_core.runs.training_run import TrainingRun

_EXAMPLES = Path(__file__).parent / "examples"


def show_other_programs(session: Session, run: TrainingRun) -> None:
    """Draw the card with the switch.

    Args:
        session: Keeps a new key until the person has copied it.
        run: A run with a model.
    """
    is_on = key_of(workspace(), run.id) is not None
    if session.new_key and (session.new_key[0] != run.id or not is_on):
        session.new_key = None
    with st.container(border=True, key="other-programs"):
        st.header(_("An address for other programs"), anchor=False)
        st.markdown(_("A game, a robot or a web page sends a photo and gets the answer."))
        st.toggle(
            _("Let other programs use this model"),
            value=is_on,
            key=f"api-{run.id}-{is_on}",
            on_change=lambda: _switch(session, run, is_on=not is_on),
            help=_("They need the address and a key. You can withdraw the key at any time."),
        )
        if not is_on:
            return
        _show_key(session, run)
        _show_examples(session, run)


def example(name: str, address: str, key: str, class_names: tuple[str, ...] = ()) -> str:
    """Return the text of an example.

    Args:
        name: Of a file in `examples/`.
        address: Of the model.
        key: Of the model.
        class_names: Of the model, for the menu of a block.
    """
    text = (_EXAMPLES / name).read_text("utf-8").rstrip()
    text = text.replace("ADDRESS", address).replace("KEY", key)
    text = text.replace("TEXTS", json.dumps(_block_texts(), ensure_ascii=False))
    return text.replace("CLASSES", json.dumps(class_names))


def _block_texts() -> dict[str, str]:
    """Return the texts of the blocks for TurboWarp; `[NAME]` is the place of the menu in the block."""
    return {
        "name": _("My model"),
        "look": _("look at the stage"),
        "seen": _("what I see"),
        "sureness": _("how sure about [NAME]"),
        "unknown": _("unknown"),
        "sandbox": _("Tick “Run extension without sandbox” when you load this file."),
    }


@guarded_callback
def _switch(session: Session, run: TrainingRun, *, is_on: bool) -> None:
    if is_on:
        session.new_key = (run.id, make_key(workspace(), run.id))
    else:
        withdraw_key(workspace(), run.id)
        session.new_key = None


def _show_key(session: Session, run: TrainingRun) -> None:
    st.caption(_("Address"))
    st.code(_address(run), language=None, wrap_lines=True)
    if session.new_key:
        st.caption(_("Key"))
        st.code(session.new_key[1], language=None, wrap_lines=True)
        st.warning(_("Copy the key now. It is shown only once."), icon=":material/key:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_("The key was shown when you switched this on."), width="content")
        st.button(
            _("New key"),
            icon=":material/key:",
            key="new-key",
            type="tertiary",
            help=_("The earlier key stops working."),
            on_click=lambda: _switch(session, run, is_on=True),
        )


def _show_examples(session: Session, run: TrainingRun) -> None:
    with st.expander(_("Examples"), expanded=session.new_key is not None):
        titles = {
            "curl.txt": "curl",
            "python.txt": "Python",
            "javascript.js": "JavaScript",
            "turbowarp.js": "Scratch",
        }
        name = choose_part(titles, "curl.txt", f"api-example-{run.id}", label=_("Program"))
        key = session.new_key[1] if session.new_key else "YOUR_KEY"
        text = example(name, _address(run), key, run.class_names)
        if name == "turbowarp.js":
            _show_blocks(text)
        else:
            language = {"python.txt": "python", "javascript.js": "javascript"}.get(name, "bash")
            st.code(text, language=language, wrap_lines=True)
            st.caption(_("The answer has “class_name”, “probability” and “probabilities” of all classes."))
            st.caption(_("When the model does not know, “class_name” is empty and “unknown” is true."))
        st.caption(_("Whoever has the key can use the model. Do not publish it."))


def _show_blocks(text: str) -> None:
    texts = _block_texts()
    st.markdown(
        "\n".join(
            f"{number}. {step}"
            for number, step in enumerate(
                (
                    _("Download the blocks."),
                    _("Open TurboWarp on this computer and choose “Add extension”, “Custom extension”."),
                    _("Choose the file, and tick “Run extension without sandbox”."),
                    _("Use “{look}”, then “{seen}”.").format(look=texts["look"], seen=texts["seen"]),
                    _("If the browser asks about the local network, allow it."),
                ),
                1,
            )
        )
    )
    st.download_button(
        _("Download the blocks"),
        data=text,
        file_name="my-model-blocks.js",
        mime="text/javascript",
        icon=":material/extension:",
        on_click="ignore",
        key="download-blocks",
    )
    if "YOUR_KEY" in text:
        st.caption(_("Replace YOUR_KEY in the file by your key."))


def _address(run: TrainingRun) -> str:
    return here_address(f"{PREFIX}/{run.id}/predict")

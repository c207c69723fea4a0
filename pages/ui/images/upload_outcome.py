"""What came of a folder, from the browser or from the server's own disk."""

import streamlit as st

from pages.ui.app.arrivals import Upload
from pages.ui.app.words import plain
from transfer_core.language import plural


def show_outcome(upload: Upload) -> None:
    """Draw it, once there is something to say.

    Args:
        upload: Under way or complete.
    """
    if upload.problem:
        st.error(plain(upload.problem), icon=":material/error:")
        return
    if upload.is_stopped:
        st.info(
            plural(
                "Stopped. {count} image came in and is kept. Take in the same folder again to add the rest.",
                "Stopped. {count} images came in and are kept. Take in the same folder again to add the rest.",
                len(upload.after.images) - len(upload.before.images),
            ),
            icon=":material/stop_circle:",
        )
    if upload.is_complete and upload.num_known:
        text = plural(
            "{count} file had come in before and was not taken twice.",
            "{count} files had come in before and were not taken twice.",
            upload.num_known,
        )
        st.info(text, icon=":material/done_all:")

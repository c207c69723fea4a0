"""What was left out of a dataset, and why."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _, plural


def show_left_out(dataset: ImageDataset) -> None:
    """Draw the files that did not become part of the dataset; those of operating systems are only counted."""
    missed = [file for file in dataset.left_out if not file.is_expected]
    num_system_files = len(dataset.left_out) - len(missed)
    if missed:
        title = plural("{count} file was left out", "{count} files were left out", len(missed))
        with st.expander(title, icon=":material/rule:", expanded=len(missed) <= 10):
            table = pd.DataFrame(
                {
                    _("File"): [file.name for file in missed],
                    _("Left out because"): [file.reason for file in missed],
                }
            )
            st.dataframe(table, hide_index=True, width="stretch")
    if num_system_files:
        st.caption(
            plural(
                "{count} file of the operating system was passed over.",
                "{count} files of the operating system were passed over.",
                num_system_files,
            )
        )

"""From dropped files to a labelled image dataset with an honest split."""

"""The outputs of the frozen layers: computed once per photo and kept on disk."""

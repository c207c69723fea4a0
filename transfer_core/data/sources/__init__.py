"""List the files of folders, archives, tables and uploads with their classes, without unpacking anything to disk."""

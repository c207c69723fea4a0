"""List labelled files of folders, archives, tables and uploads, without unpacking anything to disk."""

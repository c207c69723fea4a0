"""Photos and labels from parquet files, as Hugging Face stores data sets: one row a photo, its bytes inside."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from transfer_core.data.parallel import LastResult
from transfer_core.data.sources.imported_file import ImportedFile, check_file_size
from transfer_core.data.sources.tables.grid import Grid, TableError, max_rows
from transfer_core.errors import UnreadableImageError
from transfer_core.language import _

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Only one group of rows of one file is in memory at a time.
_MAX_GROUP_BYTES = 512 * 1024**2
_MAX_TEXT_BYTES = 256 * 1024**2
_MAX_TEXT = 1000
_MAX_COLUMNS = 200


class ParquetTable:
    """The rows of one parquet file. Bytes of photos are read when they are needed.

    Args:
        file: The file; one on this machine is opened where it lies.

    Raises:
        TableError: If it is damaged or holds too much.
        UnreadableImageError: If it cannot be read.
    """

    def __init__(self, file: ImportedFile) -> None:
        import pyarrow as pa

        self._groups: LastResult[int, pa.ChunkedArray] = LastResult(self._read_group)
        self._source = file.location or file.read()
        self._errors = (
            *(pa.ArrowException, OSError, ValueError, MemoryError),
            *(OverflowError, TypeError, LookupError),
        )
        try:
            opened = self._opened()
            self._schema: pa.Schema = opened.schema_arrow
            self._lengths = [opened.metadata.row_group(n).num_rows for n in range(opened.num_row_groups)]
            self.image_column = self._image_column()
            if sum(self._lengths) > max_rows() or len(self._schema) > _MAX_COLUMNS:
                raise TableError("too_many_rows")
            self.grid = self._grid()
        except self._errors as error:
            raise TableError("damaged") from error

    def image(self, row: int, place: tuple[str, ...]) -> ImportedFile:
        """Return the photo of a row.

        Args:
            row: Its place, from 0.
            place: Folders of the table and its name without the ending.
        """
        headers = self.grid.headers or ()
        header = self.image_column.partition(".")[0] + ".path"
        path = self.grid.rows[row][headers.index(header)] if header in headers else ""
        name = path.replace("\\", "/").rpartition("/")[2]
        return ImportedFile((*place, name or f"{row:06}.jpg"), self._reader(row))

    def _reader(self, row: int) -> Callable[[], bytes]:
        return lambda: self._bytes(row)

    def _bytes(self, row: int) -> bytes:
        group = 0
        while row >= self._lengths[group]:
            row -= self._lengths[group]
            group += 1
        try:
            content = self._groups.of(group)[row].as_py()
        except self._errors as error:
            raise UnreadableImageError(_("it is damaged inside the parquet file")) from error
        if not content:
            raise UnreadableImageError(_("its row in the parquet file holds no photo"))
        check_file_size(len(content))
        return bytes(content)

    def _opened(self, dictionary: list[str] | None = None) -> pq.ParquetFile:
        import pyarrow.parquet as pq

        source = io.BytesIO(self._source) if isinstance(self._source, bytes) else self._source
        return pq.ParquetFile(source, read_dictionary=dictionary)

    def _read_group(self, group: int) -> pa.ChunkedArray:
        import pyarrow as pa

        # In small batches: a hostile file repeats one large photo a million times at no cost.
        batches, size = [], 0
        for batch in self._opened().iter_batches(8, row_groups=[group], columns=[self.image_column]):
            size += batch.nbytes
            if size > _MAX_GROUP_BYTES:
                raise UnreadableImageError(
                    _("its group of rows in the parquet file is larger than {limit} MB").format(
                        limit=_MAX_GROUP_BYTES // 1024**2
                    ),
                    "too_large",
                )
            batches.append(batch)
        table = pa.Table.from_batches(batches)
        return (table.flatten() if "." in self.image_column else table).column(0)

    def _image_column(self) -> str:
        """Return the path of the column with the bytes of photos, empty if there is none."""
        import pyarrow.types as kinds

        found = []
        for field in self._schema:
            if kinds.is_struct(field.type):
                inner = {field.type.field(number).name for number in range(field.type.num_fields)}
                found += [f"{field.name}.bytes"] if "bytes" in inner else []
            else:
                kind = field.type.value_type if kinds.is_dictionary(field.type) else field.type
                found += [field.name] if kinds.is_binary(kind) or kinds.is_large_binary(kind) else []
        named = [
            name
            for name in found
            if name.partition(".")[0].casefold() in ("image", "img", "picture", "photo")
        ]
        return (named or found or [""])[0]

    def _grid(self) -> Grid:
        """Return the columns that can be text: names, numbers, and the name of each photo."""
        # Not the sizes in the description of each column: pyarrow ends the whole process where those are damaged.
        names = _class_names(self._schema)
        num_rows = sum(self._lengths)
        wanted = _text_columns(self._schema)
        columns: dict[str, list[str]] = {path: [] for path in wanted}
        dictionary = [path for path in wanted if "." not in path]
        size = 0
        batches = self._opened(dictionary).iter_batches(64, columns=wanted) if wanted else ()
        for batch in batches:
            size += batch.nbytes
            if size > _MAX_TEXT_BYTES:
                raise TableError("too_large")
            table = _flat(batch)
            for path, texts in columns.items():
                texts += _texts(table.column(path), names.get(path, []))
        rows = zip(*columns.values(), strict=True) if wanted else ([""] for _row in range(num_rows))
        return Grid([list(row) for row in rows], tuple(columns) or ("",))


def _flat(batch: pa.RecordBatch) -> pa.Table:
    import pyarrow as pa
    import pyarrow.types as kinds

    table = pa.Table.from_batches([batch])
    return table.flatten() if any(kinds.is_struct(field.type) for field in table.schema) else table


def _text_columns(schema: pa.Schema) -> list[str]:
    import pyarrow.types as kinds

    def is_text(kind: pa.DataType) -> bool:
        tests = (
            kinds.is_string,
            kinds.is_large_string,
            kinds.is_integer,
            kinds.is_floating,
            kinds.is_boolean,
        )
        return any(test(kind) for test in tests) or (
            kinds.is_dictionary(kind)
            and (kinds.is_string(kind.value_type) or kinds.is_large_string(kind.value_type))
        )

    paths = []
    for field in schema:
        if is_text(field.type):
            paths.append(field.name)
        elif kinds.is_struct(field.type):
            inner = (field.type.field(number) for number in range(field.type.num_fields))
            paths += [f"{field.name}.{one.name}" for one in inner if is_text(one.type)]
    return paths


def _texts(column: pa.ChunkedArray, names: list[str]) -> list[str]:
    """Return the cells as text; numbers of classes as their names."""
    import pyarrow.types as kinds

    texts: list[str] = []
    for chunk in column.chunks:
        if kinds.is_dictionary(chunk.type):
            values = [_text(value, names) for value in chunk.dictionary.to_pylist()]
            texts += ["" if place is None else values[place] for place in chunk.indices.to_pylist()]
        else:
            texts += [_text(value, names) for value in chunk.to_pylist()]
    return texts


def _text(value: object, names: list[str]) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and names:
        return names[value] if 0 <= value < len(names) else ""
    return str(value).strip()[:_MAX_TEXT]


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of the classes of each column, as the library datasets keeps them in the schema."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}

"""Read labels from tables: delimited text, JSON and parquet, as people and other programs write them."""

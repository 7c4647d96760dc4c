"""The ledger as people and tools read it: a page with plots, CSV and Parquet tables. Needs the extra `touchstream[report]`."""

"""Data leaves whole: exports of the hub in JSON, CSV and XML, and imports with equal checksums (product.md D1)."""

"""Reproducible figures: rates, CPU seconds per 1,000 operations of the hub's processes, ratios to floors."""

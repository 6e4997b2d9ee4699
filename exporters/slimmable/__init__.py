"""Bundles of slimmable encoders: from trained networks to files, tables and measured modes."""

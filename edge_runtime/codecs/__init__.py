"""Values to payload bytes and back; each format has a page in ``docs/formats/``."""

"""`python -m exporters` is `edge-export`."""

from __future__ import annotations

import sys

from exporters.cli import main

sys.exit(main())

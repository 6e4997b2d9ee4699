"""`python -m server_ref` is `edge-server`."""

from __future__ import annotations

import sys

from server_ref.cli import main

sys.exit(main())

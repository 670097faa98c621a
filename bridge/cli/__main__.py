"""`python -m bridge.cli` is `event-bridge`."""

import sys

from bridge.cli.main import main

sys.exit(main())

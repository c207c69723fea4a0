"""Run the command line: `python -m transfer_core --help`."""

import sys

from transfer_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

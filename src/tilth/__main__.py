"""`python -m tilth` is `tilth`."""

import sys

from tilth.cli import main

sys.exit(main())

"""What holds for every test and example: none reads or writes the user's caches."""

import os

os.environ["TILTH_CACHE"] = ""

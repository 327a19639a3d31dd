"""What every test shares: no time limit per Hypothesis example, as machines are slow at times."""

from hypothesis import settings

settings.register_profile("tilth", deadline=None)
settings.load_profile("tilth")

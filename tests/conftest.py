"""Settings for the whole suite."""

import os

from hypothesis import HealthCheck, settings

# A gate must give the same answer twice; at a desk, new examples every time find more.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
# Machines are shared: a slow example is no failure.
settings.register_profile(
    "desk", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

"""How Hypothesis runs on a machine that is busy with other things: without clocks."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "index",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("index")

from tests.demos.segment.sessions_of import tiny, visitors  # noqa: F401

from tests.api.conftest import fresh_imports, write  # noqa: F401

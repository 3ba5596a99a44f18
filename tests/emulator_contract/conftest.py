"""The fixtures of the emulator's tests."""

from tests.emulator.conftest import description

__all__ = ["description"]

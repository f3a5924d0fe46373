"""Tests against the emulated AWS."""

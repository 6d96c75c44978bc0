"""Ports kept in memory, for tests that need no world."""

"""A login host of the tests' own."""

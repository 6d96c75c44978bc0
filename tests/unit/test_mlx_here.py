import pytest

from tests.mlx_here import has_wheels


@pytest.mark.parametrize(
    "system, machine, libc, there",
    (
        ("Linux", "x86_64", ("glibc", "2.36"), True),
        ("Linux", "aarch64", ("glibc", "2.35"), True),
        ("Linux", "x86_64", ("glibc", "2.31"), False),
        ("Linux", "x86_64", ("", ""), False),
        ("Darwin", "arm64", ("", ""), True),
        ("Darwin", "x86_64", ("", ""), False),
    ),
)
def test_mlx_is_tried_only_where_it_is_published(system: str, machine: str, libc: tuple[str, str], there: bool) -> None:
    assert has_wheels(system, machine, libc) is there

"""Quotas: recorded answers of the programs that tell them, and the programs asked in their place."""

import getpass
from collections.abc import Callable
from pathlib import Path

import pytest

from cruijff_kit.adapters.quota import QuotaLeft, left_by_gpfs, left_by_lustre, left_by_quota
from cruijff_kit.adapters.site_probe import MachineProbe

QUOTA = (
    "Disk quotas for user ada (uid 1000): \n"
    "     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace\n"
    "nas:/export/home 9500000 10000000 11000000       0   80000  100000  110000       0\n"
    "/dev/mapper/vg-scratch 1200*   1000    1500   1764230400  3   0   0   0\n"
)
LUSTRE = "       /lustre 1048576  2097152 3145728       -   40000  50000  60000       -\n"
LONG_LUSTRE = "/a/very/long/name/of/a/lustre/file/system\n            1048576*  1048576 3145728    6d23h   4  0  0  -\n"
NO_LIMIT = "       /lustre 1048576       0       0       -   40000      0      0       -\n"
GPFS_HEAD = (
    "mmlsquota::HEADER:version:reserved:reserved:filesystemName:quotaType:id:name:blockUsage:blockQuota:blockLimit:"
    "blockInDoubt:blockGrace:filesUsage:filesQuota:filesLimit:filesInDoubt:filesGrace:remarks:quota:defQuota:fid:"
    "filesetname:\n"
)
GPFS = (
    f"{GPFS_HEAD}"
    "mmlsquota::0:1:::gpfs0:USR:1000:ada:1000:5000:6000:0:none:10:0:0:0:none:::off:off:::\n"
    "mmlsquota::0:1:::gpfs0:GRP:100:lab:9000:9500:9600:0:none:700:800:900:0:none:::off:off:::\n"
    "mmlsquota::0:1:::other:USR:1000:ada:1:2:3:0:none:10:20:30:0:none:::off:off:::\n"
)
GPFS_FILESET = f"{GPFS_HEAD}mmlsquota::0:1:::gpfs0:FILESET:7:proj:4000:4100:4200:0:none:1:0:0:0:none:::off:off:::\n"


def test_quota_tells_bytes_and_files_up_to_the_softer_limit() -> None:
    found = left_by_quota(QUOTA, device="nas:/export/home", whose="user ada")
    assert found == QuotaLeft("user ada", 500_000 * 1024, 20_000)
    passed = left_by_quota(QUOTA, device="/dev/mapper/vg-scratch", whose="user ada")
    assert passed == QuotaLeft("user ada", 0, None)
    assert left_by_quota(QUOTA, device="/dev/sda1", whose="user ada") is None


def test_lustre_tells_of_a_file_system_of_a_short_name_and_of_a_long_one() -> None:
    assert left_by_lustre(LUSTRE, whose="user ada") == QuotaLeft("user ada", 2**30, 10_000)
    assert left_by_lustre(LONG_LUSTRE, whose="group lab") == QuotaLeft("group lab", 0, None)
    assert left_by_lustre(NO_LIMIT, whose="user ada") is None
    assert left_by_lustre("", whose="user ada") is None


def test_gpfs_tells_of_users_groups_and_filesets_of_one_file_system() -> None:
    found = list(left_by_gpfs(GPFS, device="/dev/gpfs0"))
    assert found == [QuotaLeft("user ada", 4000 * 1024, None), QuotaLeft("group lab", 500 * 1024, 100)]
    assert list(left_by_gpfs(GPFS_FILESET, device="gpfs0")) == [QuotaLeft("fileset proj", 100 * 1024, None)]
    assert list(left_by_gpfs("mmlsquota: not a file system\n", device="gpfs0")) == []


@pytest.mark.parametrize(
    "answer,left",
    (
        ("/dev/sda1 100 200 300 0 1 0 0 0\n", 100 * 1024),
        ("Filesystem blocks quota limit\n/dev/sda1 150* 100 300 0 1 0 0 0\n", 0),
        ("/dev/sda1 100 0 300 0 1 0 0 0\n", 200 * 1024),
        ("/dev/sda1 100 0 0 0 1 0 0 0\n", None),
        ("/dev/sdb1 100 200 300 0 1 0 0 0\n", None),
        ("", None),
        ("Disk quotas for user ada: none\n", None),
    ),
)
def test_what_is_left_of_bytes_alone(answer: str, left: int | None) -> None:
    found = left_by_quota(answer, device="/dev/sda1", whose="user ada")
    assert (found.bytes if found else None) == left
    if "/dev/sda1" in answer and "Filesystem" not in answer:
        found = left_by_lustre(answer.replace("/dev/sda1", "/lustre"), whose="user ada")
        assert (found.bytes if found else None) == left


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return what puts a program on PATH that answers by its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def put(name: str, cases: str) -> None:
        program = folder / name
        program.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\n*) exit 1 ;;\nesac\n', encoding="utf-8")
        program.chmod(0o755)

    return put


def said(text: str) -> str:
    return "printf '%s' '" + text + "'"


def test_the_tightest_of_a_user_s_group_s_and_project_s_quota_counts(
    programs: Callable[[str, str], None], tmp_path: Path
) -> None:
    tight = "       /lustre 100  110 120       -   7  9  9       -\n"
    cases = f'"project -d "*) {said("1001 P /lustre/x")} ;;\n"quota -q -p 1001 "*) {said(tight)} ;;'
    programs("lfs", f'{cases}\n"quota -q -u {getpass.getuser()} "*) {said(LUSTRE)} ;;')
    found = MachineProbe().folder(str(tmp_path), tries=False)
    assert (found.quota_left, found.quota_of, found.files_left) == (10 * 1024, "project 1001", 2)


def test_a_fileset_s_quota_counts_where_gpfs_tells_of_one(programs: Callable[[str, str], None], tmp_path: Path) -> None:
    programs("df", f'*) {said("Filesystem Mounted on")}; echo; echo "gpfs0 /gpfs" ;;')
    programs("mmlsattr", f'"-L "*) {said("file name: x" + chr(10) + "fileset name:         proj" + chr(10))} ;;')
    programs("mmlsquota", f'"-Y") {said(GPFS)} ;;\n"-Y -j proj gpfs0") {said(GPFS_FILESET)} ;;')
    found = MachineProbe().folder(str(tmp_path), tries=False)
    assert (found.quota_left, found.quota_of, found.files_left) == (100 * 1024, "fileset proj", 100)
    assert found.mount == "/gpfs"


def test_a_quota_counts_for_a_folder_that_is_still_to_be_made(
    programs: Callable[[str, str], None], tmp_path: Path
) -> None:
    programs("df", '*) echo "Filesystem Mounted on"; echo "nas:/export/home /home" ;;')
    programs("quota", f'"-wp") {said(QUOTA)} ;;')
    found = MachineProbe().folder(str(tmp_path / "not" / "yet"), tries=False)
    assert (found.exists, found.quota_left, found.mount) == (False, 500_000 * 1024, "/home")


def test_without_any_such_program_there_is_no_quota(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = MachineProbe().folder(str(tmp_path), tries=False)
    assert (found.quota_left, found.quota_of, found.mount) == (None, "", "")
    assert (found.free or 0) > 0

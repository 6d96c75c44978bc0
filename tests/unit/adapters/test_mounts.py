"""Which file systems machines share, as the system's table of mounts tells."""

from pathlib import Path

import pytest

from cruijff_kit.adapters.mounts import is_shared, kind_of

TABLE = """\
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
30 22 0:26 / /dev/shm rw,nosuid - tmpfs tmpfs rw
41 22 0:40 / /home rw,relatime shared:20 - nfs4 server:/export/home rw,vers=4.2
42 22 0:41 /ada /home/ada/with\\040space rw - ext4 /dev/sdb1 rw
43 22 0:42 / /scratch rw - lustre mgs@tcp:/fs rw
44 22 0:43 / /mnt rw - ext4 /dev/sdc1 rw
45 44 0:44 / /mnt rw - fuse.sshfs ada@cluster: rw
46 22 0:45 / /gpfs rw - gpfs gpfs0 rw
"""


@pytest.mark.parametrize(
    "folder,kind,shared",
    (
        ("/", "ext4", False),
        ("/var/tmp/x", "ext4", False),
        ("/dev/shm/x", "tmpfs", False),
        ("/home/ada/experiment", "nfs4", True),
        ("/homely", "ext4", False),
        ("/home/ada/with space/experiment", "ext4", False),
        ("/scratch/x", "lustre", True),
        ("/gpfs", "gpfs", True),
        ("/mnt/x", "fuse.sshfs", True),
    ),
)
def test_the_mount_that_covers_a_folder_says_whether_machines_share_it(folder: str, kind: str, shared: bool) -> None:
    assert (kind_of(Path(folder), table=TABLE), is_shared(Path(folder), table=TABLE)) == (kind, shared)


def test_this_machines_own_table_is_read(tmp_path: Path) -> None:
    assert is_shared(Path("/dev/shm/anything")) is False
    assert kind_of(tmp_path) is not None or not Path("/proc").exists()

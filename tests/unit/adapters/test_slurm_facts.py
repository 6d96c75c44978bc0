"""What Slurm says of itself is read as it is said, also by sites that say it oddly."""

import pytest

from cruijff_kit.adapters.old_script import read_old_script
from cruijff_kit.adapters.slurm_facts import config_values, config_warnings, read_features, read_partitions
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.site import GpuKind, Partition

SINFO = """\
cpu*|1-00:00:00|(null)|(null)|up
gpu|2:00:00|gpu:a100:4(S:0-1)|a100,ib|up
gpu|2:00:00|gpu:a100:8(S:0-1),gpu:1g.10gb:2|a100|up
old|infinite|gpu:2|k80|down
any|30:00|gpu:2,tmpdisk:100|(null)|up
bad name|1:00|(null)|(null)|up
torn
"""
CONFIG = """\
Configuration data as of 2026-11-27T00:00:00
AccountingStorageType   = accounting_storage/none
ClusterName             = tiny
EnforcePartLimits       = NO
JobRequeue              = 0
MinJobAge               = 30 sec
SLURM_VERSION           = 22.05.8
"""


def test_partitions_that_are_up_are_read_with_limits_and_gpus() -> None:
    assert read_partitions(SINFO) == (
        (
            Partition(name="cpu", max_time="1-00:00:00"),
            Partition(
                name="gpu",
                max_time="02:00:00",
                gpus=(GpuKind(type="a100", count=8), GpuKind(type="1g.10gb", count=2)),
            ),
            Partition(name="any", max_time="00:30:00", gpus=(GpuKind(count=2),)),
        ),
        "cpu",
    )
    assert read_features(SINFO) == ("a100", "ib", "k80")
    assert read_partitions("") == ((), None)


def test_settings_that_surprise_are_told() -> None:
    told = "\n".join(config_warnings(config_values(CONFIG)))
    for words in ("wait for ever", "no accounting", "not queued again", "forgotten after 30 s"):
        assert words in told
    assert not list(config_warnings({"EnforcePartLimits": "ALL", "MinJobAge": "300 sec", "MaxArraySize": "1001"}))
    assert "no job arrays" in "\n".join(config_warnings({"MaxArraySize": "0"}))


@pytest.mark.parametrize(
    "line,fields",
    (
        ("module purge\nmodule load a b", {"modules": ("a", "b")}),
        ("module load a\nmodule purge", {"modules": ()}),
        ("ml cuda", {"modules": ("cuda",)}),
        ("conda activate '/envs/my kit'", {"conda": "/envs/my kit"}),
        ("source /usr/conda/bin/activate kit", {"conda": "kit"}),
        (". /envs/kit/bin/activate", {"venv": "/envs/kit"}),
        ("source $HOME/kit/bin/activate", {"left": ("source $HOME/kit/bin/activate",)}),
        ("module load $(touch /tmp/x)", {"left": ("module load $(touch /tmp/x)",)}),
        ("export A='open", {"left": ("export A='open",)}),
    ),
)
def test_activation_is_read_where_it_is_plain_and_told_where_it_is_not(line: str, fields: dict[str, object]) -> None:
    found = read_old_script(f"#!/bin/bash\n{line}\n", name="old.slurm")
    told = {"modules": found.modules, "conda": found.conda, "venv": found.venv, "left": found.left}
    assert told == {"modules": (), "conda": None, "venv": None, "left": ()} | fields


def test_a_directive_that_cannot_be_read_is_told() -> None:
    with pytest.raises(SiteError, match="open quote"):
        read_old_script("#!/bin/bash\n#SBATCH --comment='x\n", name="old.slurm")

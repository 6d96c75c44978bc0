"""What a job inherits from whoever submitted it."""

from cruijff_kit.adapters.job_env import clean_environment


def test_what_finds_programs_and_languages_is_inherited() -> None:
    environment = {
        "PATH": "/bin",
        "HOME": "/h",
        "LANG": "C",
        "LC_ALL": "C",
        "XDG_CACHE_HOME": "/c",
        "VIRTUAL_ENV": "/v",
        "PYTORCH_ENABLE_MPS_FALLBACK": "1",
    }
    assert clean_environment(environment) == environment


def test_what_nobody_allowed_stays_behind() -> None:
    environment = {"HF_TOKEN": "x", "SSH_AUTH_SOCK": "x", "LD_PRELOAD": "x", "BASH_ENV": "x", "EDITOR": "x"}
    assert clean_environment(environment) == {}


def test_our_own_variables_are_inherited_but_for_those_that_name_a_secret() -> None:
    given = {"CRUIJFF_STATE_DIR": "/s", "CRUIJFF_API_KEY": "x", "CRUIJFF_HUB_TOKEN": "x", "XDG_secret": "x"}
    assert clean_environment(given) == {"CRUIJFF_STATE_DIR": "/s"}

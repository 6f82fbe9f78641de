"""pyinfra: the hosts, by their names in the SSH config, with strict host keys."""

import os

hosts = (
    os.environ["BENCH_HOSTS"].split(),
    {
        "ssh_config_file": os.environ["BENCH_SSH_CONFIG"],
        "ssh_known_hosts_file": os.environ["BENCH_KNOWN_HOSTS"],
        "ssh_strict_host_key_checking": "yes",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
    },
)

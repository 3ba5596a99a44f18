"""The proxies of the docker command's configuration, as `docker run` gives them to a container."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.docker.proxies import proxies_of_containers


def test_the_proxies_are_those_of_the_engine_or_the_default_in_both_spellings(tmp_path: Path) -> None:
    default = {"httpProxy": "http://a:1", "httpsProxy": "http://b:2", "noProxy": "x,y", "unknown": "z"}
    proxies = {"default": default, "tcp://far:2376": {"allProxy": "socks5://c:3"}}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": proxies}))
    environment = {"DOCKER_CONFIG": str(tmp_path)}
    found = proxies_of_containers("unix:///run/docker.sock", {"https_proxy": "mine"}, environment)
    assert found == {
        "HTTP_PROXY": "http://a:1",
        "http_proxy": "http://a:1",
        "NO_PROXY": "x,y",
        "no_proxy": "x,y",
    }
    far = proxies_of_containers("tcp://far:2376", {}, environment)
    assert far == {"ALL_PROXY": "socks5://c:3", "all_proxy": "socks5://c:3"}


def test_without_a_configuration_there_are_none_and_a_broken_one_is_told(tmp_path: Path) -> None:
    environment = {"DOCKER_CONFIG": str(tmp_path)}
    assert proxies_of_containers("unix:///x", {}, environment) == {}
    (tmp_path / "config.json").write_text('{"proxies": 3}')
    assert proxies_of_containers("unix:///x", {}, environment) == {}
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(PreflightError, match=r"config\.json can't be read"):
        proxies_of_containers("unix:///x", {}, environment)

"""Where Barman's further files are, by what its files say."""

from __future__ import annotations

import pytest

from pgwrap.domain.native import NativeFile
from pgwrap.engines.barman.places import places

MAIN = """\
[barman]
barman_home = /srv/barman
configuration_files_directory = /etc/barman.d
backup_directory = {common}
"""
SERVERS = """\
[plain]
description = one
[elsewhere]
backup_directory = /big/%(name)s
[broken]
backup_directory = /big/%(nothing)s
"""


@pytest.mark.parametrize(("common", "plain"), [("", "/srv/barman/plain"), ("%(barman_home)s/all", "/srv/barman/all")])
def test_the_active_model_of_each_server_wherever_it_is_configured(common: str, plain: str) -> None:
    """Servers of barman.d count like those of the main file; one that Barman refuses hides no other."""
    main = NativeFile(path="/etc/barman.conf", content=MAIN.format(common=common).encode(), role="main")
    servers = NativeFile(path="/etc/barman.d/servers.conf", content=SERVERS.encode(), role="include")
    found = places((main, servers), None)
    assert found.include == "/etc/barman.d"
    assert found.overrides[0] == "/srv/barman/.barman.auto.conf"
    assert f"{plain}/.active-model.auto" in found.overrides
    assert "/big/elsewhere/.active-model.auto" in found.overrides
    assert len(found.overrides) == 4

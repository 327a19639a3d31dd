"""Names of backbones: known, or refused with the nearest one."""

from __future__ import annotations

import pytest

from tilth.errors import UnknownName
from tilth.images.backbone_names import GROUP, NAMES, known, offered


class Point:
    """Stand for what another package offers."""

    name = "theirs"


@pytest.mark.parametrize("name", NAMES)
def test_names_of_this_package_are_known(name):
    assert known(name) == name


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'histograms'"):
        known("histogram")


def test_names_of_other_packages_are_known(monkeypatch):
    point = Point()
    monkeypatch.setattr("tilth.images.backbone_names.entry_points", lambda group: {GROUP: [point]}[group])
    assert offered() == {"theirs": point}
    assert known("theirs") == "theirs"
    with pytest.raises(UnknownName, match="did you mean 'theirs'"):
        known("their")

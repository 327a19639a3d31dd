"""Mergeable statistics: each is made of a frame, added to another, and read.

A statistic of parts, merged, equals the statistic of the whole: for any partition and order,
empty and one-row parts included. That is what lets one stage learn from memory, from a stream
and from a cluster.
"""

from tilth.statistics.asked import Statistics
from tilth.statistics.confident import confident_joint, find_label_issues, label_quality, share_right
from tilth.statistics.counts import Counts
from tilth.statistics.draws import hash_rows, key_of, new_ids, uniform
from tilth.statistics.extremes import Extremes
from tilth.statistics.gaussian import Gaussian
from tilth.statistics.gram import Gram
from tilth.statistics.groups import Groups
from tilth.statistics.little import LittleTest, little_test
from tilth.statistics.medcouple import medcouple
from tilth.statistics.moments import Moments
from tilth.statistics.quantiles import Quantiles
from tilth.statistics.sample import Sample

__all__ = [
    "Counts",
    "Extremes",
    "Gaussian",
    "Gram",
    "Groups",
    "LittleTest",
    "Moments",
    "Quantiles",
    "Sample",
    "Statistics",
    "confident_joint",
    "find_label_issues",
    "hash_rows",
    "key_of",
    "label_quality",
    "little_test",
    "medcouple",
    "new_ids",
    "share_right",
    "uniform",
]

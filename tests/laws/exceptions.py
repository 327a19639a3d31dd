"""The one place where a stage opts out of a law, by its key, with the reason.

An entry that is no longer needed fails the suite (strict xfail), so this list cannot rot.
"""

# law -> key, or "key[number of the example]" -> reason
EXCUSED: dict[str, dict[str, str]] = {
    "arrays as frames": {"reduce.random": "it draws by the names of columns, and those of arrays are others"},
}

# The checks of scikit-learn that a kind of stage cannot pass: kind -> check -> reason.
SKLEARN: dict[str, dict[str, str]] = {"ColumnStage": {}, "RowStage": {}, "BatchStage": {}}

# key -> why it learns from rows without missing cells only (the laws then run over such rows).
COMPLETE: dict[str, str] = {
    "reduce.kernel_pca": "it compares whole rows: gaps are filled before",
    "reduce.pca": "it multiplies whole rows: gaps are filled before",
    "reduce.random": "it multiplies whole rows: gaps are filled before",
    "reduce.supervised": "it multiplies whole rows: gaps are filled before",
}

# key -> why its target is of numbers (the laws then run over such rows).
NUMBERS: dict[str, str] = {
    "balance.regression": "it treats rare values of numbers; classes are refused",
    "labels.regression": "it judges numbers; classes are refused",
}

# key -> why most of its rows have no label (the laws then run over such rows).
UNLABELED: dict[str, str] = {
    "labels.ask": "it names rows without a label",
    "labels.pseudo": "it labels rows without a label",
}

# key -> why its first example stands for the others where a law runs over many tables.
COSTLY: dict[str, str] = {
    "labels.clean": "it fits a model for every fold, a second or two for each table",
    "labels.consensus": "it fits a model for every fold",
    "labels.multilabel": "it fits a model for every label and fold",
    "labels.regression": "it fits two models for every fold, a second or two for each table",
    "select.relevant": "it fits forests or probes, several for each table",
    "select.stable": "it fits forests or probes, several for each table",
}

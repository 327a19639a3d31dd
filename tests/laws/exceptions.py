"""The one place where a stage opts out of a law, by its key, with the reason.

An entry that is no longer needed fails the suite (strict xfail), so this list cannot rot.
"""

# law -> key, or "key[number of the example]" -> reason
EXCUSED: dict[str, dict[str, str]] = {}

# The checks of scikit-learn that a kind of stage cannot pass: kind -> check -> reason.
SKLEARN: dict[str, dict[str, str]] = {"ColumnStage": {}, "RowStage": {}, "BatchStage": {}}

# key -> why it learns from rows without missing cells only (the laws then run over such rows).
COMPLETE: dict[str, str] = {}

# key -> why its first example stands for the others where a law runs over many tables.
COSTLY: dict[str, str] = {
    "labels.clean": "it fits a model for every fold, a second or two for each table",
}

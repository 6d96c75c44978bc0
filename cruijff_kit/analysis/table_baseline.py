"""What models of tables reach on rows that a language model reads as texts: same rows, same columns, same splits.

most frequent    what knows nothing but the answers of `train`
linear           logistic or ridge regression, categories one by one
boosted trees    histogram gradient boosting, defaults but for its seed
true chances     whoever knows each row's probability, where the rows tell it
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.data.known_chances import chances_in
from cruijff_kit.data.table_rows import TableRows
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.made_data import BaselineModel

if TYPE_CHECKING:
    import numpy as np

__all__ = ["baselines"]

_MOST_CATEGORIES = 250
_DECIMALS = 4
_LEVEL = 0.95


def baselines(table: TableRows, *, split: str, seed: int) -> tuple[BaselineModel, ...]:
    """Return what each model learns from `train` and reaches on a split.

    Args:
        table: rows beside their cells.
        split: what they are judged on.
        seed: their dice.

    Raises:
        SiteError: scikit-learn is not installed.
    """
    try:
        import sklearn  # noqa: F401 -- looked for before anything is computed
    except ImportError as err:
        raise SiteError("models of tables need `scikit-learn`, which is not installed",
                        hint="pip install scikit-learn") from err  # fmt: skip
    learnt, asked = _matrix(table, "train"), _matrix(table, split)
    options, binary = table.options, bool(table.options)
    taught, right = (_answers(table, name, options=options) for name in ("train", split))
    found = []
    for name, model in _models(table, binary=binary, seed=seed):
        model.fit(learnt, taught)
        said = model.predict_proba(asked)[:, -1] if binary else model.predict(asked)
        if binary and len(set(taught)) == 1:
            said = said * 0 + taught[0]
        found.append(_reached(name, right, said=said, binary=binary))
    known = [chances_in(row, options=options) for row in table.splits[split]] if binary else [None]
    if all(known):
        import numpy as np

        said = np.array([each[1] for each in known if each is not None])
        found.append(_reached("true chances", right, said=said, binary=True))
    return tuple(found)


def _matrix(table: TableRows, split: str) -> "np.ndarray[Any, Any]":
    """Return cells as objects: numbers where the column is of numbers, text elsewhere, NaN where there is none."""
    import numpy as np

    numeric = [name in table.numeric for name in table.features]
    rows = [
        [
            (float(cell) if cell else np.nan) if number else (cell or "none")
            for cell, number in zip(cells, numeric, strict=True)
        ]
        for cells in table.cells[split]
    ]
    return np.array(rows, dtype=object)


def _answers(table: TableRows, split: str, *, options: Sequence[str]) -> "np.ndarray[Any, Any]":
    import numpy as np

    said = [str(row["output"]) for row in table.splits[split]]
    return np.array([options.index(each) for each in said] if options else [float(each) for each in said])


def _models(table: TableRows, *, binary: bool, seed: int) -> list[tuple[str, Any]]:
    from sklearn.compose import ColumnTransformer
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers = [at for at, name in enumerate(table.features) if name in table.numeric]
    codes = [at for at in range(len(table.features)) if at not in numbers]
    floats = FunctionTransformer(_floats)
    scaled = make_pipeline(floats, SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    single = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5)
    ranked = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, max_categories=_MOST_CATEGORIES, encoded_missing_value=-1
    )
    linear = ColumnTransformer([("numbers", scaled, numbers), ("codes", single, codes)])
    trees = ColumnTransformer([("numbers", floats, numbers), ("codes", ranked, codes)])
    which = list(range(len(numbers), len(table.features)))
    boosted: Any = HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
    grown = boosted(random_state=seed, categorical_features=which or None, early_stopping=False)
    return [
        ("most frequent answer", DummyClassifier(strategy="prior")) if binary else ("mean", DummyRegressor()),
        ("logistic regression", make_pipeline(linear, LogisticRegression(max_iter=2_000)))
        if binary
        else ("ridge regression", make_pipeline(linear, Ridge())),
        ("boosted trees", make_pipeline(trees, grown)),
    ]


def _floats(cells: Any) -> Any:
    return cells.astype(float)


def _reached(name: str, right: Any, *, said: Any, binary: bool) -> BaselineModel:
    accuracy = wilson_interval(int(((said > 0.5) == right).sum()), len(right), level=_LEVEL) if binary else None
    return BaselineModel(name=name, figures=_figures(right, said, binary=binary), accuracy=accuracy)


def _figures(right: Any, said: Any, *, binary: bool) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

    if not binary:
        gaps = said - right
        spread = float(np.sum((right - right.mean()) ** 2))
        figures = {"mae": np.mean(np.abs(gaps)), "rmse": np.sqrt(np.mean(gaps**2))}
        figures |= {"r2": 1 - float(np.sum(gaps**2)) / spread} if spread else {}
    else:
        chosen = said > 0.5
        figures = {"accuracy": np.mean(chosen == right), "brier": np.mean((said - right) ** 2)}
        figures["log_loss"] = log_loss(right, np.clip(said, 1e-6, 1 - 1e-6), labels=[0, 1])
        if len(set(right)) == 2:
            figures |= {"balanced_accuracy": balanced_accuracy_score(right, chosen), "auc": roc_auc_score(right, said)}
    return {name: round(float(value), _DECIMALS) for name, value in figures.items()}

"""Measure learning curves: fitted to at most half of the rows, what do they say of all, and was it so?

    python benchmarks/limited_curve.py [--quick]

Each set's curve has eight sizes; the power law is fitted to those up to half of the training rows and
foretells the score of all, which is then compared with the score measured, on the same test rows. Two bars
ask whether the 95% intervals hold it: that of the score, and that of the gain since the largest size fitted,
which test rows cannot blur, widened by the noise of the gain measured. A third compares the error of the
prediction with that of expecting no change, in units of the difference that matters (the rope: 0.005 ROC AUC,
1% of RMSE or log loss).

Planted power laws come first: how many 95% intervals hold the gain of twice and of ten times the rows.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

import numpy as np

import datasets
from bars import Bar, conclude
from tilth.bench import learning_curve
from tilth.bench.curve_result import Prediction
from tilth.statistics.power_law import fit_power_law

SETS = (
    "magic", "adult", "california", "page_blocks", "credit_data", "spambase", "wage", "german", "pima",
    "red_wine", "lending_club", "default",
)  # fmt: skip
QUICK_SETS = ("magic", "adult", "california", "page_blocks", "credit_data", "german")
MAX_ROWS = {True: 3000, False: 5000}
PROBES = {True: ("linear",), False: ("linear", "boosting")}
LAWS = {
    "falls to 0.1": (0.1, 1.0, 0.5),
    "falls slowly to 0": (0.0, 0.6, 0.2),
    "falls fast to 0.05": (0.05, 20.0, 1.0),
    "flat": (0.1, 0.0, 1.0),
}
SIZES = np.geomspace(100, 1600, 8)
COVERED = 0.9
PLANTED = 0.93


def curves(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Measure planted laws and real sets; add what was measured to `figures`."""
    found = figures.setdefault("curves", {})
    return [*planted_bars(quick, found), *real_bars(quick, found)]


def planted_bars(quick: bool, found: dict[str, Any]) -> list[Bar]:
    """Count how often intervals hold the gain of a law that is known."""
    times = 50 if quick else 400
    found["planted"] = {}
    print(f"{'planted law':22}{'twice':>8}{'tenfold':>9}{'width':>9}{'gain':>9}")
    for name, (a, b, c) in LAWS.items():
        error = lambda n, a=a, b=b, c=c: a + b * n**-c
        last = SIZES[-1]
        held, widths = np.zeros(2), []
        for seed in range(times):
            law = fit_power_law(SIZES, np.maximum(error(SIZES) + nested_noise(seed), 0))
            for i, rows in enumerate((2 * last, 10 * last)):
                said, true = law.gain(rows), error(last) - error(rows)
                held[i] += said.low - 1e-12 <= true <= said.high + 1e-12
                widths += [said.high - said.low] if i == 0 else []
        twice, tenfold = held / times
        true = error(last) - error(2 * last)
        print(f"{name:22}{twice:8.3f}{tenfold:9.3f}{np.median(widths):9.4f}{true:9.4f}")
        found["planted"][name] = {
            "twice": twice, "tenfold": tenfold, "width": float(np.median(widths)), "gain": float(true),
        }  # fmt: skip
    worst = min(min(told["twice"], told["tenfold"]) for told in found["planted"].values())
    return [Bar("curve-planted-coverage", float(worst), PLANTED, bool(worst >= PLANTED))]


def nested_noise(seed: int, runs: int = 10) -> np.ndarray:
    """Draw noise as nested draws have it: of a run, of rows that draws share, and of each size."""
    larger = SIZES[-1] / np.maximum(SIZES[:, None], SIZES)
    covariance = 0.01**2 + 0.003**2 * larger + 0.002**2 * np.eye(len(SIZES))
    return np.random.default_rng(seed).multivariate_normal(np.zeros(len(SIZES)), covariance, size=runs)


def real_bars(quick: bool, found: dict[str, Any]) -> list[Bar]:
    """Foretell the score of all rows from half of them, and compare."""
    lines = []
    print(
        f"\n{'set':14}{'probe':10}{'metric':10}{'all':>9}  {'foretold (95% interval)':32}{'gain':>9}  "
        f"{'foretold (95% interval)':32}{'error':>7}{'no change':>11}  {'holds':12}verdict"
    )
    for data in datasets.each(QUICK_SETS if quick else SETS, MAX_ROWS[quick]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            done = learning_curve(None, data.X, data.y, probes=PROBES[quick], repeats=1 if quick else 2)
        for curve in done.curves:
            check = curve.checked
            if check is None:
                print(f"{data.name:14}{curve.probe:10}{curve.metric:10} too few sizes up to half of the rows")
                continue
            said = check.said
            line = {
                "set": data.name,
                "probe": curve.probe,
                "metric": curve.metric,
                "rows": said.rows,
                "score": check.score,
                "foretold": [said.score, said.low, said.high],
                "gain": [check.gain, check.gain_low, check.gain_high],
                "width": (said.gain_high - said.gain_low) / curve.rope,
                "foretold_gain": [said.gain, said.gain_low, said.gain_high],
                "error": abs(said.score - check.score) / curve.rope,
                "no_change": abs(check.gain) / curve.rope,
                "score_held": bool(said.low <= check.score <= said.high),
                "gain_held": check.holds,
                "gain_held_alone": bool(said.gain_low <= check.gain <= said.gain_high),
                "rope": curve.rope,
                "word": curve.word,
                "word_at_half": at_half(check.said, curve.rope),
            }
            lines.append(line)
            score = f"{said.score:.4f} ({said.low:.4f} to {said.high:.4f})"
            gain = f"{said.gain:+.4f} ({said.gain_low:+.4f} to {said.gain_high:+.4f})"
            holds = f"{'score' if line['score_held'] else '-'} {'gain' if line['gain_held'] else '-'}"
            print(
                f"{data.name:14}{curve.probe:10}{curve.metric:10}{check.score:9.4f}  {score:32}"
                f"{check.gain:+9.4f}  {gain:32}{line['error']:7.2f}{line['no_change']:11.2f}  "
                f"{holds:12}{curve.word}",
                flush=True,
            )
    found["real"] = lines
    if not lines:
        return []
    print()
    for word, matters in (("more rows would help", True), ("flat", False)):
        mine = [line for line in lines if line["word_at_half"] == word]
        right = sum((line["gain"][0] >= line["rope"]) == matters for line in mine)
        gained = "gained what matters or more" if matters else "gained less than what matters"
        print(f"Said '{word}' from half of the rows: {len(mine)} of {len(lines)}; {right} then {gained}.")
    share = lambda key: float(np.mean([line[key] for line in lines]))
    error, still = share("error"), share("no_change")
    middle = [float(np.median([line[key] for line in lines])) for key in ("error", "no_change")]
    better = sum(line["error"] < line["no_change"] for line in lines)
    width = float(np.median([line["width"] for line in lines]))
    print(
        f"\nMean error {error:.2f} ropes (median {middle[0]:.2f}), of no change {still:.2f} (median "
        f"{middle[1]:.2f}); nearer than no change in {better} of {len(lines)}.\nIntervals of the gain are "
        f"{width:.1f} ropes wide (median); not widened, they hold {share('gain_held_alone'):.0%} of them."
    )
    return [
        Bar("curve-score-coverage", share("score_held"), COVERED, bool(share("score_held") >= COVERED)),
        Bar("curve-gain-coverage", share("gain_held"), COVERED, bool(share("gain_held") >= COVERED)),
        Bar("curve-error-vs-no-change", error / still, 1.0, bool(error < still)),
    ]


def at_half(said: Prediction, rope: float) -> str:
    """Return the word that the rules of `learning_curve` give to what half of the rows foretell of all."""
    if said.gain >= rope and said.gain_low > 0:
        return "more rows would help"
    return "flat" if said.gain_high < rope else "cannot tell"


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer sets and rows, the linear probe alone")
    figures: dict[str, Any] = {}
    return conclude("limited-curves", curves(parser.parse_args().quick, figures), figures)


if __name__ == "__main__":
    sys.exit(main())

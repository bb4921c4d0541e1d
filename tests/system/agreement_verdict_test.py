#!/usr/bin/env python3
"""When tools/simulator_agreement.py calls a run agreement, difference, or open: pure logic."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from simulator_agreement import FOREIGN, Verdict  # noqa: E402


def rows(ratios: list, others: float | None = 0.02, tpot: float = 1.0) -> list:
    return [{"ttft": 10, "sim_ttft": 10 * r, "tpot": 1, "sim_tpot": tpot * (1 + 0.01 * i), "others": others} for i, r in enumerate(ratios)]


class VerdictTest(unittest.TestCase):
    def word(self, r: list) -> str:
        return Verdict(r, 0.15).word

    def test_quiet_rounds_near_the_truth_agree(self):
        self.assertEqual(self.word(rows([0.93, 0.97, 1.02, 0.95])), "agrees")

    def test_quiet_rounds_beyond_the_band_differ_either_way(self):
        self.assertEqual(self.word(rows([1.18, 1.2, 1.22, 1.17])), "differs")
        self.assertEqual(self.word(rows([0.84, 0.85, 0.83, 0.86])), "differs")  # 1 / 0.85 is more than 1.15
        self.assertEqual(self.word(rows([1.0, 1.01, 0.99, 1.0], tpot=1.3)), "differs")

    def test_one_odd_round_says_little(self):
        self.assertEqual(self.word(rows([0.97, 1.0, 1.03, 1.9])), "agrees")

    def test_rounds_far_apart_leave_it_open(self):
        v = Verdict(rows([0.6, 0.9, 1.2, 1.5]), 0.15)
        self.assertEqual(v.word, "open")
        self.assertIn("far apart", v.text())

    def test_a_difference_that_is_steady_is_not_hidden_by_noise_elsewhere(self):
        self.assertEqual(self.word(rows([1.4, 1.45, 1.38, 1.42], others=None)), "differs")

    def test_rounds_beside_other_work_do_not_count(self):
        self.assertEqual(self.word(rows([1.5, 1.5, 1.5, 1.5], others=FOREIGN + 0.01)), "open")
        busy = rows([1.6, 1.6], others=0.5)
        self.assertEqual(self.word(busy + rows([1.0, 1.02, 0.98])), "agrees")
        self.assertEqual(self.word(busy + rows([1.0, 1.02])), "open")


if __name__ == "__main__":
    unittest.main()

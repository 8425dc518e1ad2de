# SPDX-License-Identifier: BSD-3-Clause
"""Helpers of other folders: labs, clients and their oracle."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "faults")]

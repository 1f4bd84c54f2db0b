"""What the measuring scripts of the peers share; the scripts beside this folder are programs."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))  # tests/bench, for rows

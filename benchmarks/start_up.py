"""From the start of the process to the first text: `python -m benchmarks.start_up`.

`python -m helpers.generate` on the bundled model, until its first text is printed; beside it what `import helpers`
takes, and torch's and transformers' own imports alone. The files are in the system's cache after a first, unmeasured run.
"""

import argparse
import subprocess
import sys
import time

from benchmarks.measure import ROOT, in_turn, in_words, machine
from helpers.console import run

# What the command needs of the two libraries, without any of our code.
LIBRARIES = (
    "import torch, transformers; "
    "from transformers import AutoModelForCausalLM, GPT2LMHeadModel, TopKLogitsWarper; "
    "from transformers.tokenization_utils_sentencepiece import SentencePieceBackend"
)


def seconds_of(code: str) -> float:
    """Seconds from the start of Python to the end of a line of code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def seconds_to_first_text() -> float:
    """Seconds from the start of `python -m helpers.generate` to its first text."""
    command = [sys.executable, "-m", "helpers.generate", "--model", "aozora-mini", "--seed", "1"]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            if line.startswith(b"[1]"):
                seconds = time.perf_counter() - start
                process.stdout.read()
                return seconds
    raise RuntimeError("no text was printed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    seconds_to_first_text()
    ways = {
        "Python itself": lambda: seconds_of("pass"),
        "import helpers": lambda: seconds_of("import helpers"),
        "importing torch and transformers": lambda: seconds_of(LIBRARIES),
        "python -m helpers.generate, to its first text": seconds_to_first_text,
    }
    rows = in_turn(ways, options.runs, "start")
    print(f"\n### From the start of the process\n\n{machine()}\n")
    print("| what | seconds |\n|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {in_words(seconds)} |")
    whole, libraries = (
        rows["python -m helpers.generate, to its first text"],
        rows["importing torch and transformers"],
    )
    shares = [a / b for a, b in zip(libraries, whole, strict=True)]
    print(f"\nThe libraries' own import: {in_words(shares)} of the whole.")


if __name__ == "__main__":
    sys.exit(run(main))

"""Runs tlc, the C compiler and generated programs, for the scripts that compare them with Keras."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))


class Failure(Exception):
    """A model on which the two sides differ: in which stage, and how."""

    def __init__(self, stage, text):
        super().__init__(text)
        self.stage = stage


def run(stage, *words):
    """Standard output of a command; Failure with the end of its messages if it fails."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise Failure(stage, f"exit {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


def compile_model(spec, folder, optimize="-O2"):
    """The program FOLDER/model of a model.json. RT_LIBS: what libtlcrt.a links, as make sets it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(spec, indent=2) + "\n")
    run("tlc", BUILD / "tlc", folder / "model.json", "-o", folder / "model.c")
    run("cc", os.environ.get("CC", "cc"), optimize, "-Wall", "-Wextra", "-Werror",
        f"-I{ROOT / 'runtime'}", folder / "model.c", BUILD / "libtlcrt.a",
        *os.environ["RT_LIBS"].split(), "-o", folder / "model")
    return folder / "model"

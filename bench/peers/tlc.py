"""tlc: the program that it makes of vgg16.json, timed by the program's own `bench`."""

import json
import os
import pathlib
import subprocess

import numpy as np

import network  # noqa: F401: finds tests/parity for the import of programs
from peer import BasePeer, BaseTrainer
from programs import BUILD, ROOT, Failure, run

HERE = pathlib.Path(__file__).resolve().parent.parent
DEFAULT = "highest"


def compile_program(spec, folder, precision):
    """FOLDER/model; Failure if tlc does not know the precision or has none for this model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(spec, indent=2) + "\n")
    option = [] if precision == DEFAULT else ["--precision", precision]
    run("tlc", BUILD / "tlc", folder / "model.json", *option, "-o", folder / "new.c")
    source, new = folder / "model.c", folder / "new.c"
    newest = max((BUILD / "libtlcrt.a").stat().st_mtime, (ROOT / "runtime/rt.h").stat().st_mtime)
    if (folder / "model").exists() and source.read_bytes() == new.read_bytes() and \
            (folder / "model").stat().st_mtime > newest:
        return
    new.rename(source)
    run("cc", os.environ.get("CC", "cc"), "-O2", f"-I{ROOT / 'runtime'}", source,
        BUILD / "libtlcrt.a", *os.environ["RT_LIBS"].split(), "-o", folder / "model")


def compile_all(specs, precisions):
    """specs: (specification, folder). {precision: why it is missing}."""
    missing = {}
    for precision in precisions:
        try:
            for spec, folder in specs:
                compile_program(spec, folder / precision, precision)
        except Failure as failure:
            if precision == DEFAULT:
                raise
            missing[precision] = str(failure).splitlines()[0]
    return missing


def call(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise Failure("tlc", f"exit {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


class Peer(BasePeer):
    name = "tlc"
    precisions = (DEFAULT, "high", "medium")
    levels = ("", "avx2", "generic")

    @classmethod
    def prepare(cls, folder, network_folder):
        if not (folder / "weights.safetensors").exists():
            os.symlink(network_folder.resolve() / "weights.safetensors",
                       folder / "weights.safetensors")
        return compile_all([(json.loads((HERE / "vgg16.json").read_text()), folder)],
                           cls.precisions)

    @staticmethod
    def environment(level):
        return {"TLC_LEVEL": level} if level else {}

    def __init__(self, folder, batch, threads, precision):
        self.program, self.batch, self.threads = folder / precision / "model", batch, threads
        self.weights, self.input = folder / "weights.safetensors", folder / f"x{os.getpid()}.npy"
        self.found = {"level": "?"}

    def call(self, command, *words):
        return call(self.program, command, *words, "--threads", self.threads,
                    "--weights", self.weights, "--input", self.input)

    def version(self):
        program = call(self.program, "--version").strip()
        compiler = subprocess.run([os.environ.get("CC", "cc"), "--version"], check=True,
                                  capture_output=True, text=True).stdout.splitlines()[0]
        return f"{program.split(', by ')[1]}, {compiler} -O2, level {self.found['level']}"

    def place(self, pictures):
        np.save(self.input, pictures)
        return pictures

    def run(self, placed):
        output = self.input.with_suffix(".out.npy")
        self.call("predict", "-o", output)
        found = np.load(output).reshape(len(placed), -1)
        output.unlink()
        return found

    def measure(self, placed, repeat):
        text = self.call("bench", "--json", "--batch", self.batch, "--repeat", repeat)
        self.input.unlink()
        self.found = json.loads(text)
        return self.found["ms"], self.found["cpu_ms"]

    def peak_bytes(self):
        return self.found["peak_bytes"]

    @classmethod
    def start_command(cls, folder, precision, threads, picture):
        return [folder / precision / "model", "predict", "--weights",
                folder / "weights.safetensors", "--input", picture, "--threads", threads]


class Trainer(BaseTrainer):
    precisions = Peer.precisions

    @staticmethod
    def prepare(folder):
        """A program for each phase of train.json, so that each has the memory of its own."""
        spec = json.loads((HERE / "train.json").read_text())
        specs = [(dict(spec, phases=[phase]), folder / phase["name"]) for phase in spec["phases"]]
        return compile_all(specs, Trainer.precisions)

    def __init__(self, what, pictures, labels, threads, precision):
        folder = pathlib.Path(os.environ["BENCH_FOLDER"]) / what / precision
        self.program, self.threads, self.peak = folder / "model", threads, 0

    def measure(self, repeat):
        text = call(self.program, "bench", "--json", "--threads", self.threads, "--repeat", repeat,
                    "--phase", self.program.parent.parent.name)
        found = json.loads(text)
        self.peak = found["peak_bytes"]
        return found["ms"]

    def peak_bytes(self):
        return self.peak

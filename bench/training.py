"""Training steps of tlc's programs on made-up pictures: time, and memory beside tlc's plan."""

import json
import pathlib
import re

from programs import BUILD, compile_model, run

HERE = pathlib.Path(__file__).resolve().parent
MODELS = ("fine_tune",)
REPEAT = 3
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def planned_bytes(model):
    """What `tlc plan` announces: the arena, and the program with its libraries."""
    plan = run("tlc plan", BUILD / "tlc", "plan", model)
    parts = re.findall(r"^(?:arena|program and libraries) +([\d.]+) (\w+)$", plan, re.MULTILINE)
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def measure(folder, threads):
    """One dictionary a phase, as `bench --json` prints it, with the planned bytes."""
    steps = []
    for name in MODELS:
        program = compile_model(json.loads((HERE / f"{name}.json").read_text()), folder / name)
        planned = planned_bytes(folder / name / "model.json")
        lines = run(name, program, "bench", "--json", "--threads", threads, "--repeat", REPEAT)
        found = [json.loads(line) for line in lines.splitlines()]
        steps += [dict(step, planned_bytes=planned) for step in found
                  if step["what"].startswith("train ")]
    return steps

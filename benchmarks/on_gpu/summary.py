"""What the phases found, as Markdown."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def summary(out: Path, phases: Iterable[str]) -> str:
    """A section for each phase that has a file in the folder, and a line for each that has none."""
    parts = ["# What the GPU did\n"]
    for name in phases:
        parts.append(f"## {name}\n")
        failed = out / f"{name}.failed.json"
        if (out / f"{name}.json").exists():
            found = json.loads((out / f"{name}.json").read_text())
            parts.append(f"{found['phase_s']:.0f} s.\n")
            parts.append(_SECTIONS.get(name, _facts)(found))
        elif failed.exists():
            parts.append(f"Failed: {json.loads(failed.read_text())['why']}; {name}.log says more.\n")
        else:
            parts.append("Not run.\n")
    return "\n".join(parts)


def _machine(found: dict[str, Any]) -> str:
    gpu = found["gpu"]
    lines = [
        f"- torch {found['torch']} for CUDA {found['cuda_of_torch']}, Python {found['python']}",
        f"- {gpu.get('name', 'no GPU')}, cuDNN {gpu.get('cudnn')}, C compiler {found['c_compiler']}",
    ]
    lines += [f"- {name}: {version}" for name, version in found["modules"].items() if version.startswith("not there")]
    for title, unit in (("copy_gb_per_s", "GB/s"), ("eigvalsh_of_8_times_256_rows_ms", "ms")):
        lines += [f"- {title}, {name}: {_number(value)} {unit}" for name, value in found[title].items()]
    rows = [
        [name, *map(_number, values.values() if isinstance(values, dict) else [values])]
        for name, values in found["tflop_per_s"].items()
    ]
    return "\n".join(lines) + "\n\n" + _table(["product", "TFLOP/s in bf16", "in float32"], rows)


def _parity(found: dict[str, Any]) -> str:
    rows = []
    for name, case in found["differences"].items():
        if "error" in case:
            rows.append([name, case["error"]])
            continue
        cells = [name]
        for precision in ("float32", "bf16"):
            side = case[precision]
            cells += [_number(side["loss"]), _number(side["gradients"]) + ("" if side["finite"] else ", NOT FINITE")]
        rows.append(cells)
    waits = []
    for kind, step in found["steps_that_wait_for_nothing"].items():
        said = "waits for nothing" if step.get("checked") else "runs; there is no GPU to wait for"
        waits.append(f"- a step of {kind}: {step.get('error', said)}")
    head = ["against float32 on a CPU", "float32: loss", "gradients", "bf16: loss", "gradients"]
    return _table(head, rows) + "\n" + "\n".join(waits) + "\n"


def _attention(found: dict[str, Any]) -> str:
    rows = [
        [shape, kernel, *([facts["error"][:100]] if "error" in facts else _kernel(facts))]
        for shape, kernels in found["kernels"].items()
        for kernel, facts in kernels.items()
    ]
    return _table(["shape", "kernel", "ms, forward and backward", "finite", "largest difference"], rows)


def _kernel(facts: dict[str, Any]) -> list[str]:
    return [_number(facts["ms"]), str(facts["finite"]), _number(facts["largest_difference"])]


def _steps(found: dict[str, Any]) -> str:
    names = ("batch_clips", "first_step_s", "clips_per_s", "published_run_minutes", "tflop_per_s", "share_of_device")
    names += ("peak_memory_gb", "cudagraph_skips")
    lines = [f"- {name}: {_number(found[name])}" for name in names if name in found]
    return "\n".join([*lines, f"- first losses: {', '.join(map(_number, found['first_losses']))}"]) + "\n"


def _general(found: dict[str, Any]) -> str:
    made_up = ", which were made up: accuracies mean nothing" if found["made_up"] else ""
    ended = "its end" if found["steps"] == found["total_steps"] else f"step {found['steps']} of {found['total_steps']}"
    checkpoint = found["checkpoint"]
    lines = [f"{found['clips']} clips{made_up}. The run came to {ended}, {found['clips_seen']} clips seen.\n"]
    lines += [
        f"- {name}: {_number(values[0])} at first, {_number(values[1])} at last"
        for name, values in found["terms"].items()
    ]
    lines.append(f"- nearest neighbour: {json.dumps(found['evaluation'])}")
    lines.append(f"- checkpoint: {checkpoint['bytes']} bytes in {checkpoint['pieces']} pieces")
    lines.append("- to join them: `sh general-checkpoint/join.sh`")
    return "\n".join(lines) + "\n"


def _facts(found: dict[str, Any]) -> str:
    """Numbers as they are, those of a part behind its name."""
    lines = []
    for name, value in found.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        lines += [f"- {name} {key}: {_number(each)}".replace(" :", ":") for key, each in inner]
    return "\n".join(lines) + "\n"


# Of the others, `_facts`.
_SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "machine": _machine,
    "parity": _parity,
    "attention": _attention,
    "gfp_fused": _steps,
    "gfp_graphs": _steps,
    "mamp_fused": _steps,
    "general": _general,
}


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *(row + [""] * (len(head) - len(row)) for row in rows)]
    return "\n".join("| " + " | ".join(" ".join(cell.split()) for cell in cells) + " |" for cells in lines) + "\n"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

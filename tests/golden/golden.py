"""Record what the package returns, compare it with what it returned, or list what no case calls."""

import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OUTPUTS = HERE / "outputs.json"
AREAS = ["audit", "accounting", "mechanisms", "attacks", "metrics", "training", "leaks", "faults"]
LEFT_OUT = {
    "mialab.plots": "draws",
    "mialab_book.exercises": "answers with words; its own tests hold those",
    "mialab.command": "prints; its own tests hold that",
    "mialab_book.data.fetched": "downloads",
    "mialab_book.data.cache": "downloads",
}


def record(areas: list[str]) -> int:
    """Write the outputs of some areas anew, and keep the others'."""
    outputs = load() if OUTPUTS.exists() else {}
    for area in areas:
        cases = cases_of(area).values()
        outputs[area] = {case.name: {"side": case.side, "value": case.run()} for case in cases}
        refused = [name for name, one in outputs[area].items() if one["value"] == ["ValueError"]]
        print(f"{area}: {len(cases)} cases" + "".join(f"\n  refused: {name}" for name in refused))
    entries = [
        json.dumps(area)
        + ": {\n"
        + ",\n".join(
            f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(one)}"
            for name, one in outputs[area].items()
        )
        + "\n}"
        for area in AREAS
        if area in outputs
    ]
    OUTPUTS.write_text("{\n" + ",\n".join(entries) + "\n}\n")
    return 0


def compare(areas: list[str]) -> int:
    """Print every case that differs, or cannot be called, with both values."""
    from golden.cases import differs

    wrong = safe = total = 0
    for area in areas:
        before = load()[area]
        try:
            cases = cases_of(area)
        except Exception as error:
            print(f"{area}: cannot be imported ({type(error).__name__}: {error})")
            wrong, total = wrong + len(before), total + len(before)
            continue
        for name in [*before, *(name for name in cases if name not in before)]:
            said, now = "", None
            total += 1
            if name not in cases:
                said = "has no call"
            elif name not in before:
                said = "was never recorded"
            else:
                side, value = before[name]["side"], before[name]["value"]
                try:
                    now = cases[name].run()
                    said = differs(side, value, now)
                except Exception as error:
                    said = f"cannot be called ({type(error).__name__}: {error})"
            if said:
                print(f"{area}: {name}: {said}")
                print(f"    before {before.get(name)}\n    now    {now}")
            safe += said == "moved to the safe side"
            wrong += said not in ("", "moved to the safe side")
    print(f"{total} cases: {wrong} differ, {safe} moved to the safe side")
    return int(wrong > 0)


def uncalled(areas: list[str]) -> int:
    """Print the public functions that no case calls itself."""
    import public

    wanted = {}
    for name, thing in public.callables().items():
        if not name.startswith(tuple(LEFT_OUT)) and not refuses(thing):
            function = thing.__init__ if inspect.isclass(thing) else thing
            wanted[id(inspect.unwrap(function).__code__)] = name
    met = set()

    def note(frame: Any, event: str, _: Any) -> None:
        code = id(frame.f_code)
        if event == "call" and code in wanted and code not in met and from_a_case(frame):
            met.add(code)

    for area in areas:
        for case in cases_of(area).values():
            sys.setprofile(note)
            try:
                case.run()
            finally:
                sys.setprofile(None)
    missing = sorted(name for code, name in wanted.items() if code not in met)
    print(*missing, sep="\n")
    print(f"{len(wanted)} public functions, {len(missing)} are called by no case")
    return int(bool(missing))


def refuses(thing: Any) -> bool:
    """Tell whether this is one of the methods of `SystemGenerator` that only refuse."""
    return getattr(thing, "__qualname__", "") == "_missing.<locals>.refuse"


def from_a_case(frame: Any) -> bool:
    """Tell whether a function was called by a file of this folder: through the door or torch at most."""
    between = ("_validation.py", "<string>", "torch/nn/modules/module.py")
    caller = frame.f_back
    while caller and caller.f_code.co_filename.endswith(between):
        caller = caller.f_back
    return caller is not None and Path(caller.f_code.co_filename).parent == HERE


def cases_of(area: str) -> dict[str, Any]:
    """Import an area."""
    return importlib.import_module(f"golden.{area}").AREA.cases


def load() -> dict[str, Any]:
    """Read what was recorded."""
    return json.loads(OUTPUTS.read_text())


def main(arguments: list[str]) -> int:
    """Run one verb on some areas, by default on all."""
    verbs = {verb.__name__: verb for verb in (record, compare, uncalled)}
    if not arguments or arguments[0] not in verbs or not set(arguments[1:]) <= set(AREAS):
        print(f"usage: golden.py {'|'.join(verbs)} [{'|'.join(AREAS)}]")
        return 2
    import torch

    torch.set_num_threads(1)
    return verbs[arguments[0]](arguments[1:] or AREAS)


if __name__ == "__main__":
    sys.path[:1] = [str(HERE.parents[1]), str(HERE.parents[1] / "book"), str(HERE.parent)]
    sys.exit(main(sys.argv[1:]))

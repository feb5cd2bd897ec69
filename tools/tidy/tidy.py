#!/usr/bin/env python3
"""The house rules that no compiler checks. Each rule is a function that yields what breaks it.

    tidy.py [--zonal PROGRAM]      exit 1 if a rule is broken; with a program, COVERAGE.md is compared with what it prints

Ends with `tidy: N rules hold` or the list. A rule that cannot be checked here says so and fails: nothing is skipped in silence.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
LONGEST = 500
# Files that may be longer, and why.
LONGER = {}
# What depends on what: a room (or a crate) and the rooms its crates may use. The arrows of DESIGN, one way.
ARROWS = {
    "crates/wire": (),
    "crates/shapes": (),
    "crates/unverified": (),
    "planes": ("crates/unverified",),
    "crates/lab": (),
    "crates/substrate": ("planes",),
    "crates/cloud": ("crates/substrate", "crates/wire"),
    # What tests of services stand on; only they may use it.
    "crates/testbed": ("crates/cloud", "crates/substrate", "crates/wire", "worlds"),
    # A plane for its plain configuration structs; another service for its interface (see `services_keep_their_models`).
    "services": ("crates/cloud", "crates/substrate", "crates/wire", "planes", "services"),
    "worlds": ("crates/substrate", "planes"),
    "crates/zonal": ("crates", "services", "worlds", "planes"),
    "tools/contract": ("crates/wire",),
}
# The generator of structs and tables is every shapes file's build script.
GENERATOR = "zonal-shapes"
# Words that never stay, and what to do instead. Built from pieces so that this file does not break its own rule.
WORDS = {
    "TO" + "DO": "do it, or file an issue",
    "FIX" + "ME": "do it, or file an issue",
    "db" + "g!(": "use tracing",
    "to" + "do!(": "write it",
    "unimple" + "mented!(": "answer an error",
    "/wor" + "k/": "no path of one machine",
    "/ro" + "ot/.": "no path of one machine",
}
LICENCES = {"Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0",
            "Unicode-3.0", "Unlicense", "Zlib", "0BSD"}


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def tracked(*patterns):
    names = run("git", "ls-files", "-z", "--", *patterns).split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def short(path):
    return path.relative_to(ROOT).as_posix()


def every_rust_file_says_what_and_why():
    for path in tracked("*.rs"):
        lines = path.read_text().splitlines()
        first = next((line for line in lines if line and not line.startswith("#![")), "")
        if not first.startswith("//!"):
            yield f"{short(path)}: starts without a module comment (`//! …`)"


def no_file_is_too_long():
    for path in tracked("*.rs", "*.py", "*.sh"):
        count = len(path.read_text().splitlines())
        if count > LONGEST and short(path) not in LONGER:
            yield f"{short(path)}: {count} lines, at most {LONGEST}; split it, or say why in {short(pathlib.Path(__file__))}"
    for name in LONGER:
        if not (ROOT / name).exists() or len((ROOT / name).read_text().splitlines()) <= LONGEST:
            yield f"{name}: needs no exception any more"


def no_word_is_left_behind():
    for path in tracked():
        if path.suffix in (".lock", ".snap") or path.name == "LICENSE":
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for word, instead in WORDS.items():
            for number, line in enumerate(text.splitlines(), 1):
                if word in line:
                    yield f"{short(path)}:{number}: {word}: {instead}"


def manifests():
    """Each crate of ours: its folder, and its manifest."""
    for path in tracked("crates/*/Cargo.toml", "services/*/Cargo.toml", "planes/*/Cargo.toml", "worlds/*/Cargo.toml",
                        "tools/*/Cargo.toml"):
        yield short(path.parent), tomllib.loads(path.read_text())


def dependencies_point_one_way():
    folders = {manifest["package"]["name"]: folder for folder, manifest in manifests()}
    for folder, manifest in manifests():
        room = folder if folder in ARROWS else folder.split("/")[0]
        if room not in ARROWS:
            yield f"{folder}: in no room that tidy knows"
            continue
        for name in manifest.get("dependencies", {}):
            target = folders.get(name)
            if target and not any(target == room_ or target.startswith(room_ + "/") for room_ in ARROWS[room]):
                yield f"{folder}: may not depend on {target}"
        for name in manifest.get("build-dependencies", {}):
            if name != GENERATOR:
                yield f"{folder}: its build script may not use {name}"


# What one service has of another beside operations and shapes, as AWS has no operation for it: (who, of whom, what).
GRANTS = {
    ("elbv2", "acm", "material"), ("elbv2", "acm", "use_by"), ("elbv2", "acm", "users_of"),
    ("elbv2", "acm", "is_requested"),
    ("route53", "elbv2", "zones"),
}


def services_keep_their_models():
    """A service knows another by its operations and shapes; what it stores is its own."""
    for path in tracked("services/*/src/*.rs"):
        own = short(path).split("/")[1].replace("-", "_")
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for service in re.findall(r"zonal_(\w+)::(?:model|operations|controllers)\b", line):
                if service != own and (ROOT / "services" / service).is_dir():
                    yield f"{short(path)}:{number}: reaches into what {service} stores; call its operation"
            for service, what in re.findall(r"zonal_(\w+)::(\w+)\b", line):
                known = what in ("shapes", "model", "operations", "controllers") or (own, service, what) in GRANTS
                if service != own and (ROOT / "services" / service).is_dir() and not known:
                    yield f"{short(path)}:{number}: uses {service}'s {what}, which is no operation and no grant"


def no_macro_is_ours():
    for path in tracked("*.rs"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "macro" + "_rules!" in line:
                yield f"{short(path)}:{number}: a macro of ours; write it out, or as a function or constant"


def unsafe_is_forbidden_but_in_one_crate():
    for folder, _ in manifests():
        if folder == "worlds/linux":
            continue
        roots = [root for root in (ROOT / folder / "src/lib.rs", ROOT / folder / "src/main.rs") if root.exists()]
        for root in roots:
            if "#![forbid(unsafe_code)]" not in root.read_text():
                yield f"{short(root)}: lacks #![forbid(unsafe_code)]"


def every_crate_keeps_the_workspace_lints():
    for folder, manifest in manifests():
        if folder != "worlds/linux" and manifest.get("lints", {}).get("workspace") is not True:
            yield f"{folder}/Cargo.toml: lacks [lints] workspace = true"


def metadata():
    return json.loads(run("cargo", "metadata", "--format-version", "1", "--locked"))


def every_dependency_has_its_line():
    page = (ROOT / "ARCHITECTURE.md").read_text()
    ours = {manifest["package"]["name"] for _, manifest in manifests()}
    used = set()
    for _, manifest in manifests():
        for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
            used |= set(manifest.get(kind, {}))
    for name in sorted(used - ours):
        if not re.search(rf"^\|[^|]*`{re.escape(name)}`", page, re.M):
            yield f"ARCHITECTURE.md: the table of dependencies lacks `{name}`"


def every_licence_is_permissive():
    def allowed(expression):
        """A licence expression: any of `OR` (older crates write `/`), all of `AND`."""
        text = expression.replace("/", " OR ")
        if "(" in text:
            inner = re.search(r"\(([^()]*)\)", text)
            return allowed(text.replace(inner.group(0), "MIT" if allowed(inner.group(1)) else "refused"))
        return any(all(part.strip() in LICENCES for part in choice.split(" AND ")) for choice in text.split(" OR "))

    for package in metadata()["packages"]:
        if package["source"] and not allowed(package["license"] or "none"):
            yield f"{package['name']} {package['version']}: licence {package['license']}"


def shapes_are_botocores():
    checked = subprocess.run([sys.executable, "tools/shapes/shapes.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    if checked.returncode:
        yield checked.stderr.strip().splitlines()[-1] + " (run tools/shapes/shapes.py)"


def templates_carry_their_application():
    with tempfile.TemporaryDirectory() as scratch:
        for case in sorted(path.parent.parent for path in tracked("cases/*/app/embed.py")):
            copy = pathlib.Path(scratch) / case.name
            shutil.copytree(case, copy)
            subprocess.run([sys.executable, copy / "app/embed.py"], check=True, capture_output=True)
            for template in sorted(case.glob("*.yaml")):
                if template.read_text() != (copy / template.name).read_text():
                    yield f"{short(template)}: not the application that is in app/ (run {short(case)}/app/embed.py)"


def every_documented_path_exists():
    """A page that names a file which is not there is not true of the code."""
    for page in tracked("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            if not (page.parent / target).exists():
                yield f"{short(page)}: links to {target}, which is not there"
        for name in re.findall(r"`((?:crates|services|planes|worlds|cases|clients|bench|tools|fuzz)/[\w./-]+)`", page.read_text()):
            if not (ROOT / name).exists():
                yield f"{short(page)}: speaks of {name}, which is not there"


def coverage_is_fresh(program):
    def rule():
        page = ROOT / "COVERAGE.md"
        said = subprocess.run([program, "coverage"], check=True, capture_output=True, text=True).stdout
        if not page.exists() or page.read_text() != said:
            yield "COVERAGE.md is not what the code says (run `make coverage`)"

    rule.__name__ = "coverage_is_fresh"
    return rule


RULES = [
    every_rust_file_says_what_and_why,
    no_file_is_too_long,
    no_word_is_left_behind,
    dependencies_point_one_way,
    services_keep_their_models,
    no_macro_is_ours,
    unsafe_is_forbidden_but_in_one_crate,
    every_crate_keeps_the_workspace_lints,
    every_dependency_has_its_line,
    every_licence_is_permissive,
    shapes_are_botocores,
    templates_carry_their_application,
    every_documented_path_exists,
]


def main():
    parser = argparse.ArgumentParser(description="check the house rules")
    parser.add_argument("--zonal", metavar="PROGRAM", help="the program whose coverage is compared with COVERAGE.md")
    arguments = parser.parse_args()
    rules = RULES + ([coverage_is_fresh(arguments.zonal)] if arguments.zonal else [])
    broken = 0
    for rule in rules:
        for problem in rule():
            broken += 1
            print(f"{rule.__name__}: {problem}", file=sys.stderr)
    print(f"tidy: {broken} problems" if broken else f"tidy: {len(rules)} rules hold")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

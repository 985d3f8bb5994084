"""What is linked into manager and controller, as a CycloneDX bill of materials, from what Cargo resolves.
Usage: sbom.py TARGET-TRIPLE"""
import json
import subprocess
import sys
import tomllib

PROGRAMS = ["pgherd-manager", "pgherd-controller"]

command = ["cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", sys.argv[1]]
metadata = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
with open("Cargo.lock", "rb") as lock:
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.load(lock)["package"]}

waiting = [id for id, package in packages.items() if package["name"] in PROGRAMS]
linked = set(waiting)
while waiting:
    for dependency in nodes[waiting.pop()]["deps"]:
        # Neither of tests nor of build scripts.
        if any(kind["kind"] is None for kind in dependency["dep_kinds"]) and dependency["pkg"] not in linked:
            linked.add(dependency["pkg"])
            waiting.append(dependency["pkg"])


def component(package):
    name, version = package["name"], package["version"]
    made = {"type": "library", "name": name, "version": version, "bom-ref": package["id"],
            "purl": f"pkg:cargo/{name}@{version}"}
    if package.get("license"):
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksums.get((name, version)):
        made["hashes"] = [{"alg": "SHA-256", "content": checksums[(name, version)]}]
    return made


of_name = lambda id: (packages[id]["name"], packages[id]["version"])
version = next(package["version"] for package in packages.values() if package["name"] == PROGRAMS[0])
bill = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {"component": {"type": "container", "name": "pgherd", "version": version, "bom-ref": "pgherd"}},
    "components": [component(packages[id]) for id in sorted(linked, key=of_name)],
    "dependencies": [{"ref": id, "dependsOn": sorted(set(nodes[id]["dependencies"]) & linked)}
                     for id in sorted(linked, key=of_name)],
}
print(json.dumps(bill, indent=1))

"""Checks a checkpoint folder without asking perdure: every image file against the manifest's hashes."""
import hashlib
import json
import os


def hashed_files(folder):
    """(name, sha256) of every image that the manifest lists."""
    with open(folder + "/manifest.json") as f:
        manifest = json.load(f)

    def walk(node):
        if isinstance(node, dict):
            if isinstance(node.get("sha256"), str) and isinstance(node.get("name"), str):
                yield node["name"], node["sha256"]
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    return list(walk(manifest))


def check_hashes(folder):
    files = hashed_files(folder)
    assert files, f"{folder}: no hashes in its manifest"
    for name, wanted in files:
        with open(os.path.join(folder, name), "rb") as f:
            found = hashlib.file_digest(f, "sha256").hexdigest()
        assert found == wanted, f"{folder}/{name}: hash differs"


def identity_of(path):
    try:
        found = os.stat(path)
        return found.st_dev, found.st_ino
    except FileNotFoundError:
        return None


def verify(folder, may_go=False):
    """Raises when the folder is not a whole checkpoint. One that is written anew meanwhile is
    another folder, and is looked at again; `may_go`: it may be removed."""
    while True:
        before = identity_of(folder)
        try:
            return check_hashes(folder)
        except (FileNotFoundError, AssertionError):
            after = identity_of(folder)
            if after is None and may_go:
                return None
            if after == before:
                raise


def staging(instance, name):
    try:
        return [n for n in os.listdir(f"{instance.state}/checkpoints/{name}")
                if n.startswith("staging-")]
    except FileNotFoundError:
        return []
